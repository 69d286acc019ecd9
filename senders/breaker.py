"""The breaker of a gateway: failures in a row open it, time half-opens it, a success closes it.

While it is open, routing says ``route_unavailable``; when the time has passed, a trickle (one
message a claim) tries it. State is on the gateway's row, because it must hold across machines.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F

from senders.models import Gateway

OPEN_FOR = timedelta(seconds=15)
OPEN_FOR_AT_MOST = timedelta(minutes=5)


def record_success(gateway_id: int) -> None:
    """The gateway answered: whatever was counted against it is forgotten."""
    Gateway.objects.filter(pk=gateway_id, consecutive_failures__gt=0).update(
        consecutive_failures=0, breaker_open_until=None
    )


def record_failures(gateway_id: int, *, count: int, now: datetime) -> None:
    """Count failures in a row; from the threshold on, open the breaker, longer each time."""
    Gateway.objects.filter(pk=gateway_id).update(
        consecutive_failures=F("consecutive_failures") + count
    )
    gateway = Gateway.objects.only("consecutive_failures", "breaker_open_until").get(pk=gateway_id)
    excess = gateway.consecutive_failures - Gateway.BREAKER_THRESHOLD
    if excess >= 0 and gateway.is_available(now):
        pause = min(OPEN_FOR * 2 ** min(excess, 10), OPEN_FOR_AT_MOST)
        Gateway.objects.filter(pk=gateway_id, consecutive_failures__gt=0).update(
            breaker_open_until=now + pause
        )
