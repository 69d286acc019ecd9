"""Logs tell what happened and to which request, never a number, a body or a secret."""

import io
import json
import logging
import logging.config

import pytest
import structlog
from django.db import IntegrityError, connection

from config.logs import logging_config, mask


@pytest.fixture
def lines():
    """What the log would get, with the program's own configuration."""
    stream = io.StringIO()
    config = logging_config(json=True, level="INFO")["formatters"]
    formatter = logging.config.DictConfigurator({"version": 1}).configure_formatter(config["lines"])
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.propagate = False
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to +13035550142", "to …42"),
        ("/subscribers/13035550142/", "/subscribers/…42/"),
        ("/hooks/s3cret-token/status", "/hooks/…/status"),
        ("batch 12345678 of 500", "batch 12345678 of 500"),
        ("no such row\nDETAIL:  Key (phone)=(x) exists.", "no such row"),
    ],
)
def test_what_may_identify_a_person_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_lines_of_both_kinds_of_logger_are_masked(lines) -> None:
    logging.getLogger("tests.logs").info("sent to %s", "+13035550142")
    structlog.get_logger("tests.logs").info("sent", to="+13035550142", people=["+13035550143"])
    plain, structured = lines()
    assert plain["event"] == "sent to …42"
    assert (structured["to"], structured["people"]) == ("…42", ["…43"])


def test_a_request_id_is_kept_unless_it_is_a_callers_and_holds_a_number(lines) -> None:
    ours, theirs = "6f1d0c9a-0000-4000-8000-123456789012", "order-13035550142"
    for request_id in (ours, theirs):
        structlog.get_logger("tests.logs").info("finished", request_id=request_id)
    assert [line["request_id"] for line in lines()] == [ours, "order-…42"]


def test_a_trace_holds_no_variables(lines) -> None:
    body = "a private message body"
    try:
        int(body and "x")
    except ValueError:
        logging.getLogger("tests.logs").exception("failed")
    [line] = lines()
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert body not in json.dumps(line)


@pytest.mark.django_db
def test_a_database_error_does_not_repeat_the_row(lines) -> None:
    with connection.cursor() as cursor:
        cursor.execute("create temporary table t (body text check (body <> 'a private text'))")
        try:
            cursor.execute("insert into t values ('a private text')")
        except IntegrityError:
            logging.getLogger("tests.logs").exception("failed")
    [line] = lines()
    assert "violates check constraint" in json.dumps(line)
    assert "a private text" not in json.dumps(line)


def test_of_what_is_said_beside_the_text_only_our_own_fields_are_told(lines) -> None:
    extra = {"code": "rate_limited", "detail": "from +13035550142", "request": "a body"}
    logging.getLogger("tests.logs").warning("gateway call failed", extra=extra)
    [line] = lines()
    assert (line["code"], line["detail"]) == ("rate_limited", "from …42")
    assert "request" not in line
