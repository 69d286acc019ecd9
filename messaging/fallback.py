"""What comes after an attempt that failed: again, the next leg, or the end. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import NamedTuple

from senders.gateways.contract import Route
from senders.gateways.errors import REFUSALS, DeliveryFailed

#: So many tries of an iMessage whose carrier can't be reached, before SMS is used instead.
MOST_OUTAGE_TRIES = 3
#: So many tries of anything else that may be tried again: a text, which has no next leg, and what a
#: carrier asked us to send more slowly. The breaker spares tries: while it is open nothing is
#: claimed.
MOST_TRIES = 12
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 300.0

#: Which fallback reason an error gives; all others give ``imessage_failed``.
_REASONS: dict[str, str] = {
    "not_capable": "not_capable",
    "identity_blocked": "identity_blocked",
    "identity_banned": "identity_banned",
    "route_unavailable": "route_unavailable",
    "rate_limited": "route_unavailable",
    "credentials_refused": "route_unavailable",
}


class Next(enum.Enum):
    """What to do with the message."""

    RETRY = "retry"
    FALL_BACK = "fall_back"
    END = "end"


class NextStep(NamedTuple):
    """``reason`` is the fallback reason, set for ``FALL_BACK`` and for an end that the policy
    caused; ``pause_seconds`` is how long a retry waits."""

    next: Next
    reason: str = ""
    pause_seconds: float = 0.0


def pause_seconds(tries: int) -> float:
    """How long to wait after so many tries: doubling, bounded."""
    return min(_FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1), _LONGEST_PAUSE_SECONDS)


def after_failure(
    *,
    route: str,
    error_code: str,
    tries: int,
    allowed: Collection[str] | None,
    retry_after_seconds: float | None = None,
) -> NextStep:
    """What follows when the carrier refused or failed a message.

    ``tries`` counts the attempts so far on any route; ``allowed`` is the send's policy.
    """
    error = REFUSALS.get(error_code, DeliveryFailed)
    is_short = route == Route.IMESSAGE and error.trips_breaker
    most = MOST_OUTAGE_TRIES if is_short else MOST_TRIES
    if error.may_retry and tries < most:
        return NextStep(Next.RETRY, pause_seconds=retry_after_seconds or pause_seconds(tries))
    if route != Route.IMESSAGE or not (error.may_fall_back or error.may_retry):
        return NextStep(Next.END)
    reason = _REASONS.get(error_code, "imessage_failed")
    if allowed is not None and reason not in allowed:
        return NextStep(Next.END, reason=reason)
    return NextStep(Next.FALL_BACK, reason=reason)


def after_unknown(*, route: str, may_fall_back: bool, allowed: Collection[str] | None) -> NextStep:
    """What follows when the window of an unknown outcome closes. ``may_fall_back``: the send's own
    choice for unknowns; without it a person decides."""
    is_allowed = allowed is None or "outcome_unknown" in allowed
    if route == Route.IMESSAGE and may_fall_back and is_allowed:
        return NextStep(Next.FALL_BACK, reason="outcome_unknown")
    return NextStep(Next.END)
