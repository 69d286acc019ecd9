"""What every carrier adapter promises: plain values in, values out, no I/O.

An adapter never opens a socket. Each verb is a generator that yields an :class:`HttpCall`, is sent
an :class:`HttpReply` (or has a :class:`CallFailed` thrown into it), may yield more calls, and
returns its result. ``senders.gateways.runner`` drives one or hundreds of them; a test drives one by
feeding it replies.

A send ends in one of three ways, and nothing else:

* it returns a :class:`SendResult`: the carrier has accepted the message;
* it raises a :class:`Refused` error from the closed list in ``senders.gateways.errors``: the
  carrier has provably not accepted it;
* it raises :class:`~senders.gateways.errors.OutcomeUnknown`: the request may have arrived. Nobody
  repeats such a send.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, final

from identifiers.e164 import is_unreal
from senders.gateways.errors import InvalidNumber, NotSupported


class Route(enum.StrEnum):
    """How a message travels."""

    IMESSAGE = "imessage"
    SMS = "sms"


class TapbackKind(enum.StrEnum):
    """The six classic tapbacks."""

    LOVE = "love"
    LIKE = "like"
    DISLIKE = "dislike"
    LAUGH = "laugh"
    EMPHASIZE = "emphasize"
    QUESTION = "question"


class DeliveryStatus(enum.StrEnum):
    """What a carrier can report of a message after it accepted it."""

    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request that an adapter wants made.

    ``body`` is sent as it is; ``deadline_seconds`` bounds the whole call, connect included.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    deadline_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A complete HTTP answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class CallFailed(Exception):
    """No complete HTTP answer came.

    ``may_have_left`` is false only when the request provably never reached the carrier: the name
    did not resolve, or the connection was refused or never established.
    """

    def __init__(self, detail: str, *, may_have_left: bool) -> None:
        super().__init__(detail)
        self.may_have_left = may_have_left


@dataclass(frozen=True, slots=True)
class Line:
    """The line that speaks: a longcode's number for SMS, an identity's handle for iMessage."""

    route: Route
    address: str


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to hand to a carrier.

    ``reference`` is our public id of the attempt: opaque, unique, safe to echo in callbacks.
    ``media_urls`` are absolute URLs that the carrier fetches.
    """

    reference: str
    line: Line
    to: str
    body: str
    media_urls: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SendResult:
    """The carrier has accepted the message under ``gateway_message_id``.

    ``status`` is above ``ACCEPTED`` where the carrier answers with more than that.
    """

    gateway_message_id: str
    status: DeliveryStatus = DeliveryStatus.ACCEPTED


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a number can receive iMessage; ``None`` where the carrier can't tell."""

    can_imessage: bool | None


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """A message as the carrier remembers it (look-up and history).

    ``error`` is set when the status is ``FAILED``: a key of ``senders.gateways.errors.REFUSALS``.
    """

    gateway_message_id: str
    reference: str
    is_outbound: bool
    line: Line
    contact: str
    body: str
    status: DeliveryStatus
    at: datetime | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class LineHealth:
    """What a carrier says of one of its lines: ``ok``, ``blocked``, ``banned`` or ``down``."""

    address: str
    state: str


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a health question. ``detail`` is a sentence without secrets."""

    is_up: bool
    detail: str
    lines: Sequence[LineHealth] = ()


class LookUp(enum.StrEnum):
    """How far a carrier can say what became of a message whose send has an unknown outcome."""

    NONE = "none"
    #: Finds a message by our reference; that it finds nothing proves nothing.
    BEST_EFFORT = "best_effort"
    #: What it does not find was never accepted.
    AUTHORITATIVE = "authoritative"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a carrier can do. A verb that is false here raises ``NotSupported`` when called."""

    routes: frozenset[Route]
    media: bool = False
    availability: bool = False
    tapbacks: bool = False
    typing: bool = False
    mark_read: bool = False
    history: bool = False
    delivery_receipts: bool = False
    read_receipts: bool = False
    look_up: LookUp = LookUp.NONE


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """An HTTP request that a carrier made to us. Header names are lower case.

    ``path`` is what follows the gateway's own callback URL; ``url`` is the public URL as the
    carrier called it, for carriers that sign it.
    """

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A carrier's word on a message that we sent.

    Either ``gateway_message_id`` or ``reference`` names it. ``error_code`` is set when the status
    is ``FAILED``: a key of ``senders.gateways.errors.REFUSALS``.
    """

    status: DeliveryStatus
    at: datetime | None
    gateway_message_id: str = ""
    reference: str = ""
    error_code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """Somebody wrote to one of our lines. ``sender`` is as the carrier gave it, normally E.164."""

    gateway_message_id: str
    line: Line
    sender: str
    body: str
    at: datetime | None
    media_urls: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class InboundTapback:
    """Somebody put a tapback on a message, or took it away."""

    line: Line
    sender: str
    target_gateway_message_id: str
    kind: TapbackKind
    is_removed: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class InboundTyping:
    """Somebody started or stopped typing."""

    line: Line
    sender: str
    is_typing: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class LineReport:
    """A carrier says that one of our lines is ``ok``, ``blocked``, ``banned`` or ``down``."""

    line: Line
    state: str
    at: datetime | None
    detail: str = ""


CallbackFact = StatusReport | InboundMessage | InboundTapback | InboundTyping | LineReport


class MalformedCallback(ValueError):
    """A callback body that can't be read. The text names the fault, never the content."""


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One secret or setting that a vendor needs; the admin builds its form from these."""

    name: str
    label: str
    help_text: str = ""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What an adapter knows of its account. ``callback_url`` ends in a slash."""

    base_url: str
    credentials: Mapping[str, str] = field(repr=False, default_factory=dict)
    callback_url: str = ""


