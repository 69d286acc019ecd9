"""The carrier's HTTP: what its customers call, and what tests and the phone page call.

``/control`` and ``/phone`` have no key: the simulator listens on this machine, and a page of
another site can't call it, because what a browser sends from elsewhere is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from simulator import phone, reading
from simulator.carrier import Carrier, Latency, Refusal, is_about
from simulator.faults import REFUSALS, FaultyRule
from simulator.model import LINE_STATES, ROUTES, TAPBACKS, LineKey, Message
from simulator.web import Answer, BadRequest, Cut, Request, error, json_answer

#: How the faults that come after acceptance spoil the answer.
_SPOILED = {
    "accept_then_time_out": Cut.NEVER,
    "accept_then_close": Cut.CLOSE,
    "accept_then_half": Cut.HALF,
}
_GARBAGE = Answer(200, b"<html><body>It works!</body></html>", "text/html")

Rest = Callable[[Request, str], Answer]


class Api:
    """Finds the handler of a request."""

    def __init__(self, carrier: Carrier, *, api_key: str = "") -> None:
        self._carrier = carrier
        self._api_key = api_key
        self._phone = phone.Phone(carrier)
        self._exact: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("POST", "/messages"): self._send,
            ("GET", "/messages"): self._find,
            ("GET", "/history"): self._history,
            ("GET", "/availability"): self._availability,
            ("POST", "/typing"): self._typing,
            ("POST", "/read"): self._read,
            ("GET", "/account"): self._account,
            ("GET", "/control/lines"): self._lines,
            ("POST", "/control/people"): self._people,
            ("GET", "/control/faults"): self._faults,
            ("POST", "/control/faults"): self._add_faults,
            ("DELETE", "/control/faults"): self._clear_faults,
            ("GET", "/control/latency"): self._latency,
            ("POST", "/control/latency"): self._set_latency,
            ("GET", "/control/record"): self._record,
            ("GET", "/control/record/summary"): self._summary,
            ("POST", "/control/reset"): self._reset,
            ("POST", "/control/inbound"): self._inbound,
            ("GET", "/healthz"): lambda request: json_answer({"status": "ok"}),
            **self._phone.routes(),
        }
        self._prefixed: list[tuple[str, str, Rest]] = [
            ("GET", "/messages/", self._fetch),
            ("POST", "/messages/", self._tapback),
            ("PUT", "/lines/", self._put_line),
            ("PUT", "/people/", self._put_person),
            ("POST", "/control/lines/", self._set_line_state),
        ]

    def __call__(self, request: Request) -> Answer:
        if not _is_from_here(request):
            return error(403, "other_site", "Another site's page may not call the simulator.")
        try:
            return self._handle(request)
        except Refusal as refusal:
            return _refused(refusal)

    def _handle(self, request: Request) -> Answer:
        handler = self._exact.get((request.method, request.path))
        if handler is not None:
            return handler(request)
        for method, prefix, rest_handler in self._prefixed:
            rest = request.path.removeprefix(prefix)
            if method == request.method and rest != request.path and rest:
                return rest_handler(request, rest)
        return error(404, "unknown_page", "The simulator has no such page.")

    # What customers call.

    def _check_key(self, request: Request) -> None:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key or (self._api_key and key != self._api_key):
            raise Refusal("unauthorized")

    def _send(self, request: Request) -> Answer:
        self._check_key(request)
        content = request.json()
        sending = reading.sending(content, "to", reading.text(content, "reference"))
        callback_url = reading.web_address(content, "callback_url")
        rule = self._carrier.check(sending)
        if rule is not None and rule.fault == "error_500":
            return error(500, "internal", "The carrier has a fault.")
        if rule is not None and rule.fault == "close":
            return Answer(200, b"", cut=Cut.CLOSE)
        if callback_url:
            secret = reading.text(content, "signing_secret")
            self._carrier.set_line(
                (sending.route, sending.line), callback_url=callback_url, signing_secret=secret
            )
        message = self._carrier.accept(sending)
        answer = json_answer({"id": message.id, "status": message.status}, 202)
        latency = self._carrier.latency.answer
        if latency[1]:
            draws = self._carrier.draws
            answer.delay_seconds = draws.between(latency, "answer", sending.reference)
        return answer if rule is None else _spoiled(rule.fault, answer)

    def _message(self, message_id: str) -> Message | None:
        return self._carrier.messages.get(message_id)

    def _find(self, request: Request) -> Answer:
        self._check_key(request)
        return _found(self._carrier.find(request.query.get("reference", "")))

    def _fetch(self, request: Request, message_id: str) -> Answer:
        self._check_key(request)
        return _found(self._message(message_id))

    def _history(self, request: Request) -> Answer:
        self._check_key(request)
        query = request.query
        threads = self._carrier.threads.get(query.get("contact", ""), {})
        thread = threads.get((query.get("route", ""), query.get("line", "")))
        newest = thread.messages[::-1] if thread else []
        limit = _whole_number(query, "limit", 50)
        return json_answer({"messages": [message.public() for message in newest[:limit]]})

    def _availability(self, request: Request) -> Answer:
        self._check_key(request)
        number = reading.number(request.query, "to")
        return json_answer({"to": number, "imessage": self._carrier.has_imessage(number)})

    def _tapback(self, request: Request, rest: str) -> Answer:
        self._check_key(request)
        message_id, _, what = rest.rpartition("/")
        message = self._message(message_id)
        if what != "tapbacks" or message is None:
            return _found(None)
        content = request.json()
        if message.route != "imessage" or message.line_key != reading.line(content):
            raise BadRequest("A tapback goes on a message of the line's own iMessages.")
        self._carrier.set_tapback(
            message,
            "line",
            reading.choice(content, "kind", TAPBACKS),
            is_removed=reading.truth(content, "remove"),
        )
        return json_answer({"status": "ok"})

    def _typing(self, request: Request) -> Answer:
        self._check_key(request)
        content = request.json()
        self._carrier.show_typing(
            reading.line(content),
            reading.number(content, "to"),
            is_typing=reading.truth(content, "typing"),
        )
        return json_answer({"status": "ok"})

    def _read(self, request: Request) -> Answer:
        self._check_key(request)
        content = request.json()
        self._carrier.line_has_read(reading.line(content), reading.number(content, "to"))
        return json_answer({"status": "ok"})

    def _account(self, request: Request) -> Answer:
        self._check_key(request)
        return self._lines(request)

    # What set-up and tests call.

    def _lines(self, request: Request) -> Answer:
        return json_answer({"lines": [line.public() for line in self._carrier.lines.values()]})

    def _put_line(self, request: Request, address: str) -> Answer:
        content = request.json()
        key = (reading.choice(content, "route", ROUTES), reading.address(address))
        changes = {name: reading.text(content, name) for name in ("label", "signing_secret")}
        changes["callback_url"] = reading.web_address(content, "callback_url")
        given = {name: value for name, value in changes.items() if name in content}
        return json_answer(self._carrier.set_line(key, **given).public())

    def _set_line_state(self, request: Request, address: str) -> Answer:
        content = request.json()
        state = reading.choice(content, "state", LINE_STATES)
        routes = (reading.choice(content, "route", ROUTES),) if "route" in content else ROUTES
        keys: list[LineKey] = [(route, reading.address(address)) for route in routes]
        known = [key for key in keys if key in self._carrier.lines]
        for key in known or keys:
            self._carrier.set_line_state(key, state)
        return json_answer({"state": state, "lines": len(known or keys)})

    def _put_person(self, request: Request, number: str) -> Answer:
        return json_answer({"people": self._set_people([{**request.json(), "number": number}])})

    def _people(self, request: Request) -> Answer:
        people = request.json().get("people")
        if not isinstance(people, list) or not all(isinstance(item, dict) for item in people):
            raise BadRequest("Give people as a list of objects with number and name.")
        return json_answer({"people": self._set_people(people)})

    def _set_people(self, people: list[dict[str, Any]]) -> int:
        changes = [(reading.number(item, "number"), _person_changes(item)) for item in people]
        for number, changed in changes:
            self._carrier.set_person(number, **changed)
        return len(changes)

    def _faults(self, request: Request) -> Answer:
        return json_answer({"rules": [rule.public() for rule in self._carrier.faults.rules]})

    def _add_faults(self, request: Request) -> Answer:
        rules = request.json().get("rules")
        if not isinstance(rules, list):
            raise BadRequest("Give rules as a list.")
        try:
            self._carrier.faults.add(rules)
        except FaultyRule as fault:
            raise BadRequest(str(fault)) from None
        return self._faults(request)

    def _clear_faults(self, request: Request) -> Answer:
        self._carrier.faults.clear()
        return self._faults(request)

    def _latency(self, request: Request) -> Answer:
        delays = vars(self._carrier.latency).items()
        return json_answer(
            {f"{name}_ms": [round(bound * 1000) for bound in pair] for name, pair in delays}
        )

    def _set_latency(self, request: Request) -> Answer:
        content = request.json()
        delays = {
            name: reading.seconds(content, f"{name}_ms") if f"{name}_ms" in content else pair
            for name, pair in vars(self._carrier.latency).items()
        }
        self._carrier.set_latency(Latency(**delays))
        return self._latency(request)

    def _recorded(self, request: Request) -> list[Message]:
        query = request.query
        wanted = {
            "reference": query.get("reference", ""),
            "contact": query.get("to", ""),
            "route": query.get("route", ""),
            "line": query.get("line", ""),
        }
        words = query.get("contains", "")
        start_seq = _whole_number(query, "after", 0)
        return [
            message
            for message in self._carrier.accepted(start_seq=start_seq)
            if is_about(message, **wanted) and words in message.body
        ]

    def _record(self, request: Request) -> Answer:
        limit = _whole_number(request.query, "limit", 1000)
        found = self._recorded(request)
        page = found[:limit]
        messages = [{"seq": message.seq, **message.public()} for message in page]
        following = page[-1].seq if len(found) > limit and page else None
        return json_answer({"messages": messages, "next_after": following})

    def _summary(self, request: Request) -> Answer:
        found = self._recorded(request)
        recipients = Counter(message.contact for message in found)
        references = Counter(message.reference for message in found)
        return json_answer(
            {
                "accepted": len(found),
                "recipients": len(recipients),
                "by_route": Counter(message.route for message in found),
                "by_status": Counter(message.status for message in found),
                "recipients_more_than_once": _more_than_once(recipients),
                "references_more_than_once": _more_than_once(references),
                "refused": self._carrier.refused,
                "last_seq": found[-1].seq if found else 0,
            }
        )

    def _reset(self, request: Request) -> Answer:
        content = request.json() if request.content else {}
        self._carrier.reset(everything=reading.truth(content, "everything"))
        return json_answer({"status": "ok"})

    def _inbound(self, request: Request) -> Answer:
        return self._phone.act(request)


def _is_from_here(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def _refused(refusal: Refusal) -> Answer:
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry_After"] = f"{refusal.retry_after:g}"
    return error(REFUSALS[refusal.code], refusal.code, str(refusal), **headers)


def _spoiled(fault: str, answer: Answer) -> Answer:
    if fault == "accept_then_500":
        return error(500, "internal", "The carrier has a fault.")
    if fault == "accept_then_garbage":
        return _GARBAGE
    answer.cut = _SPOILED[fault]
    return answer


def _found(message: Message | None) -> Answer:
    if message is None:
        return error(404, "unknown_message", "The carrier knows no such message.")
    return json_answer(message.public())


def _person_changes(item: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "name" in item:
        changes["name"] = reading.text(item, "name")
    if "read_receipts" in item:
        changes["read_receipts"] = reading.truth(item, "read_receipts")
    if "imessage" in item:
        is_by_rule = item["imessage"] is None
        changes["imessage"] = None if is_by_rule else reading.truth(item, "imessage")
    return changes


def _whole_number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadRequest(f"Give {name} as a whole number.")
    return int(text)


def _more_than_once(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count > 1}
