"""What people write: opt-ins, opt-outs, conversations, tapbacks."""

from __future__ import annotations

from datetime import datetime, timedelta
from datetime import timezone as tz

import pytest
from django.utils import timezone

from messaging import compose, gestures
from messaging.intake import take
from messaging.models import Conversation, Event, Message, Tapback
from senders.gateways.contract import (
    InboundMessage,
    InboundTapback,
    InboundTyping,
    Line,
    LineReport,
    Route,
    TapbackKind,
)
from senders.gateways.errors import NotSupported
from subscribers.models import ConsentEvent, OptIn, Subscriber

IMESSAGE = Line(Route.IMESSAGE, "denver@example.com")
SMS = Line(Route.SMS, "+13035550100")
PHONE = "+99911112222"


@pytest.fixture
def write(world):
    """Somebody writes a text; everything that is due is handed over after it."""
    numbers = iter(range(1000))

    def write(
        body: str,
        *,
        line: Line = IMESSAGE,
        sender: str = PHONE,
        carrier_id: str = "",
        seconds_ago: int = 0,
    ):
        gateway = world.imessage_gateway if line is IMESSAGE else world.sms_gateway
        at = timezone.now() - timedelta(seconds=seconds_ago)
        fact = InboundMessage(carrier_id or f"in-{next(numbers)}", line, sender, body, at)
        taken = take(gateway, [fact])
        world.hand_over()
        return taken

    return write


def _person(phone: str = PHONE) -> Subscriber:
    return Subscriber.objects.get(phone=phone)


def _is_opted_in(world) -> bool:
    return OptIn.objects.get(subscriber=_person(), identity=world.identity).is_opted_in


def test_any_message_to_an_identity_opts_in_and_proves_imessage(world, write):
    write("hello there")
    person = _person()
    assert _is_opted_in(world)
    assert (person.imessage_capability, person.imessage_source) == ("yes", "inbound")
    proof = OptIn.objects.get(subscriber=person).proof_message_id
    assert Message.objects.get(pk=proof).body == "hello there"
    assert ConsentEvent.objects.get().action == "opt_in"


def test_a_text_to_the_longcode_opts_nobody_in(world, write):
    write("hello", line=SMS)
    assert not OptIn.objects.exists()
    assert _person().imessage_capability == "unknown"


def test_opting_in_changes_the_route_of_the_next_send(world, write):
    ada = world.person(opted_in=False, phone=PHONE)
    world.sent(ada)
    write("hi")
    world.sent(ada)
    assert world.carrier.texts_to(PHONE) == ["sms", "imessage"]


def test_the_welcome_goes_out_once_by_imessage(world, write):
    world.identity.welcome_text = "Welcome!"
    world.identity.save(update_fields=["welcome_text"])
    write("hi")
    write("hi again")
    assert [m["body"] for m in world.carrier.handed] == ["Welcome!"]
    assert world.carrier.texts_to(PHONE) == ["imessage"]


@pytest.mark.parametrize("line", [IMESSAGE, SMS])
def test_stop_opts_out_of_everything_with_exactly_one_confirmation(world, write, line):
    write("hi")
    world.carrier.handed.clear()
    write("  Stop! ", line=line)
    write("STOP", line=line)
    assert _person().opted_out_at is not None
    [confirmation] = world.carrier.handed
    assert "opted out" in confirmation["body"]
    world.carrier.handed.clear()
    world.sent(_person())
    assert world.carrier.handed == []


def test_the_same_stop_reported_twice_is_one_message_and_one_confirmation(world, write):
    write("STOP", carrier_id="same")
    write("STOP", carrier_id="same")
    assert Message.objects.filter(direction="in").count() == 1
    assert len(world.carrier.handed) == 1
    assert Conversation.objects.get().unread == 1


def test_a_start_that_arrives_late_does_not_undo_the_stop_written_after_it(world, write):
    write("STOP", seconds_ago=5)
    world.carrier.handed.clear()
    write("START", seconds_ago=10)
    assert _person().opted_out_at is not None
    assert world.carrier.handed == []
    write("START", seconds_ago=1)
    assert _person().opted_out_at is None


