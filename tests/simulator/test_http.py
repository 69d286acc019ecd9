"""The simulator as a process: its HTTP, its callbacks, its record, and our adapter against it."""

from __future__ import annotations

import json
import resource
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from senders.gateways.contract import (
    CallbackRequest,
    DeliveryStatus,
    GatewayConfig,
    InboundMessage,
    InboundTapback,
    Line,
    LineReport,
    Outbound,
    Route,
    StatusReport,
    TapbackKind,
)
from senders.gateways.errors import (
    CredentialsRefused,
    GatewayUnavailable,
    NotOnIMessage,
    OptedOutAtCarrier,
    OutcomeUnknown,
    RateLimited,
    SenderBanned,
    SenderBlocked,
)
from senders.gateways.runner import Runner, run_one
from senders.gateways.simulator.adapter import Simulator
from tests.gateways.raw_carrier import RawCarrier, Request, http
from tests.simulator.conftest import CAPABLE, OTHER, Running

BLUE = Line(Route.IMESSAGE, "denver@example.com")
GREEN = Line(Route.SMS, "+13035550100")


class Customer:
    """Hears what the simulator calls back, as our web process would."""

    def __init__(self, running: Running) -> None:
        self.ears = RawCarrier()
        self.ears.answer = self._hear
        self.answers: list[int] = []
        self.callback_url = self.ears.url + "/hooks/token/"
        self._facts: list = []
        self._heard = threading.Condition()
        credentials = {"api_key": "key", "signing_secret": "hush"}
        self.adapter = Simulator(GatewayConfig(running.url, credentials, self.callback_url))

    def _hear(self, request: Request) -> bytes:
        first, *lines = request.head.strip().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        callback = CallbackRequest("POST", "", "", headers, {}, request.body)
        status = self.answers.pop(0) if self.answers else 200
        with self._heard:
            if status == 200:
                assert first == "POST /hooks/token/ HTTP/1.1"
                assert self.adapter.verify(callback)
                self._facts += self.adapter.parse(callback)
            self._heard.notify_all()
        return http(status)

    def facts(self, kind: type, count: int) -> list:
        """Wait until so many facts of a kind were heard."""

        def found() -> list:
            return [fact for fact in self._facts if isinstance(fact, kind)]

        with self._heard:
            assert self._heard.wait_for(lambda: len(found()) >= count, timeout=10), self._facts
            return found()

    def send(self, reference: str = "1", line: Line = BLUE, to: str = CAPABLE, body: str = "Hello"):
        return run_one(self.adapter.send(Outbound(reference, line, to, body)))

    def found(self, reference: str = "1"):
        return run_one(self.adapter.fetch(reference=reference))


@pytest.fixture
def customer(running: Running) -> Iterator[Customer]:
    customer = Customer(running)
    yield customer
    customer.ears.close()


def test_a_message_is_accepted_and_its_way_is_called_back(customer: Customer) -> None:
    sent = customer.send()

    reports = customer.facts(StatusReport, 2)
    assert [report.status for report in reports] == [DeliveryStatus.SENT, DeliveryStatus.DELIVERED]
    assert {(report.gateway_message_id, report.reference) for report in reports} == {
        (sent.gateway_message_id, "1")
    }


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("not_on_imessage", NotOnIMessage),
        ("opted_out", OptedOutAtCarrier),
        ("line_blocked", SenderBlocked),
        ("line_banned", SenderBanned),
        ("rate_limited", RateLimited),
        ("not_accepted", GatewayUnavailable),
        ("unauthorized", CredentialsRefused),
    ],
)
def test_a_refusal_on_request_is_its_error_here(
    running: Running, customer: Customer, fault: str, error: type[Exception]
) -> None:
    running.fault(fault, seconds=4)
    with pytest.raises(error) as caught:
        customer.send()
    assert caught.value.retry_after_seconds == (4 if fault == "rate_limited" else None)
    assert customer.found() is None


@pytest.mark.parametrize(
    ("fault", "is_recorded"),
    [
        ("error_500", False),
        ("close", False),
        ("accept_then_500", True),
        ("accept_then_close", True),
        ("accept_then_garbage", True),
        ("accept_then_half", True),
        ("accept_then_time_out", True),
    ],
)
def test_an_answer_that_says_nothing_is_unknown_and_looking_up_tells(
    running: Running,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    is_recorded: bool,
) -> None:
    monkeypatch.setattr("senders.gateways.simulator.adapter.DEADLINE_SECONDS", 0.5)
    running.fault(fault, match={"reference": "1"})
    with pytest.raises(OutcomeUnknown):
        customer.send()
    assert (customer.found() is not None) is is_recorded


