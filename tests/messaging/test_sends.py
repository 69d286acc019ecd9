"""The one function that writes the state of a send."""

import pytest
from django.utils import timezone

from messaging.models import Event, Send
from messaging.sends import finish_if_done, move
from messaging.states import SEND_MOVES, SendState

FROZEN = {"scheduled_at": timezone.now(), "audience_at": timezone.now()}


@pytest.fixture
def send(world):
    return world.send(world.person())


@pytest.mark.parametrize("verb", sorted(SEND_MOVES))
@pytest.mark.parametrize("state", sorted(SendState))
def test_a_verb_moves_from_its_states_only_and_leaves_one_event(send, verb, state):
    Send.objects.update(state=state, **FROZEN)
    events = Event.objects.count()
    sources, target = SEND_MOVES[verb]
    assert move(send.pk, verb) is (state in sources)
    send.refresh_from_db()
    assert send.state == (target if state in sources else state)
    assert Event.objects.count() == events + (state in sources)


def test_a_move_writes_its_fields_and_nothing_else(send):
    Send.objects.update(state="sending", name="Newer", **FROZEN)
    finished_at = timezone.now()
    assert move(send.pk, "finish", finished_at=finished_at, detail="All are out.")
    send.refresh_from_db()
    assert (send.state, send.finished_at, send.name) == ("done", finished_at, "Newer")
    event = Event.objects.latest("pk")
    assert (event.old, event.new, event.reason) == ("sending", "done", "finish")
    assert event.detail == "All are out."
    assert (event.subscriber_id, event.message_id, event.actor_id) == (None, None, None)


def test_a_move_that_did_not_happen_writes_no_field(send):
    Send.objects.update(state="cancelled", **FROZEN)
    assert not move(send.pk, "finish", finished_at=timezone.now())
    send.refresh_from_db()
    assert send.finished_at is None


def test_a_send_that_does_not_exist_is_not_moved(db):
    assert not move(2**40, "schedule")


def test_a_send_is_done_once_its_last_batch_is_gone(world):
    send = world.queued(world.person())
    assert not finish_if_done(send.pk)
    send.batches.all().delete()
    assert finish_if_done(send.pk)
    assert not finish_if_done(send.pk)
    send.refresh_from_db()
    assert send.state == SendState.DONE
    assert send.finished_at is not None


@pytest.mark.parametrize("state", ["expanding", "paused", "cancelled"])
def test_a_send_without_batches_is_not_done_while_it_is_not_sending(send, state):
    Send.objects.update(state=state, **FROZEN)
    assert not finish_if_done(send.pk)
    send.refresh_from_db()
    assert send.state == state
