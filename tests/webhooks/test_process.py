"""From receipts to facts."""

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.utils import timezone

from messaging import intake
from messaging import wake as messaging_wake
from messaging.models import Attempt, Conversation, Message, Send
from messaging.states import AttemptState
from senders import lanes
from senders.gateways.contract import (
    CallbackFact,
    CallbackRequest,
    DeliveryStatus,
    InboundMessage,
    Line,
    Route,
    StatusReport,
)
from senders.gateways.simulator.adapter import Simulator
from senders.models import Gateway, Longcode, SenderIdentity
from subscribers.models import OptIn, Subscriber
from tests.webhooks.conftest import Carrier
from webhooks import process, tasks
from webhooks.models import Receipt

RECORDED = Path(__file__).parent.parent / "gateways/simulator/bodies"
Take = Callable[[Gateway, Sequence[CallbackFact]], intake.Taken]


@pytest.fixture
def identity(gateway: Gateway) -> SenderIdentity:
    longcode = Longcode.objects.create(number="+13035550100", gateway=gateway)
    return SenderIdentity.objects.create(
        name="Denver", handle="denver@example.com", longcode=longcode, gateway=gateway
    )


@pytest.fixture
def attempt(identity: SenderIdentity) -> Attempt:
    """A message that was handed over and not yet reported."""
    now = timezone.now()
    person = Subscriber.objects.create(phone="+14155550101")
    send = Send.objects.create(
        longcode=identity.longcode,
        identity=identity,
        body="Hello",
        state="done",
        audience_at=now,
        subscriber_ids=[person.pk],
    )
    message = Message.objects.create(
        direction="out",
        send=send,
        subscriber=person,
        longcode=identity.longcode,
        identity=identity,
        first_route="imessage",
        route="imessage",
        state="accepted",
        leg=1,
        body="Hello",
    )
    return Attempt.objects.create(
        message=message,
        number=1,
        lane=lanes.of_identity(identity.pk),
        gateway=identity.gateway,
        route="imessage",
        state="accepted",
        gateway_message_id="m_1",
        answered_at=now,
    )


def status(carrier: Carrier, status: str, *, id: str = "m_1", reference: str = "") -> None:  # noqa: A002
    carrier.event("message.status", id=id, reference=reference, status=status, error="")


def run() -> int:
    """One round of both processors."""
    count = 0
    while process.process_people():
        count += 1
    return count + process.process_reports()


def test_what_people_write_is_never_behind_reports(
    carrier: Carrier, identity: SenderIdentity
) -> None:
    for number in range(5):
        status(carrier, "delivered", id=f"m_{number}")
    carrier.event(
        "message.inbound",
        id="m_in",
        line={"route": "imessage", "address": "denver@example.com"},
        **{"from": "+14155550101"},
        body="STOP",
        media_urls=[],
    )

    assert process.process_people() == 1

    assert Subscriber.objects.get().opted_out_at is not None
    assert outcomes() == [Receipt.Outcome.WAITING] * 5 + [Receipt.Outcome.PROCESSED]


def outcomes() -> list[str]:
    return list(Receipt.objects.order_by("pk").values_list("outcome", flat=True))


def test_a_delivery_report_settles_its_attempt(
    carrier: Carrier, gateway: Gateway, attempt: Attempt
) -> None:
    status(carrier, "delivered")

    assert run() == 1

    attempt.refresh_from_db()
    gateway.refresh_from_db()
    assert attempt.state == AttemptState.DELIVERED
    assert attempt.message.state == "delivered"
    assert gateway.last_delivery_at is not None
    assert gateway.last_inbound_at is None
    assert outcomes() == [Receipt.Outcome.PROCESSED]


def test_reports_in_any_order_and_number_end_the_same(carrier: Carrier, attempt: Attempt) -> None:
    for word in ("read", "sent", "delivered", "read"):
        status(carrier, word)
    run()
    status(carrier, "sent", reference=str(attempt.public_id))

    run()

    attempt.refresh_from_db()
    assert attempt.state == AttemptState.READ
    assert set(outcomes()) == {Receipt.Outcome.PROCESSED}


def test_an_inbound_text_reaches_its_conversation(
    carrier: Carrier, gateway: Gateway, identity: SenderIdentity
) -> None:
    carrier.call((RECORDED / "event_inbound.json").read_bytes())

    run()

    gateway.refresh_from_db()
    assert Conversation.objects.get().last_body == "See you there 🎉"
    assert OptIn.objects.get().is_opted_in
    assert gateway.last_inbound_at is not None
    assert outcomes() == [Receipt.Outcome.PROCESSED]


