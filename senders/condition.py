"""How a gateway is doing, in words for people."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from django.utils import timezone

from senders.models import Gateway

Tone = Literal["success", "warning", "danger"]


class Condition(NamedTuple):
    """A word for a badge, its colour, and a sentence that says what it means."""

    word: str
    tone: Tone
    sentence: str


def condition_of(gateway: Gateway, *, at: datetime | None = None) -> Condition:
    """The condition that decides whether messages are handed to the gateway."""
    now = at or timezone.now()
    failures = gateway.consecutive_failures
    if gateway.is_paused:
        return Condition(
            "Paused",
            "warning",
            "Paused by a person: iMessages of its identities go by SMS, its own texts wait.",
        )
    if gateway.breaker_open_until is not None and gateway.breaker_open_until > now:
        until = timezone.localtime(gateway.breaker_open_until)
        return Condition(
            "Breaker open",
            "danger",
            f"The carrier failed {_times(failures)} in a row. No calls until "
            f"{until:%H:%M:%S %Z}, then a trickle tries again.",
        )
    if gateway.is_on_probation:
        return Condition(
            "On trial",
            "warning",
            "The breaker has just closed: only a trickle passes until a call succeeds.",
        )
    if failures:
        return Condition(
            "Available",
            "success",
            f"Calls go through. The carrier failed {_times(failures)} in a row; "
            f"at {gateway.BREAKER_THRESHOLD} the breaker opens.",
        )
    return Condition("Available", "success", "Calls go through.")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
