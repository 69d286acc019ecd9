"""The phone: a page on which a person reads, answers, taps back and stops.

The page asks for what it shows once a second; it is told "nothing new" unless its version is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from simulator import reading
from simulator.carrier import Carrier, Thread
from simulator.model import TAPBACKS, LineKey, Message, iso
from simulator.numbers import is_unreal
from simulator.web import Answer, BadRequest, Request, json_answer

_FOLDER = Path(__file__).parent / "page"
_FILES = {
    "/": ("phone.html", "text/html; charset=utf-8"),
    "/phone.css": ("phone.css", "text/css; charset=utf-8"),
    "/phone.js": ("phone.js", "text/javascript; charset=utf-8"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
}
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data: http: https:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

MOST_LISTED = 60
MOST_MESSAGES = 200

_ACTS = ("message", "tapback", "typing", "read")


class Phone:
    """Handlers of the page, and of what a person does on it."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def routes(self) -> dict[tuple[str, str], Callable[[Request], Answer]]:
        pages = {("GET", path): _file(*named) for path, named in _FILES.items()}
        return {
            **pages,
            ("GET", "/phone/people"): self._people,
            ("GET", "/phone/person"): self._person,
            ("POST", "/phone/act"): self.act,
        }

    def act(self, request: Request) -> Answer:
        """Do what a person does: write, tap back, type or read."""
        content = request.json()
        kind = reading.choice({"kind": "message", **content}, "kind", _ACTS)
        acts = {
            "message": self._write,
            "tapback": self._tap,
            "typing": self._type,
            "read": self._read,
        }
        return json_answer(acts[kind](content))

    def _write(self, content: dict[str, Any]) -> dict[str, Any]:
        message = self._carrier.person_writes(reading.sending(content, "from", ""))
        return message.public()

    def _tap(self, content: dict[str, Any]) -> dict[str, Any]:
        message = self._carrier.messages.get(reading.text(content, "message_id"))
        if message is None or message.contact != reading.number(content, "from"):
            raise BadRequest("Give message_id of a message of this person.")
        if message.route != "imessage":
            raise BadRequest("A tapback needs an iMessage: SMS has none.")
        tapback = reading.choice(content, "tapback", TAPBACKS)
        self._carrier.person_taps(message, tapback, is_removed=reading.truth(content, "remove"))
        return message.public()

    def _type(self, content: dict[str, Any]) -> dict[str, Any]:
        key, number = reading.line(content), reading.number(content, "from")
        if key[0] == "imessage":
            is_typing = reading.truth(content, "typing", default=True)
            self._carrier.person_types(key, number, is_typing=is_typing)
        return {"status": "ok"}

    def _read(self, content: dict[str, Any]) -> dict[str, Any]:
        self._carrier.person_reads(reading.line(content), reading.number(content, "from"))
        return {"status": "ok"}

    # What the page shows.

    def _people(self, request: Request) -> Answer:
        """People by the moment of their last message, then everybody who has a name."""
        words = request.query.get("q", "").strip().lower()
        found = list(islice(self._found(words), MOST_LISTED + 1))
        listed = [self._summary(number) for number in found[:MOST_LISTED]]
        if is_unreal(words) and words not in found:
            listed.insert(0, self._summary(words))
        return json_answer({"people": listed, "more": len(found) > MOST_LISTED})

    def _found(self, words: str) -> Iterator[str]:
        digits = "".join(letter for letter in words if letter.isdigit())
        recent = self._carrier.recent
        others = (number for number in self._carrier.people if number not in recent)
        for number in chain(reversed(recent), others):
            if not words or words in self._name(number).lower() or (digits and digits in number):
                yield number

    def _name(self, number: str) -> str:
        person = self._carrier.people.get(number)
        return person.name if person else ""

    def _summary(self, number: str) -> dict[str, Any]:
        threads = self._carrier.threads.get(number, {}).values()
        lasts = [thread.messages[-1] for thread in threads if thread.messages]
        last = max(lasts, key=lambda message: message.seq, default=None)
        return {
            "number": number,
            "name": self._name(number),
            "imessage": self._carrier.has_imessage(number),
            "unread": sum(thread.unread for thread in threads),
            "last": _preview(last) if last else None,
        }

    def _person(self, request: Request) -> Answer:
        number = reading.number(request.query, "number")
        threads = self._carrier.threads.get(number, {})
        now = time.time()
        is_typing = any(thread.typing_until > now for thread in threads.values())
        version = f"{self._carrier.versions[number]}.{is_typing:d}.{len(self._carrier.lines)}"
        if request.query.get("version") == version:
            return json_answer({"version": version})
        person = self._carrier.people.get(number)
        return json_answer(
            {
                "version": version,
                **self._summary(number),
                "read_receipts": person.read_receipts if person else True,
                "threads": [self._thread(key, threads.get(key)) for key in self._keys(threads)],
            }
        )

    def _keys(self, threads: dict[LineKey, Thread]) -> list[LineKey]:
        """Conversations with the newest first, then the lines that could be written to."""
        used = [key for key, thread in threads.items() if thread.messages]
        used.sort(key=lambda key: -threads[key].messages[-1].seq)
        return used + [key for key in self._carrier.lines if key not in used]

    def _thread(self, key: LineKey, thread: Thread | None) -> dict[str, Any]:
        line = self._carrier.lines.get(key)
        thread = thread or Thread()
        return {
            "route": key[0],
            "address": key[1],
            "label": line.label if line else "",
            "is_heard": line is not None and line.callback_url != "",
            "unread": thread.unread,
            "typing": thread.typing_until > time.time(),
            "messages": [message.public() for message in thread.messages[-MOST_MESSAGES:]],
        }


def _preview(message: Message) -> dict[str, Any]:
    return {
        "body": message.body[:120] or "Attachment",
        "route": message.route,
        "direction": message.direction,
        "at": iso(message.at),
    }


def _file(name: str, content_type: str) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        return Answer(200, (_FOLDER / name).read_bytes(), content_type, _PAGE_HEADERS)

    return answer
