"""Back into the queue: messages of one send, lane, way and moment share batches."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.batches import Place, enqueue
from messaging.models import Batch, Message
from senders import lanes
from senders.models import Longcode


@pytest.fixture
def queue(world):
    """A function that puts messages of one send into the queue by SMS."""
    people = world.people(12, opted_in=False)
    send = world.queued(*people)
    Batch.objects.all().delete()
    keys = list(Message.objects.filter(send=send).order_by("pk").values_list("pk", flat=True))
    lane = lanes.of_longcode(world.longcode.pk)
    now = timezone.now()

    def put(*numbers, due_in=0, route="sms", lane_id=lane.pk):
        due_at = now + timedelta(seconds=due_in)
        return [Place(keys[number], send.pk, lane_id, route, due_at) for number in numbers]

    put.keys, put.send = keys, send
    return put


def batches():
    return list(Batch.objects.order_by("pk"))


def test_messages_of_one_moment_share_a_batch_in_their_order(queue):
    enqueue(queue(0, 1, 2))
    [batch] = batches()
    assert batch.message_ids == queue.keys[:3]
    assert (batch.route, batch.state, batch.priority, batch.send_id) == (
        "sms",
        "open",
        3,
        queue.send.pk,
    )


def test_messages_that_wait_longer_have_a_batch_of_their_own(queue):
    enqueue(queue(0, 1) + queue(2, due_in=40))
    now, later = batches()
    assert (now.message_ids, later.message_ids) == (queue.keys[:2], queue.keys[2:3])
    assert later.due_at - now.due_at == timedelta(seconds=40)


def test_each_lane_has_batches_of_its_own(world, queue):
    imessage = lanes.of_identity(world.identity.pk)
    enqueue(queue(0, 1) + queue(2, route="imessage", lane_id=imessage.pk))
    assert {(batch.route, batch.lane_id == imessage.pk) for batch in batches()} == {
        ("sms", False),
        ("imessage", True),
    }


def test_a_slow_lane_gets_small_batches(queue):
    Longcode.objects.update(messages_per_second=1.5)
    enqueue(queue(*range(10)))
    assert [len(batch.message_ids) for batch in batches()] == [4, 4, 2]
    assert [key for batch in batches() for key in batch.message_ids] == queue.keys[:10]


def test_a_reply_comes_back_with_the_priority_of_a_reply(world):
    ada = world.person()
    send = world.queued(ada, kind="reply")
    [batch] = batches()
    batch.delete()
    [key] = batch.message_ids
    enqueue([Place(key, send.pk, batch.lane_id, batch.route, batch.due_at)])
    assert batches()[0].priority == 1


def test_nothing_to_queue_makes_no_batch(queue):
    with CaptureQueriesContext(connection) as queries:
        enqueue([])
    assert len(queries) == 0
    assert batches() == []


def test_many_messages_take_as_few_statements_as_one(queue):
    with CaptureQueriesContext(connection) as for_one:
        enqueue(queue(0))
    with CaptureQueriesContext(connection) as for_many:
        enqueue(queue(*range(1, 12)))
    assert len(for_many) == len(for_one)
