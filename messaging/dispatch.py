"""Claim, commit, send, settle: hands what is due to the carriers.

One call of :func:`run` serves many lanes at once from one thread: it claims batches while there is
room in the air, keeps hundreds of calls in flight, settles each batch as it completes, and ends
when nothing is due. What wakes it is a hint; what finds the work is the index of due batches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from datetime import timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from identifiers import public_ids
from messaging import claim as claims
from messaging import sends, settle
from messaging.claim import Claim, Leg
from messaging.models import Batch
from messaging.settle import Report
from messaging.states import AttemptState
from senders import breaker, lanes, wire
from senders.gateways.contract import Adapter, Line, Outbound, SendResult
from senders.gateways.errors import GatewayError, NotSupported, OutcomeUnknown
from senders.wire import Finished, Runner

logger = logging.getLogger(__name__)

#: Consent is never older than this when a message is handed over.
CONSENT_SECONDS = 0.4
_WAIT_SECONDS = 0.05
#: While calls are in the air, new work is looked for this often.
_LOOK_SECONDS = 0.03
#: A lane whose claim failed is left alone for so long.
_REST_AFTER_FAULT = timedelta(seconds=5)
#: The answers of a carrier are worth waiting for a database that is away for a moment.
_SETTLE_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
_DATABASE_IS_AWAY = (OperationalError, InterfaceError)


class Handover:
    """One claimed batch on its way: what is still to go, and what came back."""

    def __init__(self, claim: Claim, adapter: Adapter | None) -> None:
        self.claim = claim
        self.adapter = adapter
        self.line = Line(claim.route, _address(claim))
        self.next = 0
        self.open = 0
        self.reports: list[Report] = []
        self.failures = 0
        self.has_success = False
        self.checked_at = time.monotonic()
        self.opted_out: frozenset[int] = frozenset()
        self.is_lost = False

    @property
    def pending(self) -> list[Leg]:
        return self.claim.legs[self.next :]

    @property
    def waiting(self) -> int:
        """How many messages still want room in the air."""
        return 0 if self.is_lost else len(self.claim.legs) - self.next

    @property
    def is_over(self) -> bool:
        return self.open == 0 and self.waiting == 0

    def next_leg(self) -> Leg | None:
        """The next message that may leave now; ``None`` when all have, or none may any more.

        Whoever opted out meanwhile keeps their place in the batch: ``handed`` counts places.
        """
        while self._may_go_on():
            leg = self.claim.legs[self.next]
            self.next += 1
            if leg.subscriber_id not in self.opted_out:
                return leg
            self._release([leg], reason="opted_out")
        return None

    def _may_go_on(self) -> bool:
        """Whether there is a next message, in an open window; opens the next one if need be."""
        is_stale = time.monotonic() - self.checked_at > CONSENT_SECONDS
        if self.waiting and (self.next >= self.claim.handed or is_stale):
            self._renew()
        return self.waiting > 0

    def _renew(self) -> None:
        """Open the next window: with consent read again, and only while the lease is ours."""
        handed = max(self.claim.handed, min(self.next + claims.WINDOW, len(self.claim.legs)))
        renewal = claims.renew(self.claim, handed=handed, pending=self.pending)
        self.checked_at = time.monotonic()
        self.claim.handed = handed
        self.opted_out = renewal.opted_out
        if not renewal.is_ours:
            self.is_lost = True
        elif not renewal.is_running:
            self._release(self.pending)
            self.claim.legs = self.claim.legs[: self.next]

    def _release(self, legs: list[Leg], *, reason: str = "") -> None:
        self.reports += [
            Report(leg.attempt_id, AttemptState.RELEASED, reason=reason) for leg in legs
        ]

    def outbound(self, leg: Leg) -> Outbound:
        return Outbound(
            reference=str(public_ids.encode("attempt", leg.attempt_id)),
            line=self.line,
            to=leg.phone,
            body=leg.body,
            media_urls=leg.media_urls,
        )

    def take(self, leg: Leg, finished: Finished) -> None:
        """What became of one call."""
        self.open -= 1
        if finished.error is None:
            self.has_success = True
            self.reports.append(_accepted(leg, finished.result))
            return
        self.failures += finished.error.trips_breaker
        self.has_success |= not finished.error.trips_breaker
        self.reports.append(_refused(leg, finished.error))


def _address(claim: Claim) -> str:
    if claim.lane.identity is not None:
        return claim.lane.identity.handle
    assert claim.lane.longcode is not None  # lane_is_of_one_line
    return claim.lane.longcode.number


def _accepted(leg: Leg, result: SendResult) -> Report:
    state = AttemptState(result.status.value)
    return Report(leg.attempt_id, state, gateway_message_id=result.gateway_message_id)


def _refused(leg: Leg, error: GatewayError) -> Report:
    is_unknown = isinstance(error, OutcomeUnknown)
    return Report(
        leg.attempt_id,
        AttemptState.UNKNOWN if is_unknown else AttemptState.FAILED,
        error_code=error.code,
        detail=error.detail,
        retry_after_seconds=error.retry_after_seconds,
    )


class Dispatcher:
    """The loop. ``budget_seconds``: claim nothing new after so long, so that the task ends."""

    def __init__(self, *, budget_seconds: float, runner: Runner) -> None:
        self.runner = runner
        self.ends_at = time.monotonic() + budget_seconds
        self.handovers: list[Handover] = []
        self.in_the_air: dict[Hashable, tuple[Handover, Leg]] = {}
        self.claimed = 0
        self.look_at = 0.0

    def run(self) -> int:
        while self._fill() or self.handovers:
            for finished in self.runner.wait(_WAIT_SECONDS):
                # What is not ours was left by a run that broke off: its lease says what to do.
                if finished.key in self.in_the_air:
                    handover, leg = self.in_the_air.pop(finished.key)
                    handover.take(leg, finished)
            self._settle()
        return self.claimed

    @property
    def _room(self) -> int:
        """How much more may be claimed. What is claimed must begin at once: its lease runs."""
        return self.runner.room - sum(handover.waiting for handover in self.handovers)

    def _fill(self) -> bool:
        """Put into the air what there is room for. Whether anything was claimed or started."""
        try:
            started = self._start_pending()
            return self._claim_more() or started
        except _DATABASE_IS_AWAY:
            logger.exception("this run takes on nothing more")
            self._take_on_nothing_more()
            return False

    def _take_on_nothing_more(self) -> None:
        """Only what is in the air is waited for; the rest is the sweep's."""
        self.ends_at = 0.0
        for handover in self.handovers:
            handover.is_lost = handover.is_lost or handover.waiting > 0
        connection.close_if_unusable_or_obsolete()

    def _claim_more(self) -> bool:
        claimed = False
        while self._room > 0 and self.look_at <= time.monotonic() < self.ends_at:
            if not self._claim_one_each():
                self.look_at = time.monotonic() + _LOOK_SECONDS if self.handovers else 0.0
                break
            claimed = True
            self._start_pending()
            self._settle()
        return claimed

    def _claim_one_each(self) -> bool:
        """A batch of each lane that is ready, as far as there is room. Whether there was any."""
        found = False
        for lane_id in claims.ready_lanes():
            if self._room <= 0:
                break
            claim = self._claim(lane_id)
            found |= claim is not None
            if claim is not None and claim.legs:
                self.claimed += len(claim.legs)
                self.handovers.append(Handover(claim, _adapter(claim)))
        return found

    def _claim(self, lane_id: int) -> Claim | None:
        try:
            return claims.claim(lane_id)
        except Exception:  # one lane's fault must not lose what others have in the air
            logger.exception("a lane could not be claimed", extra={"lane": lane_id})
            lanes.rest(lane_id, until=timezone.now() + _REST_AFTER_FAULT)
            return None

    def _start_pending(self) -> bool:
        started = False
        for handover in self.handovers:
            while self.runner.room > 0 and (leg := handover.next_leg()) is not None:
                self._start(handover, leg)
                started = True
        return started

    def _start(self, handover: Handover, leg: Leg) -> None:
        handover.open += 1
        if handover.adapter is None:
            handover.take(
                leg, Finished(leg.attempt_id, error=NotSupported("Tapback", "this carrier"))
            )
            return
        self.in_the_air[leg.attempt_id] = (handover, leg)
        self.runner.start(leg.attempt_id, handover.adapter.send(handover.outbound(leg)))

    def _settle(self) -> None:
        over = [handover for handover in self.handovers if handover.is_over]
        for handover in over:
            self.handovers.remove(handover)
            self.look_at = 0.0  # it may queue the next leg
            try:
                finish(handover)
            except Exception:  # when its lease runs out, the sweep says that it is unknown
                logger.exception(
                    "a batch could not be settled", extra={"batch": handover.claim.batch_id}
                )


