"""Hints: they wake a worker at once. Any of them may be lost; a sweep finds the work."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

#: A hint that nobody took for so long is worth nothing: the beat has given newer ones.
EXPIRES_SECONDS = 5


def hint(task_name: str, *args: Any) -> None:
    """Ask a worker to run a task once the transaction is committed. Never raises."""
    transaction.on_commit(lambda: _publish(task_name, args), robust=True)


def _publish(task_name: str, args: tuple[Any, ...]) -> None:
    try:
        current_app.send_task(task_name, args=args, expires=EXPIRES_SECONDS, retry=False)
    except (OperationalError, OSError):
        logger.warning("no broker: the sweep will find the work", extra={"task": task_name})


def dispatch() -> None:
    """There are messages to hand over."""
    hint("messaging.tasks.dispatch")


def expand(send_id: int) -> None:
    """A send is due."""
    hint("messaging.tasks.expand", send_id)
