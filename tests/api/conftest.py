"""Senders, people of every kind, and a program with a token."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from api import tokens
from api.models import Token
from messaging import wake
from senders.models import Gateway, Longcode, SenderIdentity
from subscribers.models import OptIn, Subscriber

#: One number of each kind.
CAPABLE = "+14155550101"
NOT_CAPABLE = "+14155550102"
NOT_OPTED_IN = "+14155550103"
OPTED_OUT = "+14155550104"
STRANGER = "+14155550105"


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The hints given to workers, instead of a broker."""
    given: list[tuple[Any, ...]] = []
    monkeypatch.setattr(wake, "hint", lambda *hint: given.append(hint))
    return given


@pytest.fixture
def longcode(db: None) -> Longcode:
    gateway = Gateway.objects.create(
        kind="simulator", name="Simulated carrier", base_url="http://127.0.0.1:8001"
    )
    return Longcode.objects.create(number="+13035550100", gateway=gateway)


@pytest.fixture
def identity(longcode: Longcode) -> SenderIdentity:
    return SenderIdentity.objects.create(
        name="care@tapback.example",
        handle="care@tapback.example",
        longcode=longcode,
        gateway=longcode.gateway,
    )


@pytest.fixture
def people(identity: SenderIdentity) -> dict[str, Subscriber]:
    now = timezone.now()
    known = {
        phone: Subscriber.objects.create(phone=phone, **facts)
        for phone, facts in {
            CAPABLE: {"imessage_capability": "yes", "first_name": "Ada"},
            NOT_CAPABLE: {"imessage_capability": "no"},
            NOT_OPTED_IN: {"imessage_capability": "yes"},
            OPTED_OUT: {"imessage_capability": "yes", "opted_out_at": now},
        }.items()
    }
    for phone in (CAPABLE, NOT_CAPABLE):
        OptIn.objects.create(subscriber=known[phone], identity=identity, opted_in_at=now)
    return known


@pytest.fixture
def token(db: None) -> tuple[Token, str]:
    return tokens.issue(name="Shop", scopes=["send"])


Call = Callable[..., HttpResponse]


@pytest.fixture
def post(client: Client, token: tuple[Token, str]) -> Call:
    """``POST /v3/send``; the body is a value for JSON, or bytes as they are."""

    def call(body: Any, *, path: str = "/v3/send", key: str = "", **headers: str) -> HttpResponse:
        sent = {"Authorization": f"Bearer {token[1]}", **headers}
        if key:
            sent["X-Request-Id"] = key
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(path, data=data, content_type="application/json", headers=sent)

    return call
