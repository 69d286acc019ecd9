"""Claim, send, settle: who gets what, by which way, and never twice."""

import itertools
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from messaging import claim as claims
from messaging import compose, dispatch
from messaging.models import Attempt, Batch, Event
from messaging.states import AttemptState, MessageState, SendState
from senders.identities import change_status
from senders.models import Gateway, Lane
from subscribers.models import OptIn, Subscriber
from tests.messaging.conftest import HandRunner, lost, refused


def test_capable_and_opted_in_gets_an_imessage(world):
    ada = world.person()
    send = world.sent(ada)
    message = world.message_to(ada)
    assert world.carrier.texts_to(ada.phone) == ["imessage"]
    assert (message.route, message.reason, message.state) == ("imessage", "", "accepted")
    assert send.state == SendState.DONE
    assert not Batch.objects.exists()


def test_everybody_of_a_large_send_gets_exactly_one_message(world):
    people = world.people(620) + world.people(10, opted_in=False)
    world.sent(*people)
    assert set(world.carrier.per_number.values()) == {1}
    assert len(world.carrier.per_number) == 630


def test_the_carrier_gets_the_attempts_public_id_as_reference(world):
    ada = world.person()
    world.sent(ada)
    [attempt] = world.attempts_of(ada)
    assert world.carrier.handed[0]["reference"] == str(attempt.public_id)
    assert attempt.gateway_message_id == f"c-{attempt.public_id}"


def test_a_person_who_opts_out_after_planning_is_suppressed_at_the_claim(world):
    ada, bob = world.people(2)
    send = world.queued(ada, bob)
    Subscriber.objects.filter(pk=ada.pk).update(opted_out_at=timezone.now())
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == []
    assert world.carrier.texts_to(bob.phone) == ["imessage"]
    message = world.message_to(ada)
    assert (message.state, message.route, message.reason) == ("suppressed", "", "opted_out")
    send.refresh_from_db()
    assert send.state == SendState.DONE


def test_an_opt_out_of_the_identity_only_binds_it_and_its_longcode(world):
    ada = world.person()
    send = world.queued(ada)
    OptIn.objects.filter(subscriber=ada).update(opted_out_at=timezone.now())
    world.hand_over()
    world.sent(ada, sender_name="", longcode_id=world.longcode.pk)
    assert world.carrier.texts_to(ada.phone) == []
    assert world.message_to(ada, send).reason == "opted_out"


def test_a_banned_identity_moves_what_waits_to_sms(world):
    people = world.people(3)
    world.queued(*people)
    change_status(world.identity, to="banned", reason="The carrier wrote to us.")
    world.hand_over()
    assert {message["line"]["route"] for message in world.carrier.handed} == {"sms"}
    message = world.message_to(people[0])
    assert (message.first_route, message.route) == ("imessage", "sms")
    assert (message.reason, message.state) == ("identity_banned", "accepted")
    assert Event.objects.filter(message_id=message.pk, kind="rerouted").count() == 1


def test_a_paused_imessage_gateway_means_route_unavailable(world):
    ada = world.person()
    world.queued(ada)
    Gateway.objects.filter(pk=world.imessage_gateway.pk).update(is_paused=True)
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["sms"]
    assert world.message_to(ada).reason == "route_unavailable"


def test_a_paused_sms_gateway_makes_texts_wait(world):
    ada = world.person(opted_in=False)
    Gateway.objects.filter(pk=world.sms_gateway.pk).update(is_paused=True)
    world.sent(ada)
    assert world.carrier.handed == []
    assert world.message_to(ada).state == MessageState.QUEUED
    Gateway.objects.filter(pk=world.sms_gateway.pk).update(is_paused=False)
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["sms"]


def test_somebody_who_opted_in_meanwhile_gets_the_imessage_after_all(world):
    ada = world.person(opted_in=False)
    world.queued(ada)
    OptIn.objects.create(subscriber=ada, identity=world.identity, opted_in_at=timezone.now())
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["imessage"]
    assert world.message_to(ada).reason == ""


def test_a_refusal_because_of_no_imessage_falls_back_and_corrects_the_cache(world):
    ada = world.person()
    world.carrier.by_route["imessage"] = refused("not_on_imessage")
    world.sent(ada)
    assert world.carrier.texts_to(ada.phone) == ["sms"]
    assert world.message_to(ada).reason == "not_capable"
    assert [a.state for a in world.attempts_of(ada)] == ["failed", "accepted"]
    ada.refresh_from_db()
    assert (ada.imessage_capability, ada.imessage_source) == ("no", "carrier")


@pytest.mark.parametrize(
    ("code", "status"), [("line_blocked", "blocked"), ("line_banned", "banned")]
)
def test_a_carrier_that_blocks_the_sender_changes_its_status_and_stops_its_lane(
    world, code, status
):
    ada, bob = world.people(2)
    world.carrier.by_route["imessage"] = refused(code)
    world.queued(ada)
    world.queued(bob)
    world.hand_over()
    world.identity.refresh_from_db()
    assert world.identity.status == status
    assert world.identity.status_changes.get().source == "carrier"
    assert world.message_to(ada).reason == f"identity_{status}"
    assert world.carrier.texts_to(ada.phone) == ["sms"]
    world.sent(carol := world.person())
    assert world.carrier.texts_to(carol.phone) == ["sms"]


