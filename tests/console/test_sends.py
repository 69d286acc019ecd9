"""The list of sends, and a send's page while it goes."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.templatetags.console import share
from messaging import audit, expand
from messaging.models import Batch, Message, Send
from messaging.states import MessageState
from tests.console.conftest import House


def _outcomes(page: str) -> dict[tuple[str, str], int]:
    rows = re.findall(r'data-way="(\w+)" data-reason="(\w*)" data-people="(\d+)"', page)
    return {(way, reason): int(people) for way, reason, people in rows}


def test_the_outcome_equals_the_forecast_and_adds_up_to_the_audience(
    house: House, marketing: Client
) -> None:
    send = house.expanded()
    page = marketing.get(f"/sends/{send.public_id}/").content.decode()
    assert _outcomes(page) == {
        ("imessage", ""): 1,
        ("sms", "not_capable"): 1,
        ("sms", "not_opted_in"): 1,
        ("nobody", "opted_out"): 1,
        ("nobody", "missing_field"): 1,
        ("nobody", "invalid_number"): 1,
    }
    assert "Every person once: 6 in all." in page


def test_what_was_foreseen_stands_beside_what_became_of_it(house: House, marketing: Client) -> None:
    send = house.draft()
    marketing.post(f"/sends/{send.public_id}/start")
    house.ada.opted_out_at = timezone.now()
    house.ada.save(update_fields=["opted_out_at"])
    expand.run(send.pk)
    page = marketing.get(f"/sends/{send.public_id}/")
    ways = {
        (way["route"], way["reason"]): (way["foreseen"], way["people"])
        for way in page.context["ways"]
    }
    assert ways["imessage", ""] == (1, 0)
    assert ways["", "opted_out"] == (1, 2)
    assert ways["sms", "not_capable"] == (1, 1)
    assert "Foreseen" in page.content.decode()


def test_a_policy_that_forbids_a_fallback_shows_those_people_as_not_sent(
    house: House, marketing: Client
) -> None:
    send = house.expanded(fallback_reasons=["not_capable"])
    outcomes = _outcomes(marketing.get(f"/sends/{send.public_id}/").content.decode())
    assert outcomes["nobody", "not_opted_in"] == 1
    assert sum(outcomes.values()) == 6


def test_the_poll_answers_only_when_something_moved(house: House, marketing: Client) -> None:
    send = house.expanded()
    path = f"/sends/{send.public_id}/progress"
    page = marketing.get(path).content.decode()
    version = re.search(r"version=(\w+)", page).group(1)
    assert marketing.get(f"{path}?version={version}").status_code == 204
    Message.objects.filter(send=send, route="imessage").update(state=MessageState.DELIVERED)
    assert marketing.get(f"{path}?version={version}").status_code == 200


def test_the_page_is_shown_anew_once_the_send_has_ended(house: House, marketing: Client) -> None:
    send = house.expanded()
    Send.objects.update(state="done")
    answer = marketing.get(f"/sends/{send.public_id}/progress?version=old&live=1")
    assert answer.headers["HX-Refresh"] == "true"


def test_a_send_that_ended_is_not_polled_for_ever(house: House, marketing: Client) -> None:
    send = house.expanded()
    Send.objects.update(state="done", finished_at="2026-01-01T00:00:00Z")
    page = marketing.get(f"/sends/{send.public_id}/").content.decode()
    assert "/progress" not in page


def test_pause_resume_and_cancel(
    house: House, marketing: Client, hints: list[tuple[Any, ...]]
) -> None:
    send = house.expanded()
    for verb, state in (("pause", "paused"), ("resume", "sending"), ("cancel", "cancelled")):
        assert marketing.post(f"/sends/{send.public_id}/{verb}").status_code == 302
        send.refresh_from_db()
        assert send.state == state
    assert ("messaging.tasks.dispatch",) in hints
    assert not Message.objects.filter(send=send, state=MessageState.QUEUED).exists()


def test_whoever_was_cancelled_is_not_counted_as_handed_over(
    house: House, marketing: Client
) -> None:
    send = house.expanded()
    Message.objects.filter(send=send, route="imessage").update(state=MessageState.DELIVERED)
    Batch.objects.filter(send=send, route="imessage").delete()
    marketing.post(f"/sends/{send.public_id}/cancel")
    summary = audit.summary(send)
    assert (summary.gone, summary.cancelled, summary.sendable) == (1, 2, 3)
    assert summary.imessage + summary.sms + summary.nobody + summary.cancelled == summary.people
    assert "2 cancelled" in marketing.get(f"/sends/{send.public_id}/").content.decode()


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_verb_that_comes_too_late_is_explained(
    house: House, marketing: Client, verb: str
) -> None:
    send = house.expanded()
    Send.objects.update(state="done")
    page = marketing.post(f"/sends/{send.public_id}/{verb}", follow=True).content.decode()
    assert "so " in page
    assert Send.objects.get().state == "done"


def test_the_people_of_a_send_can_be_filtered_by_outcome(house: House, marketing: Client) -> None:
    send = house.expanded()
    page = marketing.get(f"/sends/{send.public_id}/?route=sms&reason=not_capable")
    people = [message.subscriber for message in page.context["page"].rows]
    assert people == [house.people["sms", "not_capable"]]
    page = marketing.get(f"/sends/{send.public_id}/?route=nobody")
    assert len(page.context["page"].rows) == 3


def test_a_page_costs_the_same_number_of_queries_for_more_people(
    house: House, marketing: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    send = house.expanded()
    with django_assert_max_num_queries(16):
        marketing.get(f"/sends/{send.public_id}/")


def test_answers_to_one_person_are_not_in_the_list(house: House, marketing: Client) -> None:
    house.draft(kind=Send.Kind.REPLY, name="An answer")
    house.draft(name="A broadcast")
    page = marketing.get("/sends/").content.decode()
    assert "A broadcast" in page
    assert "An answer" not in page


def test_the_list_goes_on_after_the_last_row_of_a_page(house: House, marketing: Client) -> None:
    for number in range(52):
        house.draft(name=f"Send number {number:02}")
    first = marketing.get("/sends/").context["page"]
    second = marketing.get(f"/sends/?after={first.next}").context["page"]
    names = [send.name for send in [*first.rows, *second.rows]]
    assert names == [f"Send number {number:02}" for number in reversed(range(52))]
    assert second.next == ""


def test_the_summary_of_a_send_counts_each_message_once(house: House) -> None:
    send = house.expanded()
    summary = audit.summary(send)
    assert summary.people == 6
    assert (summary.imessage, summary.sms, summary.nobody) == (1, 2, 3)
    assert summary.waiting == 3
    assert sum(people for _, _, people in summary.ways()) == 6


@pytest.mark.parametrize(
    ("part", "of", "said"),
    [(0, 10, "0 %"), (1, 1000, "under 1 %"), (999, 1000, "99 %"), (5, 5, "100 %"), (0, 0, "0 %")],
)
def test_only_the_whole_is_a_hundred_per_cent(part: int, of: int, said: str) -> None:
    assert share(part, of) == said
