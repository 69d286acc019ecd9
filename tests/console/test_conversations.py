"""The inbox and its threads."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from messaging.models import Conversation, Message, Send, Tapback
from messaging.states import MessageState
from senders import wire
from senders.gateways.errors import GatewayUnavailable
from subscribers.models import Subscriber
from tests.console.conftest import House

HTMX = {"HX-Request": "true"}


def test_a_reply_from_the_phone_is_in_the_next_poll(house: House, marketing: Client) -> None:
    conversation = house.hears("Yes please!")
    path = f"/conversations/{conversation.public_id}/news"
    version = marketing.get(path).context["thread"].version
    assert marketing.get(f"{path}?version={version}").status_code == 204
    house.hears("And one for my sister")
    answer = marketing.get(f"{path}?version={version}")
    assert answer.status_code == 200
    assert "And one for my sister" in answer.content.decode()


def test_a_change_of_state_a_tapback_and_typing_are_news_too(
    house: House, marketing: Client
) -> None:
    conversation = house.hears("Hello")
    path = f"/conversations/{conversation.public_id}/news"
    message = Message.objects.get()
    versions = {marketing.get(path).context["thread"].version}
    Tapback.objects.create(message=message, is_ours=False, kind="love")
    versions.add(marketing.get(path).context["thread"].version)
    Conversation.objects.update(typing_until=timezone.now() + dt.timedelta(seconds=10))
    versions.add(marketing.get(path).context["thread"].version)
    Message.objects.update(state=MessageState.DELIVERED)
    versions.add(marketing.get(path).context["thread"].version)
    assert len(versions) == 4


def test_an_answer_goes_from_the_identity_that_the_person_wrote_to(
    house: House, marketing: Client, hints: list[tuple[Any, ...]]
) -> None:
    conversation = house.hears("Hello")
    path = f"/conversations/{conversation.public_id}/reply"
    assert marketing.post(path, {"body": "Good morning"}).status_code == 302
    said = Message.objects.get(direction="out")
    assert (said.body, said.identity, said.route) == ("Good morning", house.identity, "imessage")
    assert said.send.kind == Send.Kind.REPLY
    assert said.send.created_by.username == "marketing"
    assert ("messaging.tasks.dispatch",) in hints
    assert "Good morning" in marketing.get(path.removesuffix("reply")).content.decode()


def test_an_answer_to_a_text_goes_by_text(house: House, marketing: Client) -> None:
    conversation = house.hears("Hello", route="sms")
    marketing.post(f"/conversations/{conversation.public_id}/reply", {"body": "Good morning"})
    assert Message.objects.get(direction="out").route == "sms"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "Write a text"),
        ("   \r\n ", "Write a text"),
        ("x" * 1601, "Shorten the text"),
        ("a\x00b", "NUL"),
    ],
)
def test_an_answer_that_cannot_be_sent_is_explained_and_kept(
    house: House, marketing: Client, body: str, sentence: str
) -> None:
    path = f"/conversations/{house.hears('Hello').public_id}/reply"
    for headers in ({}, HTMX):
        answer = marketing.post(path, {"body": body}, headers=headers)
        page = answer.content.decode()
        assert sentence in page
        assert body.strip()[:100] in page
    assert not Message.objects.filter(direction="out").exists()


def test_nobody_can_answer_a_person_who_has_opted_out(house: House, marketing: Client) -> None:
    conversation = house.hears("STOP")
    Subscriber.objects.filter(pk=house.ada.pk).update(opted_out_at=timezone.now())
    path = f"/conversations/{conversation.public_id}/"
    assert "nothing can be sent" in marketing.get(path).content.decode()
    page = marketing.post(f"{path}reply", {"body": "Please stay"}).content.decode()
    assert "This person has opted out." in page
    assert not Message.objects.filter(direction="out").exists()


def test_merge_fields_work_in_an_answer_as_in_any_text(house: House, marketing: Client) -> None:
    path = f"/conversations/{house.hears('Hello').public_id}/reply"
    marketing.post(path, {"body": "Of course, {{ first_name }}!"})
    assert Message.objects.get(direction="out").body == "Of course, Ada!"
    page = marketing.post(path, {"body": "Of course, {{ nickname }}!"}).content.decode()
    assert "There is no field “nickname”." in page
    assert "Of course, {{ nickname }}!" in page


def test_what_people_write_is_shown_as_words(house: House, marketing: Client) -> None:
    conversation = house.hears("<script>alert(1)</script>")
    page = marketing.get(f"/conversations/{conversation.public_id}/").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;" in page


def test_an_attachment_is_a_link_only_where_it_leads_to_the_web(
    house: House, marketing: Client
) -> None:
    conversation = house.hears("Look")
    urls = ["https://example.com/cat.jpg", "javascript:alert(1)", "data:text/html,x"]
    Message.objects.update(media_urls=urls)
    page = marketing.get(f"/conversations/{conversation.public_id}/").content.decode()
    assert 'href="https://example.com/cat.jpg"' in page
    assert "javascript:" not in page
    assert "data:text" not in page


def test_reading_marks_the_conversation_read_for_us_and_the_person(
    house: House, marketing: Client, gestures_made: list[str]
) -> None:
    conversation = house.hears("Hello")
    page = marketing.get(f"/conversations/{conversation.public_id}/").content.decode()
    path = f"/conversations/{conversation.public_id}/read"
    assert path in page
    assert marketing.post(path, headers=HTMX).status_code == 204
    conversation.refresh_from_db()
    assert conversation.unread == 0
    assert len(gestures_made) == 1


def test_an_auditor_who_looks_leaves_it_unread(
    house: House, auditor: Client, gestures_made: list[str]
) -> None:
    conversation = house.hears("Hello")
    page = auditor.get(f"/conversations/{conversation.public_id}/").content.decode()
    auditor.get(f"/conversations/{conversation.public_id}/news")
    assert "/read" not in page
    conversation.refresh_from_db()
    assert conversation.unread == 1
    assert gestures_made == []


def test_our_tapback_is_drawn_on_its_bubble_and_taken_away_by_the_same_press(
    house: House, marketing: Client, gestures_made: list[str]
) -> None:
    conversation = house.hears("It was lovely")
    path = f"/conversations/{conversation.public_id}/tapback"
    form = {"message": Message.objects.get().public_id, "kind": "love"}
    page = marketing.post(path, form, headers=HTMX).content.decode()
    assert "Loved by you" in page
    page = marketing.post(path, {**form, "ours": "love"}, headers=HTMX).content.decode()
    assert "Loved by you" not in page
    assert not Tapback.objects.exists()
    assert len(gestures_made) == 2


@pytest.mark.parametrize("kind", ["", "wave", "love\x00"])
def test_a_tapback_that_does_not_exist_is_refused(
    house: House, marketing: Client, gestures_made: list[str], kind: str
) -> None:
    conversation = house.hears("It was lovely")
    form = {"message": Message.objects.get().public_id, "kind": kind}
    path = f"/conversations/{conversation.public_id}/tapback"
    assert "There is no such tapback" in marketing.post(path, form, follow=True).content.decode()
    assert gestures_made == []


def test_a_tapback_on_a_text_says_that_it_cannot_be(house: House, marketing: Client) -> None:
    conversation = house.hears("It was lovely", route="sms")
    form = {"message": Message.objects.get().public_id, "kind": "love"}
    path = f"/conversations/{conversation.public_id}/tapback"
    assert "can&#x27;t do that" in marketing.post(path, form, follow=True).content.decode()


def test_a_tapback_on_a_message_of_another_conversation_is_not_found(
    house: House, marketing: Client
) -> None:
    mine = house.hears("Mine")
    house.hears("Theirs", person=house.people["sms", "not_capable"])
    form = {"message": Message.objects.get(body="Theirs").public_id, "kind": "love"}
    assert marketing.post(f"/conversations/{mine.public_id}/tapback", form).status_code == 404


def test_typing_is_shown_where_the_carrier_can_and_is_no_trouble_elsewhere(
    house: House, marketing: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(steps: Any) -> None:
        raise GatewayUnavailable("down")

    monkeypatch.setattr(wire, "run_one", fails)
    for route in ("imessage", "sms"):
        conversation = house.hears("Hello", route=route)
        path = f"/conversations/{conversation.public_id}/typing"
        assert marketing.post(path, {"is_typing": "1"}).status_code == 204


def test_the_reason_of_a_fallback_stands_under_its_bubble(house: House, marketing: Client) -> None:
    person = house.people["sms", "not_capable"]
    house.expanded(group_ids=[], subscriber_ids=[person.pk])
    conversation = house.hears("Thanks", route="sms", person=person)
    page = marketing.get(f"/conversations/{conversation.public_id}/").content.decode()
    assert "SMS: This person can&#x27;t receive iMessage." in page


def test_what_was_kept_from_a_person_is_not_in_their_thread(
    house: House, marketing: Client
) -> None:
    person = house.people["", "opted_out"]
    house.expanded(group_ids=[], subscriber_ids=[person.pk])
    conversation = house.hears("Hello", person=person)
    thread = marketing.get(f"/conversations/{conversation.public_id}/").context["thread"]
    assert [said.message.body for said in thread.said] == ["Hello"]


def test_older_messages_follow_on_pages_of_their_own(house: House, marketing: Client) -> None:
    for number in range(45):
        conversation = house.hears(f"Message {number:02}")
    path = f"/conversations/{conversation.public_id}/"
    newest = marketing.get(path).context["thread"]
    first = newest.said[0].message
    older = marketing.get(f"{path}?before={first.public_id}").context["thread"]
    bodies = [said.message.body for said in (*older.said, *newest.said)]
    assert bodies == [f"Message {number:02}" for number in range(45)]
    assert newest.has_older
    assert not older.has_older


def test_the_inbox_lists_who_wrote_last_first_and_pages_by_place(
    house: House, marketing: Client
) -> None:
    now = timezone.now()
    for number in range(55):
        person = Subscriber.objects.create(phone=f"+9990000{number:04}")
        conversation = house.hears(f"Hello {number}", person=person)
        # Two of each moment: the first page ends between two of them.
        at = now - dt.timedelta(minutes=(number + 1) // 2)
        Conversation.objects.filter(pk=conversation.pk).update(last_at=at)
    first = marketing.get("/conversations/").context
    second = marketing.get(f"/conversations/?after={first['next']}").context
    listed = [row.pk for row in (*first["listed"], *second["listed"])]
    assert len(listed) == len(set(listed)) == 55
    assert second["next"] == ""


def test_the_unread_ones_can_be_listed_alone(house: House, marketing: Client) -> None:
    house.hears("Read already")
    Conversation.objects.update(unread=0)
    house.hears("Unread", person=house.people["sms", "not_capable"])
    page = marketing.get("/conversations/?show=unread").content.decode()
    assert "Unread" in page
    assert "Read already" not in page


def test_the_poll_of_the_inbox_answers_only_when_something_came(
    house: House, marketing: Client
) -> None:
    house.hears("Hello")
    version = marketing.get("/conversations/list").context["inbox_version"]
    assert marketing.get(f"/conversations/list?version={version}").status_code == 204
    house.hears("Hello again")
    answer = marketing.get(f"/conversations/list?version={version}")
    assert answer.status_code == 200
    assert 'id="unread" hx-swap-oob="true"' in answer.content.decode()
