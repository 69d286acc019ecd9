"""Writing a send: forecast, draft, review, and the one press that starts it."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from messaging.models import Message, Send
from senders.models import SenderIdentity
from subscribers.models import Subscriber
from tests.console.conftest import House


def forecast_of(marketing: Client, form: dict[str, Any]) -> Any:
    """What the page asks for while somebody types."""
    return marketing.post("/compose/forecast", form, headers={"HX-Request": "true"})


def test_the_forecast_counts_every_person_once_by_route_and_reason(
    house: House, marketing: Client
) -> None:
    page = forecast_of(marketing, house.form()).content.decode()
    assert 'data-forecast="imessage">1<' in page
    assert 'data-forecast="sms">2<' in page
    assert 'data-forecast="nobody">3<' in page
    for reason in ("not_capable", "not_opted_in", "opted_out", "missing_field", "invalid_number"):
        assert f'data-reason="{reason}"' in page


def test_the_forecast_writes_nothing(house: House, marketing: Client) -> None:
    form = house.form(numbers="+14155550199")
    assert forecast_of(marketing, form).status_code == 200
    assert not Send.objects.exists()
    assert not Message.objects.exists()
    assert not Subscriber.objects.filter(phone="+14155550199").exists()


def test_the_preview_is_the_text_as_a_real_person_reads_it(house: House, marketing: Client) -> None:
    page = forecast_of(marketing, house.form()).content.decode()
    assert page.count("Hello Ada!") == 2  # as iMessage and as SMS


def test_the_preview_names_the_character_that_forces_ucs_2(house: House, marketing: Client) -> None:
    page = forecast_of(marketing, house.form(body="Café — open")).content.decode()
    assert "The character “—” forces UCS-2" in page
    assert "Write - instead" in page


@pytest.mark.parametrize("status", ["disabled", "blocked", "banned"])
def test_another_status_of_the_sender_changes_the_forecast(
    house: House, marketing: Client, status: str
) -> None:
    SenderIdentity.objects.update(status=status)
    page = forecast_of(marketing, house.form()).content.decode()
    assert 'data-forecast="imessage">0<' in page
    assert f'data-reason="identity_{status}"' in page


def test_an_unfinished_form_says_what_is_missing_instead_of_a_forecast(
    house: House, marketing: Client
) -> None:
    page = forecast_of(marketing, house.form(groups=[], body="")).content.decode()
    assert "Write a text, or choose a template." in page
    assert "Choose who gets this" in page


def test_without_script_the_forecast_comes_with_the_whole_page(
    house: House, marketing: Client
) -> None:
    page = marketing.post("/compose/forecast", house.form()).content.decode()
    assert 'data-forecast="imessage">1<' in page
    assert "Hello {{ first_name }}!" in page
    assert 'action="/compose/"' in page
    assert not Send.objects.exists()


def test_going_on_keeps_a_draft_and_sends_nothing(house: House, marketing: Client) -> None:
    answer = marketing.post("/compose/", house.form())
    send = Send.objects.get()
    assert answer.url == f"/sends/{send.public_id}/"
    assert (send.state, send.name, send.created_by.username) == ("draft", "Spring", "marketing")
    assert send.identity == house.identity
    page = marketing.get(answer.url).content.decode()
    assert "Send to 3 people" in page
    assert not Message.objects.exists()


def test_pasted_numbers_become_people_when_the_draft_is_kept(
    house: House, marketing: Client
) -> None:
    form = house.form(groups=[], numbers="+1 (415) 555-0150\n+14155550150, +14155550151")
    marketing.post("/compose/", form)
    phones = Subscriber.objects.filter(pk__in=Send.objects.get().subscriber_ids)
    assert sorted(phones.values_list("phone", flat=True)) == ["+14155550150", "+14155550151"]


#: What is wrong, in which field, and what the page says about it.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"body": ""}, "Write a text, or choose a template."),
    ({"body": "Hi {{ nickname }}"}, "There is no field “nickname”."),
    ({"body": "Hi {{ first_name"}, "A merge field is not closed"),
    ({"body": "x" * 1601}, "Shorten the text"),
    ({"body": "a\x00b"}, "Null characters are not allowed"),
    ({"groups": ["123"]}, "One of these groups does not exist"),
    ({"groups": ["x"]}, "One of these groups does not exist"),
    ({"to_everyone": "on"}, "not both"),
    ({"numbers": "call me"}, "“call me”: Write the number with + and country code"),
    ({"numbers": "+1415555"}, "“+1415555”: This number does not exist"),
    ({"numbers": "\n".join(["+14155550150"] * 2001)}, "Paste 2,000 numbers or fewer"),
    ({"sender": "nobody"}, "Choose a sender from the list."),
    ({"sender": "77"}, "There is no such longcode."),
    ({"template": "nothing"}, "Choose a template from the list."),
    ({"template": "77", "body": ""}, "There is no such template."),
    ({"when": "later"}, "Choose the day and time at which it starts."),
    ({"when": "later", "at": "tomorrow"}, "Enter a date and a time"),
    ({"when": "later", "at": "2020-01-01T10:00"}, "This moment has passed."),
    ({"when": "later", "at": "0001-01-01T00:00"}, "This moment has passed."),
    ({"when": "later", "at": "9999-12-31T23:59"}, "Choose a moment within a year"),
    ({"media_urls": "javascript:alert(1)"}, "Give the attachment as a public http"),
    ({"name": "n" * 121}, "Shorten the name to 120 characters."),
    ({"fallback": "some", "fallback_reasons": ["boredom"]}, "boredom"),
    ({"unknown_policy": "pray"}, "pray"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said_and_nothing_is_written(
    house: House, marketing: Client, changes: dict[str, Any], sentence: str
) -> None:
    people = Subscriber.objects.count()
    form = house.form(**{"numbers": "+14155550190", **changes})
    answer = marketing.post("/compose/", form)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert sentence in forecast_of(marketing, form).content.decode()
    assert not Send.objects.exists()
    assert Subscriber.objects.count() == people


def test_everything_that_is_wrong_is_said_at_once(house: House, marketing: Client) -> None:
    form = house.form(groups=[], numbers="call me", body="Hi {{ nickname }}", sender="nobody")
    page = marketing.post("/compose/", form).content.decode()
    assert "“call me”: Write the number" in page
    assert "There is no field “nickname”." in page
    assert "Choose a sender from the list." in page
    assert "Choose who gets this" not in page


def test_numbers_that_are_new_can_be_the_whole_audience(house: House, marketing: Client) -> None:
    form = house.form(groups=[], numbers="+14155550150")
    page = forecast_of(marketing, form).content.decode()
    assert "1 of the pasted numbers is new" in page
    assert 'data-forecast="imessage"' not in page
    assert marketing.post("/compose/", form).status_code == 302


def test_what_was_typed_is_kept_beside_the_error(house: House, marketing: Client) -> None:
    form = house.form(body="Hi {{ nickname }}", name="My send", numbers="+14155550150")
    page = marketing.post("/compose/", form).content.decode()
    assert "Hi {{ nickname }}" in page
    assert 'value="My send"' in page
    assert "+14155550150" in page
    assert f'value="{house.group.public_id}" checked' in page


def test_an_empty_audience_is_refused(house: House, marketing: Client) -> None:
    answer = marketing.post("/compose/", house.form(groups=[]))
    assert answer.status_code == 422
    assert "Choose who gets this" in answer.content.decode()
    assert not Send.objects.exists()


def test_the_moment_is_read_in_the_zone_of_the_browser(house: House, marketing: Client) -> None:
    day = (timezone.now() + dt.timedelta(days=2)).date()
    marketing.cookies["zone"] = "Asia/Tokyo"
    marketing.post("/compose/", house.form(when="later", at=f"{day}T09:30"))
    assert Send.objects.get().scheduled_at.isoformat() == f"{day}T00:30:00+00:00"


def test_a_text_costs_the_same_whatever_line_ends_the_browser_sends(
    house: House, marketing: Client
) -> None:
    marketing.post("/compose/", house.form(body="One\r\nTwo"))
    assert Send.objects.get().body == "One\nTwo"


def test_a_draft_can_be_changed_in_place(house: House, marketing: Client) -> None:
    draft = house.draft()
    page = marketing.get(f"/compose/?draft={draft.public_id}").content.decode()
    assert "Hello {{ first_name }}!" in page
    marketing.post("/compose/", house.form(body="Changed", draft=draft.public_id))
    assert Send.objects.get().body == "Changed"


def test_a_draft_that_was_sent_meanwhile_is_not_changed(house: House, marketing: Client) -> None:
    send = house.expanded()
    answer = marketing.post("/compose/", house.form(body="Too late", draft=send.public_id))
    assert answer.status_code == 404
    assert Send.objects.get().body == "Hello {{ first_name }}!"


def test_pressing_send_twice_sends_once(
    house: House, marketing: Client, hints: list[tuple[Any, ...]]
) -> None:
    draft = house.draft()
    for _ in range(2):
        answer = marketing.post(f"/sends/{draft.public_id}/start")
        assert answer.url == f"/sends/{draft.public_id}/"
    assert Send.objects.count() == 1
    assert Send.objects.get().state == "scheduled"
    assert ("messaging.tasks.expand", draft.pk) in hints


def test_pressing_send_again_after_the_start_changes_nothing(
    house: House, marketing: Client
) -> None:
    send = house.expanded()
    page = marketing.post(f"/sends/{send.public_id}/start", follow=True).content.decode()
    assert "It was not started twice" in page
    assert Message.objects.filter(send=send).count() == 6


def test_a_send_for_later_waits_for_its_moment(
    house: House, marketing: Client, hints: list[tuple[Any, ...]]
) -> None:
    draft = house.draft(scheduled_at=timezone.now() + dt.timedelta(hours=1))
    marketing.post(f"/sends/{draft.public_id}/start")
    draft.refresh_from_db()
    assert draft.state == "scheduled"
    assert hints == []


def test_a_send_to_nobody_is_not_started(house: House, marketing: Client) -> None:
    draft = house.draft(excluded_group_ids=[house.group.pk])
    page = marketing.post(f"/sends/{draft.public_id}/start", follow=True).content.decode()
    assert "Nobody would get this." in page
    assert Send.objects.get().state == "draft"


def test_a_similar_send_begins_with_what_the_first_one_said(
    house: House, marketing: Client
) -> None:
    send = house.expanded(body="Hello {{ first_name }}, again")
    page = marketing.get(f"/compose/?like={send.public_id}").content.decode()
    assert "Hello {{ first_name }}, again" in page
