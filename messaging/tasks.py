"""Doors for Celery. A task carries a lane's or a send's work, never a message."""

from __future__ import annotations

from celery import shared_task

from messaging import claim
from messaging import dispatch as dispatching
from messaging import expand as expansion
from messaging import sweep as repairs
from messaging import wake as hints


@shared_task(name="messaging.tasks.dispatch")
def dispatch() -> None:
    """Hand over what is due."""
    if dispatching.run() and claim.ready_lanes():
        hints.dispatch()


@shared_task(name="messaging.tasks.expand")
def expand(send_id: int) -> None:
    """Expand one send for a while, waking the dispatcher as messages come."""
    if expansion.go_on(send_id, after_each=hints.dispatch):
        hints.expand(send_id)


@shared_task(name="messaging.tasks.wake")
def wake() -> None:
    """Each second: start what is due."""
    for send_id in repairs.due_sends():
        hints.expand(send_id)
    if claim.ready_lanes():
        hints.dispatch()


@shared_task(name="messaging.tasks.sweep")
def sweep() -> None:
    """Every few seconds: repair what was lost."""
    repairs.run()
    if claim.ready_lanes():
        hints.dispatch()
