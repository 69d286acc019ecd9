"""A gateway of a carrier made for these tests, and what it would call us with."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client

from senders.models import Gateway
from webhooks import wake

BODIES = Path(__file__).parent / "bodies"
SECRET = "secret-of-callbacks"


@pytest.fixture
def gateway(db: None) -> Gateway:
    return Gateway.objects.create(
        kind="simulator",
        name="Simulated carrier",
        base_url="http://127.0.0.1:8001",
        credentials={"api_key": "key-of-the-account", "signing_secret": SECRET},
    )


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The hints given to the worker, instead of a broker: the moment of each."""
    given: list[float] = []
    monkeypatch.setattr(
        wake.current_app, "send_task", lambda *_, **__: given.append(time.monotonic())
    )
    monkeypatch.setattr(wake, "_next_hint_at", {})
    return given


class Carrier:
    """Calls us as the simulator does."""

    def __init__(self, client: Client, gateway: Gateway) -> None:
        self.client, self.gateway = client, gateway

    def call(self, body: bytes, *, path: str = "events", secret: str = SECRET) -> HttpResponse:
        timestamp = str(int(time.time()))
        signed = timestamp.encode() + b"." + body
        return self.client.post(
            f"/hooks/{self.gateway.callback_token}/{path}",
            data=body,
            content_type="application/json",
            headers={
                "X-Simulator-Timestamp": timestamp,
                "X-Simulator-Signature": hmac.new(
                    secret.encode(), signed, hashlib.sha256
                ).hexdigest(),
            },
        )

    def event(self, kind: str, **data: object) -> HttpResponse:
        event = {"type": kind, "at": "2026-11-20T12:00:00+00:00", "data": data}
        return self.call(json.dumps(event).encode())


@pytest.fixture
def carrier(client: Client, gateway: Gateway) -> Carrier:
    return Carrier(client, gateway)
