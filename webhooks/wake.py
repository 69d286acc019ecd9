"""Tells a worker that there are receipts. Only a hint: the beat finds what a lost one was about."""

from __future__ import annotations

import logging
import threading
import time

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

TASK = "webhooks.tasks.process_receipts"
#: The worker looks so long after the hint; receipts kept until then need no hint of their own.
DELAY_SECONDS = 0.05
EXPIRES_SECONDS = 5

_lock = threading.Lock()
_next_hint_at = 0.0


def receipts() -> None:
    """Have a worker look at the receipts soon. Never raises; call it once they are committed."""
    if _is_covered():
        return
    try:
        current_app.send_task(TASK, countdown=DELAY_SECONDS, expires=EXPIRES_SECONDS, retry=False)
    except (OperationalError, OSError):
        logger.warning("no broker: the beat will find the receipts")


def _is_covered() -> bool:
    """Whether a hint of this process, given before, makes the worker look after this moment."""
    global _next_hint_at  # noqa: PLW0603 -- one clock for the threads of this process
    with _lock:
        now = time.monotonic()
        if now < _next_hint_at:
            return True
        _next_hint_at = now + DELAY_SECONDS
        return False
