"""Before a send: who will get it how and why. The same rules as expansion; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from messaging import audience, routing, segments
from messaging.facts import FACT_COLUMNS, facts_sql, sender_facts
from messaging.models import Send
from messaging.rendering import parse, render_sql
from messaging.routing import Decision, Facts, Step, decision_sql, rule_sql
from messaging.states import MessageState
from senders.gateways.contract import Route
from senders.models import Longcode, SenderIdentity

_EVERY_KEY = {"after": 0, "upto": 2**62}


class Row(NamedTuple):
    """So many people go by ``route`` (``""``: nowhere) for ``reason``, in so many SMS segments."""

    route: str
    reason: str
    people: int
    segments: int


class Sample(NamedTuple):
    """A person of a row, with the questions that decided."""

    subscriber_id: int
    name: str
    phone: str
    chain: list[Step]


@dataclass(frozen=True)
class Forecast:
    """``seconds`` until the last hand-over, ``None`` when no limit of ours binds; ``limit`` names
    the one that does. ``segments`` and ``cost`` are those of the SMS part."""

    rows: list[Row]
    samples: dict[tuple[str, str], list[Sample]]
    cost: Decimal
    seconds: float | None
    limit: str

    @property
    def total(self) -> int:
        return sum(row.people for row in self.rows)

    def _by(self, route: str) -> int:
        return sum(row.people for row in self.rows if row.route == route)

    @property
    def imessage(self) -> int:
        return self._by(Route.IMESSAGE)

    @property
    def sms(self) -> int:
        return self._by(Route.SMS)

    @property
    def nobody(self) -> int:
        return self._by(routing.NOWHERE)

    @property
    def segments(self) -> int:
        return sum(row.segments for row in self.rows if row.route == Route.SMS)


class Preview(NamedTuple):
    """The text as one person will read it, and its way."""

    body: str
    segments: int
    encoding: str
    units: int
    forced_by: str | None
    route: str
    reason: str


def forecast(send: Send) -> Forecast:
    """What would happen if this send (saved or not) started now."""
    rows, sample_ids = _count(send)
    longcode = Longcode.objects.get(pk=send.longcode_id)
    by_sms = sum(row.segments for row in rows if row.route == Route.SMS)
    seconds, limit = _finish(send, longcode, rows)
    return Forecast(
        rows=rows,
        samples=_samples(send, sample_ids),
        cost=longcode.price_per_segment * by_sms,
        seconds=seconds,
        limit=limit,
    )


def _params(send: Send, at: datetime) -> dict[str, Any]:
    return {
        **sender_facts(send, at=at).params(),
        **render_sql(parse(send.body)).params,
        **audience.params(send),
        **_EVERY_KEY,
    }


def _count(send: Send) -> tuple[list[Row], dict[tuple[str, str], list[int]]]:
    render = render_sql(parse(send.body))
    sql = f"""
        WITH facts AS ({facts_sql(render=render, people=audience.condition(send))}),
        ruled AS (SELECT f.subscriber_id, f.body, {rule_sql("f")} FROM facts f),
        decided AS (SELECT r.subscriber_id, r.body, {decision_sql("r")} FROM ruled r)
        SELECT route, reason, count(*),
               coalesce(sum(CASE WHEN state = 'queued' THEN message_segments(body) ELSE 0 END), 0),
               min(subscriber_id), max(subscriber_id)
          FROM decided GROUP BY route, reason ORDER BY count(*) DESC, route, reason"""
    rows: list[Row] = []
    people: dict[tuple[str, str], list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, _params(send, timezone.now()))
        for route, reason, count, total, first, last in cursor.fetchall():
            rows.append(Row(route, reason, count, int(total)))
            people[route, reason] = sorted({first, last})
    return rows, people


def _samples(
    send: Send, people: dict[tuple[str, str], list[int]]
) -> dict[tuple[str, str], list[Sample]]:
    wanted = [key for keys in people.values() for key in keys]
    found = {key: (name, facts) for key, name, facts in _read_facts(send, wanted)}
    return {
        row: [
            Sample(key, found[key][0], found[key][1][0], routing.chain(found[key][1][1]))
            for key in keys
            if key in found
        ]
        for row, keys in people.items()
    }


def _read_facts(send: Send, subscriber_ids: list[int]) -> list[tuple[int, str, tuple[str, Facts]]]:
    if not subscriber_ids:
        return []
    render = render_sql(parse(send.body))
    columns = ", ".join(f"f.{name}" for name in FACT_COLUMNS)
    facts = facts_sql(render=render, people="s.id = ANY(%(wanted)s::bigint[])")
    sql = f"""
        SELECT f.subscriber_id, btrim(p.first_name || ' ' || p.last_name), coalesce(p.phone, ''),
               {columns}
          FROM ({facts}) f JOIN subscribers_subscriber p ON p.id = f.subscriber_id"""
    with connection.cursor() as cursor:
        cursor.execute(sql, {**_params(send, timezone.now()), "wanted": subscriber_ids})
        return [(row[0], row[1], (row[2], Facts(*row[3:]))) for row in cursor.fetchall()]


def chain_of(send: Send, subscriber_id: int) -> list[Step]:
    """The questions that would decide for one person now."""
    return [
        step
        for _, _, (_, facts) in _read_facts(send, [subscriber_id])
        for step in routing.chain(facts)
    ]


def preview(send: Send, subscriber_id: int) -> Preview | None:
    """How one person would get it now; ``None`` when there is no such person."""
    render = render_sql(parse(send.body))
    columns = ", ".join(f"f.{name}" for name in FACT_COLUMNS)
    facts = facts_sql(render=render, people="s.id = %(wanted)s")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT f.body, {columns} FROM ({facts}) f",
            {**_params(send, timezone.now()), "wanted": subscriber_id},
        )
        row = cursor.fetchone()
    if row is None:
        return None
    decision: Decision = routing.decide(Facts(*row[1:]), allowed=send.fallback_reasons)
    counted = segments.count(row[0])
    route = decision.route if decision.state == MessageState.QUEUED else routing.NOWHERE
    return Preview(
        row[0],
        counted.segments,
        counted.encoding,
        counted.units,
        counted.forced_by,
        route,
        decision.reason,
    )


def _finish(send: Send, longcode: Longcode, rows: list[Row]) -> tuple[float | None, str]:
    """The slowest lane decides."""
    lines: list[tuple[str, SenderIdentity | Longcode]] = [(Route.SMS, longcode)]
    if send.identity_id is not None:
        lines.append((Route.IMESSAGE, SenderIdentity.objects.get(pk=send.identity_id)))
    slowest: tuple[float, str] | None = None
    for route, line in lines:
        people = sum(row.people for row in rows if row.route == route)
        if not people or line.messages_per_second is None:
            continue
        seconds = people / line.messages_per_second
        if slowest is None or seconds > slowest[0]:
            slowest = (seconds, f"Held by the {line.messages_per_second:g} per second of {line}.")
    return slowest or (None, "No limit of ours binds.")