def test_kept_connections_do_not_use_up_the_files_that_it_may_open(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))  # the child inherits it
    try:
        running = Running(tmp_path / "record.sqlite3")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    request.addfinalizer(running.stop)

    sessions = [requests.Session() for _ in range(300)]
    answers = [
        session.get(f"{running.url}/control/record/summary", timeout=5) for session in sessions
    ]
    for session in sessions:
        session.close()

    assert {answer.status_code for answer in answers} == {200}


def test_availability_tapback_typing_reading_and_history(
    running: Running, customer: Customer
) -> None:
    adapter = customer.adapter
    assert run_one(adapter.availability(CAPABLE, BLUE)).can_imessage is True
    assert run_one(adapter.availability(OTHER, BLUE)).can_imessage is False
    customer.send()
    act = {"from": CAPABLE, "line": {"route": "imessage", "address": BLUE.address}}
    written = running.call("POST", "/control/inbound", json={**act, "body": "Hi"}).json()
    run_one(adapter.tapback(BLUE, CAPABLE, written["id"], TapbackKind.LOVE, remove=False))
    run_one(adapter.typing(BLUE, CAPABLE, is_typing=True))
    run_one(adapter.mark_read(BLUE, CAPABLE))

    phone = running.call("GET", "/phone/person", params={"number": CAPABLE}).json()
    [thread] = phone["threads"]
    assert thread["typing"] is True
    assert thread["messages"][1]["tapbacks"] == {"line": "love"}
    assert thread["messages"][1]["read_at"]
    history = run_one(adapter.history(BLUE, CAPABLE, limit=1))
    assert [message.body for message in history] == ["Hi"]
    health = run_one(adapter.health())
    assert [line.address for line in health.lines] == [BLUE.address]


def test_what_a_person_does_is_called_back(running: Running, customer: Customer) -> None:
    sent = customer.send()
    act = {"from": CAPABLE, "line": {"route": "imessage", "address": BLUE.address}}
    running.call("POST", "/control/inbound", json={**act, "body": "STOP"})
    tapback = {"kind": "tapback", "message_id": sent.gateway_message_id, "tapback": "love"}
    running.call("POST", "/control/inbound", json={**act, **tapback})
    running.call("POST", "/control/inbound", json={**act, "kind": "read"})

    [inbound] = customer.facts(InboundMessage, 1)
    assert (inbound.line, inbound.sender, inbound.body) == (BLUE, CAPABLE, "STOP")
    [tapped] = customer.facts(InboundTapback, 1)
    assert tapped.target_gateway_message_id == sent.gateway_message_id
    assert customer.facts(StatusReport, 3)[-1].status is DeliveryStatus.READ


def test_a_line_that_never_sent_hears_who_writes_to_it(
    running: Running, customer: Customer
) -> None:
    line = {"route": "imessage", "callback_url": customer.callback_url, "signing_secret": "hush"}
    running.call("PUT", f"/lines/{BLUE.address}", json=line)
    act = {"from": CAPABLE, "line": {"route": "imessage", "address": BLUE.address}}
    assert running.call("POST", "/phone/act", json={**act, "body": "Count me in"}).ok
    assert customer.facts(InboundMessage, 1)[0].body == "Count me in"


def test_a_line_state_refuses_and_is_called_back(running: Running, customer: Customer) -> None:
    customer.send()
    running.call("POST", f"/control/lines/{BLUE.address}", json={"state": "banned"})
    with pytest.raises(SenderBanned):
        customer.send("2")
    assert customer.facts(LineReport, 1)[0].state == "banned"


def test_a_callback_that_was_not_heard_comes_again(customer: Customer) -> None:
    customer.answers = [500, 401]
    customer.send()
    statuses = {report.status for report in customer.facts(StatusReport, 2)}
    assert statuses == {DeliveryStatus.SENT, DeliveryStatus.DELIVERED}


