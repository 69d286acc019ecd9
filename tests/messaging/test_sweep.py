"""What a lost worker leaves behind, and how it is put right."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from django.utils import timezone

from messaging import claim as claims
from messaging import dispatch, expand, sweep, tasks
from messaging.models import Attempt, Batch, Message, Send
from senders.models import Gateway
from subscribers.models import Subscriber
from tests.messaging.conftest import HandRunner, lost


def _claim(world):
    return claims.claim(claims.ready_lanes()[0])


def _time_passes(seconds: float = 3600) -> None:
    earlier = timezone.now() - timedelta(seconds=seconds)
    Batch.objects.filter(state="leased").update(lease_until=earlier)
    Attempt.objects.update(claimed_at=earlier)
    Message.objects.update(state_at=earlier)


def test_a_worker_lost_right_after_its_claim_leaves_unknowns_that_nobody_repeats(world):
    world.carrier.remembers = False
    ada = world.person()
    world.queued(ada)
    _claim(world)
    _time_passes()
    assert sweep.expired_leases() == 1
    assert [a.state for a in world.attempts_of(ada)] == ["unknown"]
    world.hand_over()
    assert world.carrier.handed == []
    assert not Batch.objects.exists()


def test_what_was_behind_the_window_goes_back_into_the_queue(world, monkeypatch):
    monkeypatch.setattr(claims, "WINDOW", 2)
    people = world.people(5)
    world.queued(*people)
    _claim(world)
    _time_passes()
    sweep.expired_leases()
    states = [a.state for p in people for a in world.attempts_of(p)]
    assert sorted(states) == ["released"] * 3 + ["unknown"] * 2
    world.hand_over()
    assert len(world.carrier.handed) == 3


def test_a_carrier_that_can_tell_says_what_became_of_an_unknown(world):
    """Killed between the carrier's answer and the settlement: found, and not sent again."""
    ada = world.person()
    world.queued(ada)
    claim = _claim(world)
    handover = dispatch.Handover(claim, None)
    reference = handover.outbound(claim.legs[0]).reference
    world.carrier.handed.append(
        {
            "reference": reference,
            "to": ada.phone,
            "body": "",
            "line": {"route": "imessage", "address": "denver@example.com"},
        }
    )
    _time_passes()
    sweep.expired_leases()
    _time_passes()
    assert sweep.look_up_unknown() == 1
    assert world.message_to(ada).state == "delivered"
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["imessage"]


def test_what_the_carrier_provably_never_had_is_sent_after_all(world):
    ada = world.person()
    world.queued(ada)
    _claim(world)
    _time_passes()
    sweep.expired_leases()
    _time_passes()
    assert sweep.look_up_unknown() == 1
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["imessage"]
    assert [a.state for a in world.attempts_of(ada)] == ["released", "accepted"]


def test_an_unknown_is_not_looked_up_while_its_request_may_still_arrive(world):
    ada = world.person()
    world.carrier.by_number[ada.phone] = lost(may_have_left=True)
    world.sent(ada)
    # Claimed long ago, and cut off just now: what counts is the cut.
    Attempt.objects.update(claimed_at=timezone.now() - timedelta(minutes=1))
    assert sweep.look_up_unknown() == 0
    assert [a.state for a in world.attempts_of(ada)] == ["unknown"]


def test_after_the_window_an_unknown_is_held_unless_the_policy_says_sms(world, monkeypatch):
    monkeypatch.setattr(sweep, "look_up_unknown", lambda: 0)
    ada, bob = world.people(2)
    world.carrier.by_route["imessage"] = lost(may_have_left=True)
    world.sent(ada)
    world.sent(bob, unknown_policy="fall_back")
    _time_passes()
    sweep.run()
    world.hand_over()
    assert world.carrier.texts_to(ada.phone) == ["imessage"]
    assert world.carrier.texts_to(bob.phone) == ["imessage", "sms"]
    assert world.message_to(ada).state == "unknown"
    assert world.message_to(bob).reason == "outcome_unknown"
    assert [a.state for a in world.attempts_of(bob)] == ["abandoned", "accepted"]


def test_an_answer_that_comes_after_the_lease_ran_out_is_still_the_truth(world):
    ada = world.person()
    world.queued(ada)
    claim = _claim(world)
    handover = dispatch.Handover(claim, None)
    leg = handover.next_leg()
    handover.open += 1
    _time_passes()
    sweep.expired_leases()
    handover.reports.append(
        dispatch.Report(leg.attempt_id, dispatch.AttemptState.ACCEPTED, gateway_message_id="x")
    )
    dispatch.finish(handover)
    assert [a.state for a in world.attempts_of(ada)] == ["accepted"]
    assert world.message_to(ada).state == "accepted"


def test_a_lost_expansion_goes_on_from_the_rows_alone(world, monkeypatch):
    monkeypatch.setattr(expand, "CHUNK", 2)
    people = world.people(5)
    send = world.send(*people)
    expand.run(send.pk, most_chunks=1)
    assert sweep.due_sends() == [send.pk]
    expand.run(send.pk)
    assert Message.objects.filter(send=send).count() == 5
    assert sweep.due_sends() == []


def test_a_send_whose_last_batch_was_settled_by_a_lost_worker_is_finished(world):
    send = world.sent(world.person())
    Send.objects.filter(pk=send.pk).update(state="sending", finished_at=None)
    assert sweep.finished_sends() == 1
    send.refresh_from_db()
    assert send.state == "done"


def test_a_batch_paused_while_its_send_was_resumed_is_opened_again(world):
    send = world.queued(world.person())
    Batch.objects.filter(send=send).update(state="paused")
    assert sweep.stopped_batches() == 1
    world.hand_over()
    assert len(world.carrier.handed) == 1


