"""The carrier itself: accepts or refuses, lets time pass, and lets people answer.

Everything here is a plain call that returns at once; time passes through ``later``, which a test
may replace.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.draws import Draws
from simulator.faults import REFUSALS, Faults, Rule, Subject
from simulator.journal import Journal
from simulator.model import RANKS, Event, Line, LineKey, Message, Person, iso
from simulator.numbers import has_imessage_by_rule

TYPING_SECONDS = 30.0

_STATE_REFUSALS = {"blocked": "line_blocked", "banned": "line_banned", "down": "not_accepted"}


class Refusal(Exception):
    """The carrier does not take it. ``code`` is a key of ``simulator.faults.REFUSALS``."""

    def __init__(self, code: str, sentence: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(sentence or _SENTENCES.get(code, "The carrier refuses this."))
        self.code = code
        self.retry_after = retry_after


_SENTENCES = {
    "invalid_number": "This number is not one of the simulator's.",
    "not_on_imessage": "This number has no iMessage.",
    "opted_out": "This person opted out with the carrier.",
    "line_blocked": "This line is blocked.",
    "line_banned": "This line is banned.",
    "rate_limited": "Too many messages. Try again later.",
    "not_accepted": "The carrier is out of order. Nothing was accepted.",
    "unauthorized": "The API key is not right.",
}


@dataclass
class Latency:
    """Seconds: until an answer, and from acceptance until "sent" and from there to "delivered"."""

    answer: tuple[float, float] = (0.0, 0.0)
    sent: tuple[float, float] = (0.05, 0.3)
    delivered: tuple[float, float] = (0.3, 1.5)


@dataclass
class Sending:
    """A message that a customer wants sent. It is also what fault rules look at."""

    reference: str
    route: str
    line: str
    contact: str
    body: str
    media_urls: tuple[str, ...] = ()


@dataclass
class Thread:
    """The conversation of one person with one line, oldest message first."""

    messages: list[Message] = field(default_factory=list)
    typing_until: float = 0.0
    unread: int = 0


Later = Callable[[float, Callable[[], None]], object]
Tell = Callable[[Event], None]


class Carrier:
    """All of the carrier's state and rules. ``tell`` is given each event that a customer is due."""

    def __init__(self, *, seed: int, journal: Journal, later: Later, tell: Tell) -> None:
        self.draws = Draws(seed)
        self.faults = Faults(self.draws)
        self.latency = Latency()
        self.lines: dict[LineKey, Line] = {}
        self.people: dict[str, Person] = {}
        self.messages: dict[str, Message] = {}
        self.by_reference: dict[str, list[Message]] = defaultdict(list)
        self.threads: dict[str, dict[LineKey, Thread]] = defaultdict(dict)
        #: Numbers in the order of their last message, the newest last.
        self.recent: dict[str, None] = {}
        #: Grows with everything that a phone shows, so that a page knows whether to look again.
        self.versions: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._journal = journal
        self._later = later
        self._tell = tell
        self._seq = 0
        self._events = 0
        self._age = secrets.token_hex(4)

    # What the file remembers.

    def load(self) -> None:
        """Take up where the last process stopped: undelivered messages go on, events are told."""
        for text in self._journal.documents("line"):
            line = Line(**json.loads(text))
            self.lines[line.key] = line
        for text in self._journal.documents("person"):
            person = Person(**json.loads(text))
            self.people[person.number] = person
        for text in self._journal.documents("latency"):
            self.latency = Latency(**{name: tuple(v) for name, v in json.loads(text).items()})
        for message in self._journal.messages():
            self._seq = message.seq
            self._remember(message)
            self._go_on(message)
        for text in self._journal.documents("event"):
            self._tell(Event.from_document(text))

    def reset(self, *, everything: bool) -> None:
        """Forget messages, faults and delays; lines and people only with ``everything``."""
        self._journal.wipe()
        self.messages.clear()
        self.by_reference.clear()
        self.threads.clear()
        self.recent.clear()
        self.refused.clear()
        self.faults.clear()
        self.latency = Latency()
        self._age = secrets.token_hex(4)
        if everything:
            self.lines.clear()
            self.people.clear()
        for line in self.lines.values():
            line.state = "ok"
            self._journal.put("line", "|".join(line.key), line)
        for person in self.people.values():
            self._journal.put("person", person.number, person)
            self.versions[person.number] += 1

    def set_latency(self, latency: Latency) -> None:
        self.latency = latency
        self._journal.put("latency", "", vars(latency))

    # Lines and people.

    def set_line(self, key: LineKey, **changes: str) -> Line:
        """Make a line known, or change what is known of it."""
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = Line(*key)
        elif all(getattr(line, name) == value for name, value in changes.items()):
            return line
        for name, value in changes.items():
            setattr(line, name, value)
        self._journal.put("line", "|".join(key), line)
        return line

    def set_line_state(self, key: LineKey, state: str) -> None:
        """Block, ban, take down or restore a line, and tell its customer."""
        if self.set_line(key).state != state:
            line = self.set_line(key, state=state)
            self._announce("line.state", key, "", {"line": _line_json(line), "state": state})

    def set_person(self, number: str, **changes: Any) -> Person:
        person = self.people.get(number) or Person(number)
        for name, value in changes.items():
            setattr(person, name, value)
        self.people[number] = person
        self._journal.put("person", number, person)
        self.versions[number] += 1
        return person

    def line_of(self, event: Event) -> Line | None:
        return self.lines.get(event.line)

    def has_imessage(self, number: str) -> bool:
        person = self.people.get(number)
        if person is None or person.imessage is None:
            return has_imessage_by_rule(number)
        return person.imessage

    # What customers ask for.

    def _refusal(self, sending: Sending, rule: Rule | None) -> Refusal | None:
        if rule is not None and rule.fault in REFUSALS:
            is_limit = rule.fault == "rate_limited"
            return Refusal(rule.fault, retry_after=rule.seconds if is_limit else None)
        line = self.lines.get((sending.route, sending.line))
        if line is not None and line.state != "ok":
            return Refusal(_STATE_REFUSALS[line.state])
        if sending.route == "imessage" and not self.has_imessage(sending.contact):
            return Refusal("not_on_imessage")
        return None

    def check(self, sending: Sending) -> Rule | None:
        """The fault with which an accepted message is to be answered. Raises ``Refusal``."""
        rule = self.faults.of_answer(sending)
        refusal = self._refusal(sending, rule)
        if refusal is not None:
            self.refused[refusal.code] += 1
            raise refusal
        return rule

    def accept(self, sending: Sending) -> Message:
        """Take a message, whether or not its reference was seen before: that is for the record."""
        message = self._new_message(sending, "out", "accepted")
        thread = self._thread(message)
        thread.unread += 1
        thread.typing_until = 0.0
        self._go_on(message)
        return message

    def find(self, reference: str) -> Message | None:
        """The first message accepted under a reference."""
        found = self.by_reference.get(reference)
        return found[0] if found else None

    def show_typing(self, key: LineKey, contact: str, *, is_typing: bool) -> None:
        thread = self._thread_of(contact, key)
        thread.typing_until = time.time() + TYPING_SECONDS if is_typing else 0.0
        self.versions[contact] += 1

    def line_has_read(self, key: LineKey, contact: str) -> None:
        """The customer has read what this person wrote."""
        for message in self._thread_of(contact, key).messages:
            if message.direction == "in" and message.read_at is None:
                message.read_at = time.time()
                self._changed(message)

    def set_tapback(self, message: Message, side: str, kind: str, *, is_removed: bool) -> None:
        if not is_removed:
            message.tapbacks[side] = kind
        elif message.tapbacks.get(side) == kind:
            del message.tapbacks[side]
        self._changed(message)

    # What people do.

    def person_writes(self, sending: Sending) -> Message:
        """A person texts a line; blue only from a phone that has iMessage, else ``Refusal``."""
        if sending.route == "imessage" and not self.has_imessage(sending.contact):
            raise Refusal("not_on_imessage", "This person has no iMessage: write to an SMS line.")
        message = self._new_message(sending, "in", "received")
        self._thread(message)
        data = {
            "id": message.id,
            "line": message.line_json(),
            "from": message.contact,
            "body": message.body,
            "media_urls": list(message.media_urls),
        }
        self._announce(
            "message.inbound", message.line_key, message.contact, data, message_id=message.id
        )
        return message

    def person_taps(self, message: Message, kind: str, *, is_removed: bool) -> None:
        self.set_tapback(message, "person", kind, is_removed=is_removed)
        data = {
            "line": message.line_json(),
            "from": message.contact,
            "message_id": message.id,
            "kind": kind,
            "removed": is_removed,
        }
        self._announce("tapback", message.line_key, message.contact, data)

    def person_types(self, key: LineKey, number: str, *, is_typing: bool) -> None:
        line = {"route": key[0], "address": key[1]}
        self._announce("typing", key, number, {"line": line, "from": number, "typing": is_typing})

    def person_reads(self, key: LineKey, number: str) -> None:
        """The person opens a conversation; iMessage tells, unless they turned that off."""
        thread = self._thread_of(number, key)
        if thread.unread:
            thread.unread = 0
            self.versions[number] += 1
        person = self.people.get(number)
        if key[0] != "imessage" or (person is not None and not person.read_receipts):
            return
        for message in thread.messages:
            if message.direction == "out" and message.status in ("sent", "delivered"):
                self._report(message, "read")

    # How it goes on with a message.

    def _go_on(self, message: Message) -> None:
        if message.direction == "in" or message.status not in ("accepted", "sent"):
            return
        if message.status == "accepted":
            delay = self.draws.between(self.latency.sent, "sent", message.reference)
            self._later(delay, lambda: self._send(message))
        else:
            delay = self.draws.between(self.latency.delivered, "delivered", message.reference)
            self._later(delay, lambda: self._deliver(message))

    def _send(self, message: Message) -> None:
        if message.id not in self.messages or self.faults.afterwards("never_sent", message):
            return
        self._report(message, "sent")
        self._go_on(message)

    def _deliver(self, message: Message) -> None:
        if message.id not in self.messages or self.faults.afterwards("never_delivered", message):
            return
        failure = self.faults.afterwards("fail_later", message)
        if failure is not None:
            message.error = failure.error
        self._report(message, "failed" if failure else "delivered")

    def _report(self, message: Message, status: str) -> None:
        """Move a message on, never back, and tell the customer as faults allow."""
        if RANKS[status] <= RANKS[message.status]:
            return
        message.status = status
        if status != "failed":
            setattr(message, f"{status}_at", time.time())
        self._changed(message)
        data = {
            "id": message.id,
            "reference": message.reference,
            "status": status,
            "error": message.error,
        }
        if self.faults.afterwards("lose_callbacks", message, status):
            return
        delay = self._callback_delay(message, status)
        copies = 2 if self.faults.afterwards("duplicate_callbacks", message, status) else 1
        event = self._event("message.status", message.line_key, message.contact, data)
        for _ in range(copies):
            self._later(delay, lambda: self._tell(event)) if delay else self._tell(event)

    def _callback_delay(self, message: Message, status: str) -> float:
        late = self.faults.afterwards("delay_callbacks", message, status)
        shuffled = self.faults.afterwards("reorder_callbacks", message, status)
        delay = late.seconds if late else 0.0
        if shuffled:
            delay += self.draws.between((0.0, shuffled.seconds), status, message.reference)
        return delay

    def event_is_over(self, event: Event, is_heard: bool) -> None:
        """Called when an event was heard or given up."""
        self._journal.forget("event", event.id)
        message = self.messages.get(event.message_id)
        if message is not None and is_heard:
            message.delivered_at = time.time()
            self._changed(message)

    def _announce(
        self, kind: str, key: LineKey, contact: str, data: dict[str, Any], *, message_id: str = ""
    ) -> None:
        self._tell(self._event(kind, key, contact, data, message_id=message_id))

    def _event(
        self, kind: str, key: LineKey, contact: str, data: dict[str, Any], *, message_id: str = ""
    ) -> Event:
        self._events += 1
        event_id = f"ev_{self._age}_{self._events}"
        body = {"id": event_id, "type": kind, "at": iso(time.time()), "data": data}
        event = Event(
            event_id,
            key,
            contact,
            json.dumps(body).encode(),
            message_id=message_id,
            is_report=kind == "message.status",
        )
        self._journal.put("event", event.id, event)
        return event

    def _new_message(self, sending: Sending, direction: str, status: str) -> Message:
        self._seq += 1
        message = Message(
            seq=self._seq,
            id=f"m_{self._age}_{self._seq}",
            reference=sending.reference,
            direction=direction,
            route=sending.route,
            line=sending.line,
            contact=sending.contact,
            body=sending.body,
            media_urls=sending.media_urls,
            status=status,
            at=time.time(),
        )
        self._remember(message)
        self._changed(message)
        return message

    def _remember(self, message: Message) -> None:
        self.messages[message.id] = message
        if message.direction == "out":
            self.by_reference[message.reference].append(message)
        self._thread(message).messages.append(message)
        self.recent.pop(message.contact, None)
        self.recent[message.contact] = None

    def _changed(self, message: Message) -> None:
        self.versions[message.contact] += 1
        self._journal.put_message(message)

    def _thread(self, message: Message) -> Thread:
        return self._thread_of(message.contact, message.line_key)

    def _thread_of(self, contact: str, key: LineKey) -> Thread:
        threads = self.threads[contact]
        if key not in threads:
            threads[key] = Thread()
        return threads[key]

    # The record.

    def accepted(self, *, start_seq: int = 0) -> Iterator[Message]:
        """Every message that was accepted for sending, oldest first."""
        return (
            message
            for message in self.messages.values()
            if message.direction == "out" and message.seq > start_seq
        )


def _line_json(line: Line) -> dict[str, str]:
    return {"route": line.route, "address": line.address}


def is_about(subject: Subject, **wanted: str) -> bool:
    """Whether a message has all of the wanted values; an empty value wants nothing."""
    return all(not value or getattr(subject, name) == value for name, value in wanted.items())
