"""A house with one identity, people of every kind, and somebody signed in for each role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from config import roles
from messaging import compose, expand, wake
from messaging.models import Conversation, Message, Send
from messaging.states import MessageState
from senders import wire
from senders.models import Gateway, Longcode, SenderIdentity
from subscribers.models import Group, Membership, OptIn, Subscriber


@dataclass
class House:
    """The rows, and short ways to act on them."""

    identity: SenderIdentity
    longcode: Longcode
    group: Group
    ada: Subscriber
    #: Everybody of the group, by the route and reason that they get.
    people: dict[tuple[str, str], Subscriber] = field(default_factory=dict)

    def form(self, **changes: Any) -> dict[str, Any]:
        """What a browser posts from the Compose page."""
        return {
            "sender": str(self.longcode.public_id),
            "groups": [str(self.group.public_id)],
            "body": "Hello {{ first_name }}!",
            "name": "Spring",
            "when": "now",
            "fallback": "all",
            "unknown_policy": "hold",
            **changes,
        }

    def draft(self, **changes: Any) -> Send:
        fields = {"group_ids": [self.group.pk], "body": "Hello {{ first_name }}!", **changes}
        return compose.create(compose.Draft(sender_name=self.identity.name, **fields))

    def expanded(self, **changes: Any) -> Send:
        """A send whose messages wait for their turn."""
        send = self.draft(**changes)
        compose.schedule(send)
        expand.run(send.pk)
        send.refresh_from_db()
        return send

    def hears(self, body: str, *, route: str = "imessage", person: Subscriber | None = None) -> Any:
        """Somebody, Ada by default, writes to the identity; returns their conversation."""
        person = person or self.ada
        gateway = self.identity.gateway
        message = Message.objects.create(
            direction="in",
            subscriber=person,
            longcode=self.longcode,
            identity=self.identity if route == "imessage" else None,
            route=route,
            state=MessageState.RECEIVED,
            body=body,
            gateway=gateway,
            gateway_message_id=f"in-{Message.objects.count()}",
        )
        conversation, _ = Conversation.objects.update_or_create(
            subscriber=person,
            longcode=self.longcode,
            defaults={
                "identity": message.identity,
                "last_body": body,
                "last_direction": "in",
                "last_route": route,
                "last_at": timezone.now(),
                "unread": 1,
            },
        )
        return conversation


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The hints given to workers, instead of a broker."""
    given: list[tuple[Any, ...]] = []
    monkeypatch.setattr(wake, "hint", lambda *hint: given.append(hint))
    return given


@pytest.fixture
def house(db: None) -> House:
    secrets = {"api_key": "key", "signing_secret": "secret"}
    gateway = Gateway.objects.create(
        kind="simulator",
        name="Simulated carrier",
        base_url="http://127.0.0.1:9",
        credentials=secrets,
    )
    longcode = Longcode.objects.create(
        number="+13035550100", gateway=gateway, price_per_segment="0.01"
    )
    identity = SenderIdentity.objects.create(
        name="care@tapback.example",
        handle="care@tapback.example",
        longcode=longcode,
        gateway=gateway,
    )
    group = Group.objects.create(name="Spring open house")
    return fill(House(identity, longcode, group, ada=Subscriber()))


def fill(house: House) -> House:
    """One person for every route and reason that rules give."""
    now = timezone.now()
    kinds: dict[tuple[str, str], dict[str, Any]] = {
        ("imessage", ""): {"imessage_capability": "yes"},
        ("sms", "not_capable"): {"imessage_capability": "no"},
        ("sms", "not_opted_in"): {"imessage_capability": "yes"},
        ("", "opted_out"): {"imessage_capability": "yes", "opted_out_at": now},
        ("", "missing_field"): {"imessage_capability": "yes", "first_name": ""},
        ("", "invalid_number"): {"phone": None, "email": "someone@example.com"},
    }
    for number, (kind, facts) in enumerate(kinds.items()):
        named = {"first_name": "Ada", "last_name": kind[1] or "Lovelace"}
        person = Subscriber.objects.create(**{"phone": f"+1415555010{number}", **named, **facts})
        Membership.objects.create(group=house.group, subscriber=person)
        if kind[1] != "not_opted_in":
            OptIn.objects.create(subscriber=person, identity=house.identity, opted_in_at=now)
        house.people[kind] = person
    house.ada = house.people["imessage", ""]
    return house


@pytest.fixture
def signed_in(db: None) -> Callable[[str], Client]:
    """A browser of somebody with a role."""
    roles.establish()

    def sign_in(role: str) -> Client:
        user = User.objects.create_user(role.lower().replace(" ", ""))
        roles.give(user, role)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def marketing(signed_in: Callable[[str], Client]) -> Client:
    return signed_in(roles.MARKETING)


@pytest.fixture
def auditor(signed_in: Callable[[str], Client]) -> Client:
    return signed_in(roles.AUDITOR)


@pytest.fixture
def gestures_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that tapbacks, typing and read marks make at the carrier, which takes them all."""
    made: list[str] = []
    monkeypatch.setattr(wire, "run_one", lambda steps: made.append(next(steps).url))
    return made
