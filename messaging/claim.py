"""Taking the next batch of a lane: lease it, ask routing again, write the attempts. One
transaction.

What routing answers now may differ from the plan: somebody opted out, an identity was banned, a
route went down. Such messages leave the batch, for another lane or for good, before anything is
handed over.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from messaging import settle
from messaging.batches import Place, enqueue
from messaging.facts import facts_sql, sender_facts
from messaging.models import Attempt, Batch, Message, Send
from messaging.routing import decision_sql, rule_sql
from messaging.states import RUNNING, AttemptState, SendState
from senders import lanes
from senders.gateways.contract import Route
from senders.models import Gateway, Lane, Longcode

#: So many messages of a batch are handed over before its lease is renewed and consent read again.
WINDOW = 250
#: Behind a breaker that was open, a lane lets one message try, and then waits so long.
TRICKLE_PAUSE = timedelta(seconds=1)


class Leg(NamedTuple):
    """One claimed message, ready to be handed over."""

    attempt_id: int
    message_id: int
    subscriber_id: int
    phone: str
    body: str
    media_urls: Sequence[str]


@dataclass(slots=True)
class Claim:
    """A leased batch. ``legs`` up to ``handed`` may be handed over now."""

    batch_id: int
    send_id: int
    lane: Lane
    route: Route
    lease: uuid.UUID
    legs: list[Leg]
    handed: int


class _Answer(NamedTuple):
    """A message of the batch with what routing says of it now."""

    message_id: int
    subscriber_id: int
    phone: str
    body: str
    media_urls: Sequence[str]
    number: int
    old_reason: str
    state: str
    route: str
    reason: str


def ready_lanes() -> list[int]:
    """The lanes that may claim now, the most urgent work first. Texts whose gateway is paused or
    down wait; iMessages in the same case are claimed, and routing sends them by SMS."""
    sql = f"""
        SELECT l.id FROM {Lane._meta.db_table} l
          LEFT JOIN {Longcode._meta.db_table} c ON c.id = l.longcode_id
          LEFT JOIN {Gateway._meta.db_table} g ON g.id = c.gateway_id
         CROSS JOIN LATERAL
               (SELECT b.priority, b.due_at FROM {Batch._meta.db_table} b
                 WHERE b.lane_id = l.id AND b.state = 'open' AND b.due_at <= %(now)s
                 ORDER BY b.priority, b.due_at, b.id LIMIT 1) next
         WHERE l.next_at <= %(now)s AND g.is_paused IS NOT TRUE
           AND coalesce(g.breaker_open_until, '-infinity') <= %(now)s
         ORDER BY next.priority, next.due_at, l.id"""
    with connection.cursor() as cursor:
        cursor.execute(sql, {"now": timezone.now()})
        return [key for (key,) in cursor.fetchall()]


def lease_seconds() -> float:
    """How long a batch is ours: one call's deadline and some air."""
    return settings.DISPATCH_CALL_DEADLINE.total_seconds() + 10.0


def claim(lane_id: int) -> Claim | None:
    """Lease the lane's next due batch; ``None`` when there is none, or the lane must wait.

    A claim without legs means that the batch is gone: all its messages went elsewhere.
    """
    with transaction.atomic():
        now = timezone.now()
        lane = _lane(lane_id, now)
        batch = _next_batch(lane, now) if lane else None
        if lane is None or batch is None:
            return None
        if not _may_go(batch):
            return _nothing(batch, lane)
        _trickle(batch, lane)
        return _lease(batch, lane, now)


def _nothing(batch: Batch, lane: Lane) -> Claim:
    return Claim(batch.pk, batch.send_id, lane, Route(batch.route), uuid.uuid4(), [], 0)


