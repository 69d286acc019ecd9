"""The demo's senders: two simulated gateways, three longcodes, two identities."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import requests
from django.db import transaction

from identifiers.e164 import is_unreal
from senders.gateways.contract import Route
from senders.models import Gateway, Longcode, SenderIdentity
from subscribers.models import Subscriber

_PRICE = Decimal("0.0079")
_DEADLINE_SECONDS = 10
_PEOPLE_AT_ONCE = 1000
_MOST_INTRODUCED = 5000


class SimulatorMissing(Exception):
    """The simulated carrier can't be reached; the text says so to whoever starts the demo."""


@dataclass(frozen=True)
class Senders:
    """The main identity, to which the crowd is opted in, and another with a line of its own."""

    main: SenderIdentity
    other: SenderIdentity


class NotEmpty(Exception):
    """This installation has senders, and none of them is the demo's."""


@transaction.atomic
def make(simulator_url: str) -> Senders:
    """Make the senders, once, and point the gateways to where the simulator is now."""
    if not Gateway.objects.exists():
        _make_all()
    for gateway in Gateway.objects.filter(kind="simulator").exclude(base_url=simulator_url):
        gateway.base_url = simulator_url
        gateway.save(update_fields=["base_url"])
    # The oldest two, whatever they are called by now.
    identities = SenderIdentity.objects.filter(gateway__kind="simulator").order_by("pk")
    if len(identities) < 2:
        raise NotEmpty("This installation has senders of its own: the demo needs an empty one.")
    return Senders(main=identities[0], other=identities[1])


def _make_all() -> None:
    imessage, sms = _gateway("Simulated iMessage"), _gateway("Simulated SMS")
    main = _longcode(sms, "+14155550100", "Main line")
    _longcode(sms, "+12125550110", "Front desk")
    news = _longcode(sms, "+13035550120", "Newsletter", messages_per_second=10)
    _identity(imessage, "hello@tapback.example", main)
    _identity(
        imessage,
        "news@tapback.example",
        news,
        messages_per_second=20,
        welcome_text="Thanks for signing up for our news. Reply STOP to opt out.",
    )


def _gateway(name: str) -> Gateway:
    # The field takes any JSON value; its type says text, which is what it stores.
    credentials: Any = {
        "api_key": secrets.token_urlsafe(24),
        "signing_secret": secrets.token_urlsafe(24),
    }
    return Gateway.objects.create(kind="simulator", name=name, credentials=credentials)


def _longcode(
    gateway: Gateway, number: str, label: str, *, messages_per_second: float | None = None
) -> Longcode:
    return Longcode.objects.create(
        number=number,
        label=label,
        gateway=gateway,
        price_per_segment=_PRICE,
        messages_per_second=messages_per_second,
    )


def _identity(
    gateway: Gateway,
    address: str,
    longcode: Longcode,
    *,
    messages_per_second: float | None = None,
    welcome_text: str = "",
) -> SenderIdentity:
    return SenderIdentity.objects.create(
        name=address,
        handle=address,
        longcode=longcode,
        gateway=gateway,
        messages_per_second=messages_per_second,
        welcome_text=welcome_text,
    )


def register(simulator_url: str) -> None:
    """Tell the simulator our lines and where to call back, so that its phone can write to them.

    At every start: the address that it calls back may have changed.
    """
    with _simulator() as session:
        for identity in SenderIdentity.objects.select_related("gateway"):
            if identity.gateway.kind == "simulator":
                _put_line(session, simulator_url, Route.IMESSAGE, identity.handle, identity)
        for longcode in Longcode.objects.select_related("gateway"):
            if longcode.gateway.kind == "simulator":
                _put_line(session, simulator_url, Route.SMS, longcode.number, longcode)


def introduce(simulator_url: str) -> None:
    """Tell the simulator's phone page what people are called: the first few thousand."""
    people = Subscriber.objects.filter(phone__isnull=False).order_by("pk")[:_MOST_INTRODUCED]
    named = [
        {"number": person.phone, "name": person.full_name}
        for person in people
        if is_unreal(person.phone or "") and person.full_name
    ]
    with _simulator() as session:
        for start in range(0, len(named), _PEOPLE_AT_ONCE):
            chunk = named[start : start + _PEOPLE_AT_ONCE]
            _call(session, "POST", f"{simulator_url}/control/people", {"people": chunk})


def _put_line(
    session: requests.Session,
    simulator_url: str,
    route: Route,
    address: str,
    line: SenderIdentity | Longcode,
) -> None:
    url = f"{simulator_url}/lines/{quote(address, safe='')}"
    label = line.label if isinstance(line, Longcode) else line.name
    body = {
        "route": route.value,
        "label": label,
        "callback_url": line.gateway.callback_url,
        "signing_secret": line.gateway.credentials["signing_secret"],
    }
    _call(session, "PUT", url, body)


def _simulator() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # it is on this machine: no proxy
    return session


def _call(session: requests.Session, method: str, url: str, body: dict[str, object]) -> None:
    try:
        reply = session.request(method, url, json=body, timeout=_DEADLINE_SECONDS)
        reply.raise_for_status()
    except requests.RequestException as error:
        raise SimulatorMissing(
            f"The simulator at {url} did not answer as expected ({type(error).__name__})."
            " Start it first: python -m simulator"
        ) from None