class Adapter(ABC):
    """One carrier. Subclasses override ``_send``, ``health``, ``verify``, ``parse`` and the verbs
    that their capabilities declare."""

    kind: ClassVar[str]
    label: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    credential_fields: ClassVar[Sequence[CredentialField]] = ()
    #: Numbers that can't exist go to the simulator and nowhere else; real numbers never go there.
    only_unreal_numbers: ClassVar[bool] = False

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config

    @final
    def send(self, outbound: Outbound) -> Generator[HttpCall, HttpReply, SendResult]:
        """Hand one message to the carrier. See the module's docstring for how it may end.

        A number that is not for this carrier raises ``InvalidNumber`` before any call is made.
        """
        if is_unreal(outbound.to) != self.only_unreal_numbers:
            raise InvalidNumber(
                f"{self.label} takes only numbers that can't exist"
                if self.only_unreal_numbers
                else "a number that can't exist"
            )
        return (yield from self._send(outbound))

    @abstractmethod
    def _send(self, outbound: Outbound) -> Generator[HttpCall, HttpReply, SendResult]:
        """What :meth:`send` does once the number is known to be for this carrier."""

    @abstractmethod
    def health(self) -> Generator[HttpCall, HttpReply, Health]:
        """Ask whether the account works. Raises nothing: what is wrong is in the answer."""

    @abstractmethod
    def verify(self, request: CallbackRequest) -> bool:
        """Whether this callback comes from the carrier, compared in constant time."""

    @abstractmethod
    def parse(self, request: CallbackRequest) -> list[CallbackFact]:
        """The facts of a verified callback; none for an event that is unknown.

        Raises ``MalformedCallback`` for a body that can't be read.
        """

    def availability(self, phone: str, line: Line) -> Generator[HttpCall, HttpReply, Availability]:
        """Ask whether a number can receive iMessage."""
        raise NotSupported(self.label, "looking up iMessage availability")

    def tapback(
        self,
        line: Line,
        to: str,
        target_gateway_message_id: str,
        kind: TapbackKind,
        *,
        remove: bool,
    ) -> Generator[HttpCall, HttpReply, None]:
        """Put a tapback on a message of the conversation, or take it away."""
        raise NotSupported(self.label, "tapbacks")

    def typing(
        self, line: Line, to: str, *, is_typing: bool
    ) -> Generator[HttpCall, HttpReply, None]:
        """Show or hide the typing bubble on the person's phone."""
        raise NotSupported(self.label, "typing indicators")

    def mark_read(self, line: Line, to: str) -> Generator[HttpCall, HttpReply, None]:
        """Tell the person that their messages have been read."""
        raise NotSupported(self.label, "read receipts")

    def fetch(
        self, *, gateway_message_id: str = "", reference: str = ""
    ) -> Generator[HttpCall, HttpReply, RemoteMessage | None]:
        """Look one message up; ``None`` when the carrier does not know it."""
        raise NotSupported(self.label, "looking a message up")

    def history(
        self, line: Line, contact: str, *, limit: int
    ) -> Generator[HttpCall, HttpReply, list[RemoteMessage]]:
        """The newest messages of one conversation, newest first."""
        raise NotSupported(self.label, "conversation history")
