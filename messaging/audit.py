"""What became of messages, for screens and reports. Reads only.

A send's outcomes always add up to its audience: every person has one message, and every message is
counted once. What did not go its first way has a reason, and can be listed by it.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from messaging import routing
from messaging.models import Attempt, Event, Message, Send
from messaging.states import WAITING, AttemptState, MessageState
from senders.gateways.contract import Route
from senders.gateways.errors import REFUSALS

Key = TypeVar("Key", bound=Hashable)


def _counted(pairs: Iterable[tuple[Key, int]]) -> Counter[Key]:
    counts: Counter[Key] = Counter()
    for key, count in pairs:
        counts[key] += count
    return counts


# --- One send ------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """How many messages share a way, a reason and a state."""

    route: str
    reason: str
    state: str
    people: int


@dataclass(frozen=True)
class Summary:
    """Outcomes that add up: ``people`` counts everybody who has a message so far."""

    outcomes: Sequence[Outcome]

    @property
    def people(self) -> int:
        return sum(outcome.people for outcome in self.outcomes)

    @property
    def imessage(self) -> int:
        return self.by_route(Route.IMESSAGE)

    @property
    def sms(self) -> int:
        return self.by_route(Route.SMS)

    @property
    def nobody(self) -> int:
        return self.by_route(routing.NOWHERE)

    @property
    def cancelled(self) -> int:
        """Those who would have got it, had nobody cancelled the send before."""
        return self.by_state({MessageState.CANCELLED})

    @property
    def sendable(self) -> int:
        """Everybody who gets it, or should have."""
        return self.imessage + self.sms + self.cancelled

    @property
    def gone(self) -> int:
        """Those whose message has left, whatever became of it."""
        return self.sendable - self.cancelled - self.waiting

    @property
    def waiting(self) -> int:
        return self.by_state(WAITING)

    @property
    def delivered(self) -> int:
        return self.by_state({MessageState.DELIVERED, MessageState.READ})

    @property
    def read(self) -> int:
        return self.by_state({MessageState.READ})

    @property
    def failed(self) -> int:
        return self.by_state({MessageState.FAILED})

    @property
    def unknown(self) -> int:
        return self.by_state({MessageState.UNKNOWN})

    @property
    def fallbacks(self) -> int:
        """Messages that went by SMS although iMessage was asked for."""
        return sum(
            outcome.people
            for outcome in self.outcomes
            if outcome.route == Route.SMS
            and outcome.reason
            and outcome.state != MessageState.CANCELLED
        )

    def by_route(self, route: str) -> int:
        """Everybody on this route who is not cancelled: with those, the routes add up to all."""
        return sum(
            outcome.people
            for outcome in self.outcomes
            if outcome.route == route and outcome.state != MessageState.CANCELLED
        )

    def by_state(self, states: Iterable[str]) -> int:
        wanted = frozenset(states)
        return sum(outcome.people for outcome in self.outcomes if outcome.state in wanted)

    def states(self, route: str, reason: str) -> list[tuple[str, int]]:
        """The states of one way's messages, in the order in which they are declared."""
        counts = _counted(
            (o.state, o.people) for o in self.outcomes if (o.route, o.reason) == (route, reason)
        )
        return [(state.value, counts[state]) for state in MessageState if counts[state]]

    def ways(self) -> list[tuple[str, str, int]]:
        """(route, reason, people), the most frequent first: adds up to ``people``."""
        counts = _counted(((o.route, o.reason), o.people) for o in self.outcomes)
        return [(route, reason, people) for (route, reason), people in counts.most_common()]


def _outcomes(messages: QuerySet[Message]) -> Summary:
    rows = messages.order_by().values_list("route", "reason", "state").annotate(people=Count("pk"))
    return Summary([Outcome(*row) for row in rows])


def summary(send: Send) -> Summary:
    """What became of one send so far."""
    return _outcomes(Message.objects.filter(send_id=send.pk, direction=Message.Direction.OUT))


def people(send: Send, *, route: str | None, reason: str, state: str) -> QuerySet[Message]:
    """A send's messages with their people; empty filters let everything pass."""
    rows = Message.objects.filter(send_id=send.pk, direction=Message.Direction.OUT)
    if route is not None:
        rows = rows.filter(route=route)
    if reason:
        rows = rows.filter(reason=reason)
    if state:
        rows = rows.filter(state=state)
    return rows.select_related("subscriber")


# --- All sends -----------------------------------------------------------------------------------


class Day(NamedTuple):
    """One day's messages, in the zone that was asked for."""

    day: dt.date
    summary: Summary