def _lane(lane_id: int, now: datetime) -> Lane | None:
    """The lane, if it may speak now. A lane with a pace is locked: one claim at a time."""
    lane = Lane.objects.select_related("identity__gateway", "longcode__gateway").get(pk=lane_id)
    if lane.longcode_id and not lane.gateway.is_available(now):
        return None
    if lane.messages_per_second is None and not lane.gateway.is_on_probation:
        return lane if lane.next_at <= now else None
    locked = (
        Lane.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
        .filter(pk=lane_id, next_at__lte=now)
        .first()
    )
    return lane if locked else None


def _next_batch(lane: Lane, now: datetime) -> Batch | None:
    return (
        Batch.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("send")
        .filter(lane=lane, state=Batch.State.OPEN, due_at__lte=now)
        .order_by("priority", "due_at", "id")
        .first()
    )


def _may_go(batch: Batch) -> bool:
    """Whether the send is running. A batch made while its send was stopped is stopped here."""
    if batch.send.state in RUNNING or batch.send.state == SendState.DONE:
        return True
    if batch.send.state == SendState.PAUSED:
        Batch.objects.filter(pk=batch.pk).update(state=Batch.State.PAUSED)
    else:
        settle.cancel(batch.message_ids)
        batch.delete()
    return False


def _trickle(batch: Batch, lane: Lane) -> None:
    """Behind a breaker that was open, let one message try; the rest get a batch of their own."""
    rest = batch.message_ids[1:]
    if not lane.gateway.is_on_probation or not rest:
        return
    batch.message_ids = batch.message_ids[:1]
    Batch.objects.create(
        lane=lane,
        send=batch.send,
        route=batch.route,
        priority=batch.priority,
        message_ids=rest,
        due_at=batch.due_at,
    )


def _lease(batch: Batch, lane: Lane, now: datetime) -> Claim:
    answers = _ask_again(batch)
    # Whoever goes nowhere any more has no route, and so is not on this batch's either.
    staying = [a for a in answers if a.route == batch.route]
    changed = [a for a in answers if a.route != batch.route or a.reason != a.old_reason]
    settle.reroute([settle.Reroute(a.message_id, a.state, a.route, a.reason) for a in changed])
    _move_to_other_lane(batch, [a for a in changed if a.route and a.route != batch.route], now)
    if not staying:
        nothing = _nothing(batch, lane)
        batch.delete()
        return nothing
    legs = _write_attempts(staying, lane, batch.route)
    lease = uuid.uuid4()
    handed = min(WINDOW, len(legs))
    Batch.objects.filter(pk=batch.pk).update(
        state=Batch.State.LEASED,
        lease=lease,
        lease_until=now + timedelta(seconds=lease_seconds()),
        handed=handed,
        message_ids=[leg.message_id for leg in legs],
    )
    if lane.messages_per_second is not None:
        lanes.advance(lane, messages=len(legs), rate=lane.messages_per_second, now=now)
    if lane.gateway.is_on_probation:
        lanes.rest(lane.pk, until=now + TRICKLE_PAUSE)
    return Claim(batch.pk, batch.send_id, lane, Route(batch.route), lease, legs, handed)


