"""The one place that writes what became of an attempt and of its message.

A gateway's answer and a carrier's callback are the same kind of fact: a :class:`Report`. They may
come in any order and any number of times; ranks (``messaging.states``) make the end the same. Each
change of state is an event, in the same transaction, and a failure that calls for another leg puts
the message into its next batch in that transaction too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from identifiers.texts import can_be_kept
from messaging import sends
from messaging.batches import Place, enqueue
from messaging.fallback import Next, NextStep, after_failure, after_unknown
from messaging.models import Attempt, Event, Message, Send
from messaging.states import (
    ANSWERED,
    MESSAGE_STATE_OF_ATTEMPT,
    AttemptState,
    MessageState,
    SendState,
    moves,
)
from senders import identities, lanes
from senders.gateways.contract import Route
from senders.models import SenderIdentity
from subscribers import capability, consent
from subscribers.models import ConsentEvent, Subscriber

_MOST_OF_AN_ID = 200


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of one attempt.

    ``state`` ``RELEASED`` says that it provably never left: the message goes back into the queue,
    or is suppressed when ``reason`` says why nobody may send it any more. ``at`` is the carrier's
    moment.
    """

    attempt_id: int
    state: AttemptState
    at: datetime | None = None
    gateway_message_id: str = ""
    error_code: str = ""
    detail: str = ""
    reason: str = ""
    retry_after_seconds: float | None = None


@dataclass(slots=True)
class _Message:
    id: int
    leg: int
    state: str
    route: str
    first_route: str
    reason: str
    error_code: str
    subscriber_id: int
    identity_id: int | None
    send_id: int
    send_state: str
    allowed: list[str] | None
    unknown_policy: str
    sms_longcode_id: int
    is_changed: bool = False


@dataclass(slots=True)
class _Attempt:
    id: int
    number: int
    state: AttemptState
    route: str
    lane_id: int
    gateway_id: int
    message: _Message
    gateway_message_id: str = ""
    error_code: str = ""
    detail: str = ""
    last: Report | None = None

    @property
    def is_current(self) -> bool:
        """Whether its message is still on this leg."""
        return self.number == self.message.leg


@dataclass(slots=True)
class _Change:
    """Everything that one transaction will write."""

    now: datetime
    events: list[Event] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    sms_lanes: dict[int, int] = field(default_factory=dict)

    def sms_lane(self, longcode_id: int) -> int:
        """The key of a longcode's lane, asked for once."""
        if longcode_id not in self.sms_lanes:
            self.sms_lanes[longcode_id] = lanes.of_longcode(longcode_id).pk
        return self.sms_lanes[longcode_id]

    def note(self, attempt: _Attempt, kind: str, *, old: str, new: str, report: Report) -> None:
        message = attempt.message
        self.events.append(
            Event(
                kind=kind,
                send_id=message.send_id,
                subscriber_id=message.subscriber_id,
                message_id=message.id,
                attempt_id=attempt.id,
                old=old,
                new=new,
                route=attempt.route,
                reason=report.reason or message.reason or report.error_code,
                detail=report.detail[:200],
                at=report.at or self.now,
                recorded_at=self.now,
            )
        )


def apply(reports: Sequence[Report]) -> int:
    """Take in what is known of some attempts. Returns how many attempts moved.

    Safe to repeat. Unknown attempt ids are passed over.
    """
    if not reports:
        return 0
    try:
        with transaction.atomic():
            return _apply(reports)
    except IntegrityError as error:
        if "attempt_carrier_id_once" not in str(error):
            raise
    # A carrier that gives two messages the same id: the status counts, the id can't be kept.
    with transaction.atomic():
        return _apply(_without_used_ids(reports))


def _apply(reports: Sequence[Report]) -> int:
    attempts = _load([report.attempt_id for report in reports])
    change = _Change(timezone.now())
    moved: dict[int, _Attempt] = {}
    for report in reports:
        attempt = attempts.get(report.attempt_id)
        if attempt is not None and _take(attempt, report, change):
            moved[attempt.id] = attempt
    for attempt in moved.values():
        _follow_up(attempt, change)
    _write_attempts([a for a in attempts.values() if a.last is not None], change.now)
    _write_messages({a.message.id: a.message for a in attempts.values()}.values(), change.now)
    _append(change.events)
    _queue(change.places)
    _learn(moved.values(), change.now)
    return len(moved)


