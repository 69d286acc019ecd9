"""From a draft to a send: what is refused, who speaks, and the verbs on a send."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from messaging import compose, expand
from messaging.compose import Draft, NotValid
from messaging.models import Batch, Conversation, Event, Message, Send, Template
from messaging.states import SendState
from senders.models import Longcode, SenderIdentity
from subscribers.models import Group

NOT_A_KEY = 2**52 - 1


@pytest.fixture
def ada(world):
    return world.person()


@pytest.fixture
def draft(world, ada):
    """A draft that is valid, but for what a test changes."""

    def make(**changes):
        fields = {"body": "Hello!", "sender_name": world.identity.name, "subscriber_ids": [ada.pk]}
        return Draft(**(fields | changes))

    return make


@pytest.fixture
def other_line(world):
    """A second longcode with an identity of its own."""
    longcode = Longcode.objects.create(number="+13035550111", gateway=world.sms_gateway)
    SenderIdentity.objects.create(
        name="Boulder",
        handle="boulder@example.com",
        longcode=longcode,
        gateway=world.imessage_gateway,
    )
    return longcode


def problems_of(draft):
    with pytest.raises(NotValid) as refusal:
        compose.check(draft)
    return refusal.value.problems


class TestContent:
    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"body": ""}, "body", "Write a text"),
            ({"body": " \n\t"}, "body", "Write a text"),
            ({"body": "a" * 1_601}, "body", "Shorten the text to 1,600 characters; it has 1,601"),
            ({"body": "a\x00b"}, "body", "NUL"),
            ({"body": "a\ud83d"}, "body", "half of a character"),
            ({"body": "Hi {{ nickname }}"}, "body", "no field “nickname”"),
            ({"body": "Hi {{ first_name"}, "body", "not closed"),
            ({"template_id": 1}, "template_id", "either a text or a template"),
            ({"body": "", "template_id": NOT_A_KEY}, "template_id", "no such template"),
            ({"media_urls": ["https://example.com/a"] * 11}, "media_urls", "10 files or fewer"),
            ({"media_urls": ["ftp://example.com/a"]}, "media_urls", "http or https"),
            ({"media_urls": ["/a.jpg"]}, "media_urls", "http or https"),
            ({"media_urls": ["javascript:alert(1)"]}, "media_urls", "http or https"),
            ({"media_urls": ["http://"]}, "media_urls", "http or https"),
            ({"media_urls": ["http://[1"]}, "media_urls", "http or https"),
            ({"media_urls": ["http://example.com/\x00"]}, "media_urls", "http or https"),
            ({"media_urls": ["http://example.com/a\nb"]}, "media_urls", "http or https"),
            ({"media_urls": ["http://example.com/\ud83d"]}, "media_urls", "http or https"),
            ({"media_urls": ["http://example.com/" + "a" * 2_000]}, "media_urls", "http or https"),
        ],
    )
    def test_what_can_not_be_sent_is_refused_with_a_sentence(self, draft, changes, field, words):
        [problem] = problems_of(draft(**changes))
        assert problem.field == field
        assert words in problem.sentence
        assert problem.sentence.endswith(".")

    def test_a_text_of_the_greatest_length_is_taken(self, draft):
        assert compose.check(draft(body="a" * 1_600)).body == "a" * 1_600

    def test_attachments_need_no_text(self, draft):
        send = compose.check(draft(body="", media_urls=["https://example.com/a.jpg"]))
        assert send.media_urls == ["https://example.com/a.jpg"]

    def test_a_template_gives_its_text_which_stays_when_the_template_changes(self, draft):
        template = Template.objects.create(name="Hello", body="Hello {{ first_name }}")
        send = compose.create(draft(body="", template_id=template.pk))
        Template.objects.update(body="Changed")
        send.refresh_from_db()
        assert (send.template, send.body) == (template, "Hello {{ first_name }}")

    def test_an_archived_template_is_not_offered_any_more(self, draft):
        template = Template.objects.create(name="Old", body="Hi", archived_at=timezone.now())
        [problem] = problems_of(draft(body="", template_id=template.pk))
        assert problem.field == "template_id"


class TestSender:
    def test_a_name_asks_for_imessage_and_texts_from_its_longcode(self, world, draft):
        send = compose.check(draft())
        assert (send.identity, send.longcode) == (world.identity, world.longcode)

    def test_a_longcode_stands_for_the_identity_attached_to_it(self, draft, other_line):
        send = compose.check(draft(sender_name="", longcode_id=other_line.pk))
        assert (send.identity.name, send.longcode) == ("Boulder", other_line)

    def test_the_name_beats_the_longcode_which_stays_the_number_for_sms(
        self, world, draft, other_line
    ):
        send = compose.check(draft(longcode_id=other_line.pk))
        assert (send.identity, send.longcode) == (world.identity, other_line)

    def test_a_longcode_without_an_identity_means_plain_sms(self, world, draft):
        lone = Longcode.objects.create(number="+13035550122", gateway=world.sms_gateway)
        send = compose.check(draft(sender_name="", longcode_id=lone.pk))
        assert (send.identity, send.longcode) == (None, lone)

    def test_no_sender_at_all_means_plain_sms_from_the_first_active_longcode(
        self, world, draft, other_line
    ):
        Longcode.objects.filter(pk=world.longcode.pk).update(is_active=False)
        send = compose.check(draft(sender_name=""))
        assert (send.identity, send.longcode) == (None, other_line)

    @pytest.mark.parametrize(
        "name", ["denver", "Nobody", "Den\x00ver", "Denver\ud83d", "x" * 5_000]
    )
    def test_a_name_that_nobody_has_is_refused(self, draft, name):
        [problem] = problems_of(draft(sender_name=name))
        assert problem.field == "sender_name"
        assert "no sender identity of that name" in problem.sentence

    def test_a_longcode_that_does_not_exist_is_refused_even_beside_a_name(self, draft):
        [problem] = problems_of(draft(longcode_id=NOT_A_KEY))
        assert (problem.field, problem.sentence[:26]) == (
            "longcode_id",
            "There is no such longcode.",
        )

    def test_an_inactive_longcode_is_refused(self, world, draft):
        Longcode.objects.update(is_active=False)
        assert [problem.field for problem in problems_of(draft())] == ["longcode_id"]
        assert [problem.field for problem in problems_of(draft(sender_name=""))] == ["longcode_id"]

    @pytest.mark.parametrize("status", ["disabled", "blocked", "banned"])
    def test_an_identity_that_may_not_speak_is_taken_because_sms_stands_in(
        self, world, draft, status
    ):
        SenderIdentity.objects.update(status=status)
        assert compose.check(draft()).identity == world.identity


class TestAudience:
    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"subscriber_ids": []}, "audience", "Choose who gets this"),
            ({"subscriber_ids": [], "excluded_group_ids": [1]}, "audience", "Choose who gets this"),
            ({"to_everyone": True}, "audience", "either everybody or some"),
            ({"group_ids": [NOT_A_KEY]}, "group_ids", "does not exist"),
            ({"excluded_group_ids": [NOT_A_KEY]}, "group_ids", "does not exist"),
            ({"subscriber_ids": [NOT_A_KEY]}, "subscriber_ids", "does not exist"),
        ],
    )
    def test_an_audience_that_can_not_be_is_refused(self, draft, changes, field, words):
        [problem] = problems_of(draft(**changes))
        assert problem.field == field
        assert words in problem.sentence

    def test_whoever_is_named_twice_is_kept_once(self, ada, draft):
        group = Group.objects.create(name="Friends")
        send = compose.check(draft(subscriber_ids=[ada.pk, ada.pk], group_ids=[group.pk, group.pk]))
        assert (send.subscriber_ids, send.group_ids) == ([ada.pk], [group.pk])


class TestTheRest:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"fallback_reasons": ["not_capable", "bad_weather"]}, "fallback_reasons"),
            ({"fallback_reasons": ["opted_out"]}, "fallback_reasons"),
            ({"unknown_policy": "repeat"}, "unknown_policy"),
            ({"name": "a" * 121}, "name"),
            ({"name": "a\x00"}, "tags"),
            ({"name": "a\ud83d"}, "tags"),
            ({"external_id": "a" * 201}, "external_id"),
            ({"tags": {str(n): "" for n in range(21)}}, "tags"),
            ({"tags": {"a": "b" * 501}}, "tags"),
            ({"tags": {"a\x00": "b"}}, "tags"),
            ({"tags": {"a": "b\ud83d"}}, "tags"),
        ],
    )
    def test_what_can_not_be_kept_is_refused(self, draft, changes, field):
        [problem] = problems_of(draft(**changes))
        assert problem.field == field
        assert problem.sentence.endswith(".")

    def test_a_moment_must_lie_within_the_year_ahead(self, draft):
        now = timezone.now()
        for moment in (now - timedelta(hours=1), now + timedelta(days=400)):
            assert [p.field for p in problems_of(draft(scheduled_at=moment))] == ["scheduled_at"]
        for moment in (now - timedelta(minutes=1), now + timedelta(days=300)):
            assert compose.check(draft(scheduled_at=moment)).scheduled_at == moment

    def test_no_policy_lets_every_reason_fall_back_and_an_empty_one_lets_none(self, draft):
        assert compose.check(draft()).fallback_reasons is None
        assert compose.check(draft(fallback_reasons=[])).fallback_reasons == []

    def test_everything_that_is_wrong_is_said_at_once(self, db):
        found = problems_of(
            Draft(
                body="{{ nickname }}",
                media_urls=["a"],
                sender_name="Nobody",
                scheduled_at=timezone.now() - timedelta(days=1),
                fallback_reasons=["bad_weather"],
                external_id="a" * 201,
            )
        )
        assert [problem.field for problem in found] == [
            "body",
            "media_urls",
            "sender_name",
            "audience",
            "scheduled_at",
            "fallback_reasons",
            "external_id",
        ]

    def test_a_draft_that_is_refused_leaves_nothing_behind(self, draft):
        with pytest.raises(NotValid):
            compose.create(draft(body=""))
        assert not Send.objects.exists()
        assert not Event.objects.exists()

    def test_checking_keeps_nothing(self, draft):
        assert compose.check(draft()).pk is None
        assert not Send.objects.exists()

    def test_a_send_remembers_all_that_its_draft_said(self, draft):
        moment = timezone.now() + timedelta(days=1)
        send = compose.create(
            draft(
                scheduled_at=moment,
                fallback_reasons=["not_opted_in", "not_capable"],
                unknown_policy="fall_back",
                name=" May ",
                external_id="x-1",
                tags={"team": "north"},
                kind="transactional",
                origin="api",
            ),
            by=(author := User.objects.create(username="mary")),
        )
        send.refresh_from_db()
        assert send.state == SendState.DRAFT
        assert send.scheduled_at == moment
        assert send.fallback_reasons == ["not_capable", "not_opted_in"]
        assert (send.unknown_policy, send.name, send.external_id) == ("fall_back", "May", "x-1")
        assert (send.tags, send.kind, send.origin) == ({"team": "north"}, "transactional", "api")
        assert send.created_by == author


class TestRevise:
    def test_a_draft_can_be_written_anew(self, draft):
        send = compose.create(draft(), by=(author := User.objects.create(username="mary")))
        created_at = send.created_at
        assert compose.revise(send, draft(body="Better.", name="New"))
        send.refresh_from_db()
        assert (send.body, send.name, send.state) == ("Better.", "New", "draft")
        assert (send.created_by, send.created_at) == (author, created_at)

    def test_what_went_further_stays_as_it_is(self, draft):
        send = compose.create(draft())
        compose.schedule(send)
        assert not compose.revise(send, draft(body="Too late."))
        send.refresh_from_db()
        assert send.body == "Hello!"

    def test_a_revision_that_is_not_valid_changes_nothing(self, draft):
        send = compose.create(draft())
        with pytest.raises(NotValid):
            compose.revise(send, draft(body="", name="New"))
        send.refresh_from_db()
        assert (send.body, send.name) == ("Hello!", "")


def in_state(send, state):
    """The send brought to a state by its verbs."""
    if state in {"scheduled", "expanding", "sending", "paused"}:
        compose.schedule(send)
    if state == "expanding":
        Send.objects.update(state="expanding", audience_at=timezone.now())
    if state in {"sending", "paused"}:
        expand.run(send.pk)
    if state == "paused":
        compose.pause(send)
    if state == "cancelled":
        compose.cancel(send)
    send.refresh_from_db()
    assert send.state == state
    return send


class TestVerbs:
    @pytest.mark.parametrize(
        ("verb", "before", "after"),
        [
            (compose.schedule, "draft", "scheduled"),
            (compose.pause, "expanding", "paused"),
            (compose.pause, "sending", "paused"),
            (compose.resume, "paused", "sending"),
            (compose.cancel, "draft", "cancelled"),
            (compose.cancel, "scheduled", "cancelled"),
            (compose.cancel, "expanding", "cancelled"),
            (compose.cancel, "sending", "cancelled"),
            (compose.cancel, "paused", "cancelled"),
        ],
    )
    def test_a_verb_moves_a_send_once_and_says_who_did_it(self, draft, verb, before, after):
        mary = User.objects.create(username="mary")
        send = in_state(compose.create(draft()), before)
        stale = Send.objects.get(pk=send.pk)
        assert verb(send, by=mary)
        event = Event.objects.filter(kind="send").latest("pk")
        assert (event.send_id, event.actor_id) == (send.pk, mary.pk)
        assert (event.old, event.new, event.reason) == (before, after, verb.__name__)
        events = Event.objects.count()
        if verb is not compose.schedule:
            assert not verb(stale, by=mary)
            assert Event.objects.count() == events
        send.refresh_from_db()
        assert send.state == after

    @pytest.mark.parametrize(
        ("verb", "state"),
        [
            (compose.schedule, "sending"),
            (compose.schedule, "paused"),
            (compose.schedule, "cancelled"),
            (compose.pause, "draft"),
            (compose.pause, "scheduled"),
            (compose.pause, "paused"),
            (compose.pause, "cancelled"),
            (compose.resume, "draft"),
            (compose.resume, "sending"),
            (compose.resume, "cancelled"),
            (compose.cancel, "cancelled"),
        ],
    )
    def test_a_verb_from_another_state_does_nothing(self, draft, verb, state):
        send = in_state(compose.create(draft()), state)
        events = Event.objects.count()
        assert not verb(send)
        assert Event.objects.count() == events
        send.refresh_from_db()
        assert send.state == state

    def test_a_scheduled_send_can_be_given_another_moment(self, draft):
        send = compose.create(draft())
        later = timezone.now() + timedelta(hours=2)
        assert compose.schedule(send)
        assert compose.schedule(send, at=later)
        send.refresh_from_db()
        assert send.scheduled_at == later

    def test_a_send_goes_at_the_moment_of_its_draft_unless_told_otherwise(self, draft):
        moment = timezone.now() + timedelta(hours=2)
        send = compose.create(draft(scheduled_at=moment))
        compose.schedule(send)
        send.refresh_from_db()
        assert send.scheduled_at == moment

    def test_a_pause_stops_the_batches_and_resuming_opens_them_again(self, draft):
        send = in_state(compose.create(draft()), "sending")
        compose.pause(send)
        assert set(Batch.objects.values_list("state", flat=True)) == {"paused"}
        compose.resume(send)
        assert set(Batch.objects.values_list("state", flat=True)) == {"open"}

    def test_a_pause_leaves_the_batches_of_other_sends_alone(self, draft):
        other = in_state(compose.create(draft()), "sending")
        in_state(compose.create(draft()), "paused")
        assert Batch.objects.get(send=other).state == "open"

    def test_cancelling_ends_what_waits_and_says_so_for_each_message(self, ada, draft):
        send = in_state(compose.create(draft()), "sending")
        compose.cancel(send)
        message = Message.objects.get(send=send)
        assert message.state == "cancelled"
        assert not Batch.objects.exists()
        event = Event.objects.get(message_id=message.pk)
        assert (event.kind, event.old, event.new) == ("state", "queued", "cancelled")
        assert event.subscriber_id == ada.pk
        send.refresh_from_db()
        assert send.finished_at is not None


class TestReply:
    @pytest.fixture
    def conversation(self, world, ada):
        return Conversation.objects.create(
            subscriber=ada, longcode=world.longcode, identity=world.identity
        )

    def test_a_reply_goes_at_once_from_the_identity_that_was_written_to(
        self, world, ada, conversation
    ):
        mary = User.objects.create(username="mary")
        send = compose.reply(conversation, body="Hi {{ first_name }}!", by=mary)
        world.hand_over()
        assert world.carrier.texts_to(ada.phone) == ["imessage"]
        message = world.message_to(ada)
        assert (message.send_id, message.body) == (send.pk, "Hi Ada!")
        assert (send.kind, send.origin, send.created_by) == ("reply", "console", mary)

    def test_a_conversation_by_sms_is_answered_by_sms(self, world, ada, conversation):
        conversation.identity = None
        compose.reply(conversation, body="Hi!", by=None)
        world.hand_over()
        assert world.carrier.texts_to(ada.phone) == ["sms"]
        assert world.message_to(ada).reason == ""

    @pytest.mark.parametrize("body", ["", "a" * 1_601, "{{ nickname }}"])
    def test_a_reply_that_is_not_valid_leaves_nothing_behind(self, conversation, body):
        with pytest.raises(NotValid):
            compose.reply(conversation, body=body, by=None)
        assert not Send.objects.exists()


def test_the_same_answer_from_the_same_form_is_sent_once(world):
    conversation = Conversation.objects.create(
        subscriber=world.person(), longcode=world.longcode, identity=world.identity
    )
    first = compose.reply(conversation, body="Yes", by=None, once="form")
    again = compose.reply(conversation, body="Yes", by=None, once="form")
    other = compose.reply(conversation, body="No", by=None, once="form")
    later = compose.reply(conversation, body="Yes", by=None, once="another form")
    world.hand_over()
    assert again == first
    assert len({first, other, later}) == 3
    assert [message["body"] for message in world.carrier.handed] == ["Yes", "No", "Yes"]
