"""The cases that every adapter passes. Its test class inherits them and says what its carrier says.

Nothing is mocked: an adapter asks for calls and is fed replies.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from typing import Any, ClassVar

import pytest

from senders.gateways.contract import (
    Adapter,
    CallbackRequest,
    CallFailed,
    GatewayConfig,
    HttpCall,
    HttpReply,
    Line,
    LookUp,
    Outbound,
    Route,
    SendResult,
    TapbackKind,
)
from senders.gateways.errors import (
    GatewayError,
    GatewayUnavailable,
    InvalidNumber,
    NotSupported,
    OutcomeUnknown,
    RateLimited,
    Refused,
)
from senders.gateways.registry import ADAPTERS
from senders.gateways.runner import Job

Fed = HttpReply | CallFailed


def feed(steps: Generator[HttpCall, HttpReply, Any], *replies: Fed) -> tuple[list[HttpCall], Any]:
    """Drive a generator as the runners do, with these replies: its calls and its result."""
    job = Job(None, steps)
    calls: list[HttpCall] = []
    step = job.advance(None)
    for reply in replies:
        assert isinstance(step, HttpCall), f"ended early: {step}"
        calls.append(step)
        job.has_left |= isinstance(reply, HttpReply) or reply.may_have_left
        step = job.advance(reply)
    assert not isinstance(step, HttpCall), f"wants another call: {step}"
    if step.error is not None:
        raise step.error
    return calls, step.result


class AdapterCases:
    """Inherit, set the class variables, and every promise of the contract is checked."""

    adapter_class: ClassVar[type[Adapter]]
    config: ClassVar[GatewayConfig]
    outbound: ClassVar[Outbound]
    #: A number that this carrier must never be asked to text.
    foreign_number: ClassVar[str]
    #: What leads up to the answer of a send, for carriers that need several calls.
    before_accepted: ClassVar[tuple[HttpReply, ...]] = ()
    accepted: ClassVar[HttpReply]
    #: Every documented refusal, by a name, and the error that it means.
    refusals: ClassVar[Mapping[str, tuple[HttpReply, type[Refused]]]]
    #: A signed callback of an event that we have no use for.
    unknown_event: ClassVar[bytes]

    def signed(
        self, body: bytes, *, age_seconds: float = 0, secret: str | None = None
    ) -> CallbackRequest:
        """A callback as the carrier signs it, as old as asked; with another secret where given."""
        raise NotImplementedError

    @property
    def adapter(self) -> Adapter:
        return self.adapter_class(self.config)

    def send(self, reply: Fed, *, before: bool = True) -> SendResult:
        replies = (*self.before_accepted, reply) if before else (reply,)
        return feed(self.adapter.send(self.outbound), *replies)[1]

    @property
    def private_words(self) -> list[str]:
        """What must be in no error, log or repr."""
        secrets = [value for value in self.config.credentials.values() if value]
        return [*secrets, self.outbound.to, self.outbound.to[1:], self.outbound.body]

    def assert_keeps_secrets(self, error: GatewayError) -> None:
        for word in self.private_words:
            assert word not in f"{error!r} {error} {error.detail} {error.sentence}"

    def test_it_is_in_the_registry(self) -> None:
        assert ADAPTERS[self.adapter_class.kind] is self.adapter_class

    def test_an_accepted_message_has_the_carriers_id(self) -> None:
        assert self.send(self.accepted).gateway_message_id

    def test_the_carrier_is_given_our_reference(self) -> None:
        calls, _ = feed(self.adapter.send(self.outbound), *self.before_accepted, self.accepted)
        call = calls[-1]
        assert self.outbound.reference in f"{call.url} {dict(call.headers)} {call.body.decode()}"

    def test_each_call_has_a_deadline(self) -> None:
        calls, _ = feed(self.adapter.send(self.outbound), *self.before_accepted, self.accepted)
        assert all(0 < call.deadline_seconds <= 60 for call in calls)

    def test_each_refusal_is_its_error(self) -> None:
        for name, (reply, expected) in self.refusals.items():
            with pytest.raises(Refused) as caught:
                self.send(reply)
            assert type(caught.value) is expected, name
            self.assert_keeps_secrets(caught.value)

    def test_a_rate_limit_says_when_to_come_back(self) -> None:
        limits = [reply for reply, error in self.refusals.values() if error is RateLimited]
        assert limits
        with pytest.raises(RateLimited) as caught:
            self.send(limits[0])
        assert caught.value.retry_after_seconds
        assert 0 < caught.value.retry_after_seconds <= 24 * 3600

    def test_what_never_left_is_not_unknown(self) -> None:
        with pytest.raises(GatewayUnavailable):
            self.send(CallFailed("refused", may_have_left=False))

    def test_what_may_have_left_is_unknown(self) -> None:
        with pytest.raises(OutcomeUnknown) as caught:
            self.send(CallFailed("no answer in time", may_have_left=True))
        self.assert_keeps_secrets(caught.value)

    @pytest.mark.parametrize("status", [500, 502, 504])
    def test_a_fault_of_the_carrier_is_unknown(self, status: int) -> None:
        with pytest.raises(OutcomeUnknown) as caught:
            self.send(HttpReply(status, {}, f"oops: {self.outbound.to}".encode()))
        self.assert_keeps_secrets(caught.value)

    @pytest.mark.parametrize(
        "body", [b"", b"<html>It works!</html>", b"[]", b"null", b"{}", b'{"id": 7}', b"\xff\xfe"]
    )
    def test_an_accepting_status_with_a_body_that_says_nothing_is_unknown(
        self, body: bytes
    ) -> None:
        with pytest.raises(OutcomeUnknown):
            self.send(HttpReply(self.accepted.status, {}, body))

    def test_half_a_body_is_unknown(self) -> None:
        half = self.accepted.body[: len(self.accepted.body) // 2]
        with pytest.raises(OutcomeUnknown):
            self.send(HttpReply(self.accepted.status, self.accepted.headers, half))

    @pytest.mark.parametrize("status", [301, 302, 307, 404, 409, 418])
    def test_an_answer_that_is_not_documented_is_never_an_acceptance(self, status: int) -> None:
        with pytest.raises(GatewayError) as caught:
            self.send(HttpReply(status, {}, b"?"))
        self.assert_keeps_secrets(caught.value)

    def test_a_number_that_is_not_for_this_carrier_is_refused_before_any_call(self) -> None:
        outbound = Outbound("1", self.outbound.line, self.foreign_number, "Hello")
        with pytest.raises(InvalidNumber):
            feed(self.adapter.send(outbound))

    def test_a_verb_that_is_not_supported_says_so(self) -> None:
        can, line = self.adapter.capabilities, Line(Route.IMESSAGE, "line")
        to = self.outbound.to
        verbs = {
            "availability": (can.availability, lambda a: a.availability(to, line)),
            "tapback": (
                can.tapbacks,
                lambda a: a.tapback(line, to, "m", TapbackKind.LOVE, remove=False),
            ),
            "typing": (can.typing, lambda a: a.typing(line, to, is_typing=True)),
            "mark_read": (can.mark_read, lambda a: a.mark_read(line, to)),
            "fetch": (can.look_up is not LookUp.NONE, lambda a: a.fetch(reference="1")),
            "history": (can.history, lambda a: a.history(line, to, limit=5)),
        }
        for name, (is_supported, call) in verbs.items():
            if is_supported:
                assert isinstance(next(call(self.adapter)), HttpCall), name
            else:
                with pytest.raises(NotSupported):
                    call(self.adapter)

    @pytest.mark.parametrize(
        "reply",
        [
            CallFailed("refused", may_have_left=False),
            HttpReply(500, {}, b""),
            HttpReply(401, {}, b""),
            HttpReply(200, {}, b"<html>"),
        ],
        ids=["unreachable", "500", "401", "garbage"],
    )
    def test_health_says_what_is_wrong_and_raises_nothing(self, reply: Fed) -> None:
        _, health = feed(self.adapter.health(), reply)
        assert not health.is_up
        assert health.detail.endswith(".")
        assert not any(word in health.detail for word in self.private_words)

    def test_a_signed_callback_is_taken(self) -> None:
        assert self.adapter.verify(self.signed(self.unknown_event))

    def test_a_callback_with_another_body_is_not(self) -> None:
        request = self.signed(self.unknown_event)
        assert not self.adapter.verify(replaced(request, body=request.body + b" "))

    def test_a_callback_without_a_signature_is_not(self) -> None:
        assert not self.adapter.verify(replaced(self.signed(self.unknown_event), headers={}))

    def test_a_callback_is_not_taken_where_no_secret_is_set(self) -> None:
        bare = self.adapter_class(GatewayConfig(self.config.base_url, {}))
        assert not bare.verify(self.signed(self.unknown_event, secret=""))
        assert not bare.verify(self.signed(self.unknown_event))

    def test_a_callback_signed_with_another_secret_is_not_taken(self) -> None:
        assert not self.adapter.verify(self.signed(self.unknown_event, secret="guessed"))

    def test_an_old_callback_is_not_taken_again(self) -> None:
        assert not self.adapter.verify(self.signed(self.unknown_event, age_seconds=24 * 3600))

    def test_an_event_that_we_have_no_use_for_gives_nothing(self) -> None:
        assert self.adapter.parse(self.signed(self.unknown_event)) == []

    def test_secrets_are_not_in_what_is_printed(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("test").info("%r %s", self.config, self.adapter)
        for secret in filter(None, self.config.credentials.values()):
            assert secret not in caplog.text

    def test_every_field_of_the_credentials_has_a_label(self) -> None:
        names = [field.name for field in self.adapter_class.credential_fields]
        assert len(set(names)) == len(names)
        assert all(field.label for field in self.adapter_class.credential_fields)


def replaced(request: CallbackRequest, **changes: Any) -> CallbackRequest:
    fields = {name: getattr(request, name) for name in CallbackRequest.__dataclass_fields__}
    return CallbackRequest(**{**fields, **changes})
