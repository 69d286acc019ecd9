"""What goes wrong in one place stays there: a lane, a batch, a moment without the database."""

import json
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging import claim as claims
from messaging import dispatch, expand, settle, sweep, tasks
from messaging.models import Batch, Message
from messaging.settle import Report
from messaging.states import AttemptState, SendState
from senders.gateways.contract import HttpReply
from senders.models import Gateway, Lane, Longcode
from tests.messaging.conftest import HandRunner, refused


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(dispatch, "_SETTLE_PAUSES", (0.0, 0.0))


def test_a_lane_that_can_not_be_claimed_delays_no_other(world, monkeypatch):
    ada, bob = world.person(), world.person(opted_in=False)
    world.queued(ada, bob)
    broken = Lane.objects.get(identity=world.identity)
    claim = claims.claim

    def fail_on_broken(lane_id):
        if lane_id == broken.pk:
            raise RuntimeError
        return claim(lane_id)

    monkeypatch.setattr(claims, "claim", fail_on_broken)
    world.hand_over()
    assert [message["to"] for message in world.carrier.handed] == [bob.phone]
    assert world.message_to(bob).state == "accepted"
    assert claims.ready_lanes() == []


def test_a_batch_that_can_not_be_settled_loses_no_other(world, monkeypatch):
    ada, bob = world.person(), world.person(opted_in=False)
    world.queued(ada, bob)
    apply = settle.apply

    def fail_on_ada(reports):
        if any(report.attempt_id == world.attempts_of(ada)[0].pk for report in reports):
            raise RuntimeError
        return apply(reports)

    monkeypatch.setattr(settle, "apply", fail_on_ada)
    world.hand_over()
    monkeypatch.undo()
    assert world.message_to(bob).state == "accepted"
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep.expired_leases()
    assert [attempt.state for attempt in world.attempts_of(ada)] == ["unknown"]


