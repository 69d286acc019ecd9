"""From a send to its messages: who gets one, exactly once, wherever the work is cut off."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging import compose, expand
from messaging.models import Batch, Event, Message, Send
from messaging.states import SendState
from senders.models import Longcode, SenderIdentity
from subscribers.models import Group, Membership, OptIn, Subscriber


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(expand, "CHUNK", 3)


def group_of(name, people, **fields):
    group = Group.objects.create(name=name)
    Membership.objects.bulk_create(
        Membership(group=group, subscriber=person, **fields) for person in people
    )
    return group


def crowd(count):
    """Many people in few statements: capable or not, none of them opted in."""
    return Subscriber.objects.bulk_create(
        Subscriber(phone=f"+99955{number:05}", first_name=f"P{number}") for number in range(count)
    )


def reached(send):
    """The keys of those who have a message of this send, in order; each at most once."""
    keys = list(
        Message.objects.filter(send=send)
        .order_by("subscriber")
        .values_list("subscriber", flat=True)
    )
    assert len(keys) == len(set(keys))
    return keys


def keys_of(*people):
    return sorted(person.pk for person in people)


def to_groups(world, *groups, **draft):
    return world.send(group_ids=[group.pk for group in groups], **draft)


class TestAudience:
    def test_people_who_were_named_get_one_message_each(self, world):
        ada, bob, _ = world.people(3)
        assert reached(world.queued(ada, bob)) == keys_of(ada, bob)

    def test_whoever_is_in_several_groups_gets_one_message(self, world):
        ada, bob, carol, dan = world.people(4)
        one, two = group_of("One", [ada, bob]), group_of("Two", [bob, carol])
        send = to_groups(world, one, two, subscriber_ids=[carol.pk, dan.pk])
        expand.run(send.pk)
        assert reached(send) == keys_of(ada, bob, carol, dan)

    def test_everybody_means_everybody(self, world):
        people = world.people(5)
        send = world.queued(to_everyone=True)
        assert reached(send) == keys_of(*people)

    def test_people_of_excluded_groups_get_none_however_they_were_chosen(self, world):
        ada, bob, carol = world.people(3)
        friends, staff = group_of("Friends", [ada, bob]), group_of("Staff", [bob, carol])
        send = to_groups(world, friends, subscriber_ids=[carol.pk], excluded_group_ids=[staff.pk])
        expand.run(send.pk)
        assert reached(send) == keys_of(ada)
        send = world.queued(to_everyone=True, excluded_group_ids=[staff.pk, friends.pk])
        assert reached(send) == []

    def test_an_empty_audience_is_done_without_messages(self, world):
        send = to_groups(world, group_of("Nobody", []))
        assert expand.run(send.pk) == 0
        send.refresh_from_db()
        assert send.state == SendState.DONE
        assert send.finished_at is not None
        assert reached(send) == []

    def test_a_send_to_people_who_all_opted_out_is_done_and_says_why(self, world):
        people = world.people(2, opted_out_at=timezone.now())
        send = world.queued(*people)
        assert send.state == SendState.DONE
        assert not Batch.objects.exists()
        found = Message.objects.filter(send=send)
        assert {(m.state, m.route, m.reason, m.body) for m in found} == {
            ("suppressed", "", "opted_out", "")
        }

    @pytest.mark.usefixtures("small_chunks")
    def test_who_joins_or_is_created_after_the_start_is_left_out(self, world):
        group = group_of("Friends", early := world.people(4))
        later = world.person()
        send = to_groups(world, group)
        everyone = world.send(to_everyone=True)
        assert expand.step(send.pk) == 3
        assert expand.step(everyone.pk) == 3
        Membership.objects.create(group=group, subscriber=later)
        newcomer = world.person()
        Membership.objects.create(group=group, subscriber=newcomer)
        expand.run(send.pk)
        expand.run(everyone.pk)
        assert reached(send) == keys_of(*early)
        assert reached(everyone) == keys_of(*early, later)

    def test_whoever_is_named_is_meant_even_if_another_clock_made_their_row(self, world):
        ada = world.person(created_at=timezone.now() + timedelta(minutes=1))
        assert reached(world.queued(ada)) == keys_of(ada)
        assert reached(world.queued(to_everyone=True)) == []

    @pytest.mark.usefixtures("small_chunks")
    def test_who_leaves_or_is_excluded_before_their_turn_is_not_texted(self, world):
        people = world.people(5)
        group, staff = group_of("Friends", people), group_of("Staff", [])
        send = to_groups(world, group, excluded_group_ids=[staff.pk])
        expand.step(send.pk)
        Membership.objects.filter(group=group, subscriber=people[3]).delete()
        Membership.objects.create(group=staff, subscriber=people[4])
        expand.run(send.pk)
        assert reached(send) == keys_of(*people[:3])


class TestMessages:
    def test_a_message_holds_its_way_its_text_and_what_it_costs(self, world):
        ada = world.person(opted_in=False)
        world.queued(ada, body="Hi {{ first_name }}" + "!" * 160, media_urls=["https://e.com/a"])
        message = world.message_to(ada)
        assert (message.first_route, message.route, message.reason) == (
            "imessage",
            "sms",
            "not_opted_in",
        )
        assert (message.state, message.leg, message.segments) == ("queued", 1, 2)
        assert message.body == "Hi Ada" + "!" * 160
        assert message.media_urls == ["https://e.com/a"]
        assert (message.longcode, message.identity) == (world.longcode, world.identity)

    def test_plain_sms_is_not_a_fallback(self, world):
        ada = world.person()
        lone = Longcode.objects.create(number="+13035550122", gateway=world.sms_gateway)
        world.queued(ada, sender_name="", longcode_id=lone.pk)
        message = world.message_to(ada)
        assert (message.first_route, message.route, message.reason) == ("sms", "sms", "")
        assert (message.longcode, message.identity) == (lone, None)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, ("queued", "imessage", "")),
            ({"capability": "unknown"}, ("queued", "imessage", "")),
            ({"capability": "no"}, ("queued", "sms", "not_capable")),
            ({"opted_in": False}, ("queued", "sms", "not_opted_in")),
            ({"first_name": ""}, ("suppressed", "", "missing_field")),
            ({"phone": None, "email": "a@example.com"}, ("suppressed", "", "invalid_number")),
            ({"opted_out_at": timezone.now()}, ("suppressed", "", "opted_out")),
        ],
    )
    def test_each_person_goes_their_way_with_the_reason(self, world, fields, expected):
        ada = world.person(**fields)
        world.queued(ada, body="Hi {{ first_name }}")
        message = world.message_to(ada)
        assert (message.state, message.route, message.reason) == expected
        assert bool(message.body) == (message.state == "queued")

    def test_a_reason_that_may_not_fall_back_gives_a_failed_message(self, world):
        ada = world.person(opted_in=False)
        send = world.queued(ada, fallback_reasons=["not_capable"])
        message = world.message_to(ada)
        assert (message.state, message.route, message.reason) == ("failed", "", "not_opted_in")
        assert send.state == SendState.DONE

    def test_the_opt_in_of_another_identity_does_not_count(self, world):
        other = SenderIdentity.objects.create(
            name="Boulder",
            handle="boulder@example.com",
            longcode=Longcode.objects.create(number="+13035550111", gateway=world.sms_gateway),
            gateway=world.imessage_gateway,
        )
        ada = world.person(opted_in=False)
        OptIn.objects.create(subscriber=ada, identity=other, opted_in_at=timezone.now())
        world.queued(ada)
        assert world.message_to(ada).reason == "not_opted_in"
        world.queued(ada, sender_name="Boulder")
        assert world.message_to(ada).route == "imessage"

    def test_an_opt_out_of_the_number_that_texts_binds_whatever_identity_is_asked_for(self, world):
        longcode = Longcode.objects.create(number="+13035550111", gateway=world.sms_gateway)
        other = SenderIdentity.objects.create(
            name="Boulder",
            handle="boulder@example.com",
            longcode=longcode,
            gateway=world.imessage_gateway,
        )
        ada, bob, carol = world.people(3, opted_in=False)
        OptIn.objects.create(subscriber=ada, identity=other, opted_out_at=timezone.now())
        world.queued(ada, bob, carol, longcode_id=longcode.pk)
        assert world.message_to(ada).reason == "opted_out"
        OptIn.objects.create(subscriber=bob, identity=other, opted_out_at=timezone.now())
        world.hand_over()
        assert world.message_to(bob).reason == "opted_out"
        assert [m["to"] for m in world.carrier.handed] == [carol.phone]

    def test_only_a_confirmation_reaches_somebody_who_opted_out(self, world):
        ada = world.person(opted_out_at=timezone.now())
        for kind in Send.Kind.values:
            world.queued(ada, kind=kind)
            state = "queued" if kind == "compliance" else "suppressed"
            assert world.message_to(ada).state == state

    def test_a_confirmation_of_an_opt_out_goes_the_way_that_the_person_wrote(self, world):
        ada = world.person()
        OptIn.objects.filter(subscriber=ada).update(opted_out_at=timezone.now())
        world.queued(ada, kind="compliance")
        assert (world.message_to(ada).route, world.message_to(ada).reason) == ("imessage", "")

    def test_a_large_chunk_takes_as_few_statements_as_a_small_one(self, world):
        few, many = world.send(*world.people(2)), world.send(*world.people(50))
        world.queued(world.person())
        with CaptureQueriesContext(connection) as for_few:
            expand.run(few.pk)
        with CaptureQueriesContext(connection) as for_many:
            expand.run(many.pk)
        assert len(for_many) == len(for_few)


class TestBatches:
    def batches(self, send):
        return list(Batch.objects.filter(send=send).order_by("pk"))

    def test_every_queued_message_is_in_one_batch_of_its_way(self, world):
        people = (
            world.people(4) + world.people(3, opted_in=False) + world.people(2, capability="no")
        )
        send = world.queued(*people, *world.people(2, opted_out_at=timezone.now()))
        places = {}
        for batch in self.batches(send):
            assert (batch.lane.identity is not None) == (batch.route == "imessage")
            assert (batch.lane.longcode is not None) == (batch.route == "sms")
            for key in batch.message_ids:
                assert key not in places
                places[key] = batch.route
        queued = Message.objects.filter(send=send, state="queued")
        assert places == {message.pk: message.route for message in queued}
        assert len(places) == 9

    def test_a_lane_without_a_limit_gets_batches_of_five_hundred(self, world):
        crowd(1_201)
        send = world.queued(to_everyone=True)
        assert [len(batch.message_ids) for batch in self.batches(send)] == [500, 500, 201]

    @pytest.mark.parametrize(
        ("rate", "sizes"), [(0.1, [1] * 7), (1, [3, 3, 1]), (2.5, [7]), (1_000, [7])]
    )
    def test_a_slow_lane_gets_batches_of_a_few_seconds(self, world, rate, sizes):
        Longcode.objects.update(messages_per_second=rate)
        send = world.queued(*world.people(7, opted_in=False))
        assert [len(batch.message_ids) for batch in self.batches(send)] == sizes

    def test_each_way_has_the_batches_of_its_own_pace(self, world):
        SenderIdentity.objects.update(messages_per_second=1)
        send = world.queued(*world.people(5), *world.people(5, opted_in=False))
        sizes = [(batch.route, len(batch.message_ids)) for batch in self.batches(send)]
        assert sorted(sizes) == [("imessage", 2), ("imessage", 3), ("sms", 5)]

    @pytest.mark.parametrize(
        ("kind", "priority"),
        [("compliance", 0), ("reply", 1), ("transactional", 2), ("broadcast", 3)],
    )
    def test_the_kind_of_a_send_gives_its_batches_their_priority(self, world, kind, priority):
        send = world.queued(world.person(), kind=kind)
        assert [batch.priority for batch in self.batches(send)] == [priority]


@pytest.mark.usefixtures("small_chunks")
class TestInSteps:
    def test_a_send_expands_a_chunk_at_a_time_and_goes_on_where_it_stood(self, world):
        people = world.people(8)
        send = world.send(*people)
        assert expand.run(send.pk, most_chunks=1) == 3
        assert reached(send) == keys_of(*people[:3])
        send.refresh_from_db()
        assert (send.state, send.expanded_to) == (SendState.EXPANDING, people[2].pk)
        assert expand.run(send.pk) == 5
        assert reached(send) == keys_of(*people)
        send.refresh_from_db()
        assert send.state == SendState.SENDING
        assert send.expanded_at is not None

    def test_the_last_chunk_ends_the_expansion_at_once(self, world):
        send = world.send(*world.people(6))
        expand.run(send.pk, most_chunks=2)
        send.refresh_from_db()
        assert send.state == SendState.SENDING

    def test_a_chunk_in_which_everybody_is_excluded_does_not_end_the_expansion(self, world):
        people = world.people(8)
        staff = group_of("Staff", people[:5])
        send = world.queued(to_everyone=True, excluded_group_ids=[staff.pk])
        assert reached(send) == keys_of(*people[5:])
        assert send.state == SendState.SENDING

    def test_several_groups_of_unequal_spread_are_walked_to_the_end(self, world):
        people = world.people(14)
        one, two = group_of("One", people[:2] + people[12:]), group_of("Two", people[1:11:2])
        send = to_groups(world, one, two, subscriber_ids=[people[11].pk])
        expand.run(send.pk)
        wanted = keys_of(*people[:2], *people[12:], *people[1:11:2], people[11])
        assert reached(send) == sorted(set(wanted))

    def test_a_chunk_that_is_cut_off_leaves_nothing_and_is_done_again(self, world, monkeypatch):
        people = world.people(7)
        send = world.send(*people)
        expand.step(send.pk)

        def die(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(Send, "save", die)
        with pytest.raises(KeyboardInterrupt):
            expand.step(send.pk)
        monkeypatch.undo()
        assert reached(send) == keys_of(*people[:3])
        expand.run(send.pk)
        assert reached(send) == keys_of(*people)
        in_batches = [key for batch in Batch.objects.all() for key in batch.message_ids]
        assert sorted(in_batches) == sorted(Message.objects.values_list("pk", flat=True))

    def test_a_paused_send_stops_expanding_and_goes_on_where_it_stood(self, world):
        people = world.people(8)
        send = world.send(*people)
        expand.step(send.pk)
        assert compose.pause(send)
        assert expand.run(send.pk) == 0
        assert reached(send) == keys_of(*people[:3])
        assert compose.resume(send)
        send.refresh_from_db()
        assert send.state == SendState.EXPANDING
        assert expand.run(send.pk) == 5
        assert reached(send) == keys_of(*people)

    def test_a_cancelled_send_makes_no_more_messages(self, world):
        send = world.send(*world.people(8))
        expand.step(send.pk)
        assert compose.cancel(send)
        assert expand.run(send.pk) == 0
        found = Message.objects.filter(send=send)
        assert [message.state for message in found] == ["cancelled"] * 3

    def test_an_expanded_send_makes_no_more_messages_when_asked_again(self, world):
        send = world.queued(*world.people(4))
        events = Event.objects.count()
        assert expand.run(send.pk) == 0
        assert len(reached(send)) == 4
        assert Event.objects.count() == events

    @pytest.mark.parametrize("state", ["draft", "scheduled"])
    def test_a_send_that_is_not_due_makes_no_messages(self, world, state):
        later = timezone.now() + timedelta(hours=1)
        draft = compose.Draft(
            body="Hi", sender_name="Denver", subscriber_ids=[world.person().pk], scheduled_at=later
        )
        send = compose.create(draft)
        if state == "scheduled":
            compose.schedule(send)
        assert expand.run(send.pk) == 0
        send.refresh_from_db()
        assert (send.state, reached(send)) == (state, [])

    def test_the_stages_of_an_expansion_are_on_record(self, world):
        send = world.queued(*world.people(4))
        found = Event.objects.filter(send_id=send.pk, kind="send").order_by("pk")
        assert [event.reason for event in found] == ["schedule", "start", "expanded"]

    def test_a_send_that_does_not_exist_is_passed_over(self, world):
        assert expand.run(2**40) == 0


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_expand_one_send_make_one_message_each(world, monkeypatch):
    monkeypatch.setattr(expand, "CHUNK", 5)
    people = crowd(60)
    send = world.send(to_everyone=True)
    together = threading.Barrier(3, timeout=20)
    made = []

    def work():
        together.wait()
        try:
            made.append(expand.run(send.pk))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(made) == 60
    assert len(made) == 3
    assert reached(send) == keys_of(*people)
    in_batches = [key for batch in Batch.objects.all() for key in batch.message_ids]
    assert sorted(in_batches) == sorted(Message.objects.values_list("pk", flat=True))
    found = Event.objects.filter(send_id=send.pk, kind="send").values_list("reason", flat=True)
    assert sorted(found) == ["expanded", "schedule", "start"]