def test_the_record_shows_who_was_texted_and_how_often(
    running: Running, customer: Customer
) -> None:
    customer.send("1", body="first")
    customer.send("2", body="second")
    customer.send("3", GREEN, OTHER)
    with pytest.raises(NotOnIMessage):
        customer.send("4", BLUE, OTHER)

    summary = running.call("GET", "/control/record/summary").json()
    assert (summary["accepted"], summary["recipients"]) == (3, 2)
    assert summary["by_route"] == {"imessage": 2, "sms": 1}
    assert summary["recipients_more_than_once"] == {CAPABLE: 2}
    assert summary["references_more_than_once"] == {}
    assert summary["refused"] == {"not_on_imessage": 1}

    def bodies(**query: object) -> list[str]:
        found = running.call("GET", "/control/record", params=query).json()
        return [message["body"] for message in found["messages"]]

    assert bodies() == ["first", "second", "Hello"]
    assert bodies(to=CAPABLE) == bodies(route="imessage") == ["first", "second"]
    assert bodies(reference="2") == bodies(contains="sec") == ["second"]
    first = running.call("GET", "/control/record", params={"limit": 1}).json()
    assert bodies(after=first["next_after"]) == ["second", "Hello"]


def test_hundreds_of_calls_at_once_are_each_recorded_once(
    running: Running, customer: Customer
) -> None:
    running.call("POST", "/control/latency", json={"answer_ms": [5, 30]})
    runner = Runner(max_in_flight=300)
    for number in range(900):
        outbound = Outbound(str(number), BLUE, f"+999{number * 2:07d}", "Hello")
        runner.start(number, customer.adapter.send(outbound))
    ends = []
    while runner.in_flight:
        ends += runner.wait(10)
    runner.close()

    assert {end.error for end in ends} == {None}
    summary = running.call("GET", "/control/record/summary").json()
    assert (summary["accepted"], summary["recipients"]) == (900, 900)
    customer.facts(StatusReport, 1800)


def test_answers_take_as_long_as_asked(running: Running, customer: Customer) -> None:
    running.call("POST", "/control/latency", json={"answer_ms": 150})
    assert running.call("GET", "/control/latency").json()["answer_ms"] == [150, 150]
    before = time.monotonic()
    customer.send()
    assert time.monotonic() - before >= 0.15


def test_what_was_accepted_survives_a_kill(tmp_path) -> None:
    running = Running(tmp_path / "record.sqlite3")
    customer = Customer(running)
    try:
        customer.send("kept")
        customer.facts(StatusReport, 2)
        deadline = time.monotonic() + 5
        while not sqlite_has(running, "kept") and time.monotonic() < deadline:
            time.sleep(0.02)
        running.stop(signal.SIGKILL)
        running.start()
        found = running.call("GET", "/messages", params={"reference": "kept"})
        assert found.json()["status"] == "delivered"
    finally:
        assert running.stop() == 0
        customer.ears.close()


def sqlite_has(running: Running, reference: str) -> bool:
    connection = sqlite3.connect(running.data)
    query = "select status from messages where reference = ?"
    rows = connection.execute(query, [reference]).fetchall()
    connection.close()
    return rows == [("delivered",)]


# Requests that are not as they should be


GOOD = {
    "reference": "1",
    "line": {"route": "imessage", "address": "denver@example.com"},
    "to": CAPABLE,
    "body": "Hello",
}


@pytest.mark.parametrize(
    "change",
    [
        {"reference": 7},
        {"reference": "x" * 501},
        {"line": None},
        {"line": {"route": "fax", "address": "a"}},
        {"line": {"route": "sms", "address": ""}},
        {"line": {"route": "sms", "address": "a\r\nb"}},
        {"line": {"route": ["sms"], "address": "a"}},
        {"to": "+14155552671"},
        {"to": None},
        {"body": ""},
        {"body": 7},
        {"body": "x" * 20_001},
        {"body": "half of a pair: \ud800"},
        {"reference": "\udc00"},
        {"media_urls": "https://example.com/a.png"},
        {"media_urls": ["javascript:alert(1)"]},
        {"media_urls": [7]},
        {"callback_url": "ftp://example.com/"},
        {"callback_url": "http://example.com/ HTTP/1.1\r\nX: y"},
        {"callback_url": "http://[broken/"},
        {"callback_url": "http://example.com:99999/"},
    ],
)
def test_a_message_with_an_odd_field_is_refused_with_a_sentence(
    running: Running, change: dict
) -> None:
    answer = running.call("POST", "/messages", json={**GOOD, **change})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"].endswith(".")
    assert running.call("GET", "/control/record").json()["messages"] == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b'{"a": "\xed\xa0\x80"}', b"[" * 100_000]
)
def test_a_body_that_is_no_object_is_refused(running: Running, body: bytes) -> None:
    for path in ("/messages", "/control/faults", "/phone/act", "/control/people", "/typing"):
        answer = running.call("POST", path, data=body)
        assert answer.status_code == 400, path


