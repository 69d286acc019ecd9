"""Lanes: the pace of a line."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, Value
from django.db.models.functions import Greatest

from senders.models import Lane, Longcode, SenderIdentity

#: A batch holds at most so much of a lane's time, so that consent is fresh and pausing is prompt.
BATCH_SECONDS = 3.0
#: A lane that was looked at late catches up by so much: its clock ticks once a second.
CATCH_UP = timedelta(seconds=1)


def of_identity(identity_id: int) -> Lane:
    """The iMessage lane of an identity; made when first asked for."""
    return Lane.objects.get_or_create(identity_id=identity_id)[0]


def of_longcode(longcode_id: int) -> Lane:
    """The SMS lane of a longcode; made when first asked for."""
    return Lane.objects.get_or_create(longcode_id=longcode_id)[0]


def batch_size(line: SenderIdentity | Longcode, *, most: int) -> int:
    """How many messages of this line go into one batch."""
    rate = line.messages_per_second
    return most if rate is None else max(1, min(most, int(rate * BATCH_SECONDS)))


def advance(lane: Lane, *, messages: int, rate: float, now: datetime) -> None:
    """Charge a claim to the lane: its next moment moves by messages ÷ rate."""
    Lane.objects.filter(pk=lane.pk).update(
        next_at=Greatest(F("next_at"), Value(now - CATCH_UP)) + timedelta(seconds=messages / rate)
    )


def rest(lane_id: int, *, until: datetime) -> None:
    """Let the lane rest, because its carrier asked for it."""
    Lane.objects.filter(pk=lane_id, next_at__lt=until).update(next_at=until)