def _ask_again(batch: Batch) -> list[_Answer]:
    """Route every message of the batch with the facts of this moment.

    A message that already fell back after an attempt does not go back to iMessage: for it only the
    rules before the choice of route count, and its reason stays.
    """
    facts = facts_sql(render=None, people="s.id IN (SELECT subscriber_id FROM claimed)")
    sql = f"""
        WITH claimed AS (
            SELECT m.*, p.place, m.route = 'sms' AND m.first_route = 'imessage' AND m.leg > 1
                   AS is_spent
              FROM unnest(%(message_ids)s::bigint[]) WITH ORDINALITY AS p (id, place)
              JOIN {Message._meta.db_table} m ON m.id = p.id
             WHERE m.state = 'queued'),
        facts AS ({facts}),
        asked AS (
            SELECT c.id, c.subscriber_id, c.body, c.media_urls, c.leg, c.place, c.is_spent,
                   c.reason AS old_reason, f.phone, f.opted_out, f.has_number, f.is_complete,
                   f.identity_asked AND NOT c.is_spent AS identity_asked, f.identity_status,
                   f.imessage_available, f.capability, f.opted_in
              FROM claimed c JOIN facts f ON f.subscriber_id = c.subscriber_id),
        ruled AS (SELECT a.*, {rule_sql("a")} FROM asked a),
        decided AS (SELECT r.*, {decision_sql("r")} FROM ruled r)
        SELECT id, subscriber_id, phone, body,
               ARRAY(SELECT jsonb_array_elements_text(media_urls)), leg, old_reason, state, route,
               CASE WHEN is_spent AND reason = '' THEN old_reason ELSE reason END
          FROM decided ORDER BY place"""
    params: dict[str, Any] = {
        **sender_facts(batch.send).params(),
        "message_ids": batch.message_ids,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [_Answer(*row) for row in cursor.fetchall()]


def _move_to_other_lane(batch: Batch, answers: Sequence[_Answer], now: datetime) -> None:
    send = batch.send
    for route in {a.route for a in answers}:
        if route == Route.IMESSAGE and send.identity_id is not None:
            lane_id = lanes.of_identity(send.identity_id).pk
        else:
            lane_id = lanes.of_longcode(send.longcode_id).pk
        enqueue(
            Place(a.message_id, send.pk, lane_id, route, now) for a in answers if a.route == route
        )


def _write_attempts(answers: Sequence[_Answer], lane: Lane, route: str) -> list[Leg]:
    sql = f"""
        INSERT INTO {Attempt._meta.db_table}
            (message_id, number, lane_id, gateway_id, route, state, gateway_message_id, error_code,
             detail, claimed_at)
        SELECT v.message_id, v.number, %(lane)s, %(gateway)s, %(route)s, %(claimed)s, '', '', '',
        %(now)s
          FROM unnest(%(message_ids)s::bigint[], %(numbers)s::int[]) AS v (message_id, number)
        RETURNING message_id, id"""
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "lane": lane.pk,
                "gateway": lane.gateway.pk,
                "route": route,
                "claimed": AttemptState.CLAIMED.value,
                "now": timezone.now(),
                "message_ids": [a.message_id for a in answers],
                "numbers": [a.number for a in answers],
            },
        )
        attempt_ids = dict(cursor.fetchall())
    return [
        Leg(attempt_ids[a.message_id], a.message_id, a.subscriber_id, a.phone, a.body, a.media_urls)
        for a in answers
    ]


class Renewal(NamedTuple):
    """What changed while a batch was under way. ``is_ours`` is false when the lease ran out."""

    is_ours: bool
    is_running: bool
    opted_out: frozenset[int]


def renew(claim: Claim, *, handed: int, pending: Sequence[Leg]) -> Renewal:
    """Before the messages up to ``handed`` may leave: keep the lease, mark them, read consent
    again.

    ``opted_out`` holds those subscribers of ``pending`` whom nobody may text any more.
    """
    now = timezone.now()
    is_ours = bool(
        Batch.objects.filter(pk=claim.batch_id, lease=claim.lease, lease_until__gt=now).update(
            handed=handed, lease_until=now + timedelta(seconds=lease_seconds())
        )
    )
    send = Send.objects.get(pk=claim.send_id)
    return Renewal(
        is_ours=is_ours,
        is_running=send.state in RUNNING or send.state == SendState.DONE,
        opted_out=_opted_out(send, [leg.subscriber_id for leg in pending]),
    )


def _opted_out(send: Send, subscriber_ids: Sequence[int]) -> frozenset[int]:
    facts = facts_sql(render=None, people="s.id = ANY(%(subscriber_ids)s::bigint[])")
    sql = f"SELECT f.subscriber_id FROM ({facts}) f WHERE f.opted_out"
    with connection.cursor() as cursor:
        cursor.execute(sql, {**sender_facts(send).params(), "subscriber_ids": list(subscriber_ids)})
        return frozenset(key for (key,) in cursor.fetchall())