@pytest.mark.django_db(transaction=True)
def test_answers_outlast_a_database_that_is_away_for_a_moment(world, monkeypatch):
    ada = world.person()
    world.queued(ada)
    apply, failures = settle.apply, [OperationalError(), OperationalError()]

    def fail_twice(reports):
        if failures:
            raise failures.pop()
        return apply(reports)

    monkeypatch.setattr(settle, "apply", fail_twice)
    world.hand_over()
    assert world.message_to(ada).state == "accepted"


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_is_all_in_the_air_ends_as_ever_when_no_more_can_be_claimed(
    world, monkeypatch
):
    ada = world.person()
    world.queued(ada)
    ready_lanes, calls = claims.ready_lanes, []

    def fail_the_second_time():
        calls.append(1)
        if len(calls) > 1:
            raise OperationalError
        return ready_lanes()

    monkeypatch.setattr(claims, "ready_lanes", fail_the_second_time)
    world.hand_over()
    assert world.message_to(ada).state == "accepted"
    assert not Batch.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_in_the_air_is_settled_when_consent_can_not_be_read_any_more(world, monkeypatch):
    monkeypatch.setattr(claims, "WINDOW", 2)
    people = world.people(5)
    world.queued(*people)

    def fail(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr(claims, "renew", fail)
    world.hand_over()
    states = [attempt.state for person in people for attempt in world.attempts_of(person)]
    assert sorted(states) == ["accepted"] * 2 + ["claimed"] * 3
    monkeypatch.undo()
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep.expired_leases()
    world.hand_over()
    assert set(world.carrier.per_number.values()) == {1}
    assert len(world.carrier.per_number) == 5


def test_no_more_is_claimed_than_can_begin(world):
    """A claimed message that waits for room would wait under a lease that runs."""
    for number in range(4):
        longcode = Longcode.objects.create(number=f"+1303555012{number}", gateway=world.sms_gateway)
        world.queued(*world.people(3), sender_name="", longcode_id=longcode.pk)
    claimed = []
    world.carrier.before_answer = lambda message: claimed.append(
        Batch.objects.filter(state="leased").count()
    )
    dispatch.run(runner=HandRunner(world.carrier, max_in_flight=2))
    assert len(world.carrier.handed) == 12
    assert max(claimed) <= 2


def test_texts_behind_a_paused_gateway_wake_nobody(world, monkeypatch):
    hinted = []
    monkeypatch.setattr(tasks.hints, "dispatch", lambda: hinted.append("dispatch"))
    Gateway.objects.filter(pk=world.sms_gateway.pk).update(is_paused=True)
    world.queued(world.person(opted_in=False))
    tasks.dispatch()
    tasks.wake()
    assert hinted == []
    Gateway.objects.update(is_paused=False)
    tasks.wake()
    assert hinted == ["dispatch"]


def test_behind_a_breaker_that_was_open_only_one_message_is_in_the_air(world):
    Gateway.objects.filter(pk=world.imessage_gateway.pk).update(
        consecutive_failures=9, breaker_open_until=timezone.now() - timedelta(seconds=1)
    )
    world.queued(*world.people(5))
    runner = HandRunner(world.carrier)
    in_the_air = []
    world.carrier.before_answer = lambda message: in_the_air.append(len(message))
    world.carrier.by_route["imessage"] = refused("not_accepted", status=503)
    dispatch.run(runner=runner)
    assert len(in_the_air) == 1


@pytest.mark.parametrize("carrier_id", ["x" * 201, "a\x00b", "\ud800"])
def test_an_answer_whose_id_can_not_be_kept_counts_all_the_same(world, carrier_id):
    ada = world.person()
    body = b'{"id": %s, "status": "accepted"}' % json.dumps(carrier_id).encode()
    world.carrier.by_number[ada.phone] = lambda message: HttpReply(202, {}, body)
    world.sent(ada)
    assert world.message_to(ada).state == "accepted"
    assert [attempt.gateway_message_id for attempt in world.attempts_of(ada)] == [""]


@pytest.mark.parametrize(
    "report",
    [
        {"error_code": "not_capable"},
        {"error_code": "rate_limited", "retry_after_seconds": 30.0},
    ],
)
def test_many_failures_take_as_few_statements_as_one(world, report):
    def statements(count):
        people = world.people(count)
        world.sent(*people)
        reports = [
            Report(world.attempts_of(person)[0].pk, AttemptState.FAILED, **report)
            for person in people
        ]
        with CaptureQueriesContext(connection) as queries:
            settle.apply(reports)
        Lane.objects.update(next_at=timezone.now())
        Batch.objects.all().delete()
        return len(queries)

    statements(1)
    assert statements(20) == statements(1)


def test_a_send_that_can_not_be_expanded_ends_as_failed(world, monkeypatch):
    monkeypatch.setattr(expand, "CHUNK", 2)
    send = world.send(*world.people(4))
    expand.step(send.pk)

    def fail(*args, **kwargs):
        raise ValueError

    monkeypatch.setattr(expand, "_insert", fail)
    tasks.expand(send.pk)
    send.refresh_from_db()
    assert send.state == SendState.FAILED
    assert send.finished_at is not None
    world.hand_over()
    assert world.carrier.handed == []
    assert {message.state for message in Message.objects.filter(send=send)} == {"cancelled"}


def test_a_send_is_expanded_later_when_the_database_is_away(world, monkeypatch):
    send = world.send(world.person())

    def fail(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr(expand, "_insert", fail)
    with pytest.raises(OperationalError):
        tasks.expand(send.pk)
    assert sweep.due_sends() == [send.pk]


def test_a_long_expansion_gives_others_their_turn(world, monkeypatch):
    monkeypatch.setattr(expand, "CHUNK", 2)
    monkeypatch.setattr(expand, "_TURN_SECONDS", -1.0)
    hinted = []
    monkeypatch.setattr(tasks.hints, "expand", hinted.append)
    send = world.send(*world.people(5))
    tasks.expand(send.pk)
    assert Message.objects.filter(send=send).count() == 2
    assert hinted == [send.pk]
