"""The dashboard: today's numbers, and what wants attention."""

import datetime as dt
import zoneinfo

from django.test import Client
from pytest_django import DjangoAssertNumQueries

from console import charts
from messaging import audit
from messaging.models import Message
from senders.models import Gateway, SenderIdentity
from tests.console.conftest import House


def test_todays_numbers_are_counted_by_route_and_reason(house: House, marketing: Client) -> None:
    house.expanded()
    context = marketing.get("/").context
    today = context["today"]
    assert (today.people, today.imessage, today.sms, today.nobody) == (6, 1, 2, 3)
    assert {row.reason for row in context["reasons"]} == {
        reason for _, reason in house.people if reason
    }


def test_a_day_begins_at_midnight_of_the_viewers_zone(house: House) -> None:
    house.expanded()
    at = dt.datetime(2026, 3, 1, 23, 30, tzinfo=dt.UTC)
    Message.objects.update(created_at=at)
    for name, day in (("UTC", 1), ("Asia/Tokyo", 2)):
        zone = zoneinfo.ZoneInfo(name)
        days = audit.days(count=3, zone=zone, now=at + dt.timedelta(hours=1))
        assert {day.day.day: day.summary.people for day in days if day.summary.people} == {day: 6}


def test_lines_in_trouble_are_named(house: House, marketing: Client) -> None:
    SenderIdentity.objects.update(status="blocked")
    Gateway.objects.update(is_paused=True)
    page = marketing.get("/").content.decode()
    assert "is blocked: its messages go by SMS" in page
    assert "is paused" in page


def test_replies_that_wait_are_listed(house: House, marketing: Client) -> None:
    house.hears("Is there parking?")
    assert "Is there parking?" in marketing.get("/").content.decode()


def test_an_empty_house_says_what_to_do_first(house: House, marketing: Client) -> None:
    assert "Compose the first send" in marketing.get("/").content.decode()


def test_the_dashboard_asks_the_database_little(
    house: House, marketing: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        house.expanded()
    with django_assert_max_num_queries(16):
        marketing.get("/")


def test_a_bar_fills_its_width_and_hides_nothing_small() -> None:
    pieces = charts.bar([("imessage", 100_000), ("sms", 1), ("nobody", 0)])
    assert [piece.tone for piece in pieces] == ["imessage", "sms"]
    assert all(piece.width >= 4 for piece in pieces)
    assert abs(pieces[-1].x + pieces[-1].width - 1000) < 0.01


def test_a_bar_of_nothing_is_empty() -> None:
    assert charts.bar([("imessage", 0)]) == []


def test_columns_stand_on_the_floor_and_stay_below_the_top() -> None:
    chart = charts.columns([("1", "", [("imessage", 70), ("sms", 30)]), ("2", "", [("sms", 1)])])
    for column in chart.columns:
        _, y, tall = column.pieces[0]
        assert abs(y + tall - chart.floor) < 0.01
        assert all(y >= 0 for _, y, _ in column.pieces)