def days(*, count: int, zone: zoneinfo.ZoneInfo, now: dt.datetime) -> list[Day]:
    """The last ``count`` days, the latest last, empty ones included."""
    today = now.astimezone(zone).date()
    first = today - dt.timedelta(days=count - 1)
    since = dt.datetime.combine(first, dt.time(), tzinfo=zone)
    rows = (
        Message.objects.filter(direction=Message.Direction.OUT, created_at__gte=since)
        .annotate(day=TruncDate("created_at", tzinfo=zone))
        .order_by()
        .values_list("day", "route", "reason", "state")
        .annotate(people=Count("pk"))
    )
    by_day: dict[dt.date, list[Outcome]] = {
        first + dt.timedelta(days=offset): [] for offset in range(count)
    }
    for day, *outcome in rows:
        by_day.setdefault(day, []).append(Outcome(*outcome))
    return [Day(day, Summary(outcomes)) for day, outcomes in sorted(by_day.items())]


# --- The audit of fallbacks ----------------------------------------------------------------------


@dataclass(frozen=True)
class Filters:
    """What the audit shows; what is empty or ``None`` lets everything pass."""

    since: dt.datetime | None = None
    route: str | None = None
    reason: str = ""
    state: str = ""
    identity_id: int | None = None
    send_id: int | None = None


def unlike_asked(filters: Filters) -> QuerySet[Message]:
    """Every message that did not go its first way, for any reason."""
    given = {
        "created_at__gte": filters.since,
        "route": filters.route,
        "reason": filters.reason or None,
        "state": filters.state or None,
        "identity_id": filters.identity_id,
        "send_id": filters.send_id,
    }
    wanted = Q(**{name: value for name, value in given.items() if value is not None})
    return Message.objects.filter(~Q(reason=""), wanted, direction=Message.Direction.OUT)


def unknown(filters: Filters, *, most: int = 50) -> list[Attempt]:
    """Attempts of which nobody knows what became, the newest first."""
    given = {"message__send_id": filters.send_id, "message__identity_id": filters.identity_id}
    wanted = Q(**{name: value for name, value in given.items() if value is not None})
    rows = Attempt.objects.filter(wanted, state=AttemptState.UNKNOWN).select_related(
        "message__subscriber", "message__send", "gateway"
    )
    return list(rows.order_by("-id")[:most])


class Reason(NamedTuple):
    """How often a reason sent a message by SMS instead, and how often it stopped one."""

    reason: str
    by_sms: int
    not_sent: int

    @property
    def total(self) -> int:
        return self.by_sms + self.not_sent


def by_reason(filters: Filters) -> list[Reason]:
    """The audit's messages counted by reason, the most frequent first."""
    by_sms = Count("pk", filter=Q(route=Route.SMS))
    rows = (
        unlike_asked(filters)
        .order_by()
        .values_list("reason")
        .annotate(by_sms=by_sms, not_sent=Count("pk") - by_sms)
    )
    return sorted((Reason(*row) for row in rows), key=lambda row: (-row.total, row.reason))


# --- One message ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """Why one message went the way it went: the questions asked before, then what was tried."""

    message: Message
    steps: Sequence[routing.Step]
    attempts: Sequence[Attempt]
    events: Sequence[Event]

    @property
    def planned_route(self) -> str:
        """The way that the rules chose before anything was tried."""
        return self.attempts[0].route if self.attempts else self.message.route


def story(message: Message) -> Story:
    """The decision chain of one message, from what is on record."""
    attempts = list(
        Attempt.objects.filter(message_id=message.pk).select_related("gateway").order_by("number")
    )
    events = list(
        Event.objects.filter(subscriber_id=message.subscriber_id, message_id=message.pk).order_by(
            "id"
        )
    )
    return Story(message, _steps(message, attempts), attempts, events)


def _steps(message: Message, attempts: Sequence[Attempt]) -> list[routing.Step]:
    """The rules up to the one whose reason is on record; all of them when iMessage was tried."""
    was_tried = any(attempt.route == Route.IMESSAGE for attempt in attempts)
    if was_tried or (message.route == Route.IMESSAGE and not message.reason):
        deciding = None
    else:
        deciding = message.reason
    steps = []
    for rule in routing.RULES:
        decided = rule.reason == deciding
        steps.append(routing.Step(rule.reason, routing.QUESTIONS[rule.reason], decided))
        if decided:
            break
    return steps


def error_sentence(error_code: str) -> str:
    """What a carrier's refusal means, as a sentence; empty for none."""
    error = REFUSALS.get(error_code)
    return error.sentence if error else ""
