"""Rows that the tests of senders lean on."""

import pytest

from senders.models import Gateway, Longcode, SenderIdentity


@pytest.fixture
def gateway(db: None) -> Gateway:
    return Gateway.objects.create(
        kind="simulator",
        name="Simulated carrier",
        base_url="http://127.0.0.1:8001",
        credentials={"api_key": "key-of-the-account", "signing_secret": "secret-of-callbacks"},
    )


@pytest.fixture
def longcode(gateway: Gateway) -> Longcode:
    return Longcode.objects.create(number="+13035550100", label="Denver", gateway=gateway)


@pytest.fixture
def identity(gateway: Gateway, longcode: Longcode) -> SenderIdentity:
    return SenderIdentity.objects.create(
        name="Denver team", handle="denver@example.com", longcode=longcode, gateway=gateway
    )
