"""What the carrier knows: lines, people, messages, and the events it calls back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

ROUTES = ("imessage", "sms")
TAPBACKS = ("love", "like", "dislike", "laugh", "emphasize", "question")
LINE_STATES = ("ok", "blocked", "banned", "down")
#: How far a message has come. A report never goes back.
RANKS = {"accepted": 0, "sent": 1, "delivered": 2, "read": 3, "failed": 4}

LineKey = tuple[str, str]


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


@dataclass(slots=True)
class Line:
    """A number or an iMessage handle that texts people, and where what they answer goes."""

    route: str
    address: str
    label: str = ""
    callback_url: str = ""
    signing_secret: str = field(default="", repr=False)
    state: str = "ok"

    @property
    def key(self) -> LineKey:
        return (self.route, self.address)

    def public(self) -> dict[str, Any]:
        return {
            "route": self.route,
            "address": self.address,
            "label": self.label,
            "callback_url": self.callback_url,
            "state": self.state,
        }


@dataclass(slots=True)
class Person:
    """Somebody with a phone. ``imessage`` is ``None`` where the rule of the number decides."""

    number: str
    name: str = ""
    imessage: bool | None = None
    read_receipts: bool = True


@dataclass(slots=True)
class Message:
    """One bubble. ``direction`` is seen from the line: "out" to a person, "in" from one.

    ``tapbacks`` holds the kind that each side ("line", "person") has put on it.
    """

    seq: int
    id: str
    reference: str
    direction: str
    route: str
    line: str
    contact: str
    body: str
    media_urls: tuple[str, ...]
    status: str
    at: float
    error: str = ""
    sent_at: float | None = None
    delivered_at: float | None = None
    read_at: float | None = None
    tapbacks: dict[str, str] = field(default_factory=dict)

    @property
    def line_key(self) -> LineKey:
        return (self.route, self.line)

    def line_json(self) -> dict[str, str]:
        return {"route": self.route, "address": self.line}

    def public(self) -> dict[str, Any]:
        """The message as the carrier's customers and the phone see it."""
        return {
            "id": self.id,
            "reference": self.reference,
            "direction": self.direction,
            "line": self.line_json(),
            "contact": self.contact,
            "body": self.body,
            "media_urls": list(self.media_urls),
            "status": self.status,
            "error": self.error,
            "at": iso(self.at),
            "sent_at": iso(self.sent_at) if self.sent_at else None,
            "delivered_at": iso(self.delivered_at) if self.delivered_at else None,
            "read_at": iso(self.read_at) if self.read_at else None,
            "tapbacks": self.tapbacks,
        }


@dataclass(slots=True)
class Event:
    """Something to tell the customer of a line, kept until it was heard or given up."""

    id: str
    line: LineKey
    contact: str
    body: bytes
    tries: int = 0
    #: The inbound message that this event carries, so that the phone can say "Delivered".
    message_id: str = ""
    #: A report on a customer's own message; everything else comes from a person, and goes first.
    is_report: bool = False

    def document(self) -> str:
        return json.dumps({**asdict(self), "body": self.body.decode()})

    @classmethod
    def from_document(cls, text: str) -> Event:
        fields = json.loads(text)
        fields["line"] = tuple(fields["line"])
        fields["body"] = fields["body"].encode()
        return cls(**fields)
