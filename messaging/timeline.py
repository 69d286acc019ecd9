"""What was said and what happened, in order: a thread, and all about one person. Reads only."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from messaging.models import Conversation, Event, Message, Tapback
from messaging.states import MessageState
from subscribers.models import ConsentEvent

# --- A thread ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """One message of a thread with the tapbacks on it."""

    message: Message
    tapbacks: Sequence[Tapback] = ()
    #: Whether the other side spoke before it.
    turns: bool = False

    @property
    def is_ours(self) -> bool:
        return self.message.direction == Message.Direction.OUT

    @property
    def our_tapback(self) -> str:
        return next((tapback.kind for tapback in self.tapbacks if tapback.is_ours), "")

    @property
    def version(self) -> str:
        """Changes whenever the message would be drawn differently."""
        message = self.message
        drawn = (message.pk, message.state, message.route, message.reason, message.state_at)
        marks = sorted((tapback.is_ours, tapback.kind) for tapback in self.tapbacks)
        return hashlib.sha256(repr((drawn, marks)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Thread:
    """The newest messages of a conversation, oldest first; ``has_older``: there are more."""

    said: Sequence[Said]
    has_older: bool
    is_typing: bool

    @property
    def version(self) -> str:
        """Changes whenever anything in it would be drawn differently."""
        drawn = "".join(said.version for said in self.said) + str(self.is_typing)
        return hashlib.sha256(drawn.encode()).hexdigest()[:16]


def thread(conversation: Conversation, *, before: int | None = None, size: int = 40) -> Thread:
    """One page of a conversation. ``before``: the key of the message that follows the page.

    What was suppressed is left out: it was never said.
    """
    rows = Message.objects.filter(
        subscriber_id=conversation.subscriber_id, longcode_id=conversation.longcode_id
    ).exclude(state__in=[MessageState.SUPPRESSED, MessageState.CANCELLED])
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(rows.order_by("-id")[: size + 1])
    newest = list(reversed(found[:size]))
    tapbacks = _tapbacks(message.pk for message in newest)
    typing_until = conversation.typing_until
    return Thread(
        said=[
            Said(message, tapbacks.get(message.pk, ()), message.direction != former.direction)
            for former, message in zip([newest[0], *newest], newest, strict=False)
        ]
        if newest
        else [],
        has_older=len(found) > size,
        is_typing=typing_until is not None and typing_until > timezone.now(),
    )


def _tapbacks(message_ids: Iterable[int]) -> dict[int, list[Tapback]]:
    by_message: dict[int, list[Tapback]] = defaultdict(list)
    for tapback in Tapback.objects.filter(message_id__in=list(message_ids)):
        by_message[tapback.message_id].append(tapback)
    return by_message


# --- A person ------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Entry:
    """Something that happened to or with a person. ``kind``: message, consent or event."""

    at: dt.datetime
    kind: str
    what: Any = field(compare=False)


#: Events that say something which the person's messages and consent entries don't say already.
_TOLD = (Event.Kind.REROUTED, Event.Kind.TAPBACK)


def person(subscriber_id: int, *, before: dt.datetime | None = None, size: int = 30) -> list[Entry]:
    """Everything about one person, newest first: what was said, agreed to, and changed."""
    messages = (
        Message.objects.filter(subscriber_id=subscriber_id).select_related("send").order_by("-id")
    )
    consents = (
        ConsentEvent.objects.filter(subscriber_id=subscriber_id)
        .select_related("identity", "by", "evidence")
        .order_by("-position")
    )
    events = Event.objects.filter(subscriber_id=subscriber_id, kind__in=_TOLD).order_by("-id")
    if before is not None:
        messages = messages.filter(created_at__lt=before)
        consents = consents.filter(at__lt=before)
        events = events.filter(at__lt=before)
    entries = [
        *(Entry(message.created_at, "message", message) for message in messages[:size]),
        *(Entry(consent.at, "consent", consent) for consent in consents[:size]),
        *(Entry(event.at, "event", event) for event in events[:size]),
    ]
    return sorted(entries, reverse=True)[:size]
