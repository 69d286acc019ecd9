"""Repairs: what was lost on the way is found here, from the rows alone. Safe to run any time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
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
from senders.gateways.contract import LookUp, RemoteMessage, Route
from senders.gateways.errors import GatewayError, NotSupported
from senders.models import Gateway

logger = logging.getLogger(__name__)

#: A request that was cut off may still be on its way into the carrier for so long.
LOOK_UP_AFTER = timedelta(seconds=5)
#: How long a callback may say what became of an unknown outcome, before the send's policy decides.
UNKNOWN_WINDOW = timedelta(minutes=15)
_MOST = 200
#: A carrier that answers slowly must not keep the other repairs waiting.
_LOOK_UP_SECONDS = 5.0


def due_sends() -> list[int]:
    """Sends that should be expanding: due ones, and those whose worker was lost."""
    waiting = Send.objects.filter(state=SendState.SCHEDULED, scheduled_at__lte=timezone.now())
    return list(
        (waiting | Send.objects.filter(state=SendState.EXPANDING)).values_list("pk", flat=True)
    )


def expired_leases() -> int:
    """Close what a lost worker held: unknown what may have left, queued again what did not."""
    expired = Batch.objects.filter(state=Batch.State.LEASED, lease_until__lt=timezone.now())
    closed = 0
    for key in expired.values_list("pk", flat=True)[:_MOST]:
        try:
            closed += _close_expired(key)
        except Exception:  # one batch's fault must not stop the others
            logger.exception("a lost batch could not be closed", extra={"batch": key})
    return closed


def _close_expired(key: int) -> bool:
    with transaction.atomic():
        batch = (
            Batch.objects.select_for_update(skip_locked=True)
            .filter(pk=key, state=Batch.State.LEASED, lease_until__lt=timezone.now())
            .first()
        )
        if batch is not None:
            _close(batch)
        return batch is not None


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
    """Ask the carriers what became of unknown outcomes. Returns how many are known now.

    Which ones are asked about is left to chance: those that nobody can answer delay no others.
    """
    able = [gateway.pk for gateway in Gateway.objects.all() if _can_look_up(gateway)]
    # When it became unknown, not when it was claimed: a call may have been cut off just now.
    unknown_before = timezone.now() - LOOK_UP_AFTER
    attempts = (
        Attempt.objects.filter(
            state=AttemptState.UNKNOWN, gateway__in=able, message__state_at__lt=unknown_before
        )
        .select_related("gateway")
        .order_by("?")[:_MOST]
    )
    return settle.apply(list(_looked_up(attempts)))


def _can_look_up(gateway: Gateway) -> bool:
    try:
        can = wire.adapter_of(gateway).capabilities
    except NotSupported:
        return False
    return can.look_up != LookUp.NONE and gateway.is_available()


def _looked_up(attempts: Iterable[Attempt]) -> Iterable[Report]:
    ends_at = time.monotonic() + _LOOK_UP_SECONDS
    unreachable: set[int] = set()
    for attempt in attempts:
        if time.monotonic() > ends_at:
            return
        if attempt.gateway_id in unreachable:
            continue
        adapter = wire.adapter_of(attempt.gateway)
        reference = str(public_ids.encode("attempt", attempt.pk))
        try:
            found = wire.ask(attempt.gateway, adapter.fetch(reference=reference))
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
    """Let the policy decide about iMessages whose outcome stayed unknown for the whole window."""
    overdue = (
        Attempt.objects.filter(
            state=AttemptState.UNKNOWN,
            route=Route.IMESSAGE,
            claimed_at__lt=timezone.now() - UNKNOWN_WINDOW,
            message__send__unknown_policy=Send.UnknownPolicy.FALL_BACK,
        )
        .select_related("message__send")
        .order_by("pk")
    )
    closed = after = 0
    # Page by page to the end: those whose policy lets them stay unknown are met again each time.
    while page := list(overdue.filter(pk__gt=after)[:_MOST]):
        closed += settle.close_unknown(page)
        after = page[-1].pk
    return closed


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
    """All repairs, each in transactions of its own; one that fails stops no other. Returns how much
    each found."""
    repairs: dict[str, Callable[[], int]] = {
        "expired_leases": expired_leases,
        "look_up_unknown": look_up_unknown,
        "close_unknown": close_unknown,
        "stopped_batches": stopped_batches,
        "finished_sends": finished_sends,
    }
    return {name: _tried(name, repair) for name, repair in repairs.items()}


def _tried(name: str, repair: Callable[[], int]) -> int:
    try:
        return repair()
    except Exception:
        logger.exception("a repair failed", extra={"repair": name})
        return 0