def test_an_invalid_number_ends_as_failed_and_tries_nothing_else(world):
    ada = world.person()
    world.carrier.by_number[ada.phone] = refused("invalid_number")
    world.sent(ada)
    message = world.message_to(ada)
    assert (message.state, message.error_code) == ("failed", "invalid_number")
    assert message.reason == "invalid_number"  # without one, it would not be in the audit
    assert len(world.attempts_of(ada)) == 1


def test_a_carrier_that_knows_of_an_opt_out_puts_it_on_our_record(world):
    ada = world.person(opted_in=False)
    world.carrier.by_number[ada.phone] = refused("opted_out")
    world.sent(ada)
    ada.refresh_from_db()
    assert ada.opted_out_at is not None
    assert world.message_to(ada).state == "failed"


def test_an_unknown_outcome_is_never_repeated(world):
    ada = world.person()
    world.carrier.by_number[ada.phone] = lost(may_have_left=True)
    world.sent(ada)
    for _ in range(3):
        world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["imessage"]
    assert [a.state for a in world.attempts_of(ada)] == ["unknown"]
    assert world.message_to(ada).state == MessageState.UNKNOWN


def test_what_provably_never_left_is_tried_again(world):
    ada = world.person(opted_in=False)
    world.carrier.by_number[ada.phone] = lost(may_have_left=False)
    world.sent(ada)
    assert world.message_to(ada).state == MessageState.QUEUED
    world.carrier.by_number.clear()
    Batch.objects.update(due_at=timezone.now())
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["sms"]
    assert [a.state for a in world.attempts_of(ada)] == ["failed", "accepted"]


def test_a_retry_waits_as_long_as_the_carrier_asks_and_so_does_its_lane(world):
    ada = world.person()
    world.carrier.by_number[ada.phone] = refused("rate_limited", 429, **{"retry-after": "40"})
    world.sent(ada)
    batch = Batch.objects.get()
    assert 35 < (batch.due_at - timezone.now()).total_seconds() <= 40
    lane = Lane.objects.get(identity=world.identity)
    assert (lane.next_at - timezone.now()).total_seconds() > 35


def test_an_imessage_that_never_leaves_goes_by_sms_after_some_tries(world):
    ada = world.person()
    world.carrier.by_route["imessage"] = lost(may_have_left=False)
    world.sent(ada)
    for _ in range(6):
        Batch.objects.update(due_at=timezone.now())
        Gateway.objects.update(breaker_open_until=None, consecutive_failures=0)
        world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["sms"]
    assert world.message_to(ada).reason == "route_unavailable"


def test_the_breaker_opens_after_failures_in_a_row_and_routing_says_so(world):
    people = world.people(6)
    world.carrier.by_route["imessage"] = lost(may_have_left=False)
    world.sent(*people)
    world.imessage_gateway.refresh_from_db()
    assert not world.imessage_gateway.is_available()
    Batch.objects.update(due_at=timezone.now())
    world.hand_over()
    assert {message["line"]["route"] for message in world.carrier.handed} == {"sms"}
    assert {world.message_to(person).reason for person in people} == {"route_unavailable"}


def test_after_the_breaker_one_message_tries_before_the_others(world):
    Gateway.objects.filter(pk=world.imessage_gateway.pk).update(
        consecutive_failures=9, breaker_open_until=timezone.now() - timedelta(seconds=1)
    )
    world.queued(*world.people(5))
    lane_id = claims.ready_lanes()[0]
    claim = claims.claim(lane_id)
    assert len(claim.legs) == 1
    assert sorted(len(b.message_ids) for b in Batch.objects.all()) == [1, 4]


def test_a_success_closes_the_breaker(world):
    Gateway.objects.filter(pk=world.imessage_gateway.pk).update(
        consecutive_failures=9, breaker_open_until=timezone.now() - timedelta(seconds=1)
    )
    world.sent(*world.people(5))
    world.imessage_gateway.refresh_from_db()
    assert world.imessage_gateway.consecutive_failures == 0
    assert len(world.carrier.handed) == 1
    Lane.objects.update(next_at=timezone.now())
    world.hand_over()
    assert len(world.carrier.handed) == 5


def test_a_reply_overtakes_a_broadcast_on_the_same_lane(world):
    bulk = world.people(3)
    world.queued(*bulk)
    ada = world.person()
    world.queued(ada, kind="reply")
    runner = HandRunner(world.carrier, max_in_flight=1)
    dispatch.run(runner=runner)
    assert world.carrier.handed[0]["to"] == ada.phone


def test_a_lane_with_a_rate_hands_over_a_few_seconds_worth_and_waits(world):
    world.identity.messages_per_second = 2
    world.identity.save(update_fields=["messages_per_second"])
    world.sent(*world.people(20))
    assert len(world.carrier.handed) == 6
    lane = Lane.objects.get(identity=world.identity)
    assert 2 < (lane.next_at - timezone.now()).total_seconds() <= 3