def _load(attempt_ids: Iterable[int]) -> dict[int, _Attempt]:
    """Read and lock the attempts and their messages, in the order of messages."""
    sql = f"""
        SELECT a.id, a.number, a.state, a.route, a.lane_id, a.gateway_id,
               m.id, m.leg, m.state, m.route, m.first_route, m.reason, m.error_code,
               m.subscriber_id, m.identity_id, m.send_id, s.state, s.fallback_reasons,
               s.unknown_policy, s.longcode_id
          FROM {Attempt._meta.db_table} a
          JOIN {Message._meta.db_table} m ON m.id = a.message_id
          JOIN {Send._meta.db_table} s ON s.id = m.send_id
         WHERE a.id = ANY(%s) ORDER BY m.id, a.id FOR UPDATE OF a, m"""
    messages: dict[int, _Message] = {}
    attempts: dict[int, _Attempt] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [sorted(set(attempt_ids))])
        for row in cursor:
            message = messages.setdefault(row[6], _Message(*row[6:]))
            attempts[row[0]] = _Attempt(
                row[0], row[1], AttemptState(row[2]), row[3], row[4], row[5], message
            )
    return attempts


def _take(attempt: _Attempt, report: Report, change: _Change) -> bool:
    """Fold one report into an attempt; whether it moved."""
    old = attempt.state
    if _is_keepable(report.gateway_message_id):
        attempt.gateway_message_id = report.gateway_message_id
        attempt.last = attempt.last or report
    if not _may_move(attempt, report.state):
        if report.state != old:
            change.note(attempt, Event.Kind.LATE_REPORT, old=old, new=report.state, report=report)
        return False
    attempt.state, attempt.last = report.state, report
    attempt.error_code, attempt.detail = report.error_code, report.detail[:200]
    if attempt.is_current and report.state in MESSAGE_STATE_OF_ATTEMPT:
        attempt.message.state = MESSAGE_STATE_OF_ATTEMPT[report.state]
        attempt.message.error_code = report.error_code
        if old == AttemptState.FAILED and attempt.route == attempt.message.first_route:
            attempt.message.reason = ""  # it went the way that was asked for after all
        attempt.message.is_changed = True
    change.note(attempt, Event.Kind.STATE, old=old, new=report.state, report=report)
    return True


def _is_keepable(carrier_id: str) -> bool:
    """Of an id that the column does not take, the status counts all the same."""
    return 0 < len(carrier_id) <= _MOST_OF_AN_ID and can_be_kept(carrier_id)


def _may_move(attempt: _Attempt, reported: AttemptState) -> bool:
    if reported == AttemptState.RELEASED:
        return attempt.state in {AttemptState.CLAIMED, AttemptState.UNKNOWN}
    if reported == AttemptState.ABANDONED:
        return attempt.state == AttemptState.UNKNOWN
    # A failed attempt whose message went on to another leg stays failed: the other leg is open.
    is_superseded = attempt.state == AttemptState.FAILED and not attempt.is_current
    return moves(attempt.state, reported) and not is_superseded


def _follow_up(attempt: _Attempt, change: _Change) -> None:
    """Decide what becomes of a message whose attempt is over."""
    if not attempt.is_current or attempt.last is None:
        return
    if attempt.state == AttemptState.FAILED:
        step = after_failure(
            route=attempt.route,
            error_code=attempt.error_code,
            tries=attempt.number,
            allowed=attempt.message.allowed,
            retry_after_seconds=attempt.last.retry_after_seconds,
        )
    elif attempt.state == AttemptState.RELEASED:
        step = NextStep(Next.END if attempt.last.reason else Next.RETRY)
    elif attempt.state == AttemptState.ABANDONED:
        step = NextStep(Next.FALL_BACK, reason="outcome_unknown")
    else:
        return
    _go_on(attempt, step, attempt.last, change)


def _go_on(attempt: _Attempt, step: NextStep, report: Report, change: _Change) -> None:
    message = attempt.message
    message.is_changed = True
    if step.next == Next.END:
        message.reason = step.reason or report.reason or message.reason or report.error_code
        if report.reason:
            message.state, message.route = MessageState.SUPPRESSED, ""
        return
    if message.send_state == SendState.CANCELLED:
        message.state = MessageState.CANCELLED
        return
    if step.next == Next.FALL_BACK:
        message.route, message.reason = Route.SMS, step.reason
        lane_id = change.sms_lane(message.sms_longcode_id)
    else:
        lane_id = attempt.lane_id
    message.state, message.error_code = MessageState.QUEUED, ""
    message.leg += 1
    due_at = change.now + timedelta(seconds=step.pause_seconds)
    change.places.append(Place(message.id, message.send_id, lane_id, message.route, due_at))
    if step.next == Next.FALL_BACK:
        change.note(
            attempt,
            Event.Kind.REROUTED,
            old=attempt.route,
            new=Route.SMS,
            report=Report(0, attempt.state),
        )