@pytest.mark.parametrize(
    "name", ["event_sent", "event_failed", "event_tapback", "event_typing", "event_line_state"]
)
def test_every_recorded_event_is_read(
    carrier: Carrier, identity: SenderIdentity, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[CallbackFact] = []
    monkeypatch.setattr(intake, "take", taking(taken))

    carrier.call((RECORDED / f"{name}.json").read_bytes())
    run()

    assert len(taken) == 1
    assert outcomes() == [Receipt.Outcome.PROCESSED]


def test_an_event_of_an_unknown_kind_is_processed_without_effect(carrier: Carrier) -> None:
    carrier.call((RECORDED / "event_unknown.json").read_bytes())

    run()

    assert outcomes() == [Receipt.Outcome.PROCESSED]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"type": "tapback", "at": "2026-11-20T12:00:00+00:00", "data": 7}',
        b'{"type": "message.status", "at": "never", "data": {}}',
        b'{"type": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_cannot_be_read_is_kept_and_holds_up_nobody(
    carrier: Carrier, attempt: Attempt, body: bytes
) -> None:
    carrier.call(body)
    status(carrier, "delivered")

    run()

    attempt.refresh_from_db()
    unread = Receipt.objects.order_by("pk").first()
    assert attempt.state == AttemptState.DELIVERED
    assert outcomes() == [Receipt.Outcome.MALFORMED, Receipt.Outcome.PROCESSED]
    assert bytes(unread.body) == body
    assert unread.error
    assert not process.is_due(reports=True)
    assert not process.is_due(reports=False)


def test_characters_that_cannot_be_kept_cost_no_message(
    carrier: Carrier, identity: SenderIdentity
) -> None:
    carrier.event(
        "message.inbound",
        id="m_1",
        line={"route": "imessage", "address": "denver@example.com"},
        **{"from": "+14155550101"},
        body="one\x00two\ud800three",
        media_urls=["https://x.example/\x00"],
    )

    run()

    assert Message.objects.get().body == "one\ufffdtwo\ufffdthree"
    assert outcomes() == [Receipt.Outcome.PROCESSED]


# What fits nothing, and what fails.


def taking(taken: list[CallbackFact], *, unmatched: str = "", poison: str = "") -> Take:
    """An ``intake.take`` that knows no message called ``unmatched`` and chokes on ``poison``."""

    def take(gateway: Gateway, facts: Sequence[CallbackFact]) -> intake.Taken:
        names = [getattr(fact, "gateway_message_id", "") for fact in facts]
        if poison and poison in names:
            raise RuntimeError("of +14155550101")
        taken.extend(facts)
        return intake.Taken([not unmatched or name != unmatched for name in names])

    return take


def test_a_report_about_an_unknown_message_is_tried_again_and_then_kept(
    carrier: Carrier, gateway: Gateway
) -> None:
    start = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    with time_machine.travel(start, tick=False) as clock:
        status(carrier, "delivered", id="nobody's")
        run()
        assert outcomes() == [Receipt.Outcome.WAITING]
        assert not process.is_due(reports=True)
        assert not process.is_due(reports=False)

        tries = 1
        while outcomes() == [Receipt.Outcome.WAITING]:
            clock.move_to(Receipt.objects.get().next_try_at)
            assert run() == 1
            tries += 1

        took = timezone.now() - start
    receipt = Receipt.objects.get()
    assert receipt.outcome == Receipt.Outcome.UNMATCHED
    assert receipt.tries == tries < 20
    assert process.PATIENCE < took < 2 * process.PATIENCE


def test_a_report_that_overtook_our_own_record_is_settled_later(
    carrier: Carrier, attempt: Attempt
) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(gateway_message_id="")
    status(carrier, "delivered")
    run()
    Attempt.objects.filter(pk=attempt.pk).update(gateway_message_id="m_1")

    with time_machine.travel(timezone.now() + dt.timedelta(seconds=5)):
        run()

    attempt.refresh_from_db()
    assert attempt.state == AttemptState.DELIVERED


