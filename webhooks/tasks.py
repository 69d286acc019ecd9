"""Receipts are processed when a hint comes, and every two seconds in case it was lost.

Two tasks, so that what people write is never behind reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from celery import shared_task

from messaging import wake
from webhooks import process

#: Well below the broker's visibility timeout; what is left over is the next tick's.
MOST_SECONDS = 60.0


@shared_task(name="webhooks.tasks.process_people")
def process_people() -> None:
    """Process what people wrote until nothing is due, and have what came of it sent."""
    _go_on(process.process_people, reports=False)


@shared_task(name="webhooks.tasks.process_reports")
def process_reports() -> None:
    """Process reports until none is due, and have what came of them sent."""
    _go_on(process.process_reports, reports=True)


def _go_on(step: Callable[[], int], *, reports: bool) -> None:
    ends_at = time.monotonic() + MOST_SECONDS
    # Asked again after each round, outside its lock: whoever found the lock taken and gave up had
    # kept their receipt by then, so that the one who held it sees it here.
    while process.is_due(reports=reports) and time.monotonic() < ends_at:
        if not step():
            break
        wake.dispatch()
