"""Trying a gateway out: what its carrier declares and what really answers. Nobody is texted."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from senders import wire
from senders.gateways.contract import (
    Adapter,
    Health,
    HttpCall,
    HttpReply,
    Line,
    LineHealth,
    LookUp,
    Route,
)
from senders.gateways.errors import GatewayError
from senders.models import Gateway

#: A reference that we never give to a message.
NO_REFERENCE = "tapback-connection-test"


class Verdict(enum.StrEnum):
    WORKS = "Works"
    FAILS = "Fails"
    DECLARED = "Can do"
    MISSING = "Can't do"
    NOT_TRIED = "Not tried"

    @property
    def tone(self) -> str:
        """The colour of its badge."""
        return _TONES[self]


_TONES = {
    Verdict.WORKS: "success",
    Verdict.FAILS: "danger",
    Verdict.DECLARED: "info",
    Verdict.MISSING: "",
    Verdict.NOT_TRIED: "warning",
}


class Finding(NamedTuple):
    """What was found about one ability. ``sentence`` is free of secrets."""

    ability: str
    verdict: Verdict
    sentence: str


_REACHES_A_PHONE = "The carrier can do it. Not tried: it would show on somebody's phone."
_BY_CALLBACK = "The carrier calls us back with it."
_CANT = "This carrier can't do it."


def try_out(gateway: Gateway) -> list[Finding]:
    """Ask the carrier everything that can be asked without reaching a phone.

    Makes up to four short calls, one after the other; never raises for what the carrier does.
    """
    try:
        adapter = wire.adapter_of(gateway)
    except GatewayError as error:
        return [Finding("Account", Verdict.FAILS, f"{error.sentence} ({error.detail})")]
    return [
        *_account(gateway, adapter),
        *_declared(adapter),
        *_look_ups(gateway, adapter),
    ]


def _account(gateway: Gateway, adapter: Adapter) -> list[Finding]:
    try:
        health = wire.ask(gateway, adapter.health())
    except GatewayError as error:
        return [Finding("Account", Verdict.FAILS, error.sentence)]
    verdict = Verdict.WORKS if health.is_up else Verdict.FAILS
    return [Finding("Account", verdict, health.detail), *_lines(gateway, health)]


def _lines(gateway: Gateway, health: Health) -> list[Finding]:
    """What the carrier says of our lines, and which of them it does not know."""
    if not health.lines:
        return []
    known = {line.address: line for line in health.lines}
    return [_line(address, known.get(address)) for address in _addresses(gateway)]


def _line(address: str, line: LineHealth | None) -> Finding:
    if line is None:
        return Finding(f"Line {address}", Verdict.FAILS, "The carrier does not know this line.")
    if line.state == "ok":
        return Finding(f"Line {address}", Verdict.WORKS, "The carrier says that it is in order.")
    return Finding(f"Line {address}", Verdict.FAILS, f"The carrier says that it is {line.state}.")


def _addresses(gateway: Gateway) -> list[str]:
    return [
        *gateway.identities.order_by("handle").values_list("handle", flat=True),
        *gateway.longcodes.order_by("number").values_list("number", flat=True),
    ]


def _declared(adapter: Adapter) -> list[Finding]:
    """Abilities that can only be tried on somebody's phone, and those that need no call."""
    can = adapter.capabilities
    on_a_phone = {
        "Send iMessages": Route.IMESSAGE in can.routes,
        "Send SMS": Route.SMS in can.routes,
        "Pictures and files": can.media,
        "Tapbacks": can.tapbacks,
        "Typing": can.typing,
        "Mark as read": can.mark_read,
    }
    in_reports = {
        "Reports what was delivered": can.delivery_receipts,
        "Reports what was read": can.read_receipts,
    }
    return [
        Finding(ability, Verdict.DECLARED, sentence)
        if is_there
        else Finding(ability, Verdict.MISSING, _CANT)
        for abilities, sentence in ((on_a_phone, _REACHES_A_PHONE), (in_reports, _BY_CALLBACK))
        for ability, is_there in abilities.items()
    ]


def _look_ups(gateway: Gateway, adapter: Adapter) -> Iterator[Finding]:
    """Questions that change nothing, asked for real: about a message and a number of our own."""
    can = adapter.capabilities
    can_fetch = can.look_up is not LookUp.NONE
    yield _asked(
        gateway, "Look up a message", can_fetch, lambda: adapter.fetch(reference=NO_REFERENCE)
    )
    identity = gateway.identities.select_related("longcode").first()
    if identity is None:
        yield Finding(
            "Look-ups by line", Verdict.NOT_TRIED, "Add a sender identity first: its line asks."
        )
        return
    line, number = Line(Route.IMESSAGE, identity.handle), identity.longcode.number
    yield _asked(
        gateway,
        "Look up who has iMessage",
        can.availability,
        lambda: adapter.availability(number, line),
    )
    yield _asked(
        gateway,
        "Conversation history",
        can.history,
        lambda: adapter.history(line, number, limit=1),
    )


def _asked(
    gateway: Gateway,
    ability: str,
    is_there: bool,
    question: Callable[[], Generator[HttpCall, HttpReply, Any]],
) -> Finding:
    if not is_there:
        return Finding(ability, Verdict.MISSING, _CANT)
    try:
        wire.ask(gateway, question())
    except GatewayError as error:
        return Finding(ability, Verdict.FAILS, error.sentence)
    return Finding(ability, Verdict.WORKS, "Asked, and the carrier answered.")
