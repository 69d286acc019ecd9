"""People and senders for the tests of consent."""

from datetime import UTC, datetime

import pytest

from senders.models import Gateway, Longcode, SenderIdentity
from subscribers.models import Subscriber

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def gateway(db):
    return Gateway.objects.create(kind="simulator", name="Carrier", base_url="http://carrier.test")


@pytest.fixture
def identity(gateway):
    return _identity(gateway, "hello@tapback.example", "+14155550100")


@pytest.fixture
def other_identity(gateway):
    return _identity(gateway, "news@tapback.example", "+13035550120")


def _identity(gateway, name, number):
    longcode = Longcode.objects.create(number=number, gateway=gateway)
    return SenderIdentity.objects.create(name=name, handle=name, longcode=longcode, gateway=gateway)


@pytest.fixture
def person(db):
    return Subscriber.objects.create(phone="+14155550142", first_name="Ada")
