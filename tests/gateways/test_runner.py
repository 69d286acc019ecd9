"""What both runners promise: a complete answer or a failure that says whether it may have left."""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
import ssl
import threading
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from senders.gateways.contract import CallFailed, HttpCall, HttpReply
from senders.gateways.errors import (
    GatewayError,
    GatewayUnavailable,
    NotSupported,
    OutcomeUnknown,
    RateLimited,
)
from senders.gateways.runner import Finished, Runner, run_one
from tests.gateways.raw_carrier import RawCarrier, http

Drive = Callable[[Generator[HttpCall, HttpReply, Any]], Any]


def over_pycurl(steps: Generator[HttpCall, HttpReply, Any]) -> Any:
    runner = Runner()
    runner.start("only", steps)
    finished: list[Finished] = []
    while runner.in_flight or not finished:
        finished += runner.wait(5)
    runner.close()
    [end] = finished
    if end.error:
        raise end.error
    return end.result


@pytest.fixture(params=[run_one, over_pycurl], ids=["requests", "pycurl"])
def drive(request) -> Drive:
    return request.param


def post(url: str, **options: Any) -> Generator[HttpCall, HttpReply, HttpReply]:
    options = {"body": b'{"text": "hello"}', "deadline_seconds": 5, **options}
    return (yield HttpCall("POST", url, **options))


def test_the_adapter_gets_status_headers_and_body(drive: Drive, carrier: RawCarrier) -> None:
    carrier.answer = lambda request: http(418, b"short and stout", "Retry-After: 7")

    reply = drive(post(carrier.url + "/tea", headers={"X-Key": "secret"}))

    assert (reply.status, reply.headers["retry-after"], reply.body) == (
        418,
        "7",
        b"short and stout",
    )
    [request] = carrier.requests
    assert request.head.startswith("POST /tea HTTP/1.1\r\n")
    assert "X-Key: secret" in request.head
    assert request.body == b'{"text": "hello"}'


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "POST"])
def test_every_method_arrives_as_it_was_asked_for(
    drive: Drive, carrier: RawCarrier, method: str
) -> None:
    def steps() -> Generator[HttpCall, HttpReply, None]:
        yield HttpCall(method, carrier.url + "/with", body=b"x")
        yield HttpCall(method, carrier.url + "/without")

    drive(steps())

    assert [(request.head.split(" ")[0], request.body) for request in carrier.requests] == [
        (method, b"x"),
        (method, b""),
    ]
    assert "content-type" not in carrier.requests[0].head.lower()


def test_one_send_may_make_several_calls(drive: Drive, carrier: RawCarrier) -> None:
    carrier.answer = lambda request: http(200, str(len(carrier.requests)).encode())

    def steps() -> Generator[HttpCall, HttpReply, list[bytes]]:
        first = yield HttpCall("GET", carrier.url + "/a")
        second = yield HttpCall("POST", carrier.url + "/b", body=first.body)
        return [first.body, second.body]

    assert drive(steps()) == [b"1", b"2"]
    assert carrier.requests[1].body == b"1"


def test_a_redirect_is_an_answer_and_not_followed(drive: Drive, carrier: RawCarrier) -> None:
    carrier.answer = lambda request: http(307, b"", f"Location: {carrier.url}/other")

    assert drive(post(carrier.url)).status == 307
    assert len(carrier.requests) == 1


def test_proxies_of_the_environment_are_not_used(
    drive: Drive, carrier: RawCarrier, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", "")

    assert drive(post(carrier.url)).status == 200


def test_a_refused_connection_proves_that_nothing_left(drive: Drive, closed_port: int) -> None:
    with pytest.raises(GatewayUnavailable):
        drive(post(f"http://127.0.0.1:{closed_port}/"))


def test_an_unknown_host_proves_that_nothing_left(drive: Drive) -> None:
    with pytest.raises(GatewayUnavailable):
        drive(post("http://carrier.invalid/"))


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "http://[broken/"])
def test_a_base_url_that_is_none_proves_that_nothing_left(drive: Drive, url: str) -> None:
    with pytest.raises(GatewayUnavailable):
        drive(post(url))


def test_a_certificate_that_is_not_trusted_proves_that_nothing_left(drive: Drive, tmp_path) -> None:
    carrier = RawCarrier(tls=self_signed(tmp_path))
    try:
        with pytest.raises(GatewayUnavailable):
            drive(post(carrier.url))
        assert carrier.requests == []
    finally:
        carrier.close()