def _write_attempts(attempts: Collection[_Attempt], now: datetime) -> None:
    if not attempts:
        return
    sql = f"""
        UPDATE {Attempt._meta.db_table} a
           SET state = v.state,
               gateway_message_id = CASE WHEN a.gateway_message_id = '' THEN v.carrier_id
                                         ELSE a.gateway_message_id END,
               error_code = CASE WHEN v.error_code = '' THEN a.error_code ELSE v.error_code END,
               detail = CASE WHEN v.detail = '' THEN a.detail ELSE v.detail END,
               answered_at = coalesce(
                   a.answered_at, CASE WHEN v.state = ANY(%(answered)s) THEN %(now)s END)
          FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(carrier_ids)s::text[],
                      %(error_codes)s::text[], %(details)s::text[])
               AS v (id, state, carrier_id, error_code, detail)
         WHERE a.id = v.id"""
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "now": now,
                "answered": sorted(ANSWERED),
                "ids": [a.id for a in attempts],
                "states": [a.state.value for a in attempts],
                "carrier_ids": [a.gateway_message_id for a in attempts],
                "error_codes": [a.error_code for a in attempts],
                "details": [a.detail for a in attempts],
            },
        )


def _write_messages(messages: Iterable[_Message], now: datetime) -> None:
    changed = [message for message in messages if message.is_changed]
    if not changed:
        return
    sql = f"""
        UPDATE {Message._meta.db_table} m
           SET state = v.state, route = v.route, reason = v.reason, leg = v.leg,
               error_code = v.error_code, state_at = %(now)s
          FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(routes)s::text[],
                      %(reasons)s::text[], %(legs)s::int[], %(error_codes)s::text[])
               AS v (id, state, route, reason, leg, error_code)
         WHERE m.id = v.id"""
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "now": now,
                "ids": [m.id for m in changed],
                "states": [str(m.state) for m in changed],
                "routes": [str(m.route) for m in changed],
                "reasons": [m.reason for m in changed],
                "legs": [m.leg for m in changed],
                "error_codes": [m.error_code for m in changed],
            },
        )


_EVENT_COLUMNS: dict[str, str] = {
    "kind": "text",
    "send_id": "bigint",
    "subscriber_id": "bigint",
    "message_id": "bigint",
    "attempt_id": "bigint",
    "old": "text",
    "new": "text",
    "route": "text",
    "reason": "text",
    "detail": "text",
    "actor_id": "bigint",
    "at": "timestamptz",
    "recorded_at": "timestamptz",
}


def _append(events: Collection[Event]) -> None:
    """Write events in one statement: several times faster than the ORM for a batch."""
    if not events:
        return
    columns = ", ".join(f'"{name}"' for name in _EVENT_COLUMNS)
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in _EVENT_COLUMNS.items())
    params: dict[str, Any] = {
        name: [
            str(value) if kind == "text" else value
            for value in (getattr(event, name) for event in events)
        ]
        for name, kind in _EVENT_COLUMNS.items()
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Event._meta.db_table} ({columns}) SELECT * FROM unnest({arrays})", params
        )


def _queue(places: Sequence[Place]) -> None:
    """Put messages into their next batches; a send that was done has work again."""
    enqueue(places)
    for send_id in {place.send_id for place in places}:
        sends.move(send_id, "reopen")


def _without_used_ids(reports: Sequence[Report]) -> list[Report]:
    gateways = dict(
        Attempt.objects.filter(pk__in={r.attempt_id for r in reports}).values_list(
            "pk", "gateway_id"
        )
    )
    wanted = {r.gateway_message_id for r in reports if r.gateway_message_id}
    owners = {
        (gateway_id, carrier_id): attempt_id
        for attempt_id, gateway_id, carrier_id in Attempt.objects.filter(
            gateway_id__in=set(gateways.values()), gateway_message_id__in=wanted
        ).values_list("pk", "gateway_id", "gateway_message_id")
    }
    kept = []
    for report in reports:
        key = (gateways.get(report.attempt_id, 0), report.gateway_message_id)
        is_owner = owners.setdefault(key, report.attempt_id) == report.attempt_id
        carrier_id = report.gateway_message_id if is_owner else ""
        kept.append(_replace_carrier_id(report, carrier_id))
    return kept


def _replace_carrier_id(report: Report, carrier_id: str) -> Report:
    return Report(
        report.attempt_id,
        report.state,
        report.at,
        carrier_id,
        report.error_code,
        report.detail,
        report.reason,
        report.retry_after_seconds,
    )


