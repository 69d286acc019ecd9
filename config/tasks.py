"""The base of every task: an enqueue is a hint, and losing one is never an error."""

from typing import Any

import structlog
from celery.contrib.django.task import DjangoTask
from kombu.exceptions import OperationalError

logger = structlog.get_logger(__name__)


class HintTask(DjangoTask):  # type: ignore[type-arg]  # it is generic in the stubs only
    """A task whose caller goes on when the broker is away; a sweep finds the work later."""

    abstract = True

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Queue the task and return its handle, or None if the broker could not be reached."""
        try:
            return super().apply_async(*args, **options)
        except OperationalError:
            logger.warning("task_not_queued", task=self.name)
            return None
