"""Repairs: what was lost on the way is found here, from the rows alone. Safe to run any time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from identifiers import public_ids
from messaging import sends, settle
from messaging.models import Attempt, Batch, Send
from messaging.settle import Report
from messaging.states import AttemptState, SendState
from senders import wire
from senders.gateways.contract import LookUp, RemoteMessage
from senders.gateways.errors import GatewayError, NotSupported

logger = logging.getLogger(__name__)

#: A request that was cut off may still be on its way into the carrier for so long.
LOOK_UP_AFTER = timedelta(seconds=5)
#: How long a callback may say what became of an unknown outcome, before the send's policy decides.
UNKNOWN_WINDOW = timedelta(minutes=15)
_MOST = 200


def due_sends() -> list[int]:
    """Sends that should be expanding: due ones, and those whose worker was lost."""
    waiting = Send.objects.filter(state=SendState.SCHEDULED, scheduled_at__lte=timezone.now())
    return list(
        (waiting | Send.objects.filter(state=SendState.EXPANDING)).values_list("pk", flat=True)
    )


def expired_leases() -> int:
    """Close what a lost worker held: unknown what may have left, queued again what did not."""
    closed = 0
    for key in Batch.objects.filter(
        state=Batch.State.LEASED, lease_until__lt=timezone.now()
    ).values_list("pk", flat=True)[:_MOST]:
        with transaction.atomic():
            batch = (
                Batch.objects.select_for_update(skip_locked=True)
                .filter(pk=key, state=Batch.State.LEASED, lease_until__lt=timezone.now())
                .first()
            )
            if batch is not None:
                _close(batch)
                closed += 1
    return closed


def _close(batch: Batch) -> None:
    may_have_left = set(batch.message_ids[: batch.handed])
    attempts = Attempt.objects.filter(
        message_id__in=batch.message_ids, state=AttemptState.CLAIMED
    ).values_list("pk", "message_id")
    settle.apply(
        [
            Report(
                attempt_id,
                AttemptState.UNKNOWN if message_id in may_have_left else AttemptState.RELEASED,
                detail="The worker was lost.",
            )
            for attempt_id, message_id in attempts
        ]
    )
    batch.delete()


def look_up_unknown() -> int:
    """Ask the carriers what became of unknown outcomes. Returns how many are known now."""
    attempts = (
        Attempt.objects.filter(
            state=AttemptState.UNKNOWN, claimed_at__lt=timezone.now() - LOOK_UP_AFTER
        )
        .select_related("gateway")
        .order_by("-pk")[:_MOST]
    )
    return settle.apply(list(_looked_up(attempts)))


def _looked_up(attempts: Iterable[Attempt]) -> Iterable[Report]:
    unreachable: set[int] = set()
    for attempt in attempts:
        if attempt.gateway_id in unreachable or not attempt.gateway.is_available():
            continue
        try:
            adapter = wire.adapter_of(attempt.gateway)
            if adapter.capabilities.look_up == LookUp.NONE:
                continue
            reference = str(public_ids.encode("attempt", attempt.pk))
            found = wire.ask(attempt.gateway, adapter.fetch(reference=reference))
        except NotSupported:
            continue
        except GatewayError:
            unreachable.add(attempt.gateway_id)
            continue
        report = _report(attempt, found, adapter.capabilities.look_up)
        if report is not None:
            yield report


def _report(attempt: Attempt, found: RemoteMessage | None, look_up: LookUp) -> Report | None:
    if found is not None:
        return Report(
            attempt.pk,
            AttemptState(found.status.value),
            at=found.at,
            gateway_message_id=found.gateway_message_id,
            error_code=found.error,
            detail="Found by looking it up.",
        )
    if look_up == LookUp.AUTHORITATIVE:
        return Report(attempt.pk, AttemptState.RELEASED, detail="The carrier never had it.")
    return None


def close_unknown() -> int:
    """Let the policy decide about outcomes that stayed unknown for the whole window."""
    attempts = (
        Attempt.objects.filter(
            state=AttemptState.UNKNOWN, claimed_at__lt=timezone.now() - UNKNOWN_WINDOW
        )
        .filter(message__send__unknown_policy=Send.UnknownPolicy.FALL_BACK)
        .select_related("message__send")[:_MOST]
    )
    return settle.close_unknown(attempts)


def stopped_batches() -> int:
    """Open again what was paused at the very moment its send was resumed."""
    return (
        Batch.objects.filter(state=Batch.State.PAUSED)
        .exclude(send__state=SendState.PAUSED)
        .update(state=Batch.State.OPEN)
    )


def finished_sends() -> int:
    """Close sends whose last batch was settled by a worker that was lost right after."""
    done = Send.objects.filter(state=SendState.SENDING).exclude(
        Exists(Batch.objects.filter(send=OuterRef("pk")))
    )
    return sum(sends.finish_if_done(key) for key in done.values_list("pk", flat=True)[:_MOST])


def run() -> dict[str, int]:
    """All repairs, each in transactions of its own. Returns how much each found."""
    return {
        "expired_leases": expired_leases(),
        "look_up_unknown": look_up_unknown(),
        "close_unknown": close_unknown(),
        "stopped_batches": stopped_batches(),
        "finished_sends": finished_sends(),
    }