def _learn(attempts: Iterable[_Attempt], now: datetime) -> None:
    """Correct what we believed: capability, consent, the identity's status, the lane's pace."""
    failed = [a for a in attempts if a.state == AttemptState.FAILED]
    incapable = [a.message.subscriber_id for a in failed if a.error_code == "not_capable"]
    if incapable:
        capability.note(
            incapable,
            Subscriber.Capability.NO,
            source=Subscriber.CapabilitySource.CARRIER,
            at=now,
        )
    opted_out = [a.message.subscriber_id for a in failed if a.error_code == "opted_out"]
    if opted_out:
        consent.opt_out_many(opted_out, at=now, source=ConsentEvent.Source.CARRIER)
    pauses: dict[int, float] = {}
    for attempt in failed:
        asked = attempt.last.retry_after_seconds if attempt.last else None
        pauses[attempt.lane_id] = max(pauses.get(attempt.lane_id, 0.0), asked or 0.0)
    for lane_id, pause in sorted(pauses.items()):
        if pause:
            lanes.rest(lane_id, until=now + timedelta(seconds=pause))
    for identity_id, code in {
        (a.message.identity_id or 0, a.error_code)
        for a in failed
        if a.error_code in {"identity_blocked", "identity_banned"} and a.route == Route.IMESSAGE
    }:
        status = SenderIdentity.Status(code.removeprefix("identity_"))
        identities.change_status(
            SenderIdentity.objects.get(pk=identity_id),
            to=status,
            reason="The carrier said so when it refused a message.",
            source="carrier",
        )


@dataclass(frozen=True, slots=True)
class Reroute:
    """A queued message whose answer from routing changed before it was claimed."""

    message_id: int
    state: str
    route: str
    reason: str


def reroute(changes: Sequence[Reroute]) -> None:
    """Write new answers on messages that are still waiting, with an event each."""
    _move_waiting(
        Event.Kind.REROUTED,
        [(c.message_id, c.state, c.route, c.reason) for c in changes],
    )


def cancel(message_ids: Sequence[int]) -> None:
    """Cancel messages that are still waiting."""
    _move_waiting(
        Event.Kind.STATE, [(key, MessageState.CANCELLED.value, None, None) for key in message_ids]
    )


def _move_waiting(kind: str, changes: Sequence[tuple[int, str, str | None, str | None]]) -> None:
    if not changes:
        return
    ids, states, routes, reasons = (list(column) for column in zip(*changes, strict=True))
    sql = f"""
        WITH old AS (
            SELECT id, state, route FROM {Message._meta.db_table}
             WHERE id = ANY(%(ids)s) AND state IN ('queued', 'held') ORDER BY id FOR UPDATE),
        moved AS (
            UPDATE {Message._meta.db_table} m
               SET state = v.state, route = coalesce(v.route, m.route),
                   reason = coalesce(v.reason, m.reason), state_at = %(now)s
              FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(routes)s::text[],
                          %(reasons)s::text[]) AS v (id, state, route, reason)
              JOIN old ON old.id = v.id
             WHERE m.id = v.id
            RETURNING m.id, m.send_id, m.subscriber_id, m.route, m.reason, m.state,
                      old.state AS old_state, old.route AS old_route)
        INSERT INTO {Event._meta.db_table}
            (kind, send_id, subscriber_id, message_id, old, new, route, reason, detail, at,
            recorded_at)
        SELECT %(kind)s, send_id, subscriber_id, id,
               CASE WHEN state = old_state THEN old_route ELSE old_state END,
               CASE WHEN state = old_state THEN route ELSE state END,
               route, reason, '', %(now)s, %(now)s
          FROM moved"""
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "kind": kind,
                "now": timezone.now(),
                "ids": ids,
                "states": states,
                "routes": routes,
                "reasons": reasons,
            },
        )


def close_unknown(attempts: Iterable[Attempt]) -> int:
    """The window of these unknown outcomes has closed: do what their sends' policies say."""
    reports = [
        Report(attempt.pk, AttemptState.ABANDONED, detail="Nobody said what became of it.")
        for attempt in attempts
        if after_unknown(
            route=attempt.route,
            may_fall_back=attempt.message.send is not None
            and attempt.message.send.unknown_policy == Send.UnknownPolicy.FALL_BACK,
            allowed=attempt.message.send.fallback_reasons if attempt.message.send else None,
        ).next
        == Next.FALL_BACK
    ]
    return apply(reports)


def send_by_sms(attempt: Attempt, *, by: AbstractBaseUser) -> bool:
    """A person decided not to wait for an unknown outcome: the message goes by SMS.

    They may get it twice. False when it became known meanwhile, or was no iMessage.
    """
    if attempt.route != Route.IMESSAGE:
        return False
    detail = f"{by.get_username()} chose SMS."
    return apply([Report(attempt.pk, AttemptState.ABANDONED, detail=detail)]) > 0