def test_one_unknown_message_among_many_is_found_and_the_others_are_processed(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        status(carrier, "delivered", id=f"m_{number}")
    monkeypatch.setattr(intake, "take", taking([], unmatched="m_13"))

    run()

    assert [n for n, outcome in enumerate(outcomes()) if outcome == "waiting"] == [13]


def test_a_receipt_of_which_any_part_is_unknown_is_tried_again(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_adapter: object, request: CallbackRequest) -> list[CallbackFact]:
        names = request.body.decode().split()
        return [StatusReport(DeliveryStatus.SENT, None, gateway_message_id=name) for name in names]

    monkeypatch.setattr(Simulator, "parse", parse)
    monkeypatch.setattr(intake, "take", taking([], unmatched="x"))
    for body in (b"a b", b"c x d", b"", b"x", b"e"):
        carrier.call(body)

    run()

    assert outcomes() == ["processed", "waiting", "processed", "waiting", "processed"]


def test_one_receipt_that_fails_among_many_is_found_and_the_others_are_processed(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        status(carrier, "delivered", id=f"m_{number}")
    monkeypatch.setattr(intake, "take", taking([], poison="m_13"))

    run()

    assert [n for n, outcome in enumerate(outcomes()) if outcome == "waiting"] == [13]
    assert Receipt.objects.get(outcome="waiting").error == "RuntimeError"


def test_what_fails_for_too_long_is_kept_as_failed(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    status(carrier, "delivered")
    monkeypatch.setattr(intake, "take", taking([], poison="m_1"))

    with time_machine.travel(timezone.now() + process.PATIENCE + dt.timedelta(seconds=1)):
        run()

    receipt = Receipt.objects.get()
    assert (receipt.outcome, receipt.error) == (Receipt.Outcome.FAILED, "RuntimeError")


def test_a_receipt_that_fails_leaves_nothing_half_done(
    carrier: Carrier, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = intake.take

    def fail_after(gateway: Gateway, facts: Sequence[CallbackFact]) -> intake.Taken:
        real(gateway, facts)
        raise RuntimeError

    monkeypatch.setattr(intake, "take", fail_after)
    status(carrier, "delivered")

    run()

    attempt.refresh_from_db()
    assert attempt.state == AttemptState.ACCEPTED
    assert outcomes() == [Receipt.Outcome.WAITING]


def test_the_facts_of_many_receipts_are_taken_as_one_set(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def count(gateway: Gateway, facts: Sequence[CallbackFact]) -> intake.Taken:
        sizes.append(len(facts))
        return intake.Taken([True] * len(facts))

    monkeypatch.setattr(intake, "take", count)
    for number in range(20):
        status(carrier, "delivered", id=f"m_{number}")

    run()

    assert sizes == [20]


def test_facts_are_taken_in_the_order_in_which_they_came(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[CallbackFact] = []
    monkeypatch.setattr(intake, "take", taking(taken))
    for number in range(20):
        status(carrier, "delivered", id=f"m_{number}")

    while process.process_reports(limit=7):
        pass

    assert [fact.gateway_message_id for fact in taken] == [f"m_{number}" for number in range(20)]


def test_each_gateways_facts_go_by_themselves(
    carrier: Carrier, gateway: Gateway, client: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Gateway.objects.create(
        kind="simulator", name="Other", base_url="http://x.test", credentials=gateway.credentials
    )
    gateways: list[Gateway] = []

    def note(gateway: Gateway, facts: Sequence[CallbackFact]) -> intake.Taken:
        gateways.append(gateway)
        return intake.Taken([True] * len(facts))

    monkeypatch.setattr(intake, "take", note)
    status(carrier, "delivered")
    status(Carrier(carrier.client, other), "delivered")
    status(carrier, "read")

    run()

    assert gateways == [gateway, other]


def test_a_carrier_that_this_version_does_not_have_holds_up_nobody(
    carrier: Carrier, gateway: Gateway
) -> None:
    status(carrier, "delivered")
    Gateway.objects.update(kind="gone")

    run()

    assert outcomes() == [Receipt.Outcome.MALFORMED]


def test_the_task_goes_on_until_nothing_is_due_and_wakes_the_dispatcher(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[bool] = []
    monkeypatch.setattr(messaging_wake, "dispatch", lambda: woken.append(True))
    monkeypatch.setattr(intake, "take", taking([]))
    monkeypatch.setattr(process.process_reports, "__defaults__", (3,))
    for number in range(7):
        status(carrier, "delivered", id=f"m_{number}")

    tasks.process_reports()

    assert set(outcomes()) == {Receipt.Outcome.PROCESSED}
    assert len(woken) == 3


@pytest.mark.django_db(transaction=True)
def test_nobody_processes_while_somebody_else_does(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once could let a person's START overtake their STOP."""
    monkeypatch.setattr(intake, "take", taking([]))
    status(carrier, "delivered")
    counts: list[int] = []

    def second() -> None:
        try:
            counts.append(process.process_reports())
        finally:
            connections.close_all()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [process.REPORTS_LOCK])
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    assert counts == [0]
    assert process.process_reports() == 1


def test_a_fact_is_mended_and_nothing_else_of_it_changes() -> None:
    fact = InboundMessage(
        "m\x00", Line(Route.IMESSAGE, "a"), "+1", "🎉", None, media_urls=("\udfff",)
    )

    mended = process._storable(fact)

    assert mended == dataclasses.replace(fact, gateway_message_id="m\ufffd", media_urls=("\ufffd",))
    report = StatusReport(DeliveryStatus.READ, timezone.now(), "m")
    assert process._storable(report) == report