def test_a_body_of_five_megabytes_is_refused(running: Running) -> None:
    answer = running.call("POST", "/messages", data=b"x" * 5_000_000)
    assert answer.status_code == 400
    assert running.call("GET", "/healthz").ok


def test_customers_need_a_key(running: Running) -> None:
    paths = ["/messages", "/history", "/availability", "/account", "/messages/m_1"]
    for path in paths:
        assert requests.get(running.url + path, timeout=5).status_code == 401
        answer = running.call("GET", path, headers={"Authorization": "Basic key"})
        assert answer.status_code == 401


def test_a_page_of_another_site_may_not_call(running: Running) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert running.call("POST", "/control/reset", headers=foreign).status_code == 403
    own = {"Origin": running.url}
    assert running.call("POST", "/control/reset", headers=own).status_code == 200


def test_unknown_pages_are_not_found(running: Running) -> None:
    for method, path in (("GET", "/nowhere"), ("DELETE", "/messages"), ("PUT", "/lines/")):
        assert running.call(method, path).status_code == 404


def raw(running: Running, *pieces: bytes) -> bytes:
    """What comes back until the simulator closes the connection."""
    host, _, port = running.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_requests_may_come_in_pieces_and_one_right_after_another(running: Running) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    last = one.replace(b"Host: a", b"Host: a\r\nConnection: close")
    answers = raw(running, one[:9], one[9:] + one + last)
    assert answers.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    "head",
    [
        b"POST /messages HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /messages HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /messages HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"POST /messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"x" * 40_000,
    ],
)
def test_a_head_that_cannot_be_is_answered_400_and_closed(running: Running, head: bytes) -> None:
    assert raw(running, head).startswith(b"HTTP/1.1 400 ")


# The phone's page


def test_the_page_is_served_with_a_strict_policy(running: Running) -> None:
    for path in ("/", "/phone.css", "/phone.js", "/favicon.svg"):
        answer = running.call("GET", path)
        assert answer.status_code == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    page = running.call("GET", "/?person=%2B13035550102").text
    assert "style=" not in page
    assert "<script>" not in page


def test_people_are_listed_by_their_last_message_and_found_by_name_or_number(
    running: Running, customer: Customer
) -> None:
    people = [
        {"number": CAPABLE, "name": "Ada Lovelace"},
        {"number": OTHER, "name": "Grace Hopper"},
    ]
    running.call("POST", "/control/people", json={"people": people})
    customer.send("1", GREEN, "+9990001")
    customer.send("2", GREEN, OTHER)

    def listed(words: str = "") -> list[str]:
        found = running.call("GET", "/phone/people", params={"q": words}).json()
        return [person["number"] for person in found["people"]]

    assert listed() == [OTHER, "+9990001", CAPABLE]
    assert listed("lovel") == [CAPABLE]
    assert listed("555-0103") == listed("555 0103") == [OTHER]
    assert listed("nobody") == []
    assert listed("+19995550142") == ["+19995550142"]


def test_the_page_is_told_only_what_is_new(running: Running, customer: Customer) -> None:
    def look(version: str = "") -> dict:
        query = {"number": CAPABLE, "version": version}
        return running.call("GET", "/phone/person", params=query).json()

    running.call("POST", "/control/latency", json={"sent_ms": 60_000})
    customer.send()
    first = look()
    assert first["threads"][0]["unread"] == 1
    assert look(first["version"]) == {"version": first["version"]}

    customer.send("2")
    assert len(look(first["version"])["threads"][0]["messages"]) == 2


def test_many_readers_and_writers_at_once_get_whole_answers(running: Running) -> None:
    def write(number: int) -> int:
        body = json.dumps({**GOOD, "reference": str(number)})
        headers = {"Content-Type": "application/json"}
        return running.call("POST", "/messages", data=body, headers=headers).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(write, range(64))) == {202}
    assert running.call("GET", "/control/record/summary").json()["accepted"] == 64