def test_after_an_opt_out_only_start_or_the_opt_in_words_opt_in_again(world, write):
    write("hi")
    write("STOP")
    write("what is new?")
    assert _person().opted_out_at is not None
    write(world.identity.opt_in_message)
    assert _person().opted_out_at is None
    assert _is_opted_in(world)
    write("STOP")
    write("start")
    assert _person().opted_out_at is None


def test_start_by_sms_lifts_the_opt_out_without_opting_in_to_the_identity(world, write):
    write("STOP", line=SMS)
    write("START", line=SMS)
    person = _person()
    assert person.opted_out_at is None
    assert not OptIn.objects.filter(subscriber=person, opted_in_at__isnull=False).exists()


def test_with_identity_scope_stop_to_one_identity_leaves_the_others(world, write, settings):
    settings.OPT_OUT_SCOPE = "identity"
    write("hi")
    write("STOP")
    person = _person()
    assert person.opted_out_at is None
    assert not _is_opted_in(world)
    world.carrier.handed.clear()
    world.sent(person)
    world.sent(person, sender_name="", longcode_id=world.longcode.pk)
    assert world.carrier.handed == []


def test_help_answers_an_opted_out_person_and_changes_nothing(world, write):
    write("STOP")
    world.carrier.handed.clear()
    write("help?")
    assert len(world.carrier.handed) == 1
    assert _person().opted_out_at is not None
    assert not _is_in_any_opt_in()


def _is_in_any_opt_in() -> bool:
    return OptIn.objects.filter(opted_in_at__isnull=False).exists()


def test_a_textual_tapback_is_no_stop(world, write):
    write("hi")
    write("Liked “STOP”")
    assert _person().opted_out_at is None


def test_a_reply_is_on_top_of_its_conversation_and_unread(world, write):
    write("first")
    write("second")
    conversation = Conversation.objects.get()
    assert (conversation.last_body, conversation.unread) == ("second", 2)
    assert conversation.identity == world.identity
    assert Event.objects.filter(kind="received").count() == 2


def test_a_reply_by_staff_leaves_from_the_identity_that_was_written_to(world, write):
    write("hi")
    world.carrier.handed.clear()
    compose.reply(Conversation.objects.get(), body="Hello back", by=None)
    world.hand_over()
    [handed] = world.carrier.handed
    assert handed["line"] == {"route": "imessage", "address": "denver@example.com"}
    write("by text", line=SMS)
    compose.reply(Conversation.objects.get(), body="Hello by text", by=None)
    world.hand_over()
    assert world.carrier.handed[-1]["line"] == {"route": "sms", "address": "+13035550100"}


def test_a_message_to_a_line_of_another_gateway_is_not_taken(world):
    fact = InboundMessage("x", SMS, PHONE, "hi", None)
    assert take(world.imessage_gateway, [fact]).unmatched == 1
    assert not Subscriber.objects.exists()


def test_a_sender_that_is_no_number_is_not_taken_and_breaks_nothing(world, write):
    assert write("hi", sender="somebody@example.com").unmatched == 1
    assert not Message.objects.exists()


@pytest.mark.parametrize("carrier_id", ["", "x" * 5_000])
def test_a_stop_with_an_odd_carrier_id_counts_once(world, carrier_id):
    fact = InboundMessage(carrier_id, IMESSAGE, PHONE, "STOP", timezone.now())
    take(world.imessage_gateway, [fact])
    take(world.imessage_gateway, [fact])
    assert _person().opted_out_at is not None
    assert Message.objects.filter(direction="in").count() == 1


@pytest.mark.parametrize(
    "at",
    [
        datetime(1, 1, 1, tzinfo=tz(timedelta(hours=23))),
        datetime(9999, 12, 31, 23, tzinfo=tz(timedelta(hours=-23))),
        datetime(2026, 1, 1, tzinfo=tz(timedelta(hours=23, minutes=59))),
        datetime(2026, 1, 1),  # noqa: DTZ001 -- a carrier that gives no zone
    ],
)
def test_a_stop_at_an_odd_moment_counts(world, at):
    take(world.imessage_gateway, [InboundMessage("odd", IMESSAGE, PHONE, "STOP", at)])
    assert _person().opted_out_at is not None


