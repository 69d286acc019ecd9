"""The audit of fallbacks and its decision chains."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from identifiers import public_ids
from messaging import audit
from messaging.models import Attempt, Batch, Message
from senders import lanes
from tests.console.conftest import House


def _listed(marketing: Client, query: str) -> set[tuple[str, str]]:
    rows = marketing.get(f"/fallbacks/?{query}").context["page"].rows
    return {(message.route, message.reason) for message in rows}


def test_everything_that_did_not_go_its_first_way_is_listed_with_its_reason(
    house: House, marketing: Client
) -> None:
    house.expanded()
    assert _listed(marketing, "") == set(house.people) - {("imessage", "")}


def test_filters_live_in_the_address(house: House, marketing: Client) -> None:
    send = house.expanded()
    assert _listed(marketing, "reason=not_capable") == {("sms", "not_capable")}
    assert {route for route, _ in _listed(marketing, "route=sms")} == {"sms"}
    assert {route for route, _ in _listed(marketing, "route=nobody")} == {""}
    assert _listed(marketing, f"identity={house.identity.public_id}&route=sms")
    another = public_ids.encode("identity", house.identity.pk + 1)
    assert _listed(marketing, f"identity={another}") == set()
    assert _listed(marketing, f"send={send.public_id}")
    assert _listed(marketing, f"send={house.draft().public_id}") == set()
    assert _listed(marketing, "state=delivered") == set()
    Message.objects.update(created_at=timezone.now() - dt.timedelta(days=3))
    assert _listed(marketing, "days=1") == set()
    assert _listed(marketing, "days=7")


def test_a_plain_text_is_no_fallback(house: House, marketing: Client) -> None:
    person = house.people["sms", "not_opted_in"]
    house.hears("Hello", route="sms", person=person)
    assert _listed(marketing, "") == set()


def test_reasons_are_counted_by_what_came_of_them(house: House) -> None:
    house.expanded()
    house.expanded(fallback_reasons=[])
    counts = {row.reason: (row.by_sms, row.not_sent) for row in audit.by_reason(audit.Filters())}
    assert counts["not_capable"] == (1, 1)
    assert counts["opted_out"] == (0, 2)


def test_the_chain_asks_every_rule_up_to_the_one_that_decided(
    house: House, marketing: Client
) -> None:
    house.expanded()
    message = Message.objects.get(reason="not_capable")
    page = marketing.get(f"/fallbacks/{message.public_id}/").content.decode()
    assert "Opted out? No." in page
    assert "Known not to have iMessage? Yes, so SMS." in page
    assert "Not opted in" not in page.split("Yes, so SMS.")[0].split("Decision chain")[-1]


def test_the_chain_of_a_message_that_was_tried_tells_the_tries(house: House) -> None:
    house.expanded()
    message = Message.objects.get(route="imessage")
    lane = lanes.of_identity(house.identity.pk)
    now = timezone.now()
    for number, (route, state) in enumerate([("imessage", "failed"), ("sms", "delivered")], 1):
        Attempt.objects.create(
            message=message,
            number=number,
            lane=lane,
            gateway=house.identity.gateway,
            route=route,
            state=state,
            answered_at=now,
        )
    Message.objects.filter(pk=message.pk).update(route="sms", reason="imessage_failed")
    message.refresh_from_db()
    story = audit.story(message)
    assert story.planned_route == "imessage"
    assert not any(step.decided for step in story.steps)
    assert [attempt.route for attempt in story.attempts] == ["imessage", "sms"]


def test_the_chain_opens_inside_the_list_too(house: House, marketing: Client) -> None:
    house.expanded()
    message = Message.objects.get(reason="not_capable")
    answer = marketing.get(f"/fallbacks/{message.public_id}/", headers={"HX-Request": "true"})
    assert "<html" not in answer.content.decode()


def test_an_inbound_message_has_no_decision_chain(house: House, marketing: Client) -> None:
    house.hears("Hello")
    message = Message.objects.get(direction="in")
    assert marketing.get(f"/fallbacks/{message.public_id}/").status_code == 404


@pytest.fixture
def unknown(house: House) -> Attempt:
    """An iMessage of which nobody knows what became."""
    send = house.expanded(group_ids=[], subscriber_ids=[house.ada.pk])
    Batch.objects.all().delete()
    message = Message.objects.get(send=send)
    Message.objects.update(state="unknown")
    return Attempt.objects.create(
        message=message,
        number=message.leg,
        lane=lanes.of_identity(house.identity.pk),
        gateway=house.identity.gateway,
        route="imessage",
        state="unknown",
    )


def test_an_unknown_outcome_is_listed_until_a_person_chooses_sms(
    unknown: Attempt, marketing: Client, hints: list[tuple[Any, ...]]
) -> None:
    assert "Unknown outcomes" in marketing.get("/fallbacks/").content.decode()
    path = f"/fallbacks/{unknown.public_id}/by-sms"
    page = marketing.post(path, follow=True).content.decode()
    assert "goes by SMS now" in page
    assert "Unknown outcomes" not in page
    message = Message.objects.get()
    assert (message.route, message.reason, message.state) == ("sms", "outcome_unknown", "queued")
    assert ("messaging.tasks.dispatch",) in hints
    assert marketing.post(path).status_code == 404
    assert Batch.objects.count() == 1


def test_only_marketing_may_choose_sms(unknown: Attempt, auditor: Client) -> None:
    assert "Send as SMS" not in auditor.get("/fallbacks/").content.decode()
    assert auditor.post(f"/fallbacks/{unknown.public_id}/by-sms").status_code == 403
