"""Logs as lines of JSON with request and task ids, and without numbers, bodies or secrets."""

import re
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

_NUMBER = re.compile(r"\+?\d{9,15}(?!\d)")
# What PostgreSQL adds to an error repeats the row: numbers, names, message bodies.
_DETAIL = re.compile(r"\n\s*(?:DETAIL|CONTEXT|LINE \d+):.*", re.DOTALL)
_HOOK_TOKEN = re.compile(r"(/hooks/)[^/?\s]+")

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def mask(text: str) -> str:
    """``text`` without phone numbers, callback tokens and what a database error tells of a row."""
    text = _HOOK_TOKEN.sub(r"\1…", _DETAIL.sub("", text))
    return _NUMBER.sub(lambda number: "…" + number.group()[-2:], text)


def mask_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor that masks every text of an event; our own fields hold ids, which stay."""
    return {key: value if key in _KEPT else _masked(value) for key, value in event.items()}


# A request id may be the caller's own text, and is kept only if it is one of ours, a UUID.
_KEPT = frozenset({"timestamp", "level", "logger", "task_id", "parent_task_id"})

# What our own modules say beside the text (``extra=``). Not more: Django adds whole requests there,
# and Celery the arguments of tasks.
_OUR_FIELDS = frozenset(
    {"code", "detail", "error", "fields", "gateway", "place", "receipt", "task"}
)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return value if _UUID.fullmatch(value) else mask(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def logging_config(*, json: bool, level: str) -> dict[str, Any]:
    """The LOGGING setting; also tells structlog to go the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer()
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*shared, structlog.stdlib.ExtraAdder(allow=_OUR_FIELDS)],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    # Local variables hold people's data.
                    structlog.processors.ExceptionRenderer(
                        ExceptionDictTransformer(show_locals=False, max_frames=20)
                    ),
                    mask_values,
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django would add its own handlers, which mail and print unmasked.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # The request line of RequestLog says the same, with its id.
            "django.request": {"handlers": [], "level": "ERROR", "propagate": True},
            # A line per tick and task.
            "celery.beat": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.worker.request": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