def test_a_nul_character_in_a_text_breaks_nothing(world, write):
    write("a\x00b")
    assert Message.objects.get(direction="in").body == "ab"


def test_tapbacks_on_our_message_are_drawn_replaced_and_taken_away(world, write):
    ada = world.person(phone=PHONE)
    world.sent(ada)
    carrier_id = world.attempts_of(ada)[0].gateway_message_id
    now = timezone.now()

    def tapback(kind: TapbackKind, *, removed: bool = False, seconds: int = 0):
        at = now + timedelta(seconds=seconds)
        return take(
            world.imessage_gateway,
            [InboundTapback(IMESSAGE, PHONE, carrier_id, kind, removed, at)],
        )

    tapback(TapbackKind.LOVE)
    tapback(TapbackKind.LAUGH, seconds=2)
    tapback(TapbackKind.LOVE, seconds=1)
    assert Tapback.objects.get().kind == "laugh"
    tapback(TapbackKind.LAUGH, removed=True, seconds=3)
    assert not Tapback.objects.exists()
    assert Event.objects.filter(kind="tapback").count() == 3


def test_a_tapback_on_an_unknown_message_is_unmatched(world):
    fact = InboundTapback(IMESSAGE, PHONE, "nobody", TapbackKind.LOVE, False, None)
    assert take(world.imessage_gateway, [fact]).unmatched == 1


def test_typing_shows_in_the_conversation_until_it_ends(world, write):
    write("hi")
    take(world.imessage_gateway, [InboundTyping(IMESSAGE, PHONE, True, None)])
    assert Conversation.objects.get().typing_until > timezone.now()
    take(world.imessage_gateway, [InboundTyping(IMESSAGE, PHONE, False, None)])
    assert Conversation.objects.get().typing_until is None


def test_a_line_reported_as_banned_changes_the_identitys_status(world):
    take(world.imessage_gateway, [LineReport(IMESSAGE, "banned", None)])
    world.identity.refresh_from_db()
    assert world.identity.status == "banned"
    assert world.identity.status_changes.get().source == "carrier"


def test_our_tapback_is_put_on_their_message(world, write):
    write("great news")
    received = Message.objects.get(direction="in")
    gestures.tapback(received, TapbackKind.LOVE, by=None)
    assert Tapback.objects.get(is_ours=True).kind == "love"
    gestures.tapback(received, TapbackKind.LOVE, by=None, remove=True)
    assert not Tapback.objects.exists()


def test_a_tapback_on_a_text_is_refused_with_a_sentence(world, write):
    write("hi", line=SMS)
    with pytest.raises(NotSupported):
        gestures.tapback(Message.objects.get(direction="in"), TapbackKind.LIKE, by=None)
    assert not Tapback.objects.exists()


def test_reading_a_conversation_empties_its_unread_count(world, write):
    write("hi")
    gestures.mark_read(Conversation.objects.get(), by=None)
    assert Conversation.objects.get().unread == 0


def test_an_answer_by_staff_is_on_top_of_its_conversation(world, write):
    write("hi")
    compose.reply(Conversation.objects.get(), body="Hello {{ phone }}", by=None)
    conversation = Conversation.objects.get()
    assert (conversation.last_direction, conversation.last_route) == ("out", "imessage")
    assert conversation.last_body == f"Hello {PHONE}"
    assert conversation.last_at == Message.objects.latest("pk").created_at


def test_an_answer_that_nobody_may_text_is_not_on_top_of_its_conversation(world, write):
    write("stop")
    compose.reply(Conversation.objects.get(), body="Wait!", by=None)
    assert Conversation.objects.get().last_body == "stop"


def test_a_stop_holds_even_when_it_can_not_be_confirmed(world, write, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(compose, "answer_automatically", fail)
    assert write("STOP").matched == 1
    assert _person().opted_out_at is not None
