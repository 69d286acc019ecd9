"""The breaker of a gateway: failures in a row open it, time half-opens it, a success closes it.

While it is open, routing says ``route_unavailable``; when the time has passed, a trickle (one
message a second and lane) tries it. State is on the gateway's row: it must hold across machines.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from senders.models import Gateway

OPEN_FOR = timedelta(seconds=15)
OPEN_FOR_AT_MOST = timedelta(minutes=5)


def record_success(gateway_id: int) -> None:
    """The gateway answered: whatever was counted against it is forgotten."""
    Gateway.objects.filter(pk=gateway_id, consecutive_failures__gt=0).update(
        consecutive_failures=0, breaker_open_until=None
    )


def record_failures(gateway_id: int, *, count: int, now: datetime) -> None:
    """Count failures in a row; at the threshold, open the breaker, longer each time it opens.

    Hundreds of calls that fail together are one outage: from the threshold on, a failure is
    counted only once for each time that the breaker opens again.
    """
    with transaction.atomic():
        gateway = Gateway.objects.select_for_update(of=("self",)).get(pk=gateway_id)
        if gateway.breaker_open_until is not None and gateway.breaker_open_until > now:
            return  # they left before it opened
        before, threshold = gateway.consecutive_failures, Gateway.BREAKER_THRESHOLD
        failures = before + 1 if before >= threshold else min(before + count, threshold)
        changes: dict[str, object] = {"consecutive_failures": failures}
        if failures >= threshold:
            pause = OPEN_FOR * 2 ** min(failures - threshold, 10)
            changes["breaker_open_until"] = now + min(pause, OPEN_FOR_AT_MOST)
        Gateway.objects.filter(pk=gateway_id).update(**changes)
