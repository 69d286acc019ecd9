"""From a send to its messages: one row per person of the audience, with route and reason, in
batches.

Set-based SQL, a chunk of people at a time, each chunk one transaction that also moves the send's
cursor: it shows progress, may be killed anywhere, and may be run twice at once.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from messaging import audience, sends
from messaging.batches import PRIORITY
from messaging.facts import facts_sql, sender_facts
from messaging.models import Batch, Message, Send
from messaging.rendering import parse, render_sql
from messaging.routing import decision_sql, rule_sql
from messaging.states import SendState
from senders import lanes
from senders.gateways.contract import Route

logger = logging.getLogger(__name__)

CHUNK = 10_000
#: So long a send keeps its worker before others get their turn.
_TURN_SECONDS = 5.0


def run(send_id: int, *, most_chunks: int | None = None) -> int:
    """Expand a send that is due, from where it stands. Returns how many messages were made.

    With ``most_chunks`` it stops after so many; a later call goes on.
    """
    made, chunks = 0, 0
    while most_chunks is None or chunks < most_chunks:
        count = step(send_id)
        if count is None:
            break
        made, chunks = made + count, chunks + 1
    return made


def go_on(send_id: int, *, after_each: Callable[[], None]) -> bool:
    """Expand a send for a while, calling ``after_each`` when a chunk made messages. Whether there
    is more to do.

    A send that can't be expanded ends as failed, and what waits of it is cancelled.
    """
    ends_at = time.monotonic() + _TURN_SECONDS
    try:
        while (made := step(send_id)) is not None:
            if made:
                after_each()
            if time.monotonic() > ends_at:
                return True
    except (OperationalError, InterfaceError):
        raise  # the database is away; the clock calls again
    except Exception as error:
        logger.exception("a send could not be expanded", extra={"send": send_id})
        sends.move(send_id, "fail", detail=type(error).__name__, finished_at=timezone.now())
    return False


def step(send_id: int) -> int | None:
    """Expand one chunk, in one transaction. Returns how many messages were made; ``None`` when
    there is nothing left to do, the send may not go on, or somebody else is at it."""
    now = timezone.now()
    if Send.objects.filter(pk=send_id, scheduled_at__lte=now).exists():
        sends.move(send_id, "start", audience_at=now)
    with transaction.atomic():
        free = Send.objects.select_for_update(no_key=True, skip_locked=True)
        send = free.filter(pk=send_id).first()
        if send is None or send.state != SendState.EXPANDING:
            return None
        after = send.expanded_to
        upto = audience.next_key(send, after=after, most=CHUNK)
        if upto is not None:
            count = _insert(send, after=after, upto=upto)
            send.expanded_to = upto
            send.save(update_fields=["expanded_to"])
        if upto is None or audience.next_key(send, after=upto, most=1) is None:
            sends.move(send_id, "expanded", expanded_at=timezone.now())
            sends.finish_if_done(send_id)
        return count if upto is not None else None


def _insert(send: Send, *, after: int, upto: int) -> int:
    """Write the messages of the people with keys in ``after`` .. ``upto``, and their batches."""
    render = render_sql(parse(send.body))
    facts = sender_facts(send)
    first_route = Route.IMESSAGE if facts.identity_asked else Route.SMS
    params: dict[str, Any] = {
        **facts.params(),
        **render.params,
        **audience.params(send),
        **_lane_params(send),
        "after": after,
        "upto": upto,
        "send": send.pk,
        "longcode": send.longcode_id,
        "identity": send.identity_id,
        "first_route": first_route,
        "media_urls": json.dumps(send.media_urls),
        "priority": PRIORITY[send.kind],
        "now": timezone.now(),
    }
    people = audience.condition(send)
    in_range = "AND o.subscriber_id > %(after)s AND o.subscriber_id <= %(upto)s"
    sql = f"""
        WITH facts AS ({facts_sql(render=render, people=people, opt_in_range=in_range)}),
        ruled AS (SELECT f.subscriber_id, f.body, {rule_sql("f")} FROM facts f),
        decided AS (SELECT r.subscriber_id, r.body, {decision_sql("r")} FROM ruled r),
        made AS (
            INSERT INTO {Message._meta.db_table}
                (direction, send_id, subscriber_id, longcode_id, identity_id, first_route, route,
                 reason, state, leg, error_code, body, segments, media_urls, gateway_message_id,
                 created_at, state_at)
            SELECT 'out', %(send)s, d.subscriber_id, %(longcode)s, %(identity)s, %(first_route)s,
                   d.route, d.reason, d.state, 1, '',
                   CASE WHEN d.state = 'queued' THEN d.body ELSE '' END,
                   CASE WHEN d.state = 'queued' THEN message_segments(d.body) ELSE 0 END,
                   %(media_urls)s::jsonb, '', %(now)s, %(now)s
              FROM decided d ORDER BY d.subscriber_id
            RETURNING id, route, state),
        numbered AS (
            SELECT id, route, row_number() OVER (PARTITION BY route ORDER BY id) - 1 AS place
              FROM made WHERE state = 'queued'),
        batched AS (
            INSERT INTO {Batch._meta.db_table}
                (lane_id, send_id, route, priority, message_ids, due_at, state, handed)
            SELECT CASE route WHEN 'imessage' THEN %(imessage_lane)s::bigint
                              ELSE %(sms_lane)s::bigint END,
                   %(send)s, route, %(priority)s, array_agg(id ORDER BY id), %(now)s, 'open', 0
              FROM numbered
             GROUP BY route, place / CASE route WHEN 'imessage' THEN %(imessage_batch)s
                                                ELSE %(sms_batch)s END
             ORDER BY min(id))
        SELECT count(*) FROM made"""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        (count,) = cursor.fetchone()
    return int(count)


def _lane_params(send: Send) -> dict[str, int | None]:
    imessage = lanes.of_identity(send.identity_id) if send.identity_id else None
    sms = lanes.of_longcode(send.longcode_id)
    return {
        "imessage_lane": imessage.pk if imessage else None,
        "imessage_batch": lanes.batch_size(imessage.line, most=Batch.MOST) if imessage else 1,
        "sms_lane": sms.pk,
        "sms_batch": lanes.batch_size(sms.line, most=Batch.MOST),
    }