def _adapter(claim: Claim) -> Adapter | None:
    """The adapter, or ``None`` when this version does not know the carrier any more."""
    try:
        return wire.adapter_of(claim.lane.gateway)
    except NotSupported:
        return None


def finish(handover: Handover) -> None:
    """Write what became of a batch, and end its lease, in one transaction."""
    claim = handover.claim
    _settle_patiently(handover)
    gateway_id = claim.lane.gateway.pk
    if handover.has_success:
        breaker.record_success(gateway_id)
    elif handover.failures:
        breaker.record_failures(gateway_id, count=handover.failures, now=timezone.now())
    sends.finish_if_done(claim.send_id)


def _settle_patiently(handover: Handover) -> None:
    """The database may be away; or two writers wanted the same rows in different orders."""
    for pause in _SETTLE_PAUSES:
        try:
            _settle(handover)
            return
        except _DATABASE_IS_AWAY:
            connection.close_if_unusable_or_obsolete()
            time.sleep(pause)
    _settle(handover)


def _settle(handover: Handover) -> None:
    with transaction.atomic():
        settle.apply(handover.reports)
        if not handover.is_lost:
            Batch.objects.filter(pk=handover.claim.batch_id, lease=handover.claim.lease).delete()


def run(*, budget_seconds: float = 5.0, runner: Runner | None = None) -> int:
    """Hand over what is due. Returns how many messages were claimed."""
    return Dispatcher(budget_seconds=budget_seconds, runner=runner or wire.send_runner()).run()