def test_the_beat_starts_what_is_due_even_when_every_hint_was_lost(world, monkeypatch):
    hinted = []
    monkeypatch.setattr(tasks.hints, "expand", lambda key: hinted.append(("expand", key)))
    monkeypatch.setattr(tasks.hints, "dispatch", lambda: hinted.append(("dispatch",)))
    send = world.send(world.person())
    tasks.wake()
    assert hinted == [("expand", send.pk)]
    expand.run(send.pk)
    hinted.clear()
    tasks.wake()
    assert hinted == [("dispatch",)]


def test_a_send_for_later_waits_for_its_moment(world):
    send = world.send(world.person(), scheduled_at=timezone.now() + timedelta(hours=1))
    assert sweep.due_sends() == []
    assert expand.run(send.pk) == 0
    assert not Message.objects.exists()


def test_a_killed_worker_with_a_slow_carrier_texts_nobody_twice(world, monkeypatch):
    """Killed at every point of a hand-over of ten, then swept and run again."""
    monkeypatch.setattr(claims, "WINDOW", 3)
    for stop_after in range(1, 11):
        world.carrier.handed.clear()
        people = world.people(10)
        world.queued(*people)

        def die(message, stop_after=stop_after):
            if len(world.carrier.handed) + 1 == stop_after:
                raise KeyboardInterrupt

        world.carrier.before_answer = die
        with contextlib.suppress(KeyboardInterrupt):
            dispatch.run(runner=HandRunner(world.carrier, max_in_flight=2))
        world.carrier.before_answer = lambda message: None
        for _ in range(3):
            _time_passes()
            sweep.run()
            world.hand_over()
        assert set(world.carrier.per_number.values()) == {1}
        assert set(world.carrier.per_number) == {person.phone for person in people}


def test_an_opt_out_in_a_batch_that_is_cut_off_has_nobody_texted_twice(world, monkeypatch):
    """What is left out of a batch must not shift the places up to which it may have left."""
    monkeypatch.setattr(claims, "WINDOW", 2)
    people = world.people(6)
    world.queued(*people)

    def leave_then_die(message):
        Subscriber.objects.filter(pk=people[3].pk).update(opted_out_at=timezone.now())
        if len(world.carrier.handed) == 4:
            world.carrier.before_answer = lambda message: None
            world.carrier.handed.append(message)
            raise KeyboardInterrupt

    world.carrier.before_answer = leave_then_die
    with contextlib.suppress(KeyboardInterrupt):
        dispatch.run(runner=HandRunner(world.carrier, max_in_flight=1))
    for _ in range(3):
        _time_passes()
        sweep.run()
        world.hand_over()
    assert set(world.carrier.per_number.values()) == {1}
    assert people[3].phone not in world.carrier.per_number
    assert len(world.carrier.per_number) == 5


def test_what_a_look_up_finds_failed_falls_back_for_the_carriers_reason(world):
    ada = world.person()
    world.carrier.by_number[ada.phone] = lost(may_have_left=True)
    world.sent(ada)
    world.carrier.found = {"status": "failed", "error": "not_on_imessage"}
    _time_passes()
    assert sweep.look_up_unknown() == 1
    assert (world.message_to(ada).route, world.message_to(ada).reason) == ("sms", "not_capable")


def test_unknowns_that_nobody_can_answer_delay_no_others(world, monkeypatch):
    monkeypatch.setattr(sweep, "_MOST", 2)
    ada, *others = world.people(4)
    world.carrier.by_route["imessage"] = lost(may_have_left=True)
    world.sent(ada, *others)
    mute = Gateway.objects.create(kind="gone", name="Gone", base_url="http://carrier.invalid")
    Attempt.objects.exclude(message__subscriber=ada).update(gateway=mute)
    _time_passes()
    assert sweep.look_up_unknown() == 1
    assert world.message_to(ada).state == "delivered"


def test_a_slow_carrier_is_not_asked_about_everything_in_one_sweep(world, monkeypatch):
    monkeypatch.setattr(sweep, "_LOOK_UP_SECONDS", -1.0)
    world.carrier.by_route["imessage"] = lost(may_have_left=True)
    world.sent(*world.people(3))
    _time_passes()
    assert sweep.look_up_unknown() == 0


def test_unknowns_that_stay_unknown_delay_no_fallback_of_others(world, monkeypatch):
    monkeypatch.setattr(sweep, "_MOST", 1)
    monkeypatch.setattr(sweep, "look_up_unknown", lambda: 0)
    world.carrier.by_route = dict.fromkeys(("imessage", "sms"), lost(may_have_left=True))
    world.sent(world.person(capability="no"), unknown_policy="fall_back")
    world.sent(world.person(), unknown_policy="fall_back", fallback_reasons=["not_capable"])
    ada = world.person()
    world.sent(ada, unknown_policy="fall_back")
    _time_passes()
    assert sweep.run()["close_unknown"] == 1
    assert world.message_to(ada).route == "sms"


def test_a_batch_that_can_not_be_closed_stops_no_other_repair(world, monkeypatch):
    ada, bob = world.people(2)
    poison, _ = world.queued(ada), world.queued(bob)
    _claim(world), _claim(world)
    close = sweep._close

    def fail_on_poison(batch):
        if batch.send_id == poison.pk:
            raise RuntimeError
        close(batch)

    def fail():
        raise RuntimeError

    monkeypatch.setattr(sweep, "_close", fail_on_poison)
    monkeypatch.setattr(sweep, "look_up_unknown", fail)
    _time_passes()
    assert sweep.run()["expired_leases"] == 1
    assert [a.state for a in world.attempts_of(bob)] == ["unknown"]
