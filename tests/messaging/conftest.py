"""A small world to send in: two gateways, a longcode with its identity, people, a carrier by hand.

The one thing that is faked is the HTTP call: ``carrier`` answers as the simulator's contract says,
and tests tell it how. Workers are run by hand: ``world.hand_over()`` is one dispatch.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from messaging import compose, dispatch, expand
from messaging.models import Attempt, Message, Send
from senders import wire
from senders.gateways.contract import CallFailed, HttpCall, HttpReply
from senders.gateways.runner import Finished, Job
from senders.models import Gateway, Longcode, SenderIdentity
from subscribers.models import OptIn, Subscriber

Answer = Callable[[dict[str, Any]], HttpReply]


def accepted(message: dict[str, Any]) -> HttpReply:
    body = {"id": f"c-{message['reference']}", "status": "accepted"}
    return HttpReply(202, {}, json.dumps(body).encode())


def refused(code: str, status: int = 422, **headers: str) -> Answer:
    body = json.dumps({"error": {"code": code}}).encode()
    return lambda message: HttpReply(status, headers, body)


def lost(*, may_have_left: bool) -> Answer:
    def answer(message: dict[str, Any]) -> HttpReply:
        raise CallFailed("no answer", may_have_left=may_have_left)

    return answer


@dataclass
class Carrier:
    """What a carrier was handed, and what it answers: by number, else by route, else it accepts."""

    handed: list[dict[str, Any]] = field(default_factory=list)
    by_number: dict[str, Answer] = field(default_factory=dict)
    by_route: dict[str, Answer] = field(default_factory=dict)
    before_answer: Callable[[dict[str, Any]], None] = lambda message: None
    remembers: bool = True
    #: What a look-up finds, where it is not simply delivered.
    found: dict[str, str] = field(default_factory=dict)

    def __call__(self, call: HttpCall) -> HttpReply:
        if call.method == "POST" and call.url.endswith("/messages"):
            return self._take(json.loads(call.body))
        if "reference=" in call.url:
            return self._look_up(call.url.rpartition("=")[2])
        return HttpReply(200, {}, b"{}")

    def _take(self, message: dict[str, Any]) -> HttpReply:
        route = message["line"]["route"]
        default = self.by_route.get(route, accepted)
        answer = self.by_number.get(message["to"], default)
        self.before_answer(message)
        try:
            reply = answer(message)
        except CallFailed as failure:
            if failure.may_have_left:
                self.handed.append(message)
            raise
        if reply.status < 300 or reply.status == 500:
            self.handed.append(message)
        return reply

    def _look_up(self, reference: str) -> HttpReply:
        for message in self.handed:
            if message["reference"] == reference and self.remembers:
                found = {
                    "id": f"c-{reference}",
                    "reference": reference,
                    "direction": "out",
                    "line": message["line"],
                    "contact": message["to"],
                    "body": message["body"],
                    "status": "delivered",
                    "at": "2026-01-02T03:04:05+00:00",
                    "error": "",
                    **self.found,
                }
                return HttpReply(200, {}, json.dumps(found).encode())
        return HttpReply(404, {}, b'{"error": {"code": "unknown_message"}}')

    def texts_to(self, phone: str) -> list[str]:
        """The routes by which a number was texted."""
        return [m["line"]["route"] for m in self.handed if m["to"] == phone]

    @property
    def per_number(self) -> Counter[str]:
        return Counter(m["to"] for m in self.handed)


class HandRunner:
    """The runner's interface, driven by hand: each call is answered when it is waited for."""

    def __init__(self, carrier: Carrier, max_in_flight: int = 512) -> None:
        self.carrier = carrier
        self.max_in_flight = max_in_flight
        self.jobs: list[Job] = []

    @property
    def in_flight(self) -> int:
        return len(self.jobs)

    @property
    def room(self) -> int:
        return self.max_in_flight - len(self.jobs)

    def start(self, key: Hashable, steps: Any) -> None:
        self.jobs.append(Job(key, steps))

    def wait(self, timeout_seconds: float) -> list[Finished]:
        jobs, self.jobs = self.jobs, []
        return [drive(self.carrier, job) for job in jobs]