def test_an_opt_out_while_a_batch_is_under_way_stops_the_hand_over(world, monkeypatch):
    monkeypatch.setattr(dispatch, "CONSENT_SECONDS", 0.0)
    ada, bob, carol = world.people(3)
    send = world.queued(ada, bob, carol)

    def carol_leaves(message):
        Subscriber.objects.filter(pk=carol.pk).update(opted_out_at=timezone.now())

    world.carrier.before_answer = carol_leaves
    dispatch.run(runner=HandRunner(world.carrier, max_in_flight=1))
    assert world.carrier.texts_to(ada.phone) == ["imessage"]
    assert world.carrier.texts_to(carol.phone) == []
    assert world.message_to(carol, send).reason == "opted_out"
    assert [a.state for a in world.attempts_of(carol)] == [AttemptState.RELEASED]


def test_consent_is_read_again_when_a_slow_carrier_made_it_half_a_second_old(world, monkeypatch):
    clock = itertools.count(start=0.0, step=0.05)
    monkeypatch.setattr(dispatch.time, "monotonic", lambda: next(clock))
    people = world.people(30)
    world.queued(*people)
    late = people[-1]

    def late_leaves(message):
        Subscriber.objects.filter(pk=late.pk).update(opted_out_at=timezone.now())

    world.carrier.before_answer = late_leaves
    dispatch.run(runner=HandRunner(world.carrier, max_in_flight=1), budget_seconds=1e9)
    assert world.carrier.texts_to(late.phone) == []
    assert len(world.carrier.handed) == 29


def test_a_pause_while_a_batch_is_under_way_stops_the_hand_over(world, monkeypatch):
    monkeypatch.setattr(dispatch, "CONSENT_SECONDS", 0.0)
    people = world.people(5)
    send = world.queued(*people)
    world.carrier.before_answer = lambda message: compose.pause(send)
    dispatch.run(runner=HandRunner(world.carrier, max_in_flight=1))
    assert len(world.carrier.handed) == 1
    world.carrier.before_answer = lambda message: None
    assert compose.resume(send)
    world.hand_over()
    assert set(world.carrier.per_number.values()) == {1}
    assert len(world.carrier.handed) == 5


def test_a_paused_send_hands_over_nothing_until_it_is_resumed(world):
    people = world.people(3)
    send = world.queued(*people)
    assert compose.pause(send)
    world.hand_over()
    assert world.carrier.handed == []
    assert compose.resume(send)
    world.hand_over()
    assert len(world.carrier.handed) == 3


def test_a_cancelled_send_hands_over_nothing_any_more(world):
    people = world.people(3)
    send = world.queued(*people)
    assert compose.cancel(send)
    world.hand_over()
    assert world.carrier.handed == []
    assert {world.message_to(person).state for person in people} == {"cancelled"}


def test_a_send_whose_policy_forbids_a_reason_fails_those_people_with_it(world):
    ada, bob = world.person(opted_in=False), world.person(capability="no")
    world.sent(ada, bob, fallback_reasons=["not_capable"])
    assert world.carrier.texts_to(ada.phone) == []
    assert world.carrier.texts_to(bob.phone) == ["sms"]
    message = world.message_to(ada)
    assert (message.state, message.reason) == ("failed", "not_opted_in")


def test_a_forbidden_reason_after_an_attempt_ends_the_message_too(world):
    ada = world.person()
    world.carrier.by_route["imessage"] = refused("delivery_failed")
    world.sent(ada, fallback_reasons=["not_capable"])
    message = world.message_to(ada)
    assert (message.state, message.reason) == ("failed", "imessage_failed")
    assert world.carrier.texts_to(ada.phone) == []


def test_a_person_who_fell_back_after_an_attempt_does_not_return_to_imessage(world):
    ada = world.person()
    world.carrier.by_route["imessage"] = refused("delivery_failed")
    Gateway.objects.filter(pk=world.sms_gateway.pk).update(is_paused=True)
    world.sent(ada)
    world.carrier.by_route.clear()
    Gateway.objects.filter(pk=world.sms_gateway.pk).update(is_paused=False)
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["sms"]
    assert world.message_to(ada).reason == "imessage_failed"


def test_two_workers_never_claim_the_same_batch(world):
    world.queued(*world.people(3))
    lane_id = claims.ready_lanes()[0]
    assert len(claims.claim(lane_id).legs) == 3
    assert claims.claim(lane_id) is None


def test_a_worker_whose_lease_ran_out_hands_over_nothing_more(world):
    world.queued(*world.people(3))
    claim = claims.claim(claims.ready_lanes()[0])
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert not claims.renew(claim, handed=3, pending=claim.legs).is_ours


def test_a_second_open_attempt_for_a_message_is_refused_by_the_database(world):
    ada = world.person()
    world.sent(ada)
    [first] = world.attempts_of(ada)
    with pytest.raises(IntegrityError, match="attempt_one_open_per_message"), transaction.atomic():
        Attempt.objects.create(
            message_id=first.message_id,
            number=2,
            lane_id=first.lane_id,
            gateway_id=first.gateway_id,
            route="sms",
        )
