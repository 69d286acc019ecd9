"""The simulator's adapter, fed with what the simulator has been recorded to say."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from senders.gateways.contract import (
    CallbackRequest,
    DeliveryStatus,
    GatewayConfig,
    HttpReply,
    InboundMessage,
    InboundTapback,
    InboundTyping,
    Line,
    LineHealth,
    LineReport,
    MalformedCallback,
    Outbound,
    Route,
    StatusReport,
    TapbackKind,
)
from senders.gateways.errors import (
    REFUSALS,
    ContentRefused,
    CredentialsRefused,
    GatewayUnavailable,
    InvalidNumber,
    NotOnIMessage,
    OptedOutAtCarrier,
    OutcomeUnknown,
    RateLimited,
    SenderBanned,
    SenderBlocked,
)
from senders.gateways.simulator.adapter import Simulator
from senders.gateways.simulator.statuses import ERRORS
from tests.gateways.contract_cases import AdapterCases, feed

BODIES = Path(__file__).parent / "bodies"
SECRET = "whsec-3b1f"
DENVER = Line(Route.IMESSAGE, "denver@example.com")
PERSON = "+15555550102"


def body(name: str) -> bytes:
    return (BODIES / f"{name}.json").read_bytes()


def reply(status: int, name: str, **headers: str) -> HttpReply:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return HttpReply(status, named, body(name))


class TestSimulator(AdapterCases):
    adapter_class = Simulator
    config = GatewayConfig(
        "http://127.0.0.1:8001/",
        {"api_key": "key-77aa", "signing_secret": SECRET},
        "http://127.0.0.1:8000/hooks/token/",
    )
    outbound = Outbound(
        "8112007", DENVER, PERSON, "Doors open at 7.", ["https://example.com/a.png"]
    )
    foreign_number = "+14155552671"
    accepted = reply(202, "accepted")
    refusals = {
        "no iMessage": (reply(422, "refused_not_on_imessage"), NotOnIMessage),
        "bad number": (reply(422, "refused_invalid_number"), InvalidNumber),
        "opted out": (reply(422, "refused_opted_out"), OptedOutAtCarrier),
        "blocked": (reply(403, "refused_line_blocked"), SenderBlocked),
        "banned": (reply(403, "refused_line_banned"), SenderBanned),
        "limited": (reply(429, "refused_rate_limited", retry_after="7"), RateLimited),
        "outage": (reply(503, "refused_not_accepted"), GatewayUnavailable),
        "bad key": (reply(401, "refused_unauthorized"), CredentialsRefused),
        "no right": (HttpReply(403, {}, b""), CredentialsRefused),
        "bad content": (reply(400, "refused_invalid_request"), ContentRefused),
    }
    unknown_event = body("event_unknown")

    def signed(
        self, body: bytes, *, age_seconds: float = 0, secret: str | None = None
    ) -> CallbackRequest:
        timestamp = str(int(time.time() - age_seconds))
        signed = timestamp.encode() + b"." + body
        key = SECRET if secret is None else secret
        signature = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
        headers = {"x-simulator-timestamp": timestamp, "x-simulator-signature": signature}
        url = "http://127.0.0.1:8000/hooks/token/"
        return CallbackRequest("POST", url, "", headers, {}, body)

    def parsed(self, name: str) -> list:
        return self.adapter.parse(self.signed(body(name)))

    def test_the_send_says_all_that_the_carrier_needs(self) -> None:
        [call], _ = feed(self.adapter.send(self.outbound), self.accepted)

        assert (call.method, call.url) == ("POST", "http://127.0.0.1:8001/messages")
        assert call.headers["Authorization"] == "Bearer key-77aa"
        assert json.loads(call.body) == {
            "reference": "8112007",
            "line": {"route": "imessage", "address": "denver@example.com"},
            "to": PERSON,
            "body": "Doors open at 7.",
            "media_urls": ["https://example.com/a.png"],
            "callback_url": "http://127.0.0.1:8000/hooks/token/",
            "signing_secret": SECRET,
        }

    def test_a_503_without_the_documented_words_is_unknown(self) -> None:
        with pytest.raises(OutcomeUnknown):
            self.send(HttpReply(503, {}, b"upstream connect error"))

    def test_a_refusal_with_the_status_of_a_fault_is_unknown(self) -> None:
        with pytest.raises(OutcomeUnknown):
            self.send(reply(500, "refused_not_on_imessage"))

    @pytest.mark.parametrize("given", ["", "soon", "nan", "Fri, 20 Nov 2026 17:00:00 GMT"])
    def test_a_rate_limit_without_a_readable_pause_is_still_one(self, given: str) -> None:
        with pytest.raises(RateLimited) as caught:
            self.send(reply(429, "refused_rate_limited", retry_after=given))
        assert caught.value.retry_after_seconds is None

    def test_nobody_makes_us_wait_for_a_year(self) -> None:
        with pytest.raises(RateLimited) as caught:
            self.send(reply(429, "refused_rate_limited", retry_after="31536000"))
        assert caught.value.retry_after_seconds == 3600

    def test_availability_is_yes_no_or_not_known(self) -> None:
        def ask(answer: bytes) -> bool | None:
            steps = self.adapter.availability(PERSON, DENVER)
            return feed(steps, HttpReply(200, {}, answer))[1].can_imessage

        assert ask(body("availability")) is True
        assert ask(b'{"imessage": false}') is False
        assert ask(b'{"imessage": "maybe"}') is None

    def test_a_tapback_is_put_and_taken_away(self) -> None:
        for remove in (False, True):
            steps = self.adapter.tapback(DENVER, PERSON, "m/1", TapbackKind.LAUGH, remove=remove)
            [call], _ = feed(steps, HttpReply(200, {}, b"{}"))
            assert call.url.endswith("/messages/m%2F1/tapbacks")
            sent = json.loads(call.body)
            assert (sent["kind"], sent["remove"]) == ("laugh", remove)

    def test_typing_and_reading_are_told(self) -> None:
        [call], _ = feed(
            self.adapter.typing(DENVER, PERSON, is_typing=True), HttpReply(200, {}, b"{}")
        )
        assert json.loads(call.body)["typing"] is True
        [call], _ = feed(self.adapter.mark_read(DENVER, PERSON), HttpReply(200, {}, b"{}"))
        assert call.url.endswith("/read")

    def test_a_message_is_found_by_our_reference_or_by_its_id(self) -> None:
        [call], found = feed(self.adapter.fetch(reference="8112007"), reply(200, "message"))
        assert call.url.endswith("/messages?reference=8112007")
        assert (found.gateway_message_id, found.status) == (
            "m_9cf39b3d_20001",
            DeliveryStatus.DELIVERED,
        )
        assert found.is_outbound
        assert found.line == DENVER
        [call], _ = feed(self.adapter.fetch(gateway_message_id="m_1"), reply(200, "message"))
        assert call.url.endswith("/messages/m_1")

    def test_a_message_that_the_carrier_does_not_know_is_none(self) -> None:
        steps = self.adapter.fetch(reference="1")
        assert feed(steps, reply(404, "refused_unknown_message"))[1] is None

    @pytest.mark.parametrize(
        "answer", [HttpReply(404, {}, b"<html>"), reply(500, "refused_unknown_message")]
    )
    def test_a_miss_that_is_not_the_carriers_own_proves_nothing(self, answer: HttpReply) -> None:
        with pytest.raises(OutcomeUnknown):
            feed(self.adapter.fetch(reference="1"), answer)

    def test_the_history_is_newest_first(self) -> None:
        steps = self.adapter.history(DENVER, PERSON, limit=2)
        [call], messages = feed(steps, reply(200, "history"))
        assert "limit=2" in call.url
        assert [message.is_outbound for message in messages] == [False, True]
        assert messages[1].status is DeliveryStatus.READ

    def test_health_lists_the_lines(self) -> None:
        _, health = feed(self.adapter.health(), reply(200, "account"))
        assert health.is_up
        assert list(health.lines) == [
            LineHealth("denver@example.com", "ok"),
            LineHealth("+13035550100", "banned"),
        ]

    def test_a_status_report_names_message_and_moment(self) -> None:
        assert self.parsed("event_sent") == [
            StatusReport(
                DeliveryStatus.SENT,
                datetime(2026, 11, 20, 16, 55, 59, 973000, UTC),
                gateway_message_id="m_9cf39b3d_20001",
                reference="8112007",
            )
        ]

    def test_a_late_failure_has_one_of_our_codes(self) -> None:
        [report] = self.parsed("event_failed")
        assert (report.status, report.error_code) == (DeliveryStatus.FAILED, "not_capable")

    def test_a_late_failure_with_a_new_code_is_a_failed_delivery(self) -> None:
        event = json.loads(body("event_failed"))
        event["data"]["error"] = "struck_by_lightning"
        [report] = self.adapter.parse(self.signed(json.dumps(event).encode()))
        assert report.error_code == "delivery_failed"

    def test_an_inbound_message_has_line_sender_text_and_media(self) -> None:
        [message] = self.parsed("event_inbound")
        assert isinstance(message, InboundMessage)
        assert (message.line, message.sender) == (DENVER, PERSON)
        assert message.body == "See you there 🎉"
        assert message.media_urls == ("https://example.com/cat.jpg",)

    def test_tapback_typing_and_line_state_are_facts(self) -> None:
        [tapback] = self.parsed("event_tapback")
        assert isinstance(tapback, InboundTapback)
        assert (tapback.kind, tapback.is_removed) == (TapbackKind.LOVE, False)
        [typing] = self.parsed("event_typing")
        assert isinstance(typing, InboundTyping)
        assert typing.is_typing
        [line] = self.parsed("event_line_state")
        assert isinstance(line, LineReport)
        assert (line.line, line.state) == (DENVER, "banned")

    @pytest.mark.parametrize(
        "event",
        [
            "event_sent",
            "event_failed",
            "event_inbound",
            "event_tapback",
            "event_typing",
            "event_line_state",
        ],
    )
    def test_an_event_with_anything_missing_or_odd_is_malformed(self, event: str) -> None:
        whole = json.loads(body(event))
        broken = [{**whole, "at": "yesterday"}, {**whole, "at": "2026-11-20T17:00:00"}]
        for name in whole["data"]:
            if (event, name) == ("event_sent", "error"):
                continue
            rest = {key: value for key, value in whole["data"].items() if key != name}
            broken += [{**whole, "data": rest}, {**whole, "data": {**rest, name: 7}}]
        for content in broken:
            with pytest.raises(MalformedCallback) as caught:
                self.adapter.parse(self.signed(json.dumps(content).encode()))
            assert PERSON not in str(caught.value)

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b"null", b"7", b'{"type": []}', b"\xff", b"[" * 100_000]
    )
    def test_a_body_that_is_no_event_is_malformed(self, content: bytes) -> None:
        with pytest.raises(MalformedCallback):
            self.adapter.parse(self.signed(content))

    @pytest.mark.parametrize("timestamp", ["", "soon", "-1", "²", "9" * 400, "1e3"])
    def test_a_callback_with_an_odd_timestamp_is_not_taken(self, timestamp: str) -> None:
        signed = timestamp.encode() + b"." + self.unknown_event
        signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        headers = {"x-simulator-timestamp": timestamp, "x-simulator-signature": signature}
        request = CallbackRequest("POST", "http://x/", "", headers, {}, self.unknown_event)
        assert not self.adapter.verify(request)

    def test_every_word_for_an_error_is_one_of_ours(self) -> None:
        assert all(REFUSALS[error.code] is error for error in ERRORS.values())