def drive(carrier: Carrier, job: Job) -> Finished:
    step = job.advance(None)
    while isinstance(step, HttpCall):
        try:
            answer: HttpReply | CallFailed = carrier(step)
        except CallFailed as failure:
            answer = failure
        step = job.advance(answer)
    return step


@dataclass
class World:
    """The rows, and short ways to act on them."""

    imessage_gateway: Gateway
    sms_gateway: Gateway
    longcode: Longcode
    identity: SenderIdentity
    carrier: Carrier
    runner: HandRunner
    numbers: Any = field(default_factory=lambda: itertools.count(10_000_000))

    def person(
        self,
        *,
        capability: str = "yes",
        opted_in: bool = True,
        phone: str | None = "new",
        **fields: Any,
    ) -> Subscriber:
        """Somebody; by default one who gets iMessages from the identity."""
        if phone == "new":
            phone = f"+999{next(self.numbers)}"
        subscriber = Subscriber.objects.create(
            phone=phone, imessage_capability=capability, **{"first_name": "Ada", **fields}
        )
        if opted_in:
            OptIn.objects.create(
                subscriber=subscriber, identity=self.identity, opted_in_at=timezone.now()
            )
        return subscriber

    def people(self, count: int, **fields: Any) -> list[Subscriber]:
        return [self.person(**fields) for _ in range(count)]

    def send(self, *people: Subscriber, body: str = "Hello!", **draft: Any) -> Send:
        """A send to these people through the identity, scheduled for now and not yet expanded."""
        fields: dict[str, Any] = {
            "sender_name": self.identity.name,
            "subscriber_ids": [person.pk for person in people],
            **draft,
        }
        send = compose.create(compose.Draft(body=body, **fields))
        compose.schedule(send)
        send.refresh_from_db()
        return send

    def queued(self, *people: Subscriber, **draft: Any) -> Send:
        """The same, expanded: its messages wait in batches."""
        send = self.send(*people, **draft)
        expand.run(send.pk)
        send.refresh_from_db()
        return send

    def hand_over(self) -> int:
        """One dispatch: everything that is due goes to the carrier."""
        # However slow the machine: a budget that runs out would leave some for the next.
        return dispatch.run(runner=self.runner, budget_seconds=600)

    def sent(self, *people: Subscriber, **draft: Any) -> Send:
        send = self.queued(*people, **draft)
        self.hand_over()
        send.refresh_from_db()
        return send

    def message_to(self, person: Subscriber, send: Send | None = None) -> Message:
        messages = Message.objects.filter(subscriber=person, direction="out")
        return (messages.filter(send=send) if send else messages).latest("pk")

    def attempts_of(self, person: Subscriber) -> list[Attempt]:
        return list(Attempt.objects.filter(message__subscriber=person).order_by("number"))


@contextmanager
def rolled_back() -> Iterator[None]:
    """What is written inside is undone: each example of a property test has the world to itself."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Carrier:
    carrier = Carrier()

    def run_one(steps: Any) -> Any:
        finished = drive(carrier, Job("one", steps))
        if finished.error is not None:
            raise finished.error
        return finished.result

    monkeypatch.setattr(wire, "run_one", run_one)
    return carrier


@pytest.fixture
def world(db: None, carrier: Carrier) -> World:
    secrets = {"api_key": "key", "signing_secret": "secret"}
    imessage, sms = (
        Gateway.objects.create(
            kind="simulator", name=name, base_url="http://carrier.invalid", credentials=secrets
        )
        for name in ("iMessage", "SMS")
    )
    longcode = Longcode.objects.create(number="+13035550100", gateway=sms)
    identity = SenderIdentity.objects.create(
        name="Denver", handle="denver@example.com", longcode=longcode, gateway=imessage
    )
    return World(imessage, sms, longcode, identity, carrier, HandRunner(carrier))
