"""Reports: in any order, any number of times, the end is the same."""

from __future__ import annotations

import random

import pytest
from django.utils import timezone

from messaging import settle
from messaging.intake import take
from messaging.models import Attempt, Batch, Event, Message
from messaging.settle import Report
from messaging.states import AttemptState
from senders.gateways.contract import DeliveryStatus, HttpReply, StatusReport
from tests.messaging.conftest import lost

ACCEPTED, SENT, DELIVERED, READ, FAILED = (
    AttemptState.ACCEPTED,
    AttemptState.SENT,
    AttemptState.DELIVERED,
    AttemptState.READ,
    AttemptState.FAILED,
)


def _snapshot() -> list[tuple]:
    messages = Message.objects.order_by("pk").values_list("state", "route", "reason", "leg")
    attempts = Attempt.objects.order_by("message_id", "number").values_list("number", "state")
    return [*messages, *attempts]


def _report(attempt: Attempt, state: AttemptState, **fields) -> None:
    settle.apply([Report(attempt.pk, state, **fields)])


def test_late_sent_does_not_undo_delivered(world):
    ada = world.person()
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    _report(attempt, DELIVERED)
    _report(attempt, SENT)
    assert world.message_to(ada).state == "delivered"
    late = Event.objects.get(attempt_id=attempt.pk, kind="late_report")
    assert (late.old, late.new) == ("delivered", "sent")


def test_the_same_report_twice_is_one_event(world):
    ada = world.person()
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    _report(attempt, DELIVERED)
    _report(attempt, DELIVERED)
    assert Event.objects.filter(attempt_id=attempt.pk, new="delivered").count() == 1


def test_every_change_of_state_is_an_event_with_the_carriers_moment(world):
    ada = world.person()
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    moment = timezone.now().replace(year=2024)
    _report(attempt, DELIVERED, at=moment)
    event = Event.objects.get(attempt_id=attempt.pk, new="delivered")
    assert event.at == moment
    assert (event.old, event.kind, event.message_id) == ("accepted", "state", attempt.message_id)


def test_ten_thousand_shuffled_and_repeated_reports_end_as_in_order(world):
    """Two crowds get the same reports, one in order, one shuffled with each report twice."""
    size = 1_700
    people = [*world.people(size), *world.people(size, opted_in=False)]
    world.sent(*people)
    world.sent(*people)
    in_order, shuffled = (
        list(Attempt.objects.filter(message__send_id=send_id).order_by("message__subscriber_id"))
        for send_id in Message.objects.order_by("send_id")
        .values_list("send_id", flat=True)
        .distinct()
    )
    ends = [(), (SENT,), (SENT, DELIVERED), (SENT, DELIVERED, READ), (SENT, FAILED), (DELIVERED,)]
    stories = [random.Random(number).choice(ends) for number in range(len(people))]

    def reports(attempts: list[Attempt]) -> list[StatusReport]:
        return [
            StatusReport(
                DeliveryStatus(state.value),
                at=None,
                gateway_message_id=attempt.gateway_message_id,
                error_code="delivery_failed" if state == FAILED else "",
            )
            for attempt, story in zip(attempts, stories, strict=True)
            for state in story
        ]

    def tell(told: list[StatusReport], attempts: list[Attempt]) -> None:
        by_gateway: dict[str, list[StatusReport]] = {}
        routes = {a.gateway_message_id: a.route for a in attempts}
        for report in told:
            by_gateway.setdefault(routes[report.gateway_message_id], []).append(report)
        for start in range(0, len(told), 400):
            chunk = told[start : start + 400]
            for route, gateway in (
                ("imessage", world.imessage_gateway),
                ("sms", world.sms_gateway),
            ):
                take(gateway, [r for r in chunk if routes[r.gateway_message_id] == route])

    tell(reports(in_order), in_order)
    mixed = reports(shuffled) * 2
    random.Random(7).shuffle(mixed)
    tell(mixed, shuffled)
    assert len(mixed) >= 10_000

    def outcome(attempts: list[Attempt]) -> list[tuple]:
        ids = [attempt.message_id for attempt in attempts]
        return list(
            Message.objects.filter(pk__in=ids)
            .order_by("subscriber_id")
            .values_list("subscriber_id", "state", "route", "reason", "leg")
        )

    assert outcome(shuffled) == outcome(in_order)
    assert {state for _, state, *_ in outcome(shuffled)} == {
        "accepted", "sent", "delivered", "read", "failed", "queued",
    }  # fmt: skip


