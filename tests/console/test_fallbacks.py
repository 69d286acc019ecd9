"""The audit of fallbacks and its decision chains."""

import datetime as dt

from django.test import Client
from django.utils import timezone

from messaging import audit
from messaging.models import Attempt, Message
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
