"""Receipts are processed when a hint comes, and every two seconds in case it was lost."""

from __future__ import annotations

import time

from celery import shared_task

from messaging import wake
from webhooks import process

#: Well below the broker's visibility timeout; what is left over is the next tick's.
MOST_SECONDS = 60.0


@shared_task(name="webhooks.tasks.process_receipts")
def process_receipts() -> None:
    """Process receipts until none is due, and have what came of them sent."""
    ends_at = time.monotonic() + MOST_SECONDS
    # Asked again after each round, outside its lock: whoever found the lock taken and gave up had
    # kept their receipt by then, so that the one who held it sees it here.
    while process.is_due() and time.monotonic() < ends_at:
        if not process.process():
            break
        wake.dispatch()