def test_a_report_that_overtakes_our_own_answer_counts(world):
    """The callback says delivered before the POST has returned."""
    ada = world.person()

    def call_back_first(message):
        report = StatusReport(DeliveryStatus.DELIVERED, None, "early", message["reference"])
        assert take(world.imessage_gateway, [report]).matched == 1

    world.carrier.before_answer = call_back_first
    world.sent(ada)
    assert world.message_to(ada).state == "delivered"
    assert [a.state for a in world.attempts_of(ada)] == ["delivered"]


def test_a_report_through_another_gateway_is_not_believed(world):
    ada = world.person()
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    forged = StatusReport(DeliveryStatus.FAILED, None, reference=str(attempt.public_id))
    assert take(world.sms_gateway, [forged]).unmatched == 1
    assert world.message_to(ada).state == "accepted"


def test_a_failure_reported_later_falls_back_to_sms_once(world):
    ada = world.person()
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    for _ in range(3):
        _report(attempt, FAILED, error_code="delivery_failed")
    assert Batch.objects.count() == 1
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["imessage", "sms"]
    message = world.message_to(ada)
    assert (message.route, message.reason, message.state) == ("sms", "imessage_failed", "accepted")


def test_a_delivery_reported_after_the_fallback_is_recorded_and_moves_nothing(world):
    ada = world.person()
    world.sent(ada)
    [first] = world.attempts_of(ada)
    _report(first, FAILED, error_code="delivery_failed")
    world.hand_over()
    before = _snapshot()
    _report(first, DELIVERED)
    assert _snapshot() == before
    assert Event.objects.filter(attempt_id=first.pk, kind="late_report").count() == 1


def test_a_failed_sms_that_arrives_after_all_is_delivered(world):
    ada = world.person(opted_in=False)
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    _report(attempt, FAILED, error_code="delivery_failed")
    _report(attempt, DELIVERED)
    message = world.message_to(ada)
    assert (message.state, message.reason) == ("delivered", "not_opted_in")


def test_a_plain_text_that_failed_says_why_until_it_arrives_after_all(world):
    ada = world.person()
    world.sent(ada, sender_name="")
    [attempt] = world.attempts_of(ada)
    _report(attempt, FAILED, error_code="delivery_failed")
    assert world.message_to(ada).reason == "delivery_failed"
    _report(attempt, DELIVERED)
    assert world.message_to(ada).reason == ""


def test_an_unknown_outcome_is_settled_by_its_callback(world):
    ada = world.person()
    world.carrier.by_number[ada.phone] = lost(may_have_left=True)
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    report = StatusReport(DeliveryStatus.DELIVERED, None, "c-9", str(attempt.public_id))
    take(world.imessage_gateway, [report])
    attempt.refresh_from_db()
    assert (attempt.state, attempt.gateway_message_id) == ("delivered", "c-9")
    assert world.message_to(ada).state == "delivered"


def test_a_carrier_that_repeats_an_id_loses_no_outcome(world):
    ada, bob = world.people(2)
    world.carrier.by_route["imessage"] = lambda m: HttpReply(
        202, {}, b'{"id": "same", "status": "accepted"}'
    )
    world.sent(ada, bob)
    assert {world.message_to(p).state for p in (ada, bob)} == {"accepted"}
    assert sorted(a.gateway_message_id for a in Attempt.objects.all()) == ["", "same"]


def test_a_report_about_a_finished_send_reopens_it_until_the_next_leg_has_gone(world):
    ada = world.person()
    send = world.sent(ada)
    [attempt] = world.attempts_of(ada)
    _report(attempt, FAILED, error_code="delivery_failed")
    send.refresh_from_db()
    assert send.state == "sending"
    world.hand_over()
    send.refresh_from_db()
    assert send.state == "done"


@pytest.mark.parametrize("state", [SENT, DELIVERED, READ, FAILED])
def test_an_answer_is_never_kept_without_its_moment(world, state):
    ada = world.person()
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    _report(attempt, state, error_code="delivery_failed" if state == FAILED else "")
    attempt.refresh_from_db()
    assert attempt.answered_at is not None