def test_a_connection_closed_without_an_answer_is_unknown(
    drive: Drive, carrier: RawCarrier
) -> None:
    carrier.answer = lambda request: None

    with pytest.raises(OutcomeUnknown):
        drive(post(carrier.url))
    assert len(carrier.requests) == 1


def test_no_answer_in_time_is_unknown(drive: Drive, carrier: RawCarrier) -> None:
    released = threading.Event()
    carrier.answer = lambda request: released.wait(10) and None

    with pytest.raises(OutcomeUnknown):
        drive(post(carrier.url, deadline_seconds=0.2))
    released.set()


def test_half_an_answer_is_unknown(drive: Drive, carrier: RawCarrier) -> None:
    carrier.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{"
    )

    with pytest.raises(OutcomeUnknown):
        drive(post(carrier.url))


def test_what_is_not_http_is_unknown(drive: Drive, carrier: RawCarrier) -> None:
    carrier.answer = lambda request: b"220 mail.example ESMTP\r\nConnection: close\r\n\r\n"

    with pytest.raises(OutcomeUnknown):
        drive(post(carrier.url))


def test_an_endless_answer_is_cut_off(
    drive: Drive, carrier: RawCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("senders.gateways.runner.MAX_REPLY_BYTES", 1000)
    carrier.answer = lambda request: http(200, b"x" * 300_000, "Connection: close")

    with pytest.raises(OutcomeUnknown):
        drive(post(carrier.url))


@pytest.mark.parametrize("body", [b'{"text": "hello"}', b"", b"x" * 2_000_000])
def test_a_request_is_not_repeated_when_a_kept_connection_dies(
    carrier: RawCarrier, body: bytes
) -> None:
    carrier.answer = lambda request: http() if request.number == 0 else None
    runner = Runner(max_in_flight=1)
    runner.start("first", post(carrier.url))
    assert [end.error for end in runner.wait(5)] == [None]

    runner.start("second", post(carrier.url, body=body))
    [end] = runner.wait(5)

    assert isinstance(end.error, OutcomeUnknown)
    assert [(request.connection, request.number) for request in carrier.requests] == [
        (1, 0),
        (1, 1),
    ]
    runner.close()


def test_a_single_request_is_not_repeated_when_a_kept_connection_dies(carrier: RawCarrier) -> None:
    carrier.answer = lambda request: http() if request.number == 0 else None

    with requests.Session() as session:
        run_one(post(carrier.url), session=session)
        with pytest.raises(OutcomeUnknown):
            run_one(post(carrier.url), session=session)

    assert [request.connection for request in carrier.requests] == [1, 1]


def test_the_runner_works_on_after_a_kept_connection_died(carrier: RawCarrier) -> None:
    carrier.answer = lambda request: http() if request.number == 0 else None
    runner = Runner(max_in_flight=1)
    ends = []
    for number in range(4):
        runner.start(number, post(carrier.url))
        ends += runner.wait(5)

    assert [type(end.error) for end in ends] == [
        type(None),
        OutcomeUnknown,
        type(None),
        OutcomeUnknown,
    ]
    runner.close()


def test_an_adapter_may_handle_a_failed_call(drive: Drive, closed_port: int) -> None:
    def steps() -> Generator[HttpCall, HttpReply, str]:
        try:
            yield HttpCall("GET", f"http://127.0.0.1:{closed_port}/")
        except CallFailed as failure:
            return f"may have left: {failure.may_have_left}"
        return "answered"

    assert drive(steps()) == "may have left: False"


def test_a_refusal_comes_back_as_it_was_raised(drive: Drive, carrier: RawCarrier) -> None:
    def steps() -> Generator[HttpCall, HttpReply, None]:
        yield HttpCall("GET", carrier.url)
        raise RateLimited("429", retry_after_seconds=3)

    with pytest.raises(RateLimited) as caught:
        drive(steps())
    assert caught.value.retry_after_seconds == 3


def broken_before() -> Generator[HttpCall, HttpReply, None]:
    raise KeyError("+15555550100")
    yield


def test_a_faulty_adapter_that_called_nobody_has_sent_nothing(
    drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(NotSupported) as caught, caplog.at_level(logging.ERROR):
        drive(broken_before())

    assert "5555550100" not in caught.value.detail
    assert caplog.records
    assert "5555550100" not in caplog.text


def test_a_faulty_adapter_that_called_somebody_may_have_sent(
    drive: Drive, carrier: RawCarrier
) -> None:
    def steps() -> Generator[HttpCall, HttpReply, None]:
        yield HttpCall("GET", carrier.url)
        raise KeyError("id")

    with pytest.raises(OutcomeUnknown):
        drive(steps())


def test_a_faulty_adapter_that_reached_nobody_has_sent_nothing(
    drive: Drive, closed_port: int
) -> None:
    def steps() -> Generator[HttpCall, HttpReply, None]:
        try:
            yield HttpCall("GET", f"http://127.0.0.1:{closed_port}/")
        except CallFailed:
            raise KeyError("id") from None

    with pytest.raises(NotSupported):
        drive(steps())


@pytest.mark.parametrize("value", ["a\r\nX-Admin: yes", "a\nb", "a\x00b", "key-with-…"])
def test_a_header_with_a_line_break_or_odd_letter_is_never_sent(
    drive: Drive, carrier: RawCarrier, value: str
) -> None:
    with pytest.raises(NotSupported):
        drive(post(carrier.url, headers={"X-Name": value}))
    assert carrier.requests == []


def test_never_more_calls_at_once_than_allowed_and_all_of_them_end(carrier: RawCarrier) -> None:
    runner = Runner(max_in_flight=4)
    for number in range(40):
        runner.start(number, post(carrier.url))
    assert (runner.in_flight, runner.room) == (4, -36)

    ends: list[Finished] = []
    while runner.in_flight:
        ends += runner.wait(5)

    assert sorted(end.key for end in ends) == list(range(40))
    assert {end.error for end in ends} == {None}
    assert carrier.most_at_once <= 4
    assert runner.room == 4
    runner.close()


def test_connections_are_kept_between_uses(carrier: RawCarrier) -> None:
    runner = Runner(max_in_flight=1)
    for number in range(20):
        runner.start(number, post(carrier.url))
        assert runner.wait(5)[0].error is None

    assert carrier.connections == 1
    runner.close()


def test_a_slow_call_does_not_hold_up_the_others(carrier: RawCarrier) -> None:
    released = threading.Event()
    carrier.answer = lambda request: (
        released.wait(10) and http() if "/slow" in request.head else http()
    )
    runner = Runner()
    runner.start("slow", post(carrier.url + "/slow", deadline_seconds=20))
    for number in range(5):
        runner.start(number, post(carrier.url + "/quick"))

    quick: list[Finished] = []
    while len(quick) < 5:
        quick += runner.wait(5)
    assert {end.key for end in quick} == set(range(5))

    released.set()
    assert [end.key for end in runner.wait(5)] == ["slow"]
    runner.close()


def test_waiting_for_nothing_returns_at_once() -> None:
    assert Runner().wait(60) == []


def test_waiting_ends_with_the_time_given(carrier: RawCarrier) -> None:
    released = threading.Event()
    carrier.answer = lambda request: released.wait(10) and http()
    runner = Runner()
    runner.start("slow", post(carrier.url))

    assert runner.wait(0.05) == []
    assert runner.in_flight == 1

    released.set()
    assert [end.key for end in runner.wait(5)] == ["slow"]
    runner.close()


def test_a_forked_child_starts_afresh_and_leaves_the_parents_connections_alone(
    carrier: RawCarrier,
) -> None:
    runner = Runner(max_in_flight=2)
    runner.start("parent", post(carrier.url))
    runner.wait(5)
    runner.start("waiting", post(carrier.url + "/again"))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the carrier's threads
        child = os.fork()
    if child == 0:
        runner.start("child", post(carrier.url + "/child"))
        ends = runner.wait(5)
        os._exit(0 if [(end.key, end.error) for end in ends] == [("child", None)] else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [(end.key, end.error) for end in runner.wait(5)] == [("waiting", None)]
    assert carrier.connections == 2
    runner.close()


def self_signed(folder) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_errors_name_neither_url_nor_body(drive: Drive, closed_port: int) -> None:
    with pytest.raises(GatewayError) as caught:
        drive(post(f"http://127.0.0.1:{closed_port}/key-1234"))
    assert "key-1234" not in caught.value.detail
