"""Tells a worker that there are receipts. Only a hint: the beat finds what a lost one was about."""

from __future__ import annotations

import logging
import threading
import time

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

PEOPLE_TASK = "webhooks.tasks.process_people"
REPORTS_TASK = "webhooks.tasks.process_reports"
#: The worker looks so long after the hint; receipts kept until then need no hint of their own.
DELAY_SECONDS = 0.05
EXPIRES_SECONDS = 5

_lock = threading.Lock()
_next_hint_at: dict[str, float] = {}


def receipts(*, reports: bool) -> None:
    """Have a worker look at the receipts soon. Never raises; call it once they are committed."""
    task = REPORTS_TASK if reports else PEOPLE_TASK
    if _is_covered(task):
        return
    try:
        current_app.send_task(task, countdown=DELAY_SECONDS, expires=EXPIRES_SECONDS, retry=False)
    except (OperationalError, OSError):
        logger.warning("no broker: the beat will find the receipts")


def _is_covered(task: str) -> bool:
    """Whether a hint of this process, given before, makes the worker look after this moment."""
    with _lock:
        now = time.monotonic()
        if now < _next_hint_at.get(task, 0.0):
            return True
        _next_hint_at[task] = now + DELAY_SECONDS
        return False
