"""Finding people, and everything about one."""

import datetime as dt

from django.test import Client
from django.utils import timezone

from messaging import timeline
from subscribers import consent
from subscribers.models import ConsentEvent, OptIn, Subscriber
from tests.console.conftest import House


def test_people_are_found_by_the_last_digits_of_their_number(
    house: House, marketing: Client
) -> None:
    page = marketing.get("/subscribers/?q=0101").content.decode()
    assert "Ada not_capable" in page
    assert "Ada Lovelace" not in page


def test_a_search_that_finds_nobody_says_what_to_try(house: House, marketing: Client) -> None:
    page = marketing.get("/subscribers/?q=<b>Nobody").content.decode()
    assert "Nobody matches “&lt;b&gt;Nobody”" in page


def test_the_list_pages_through_everybody_once(house: House, marketing: Client) -> None:
    Subscriber.objects.bulk_create(
        Subscriber(phone=f"+9990000{number:04}") for number in range(100)
    )
    seen: list[int] = []
    after = ""
    while after is not None:
        page = marketing.get(f"/subscribers/?after={after}").context["page"]
        seen += [person.pk for person in page.rows]
        after = page.next or None
    assert len(seen) == len(set(seen)) == Subscriber.objects.count()


def test_an_opt_in_is_shown_with_the_message_that_proves_it(
    house: House, marketing: Client
) -> None:
    house.hears("Hi! Please sign me up.")
    OptIn.objects.filter(subscriber=house.ada).update(
        proof_message_id=house.ada.message_set.get().pk
    )
    page = marketing.get(f"/subscribers/{house.ada.public_id}/").content.decode()
    assert "“Hi! Please sign me up.”" in page
    assert "the message that proves it" in page


def test_capability_is_shown_with_its_source_and_age(house: House, marketing: Client) -> None:
    Subscriber.objects.filter(pk=house.ada.pk).update(
        imessage_source="carrier", imessage_checked_at=timezone.now() - dt.timedelta(days=3)
    )
    page = marketing.get(f"/subscribers/{house.ada.public_id}/").content.decode()
    assert "The carrier refused or delivered an iMessage, 3\xa0days ago" in page


def test_staff_can_opt_a_person_out_once_with_a_ledger_entry(
    house: House, marketing: Client
) -> None:
    path = f"/subscribers/{house.ada.public_id}/"
    page = marketing.post(f"{path}opt-out", follow=True).content.decode()
    assert "No more texts will be sent" in page
    page = marketing.post(f"{path}opt-out", follow=True).content.decode()
    assert "had opted out already" in page
    entry = ConsentEvent.objects.filter(action="opt_out").earliest("position")
    assert (entry.source, entry.by.username, entry.scope) == ("staff", "marketing", "everything")
    house.ada.refresh_from_db()
    assert house.ada.opted_out_at is not None


def test_the_timeline_tells_everything_newest_first(house: House, marketing: Client) -> None:
    now = timezone.now()
    consent.opt_in(
        subscriber_id=house.ada.pk,
        identity=house.identity,
        at=now - dt.timedelta(days=1),
        source=ConsentEvent.Source.IMPORT,
    )
    consent.opt_out(
        subscriber_id=house.ada.pk,
        identity=None,
        at=now - dt.timedelta(hours=1),
        source=ConsentEvent.Source.STAFF,
    )
    house.hears("I am back")
    entries = timeline.person(house.ada.pk)
    assert [entry.kind for entry in entries][:2] == ["message", "consent"]
    assert entries == sorted(entries, reverse=True)
    page = marketing.get(f"/subscribers/{house.ada.public_id}/").content.decode()
    assert page.index("I am back") < page.index("Opted out · everything")


def test_the_timeline_goes_on_in_pages(house: House, marketing: Client) -> None:
    for number in range(40):
        house.hears(f"Message {number:02}")
    path = f"/subscribers/{house.ada.public_id}/"
    first = marketing.get(path)
    second = marketing.get(path, {"before": first.context["older"].isoformat()})
    told = [entry.what.body for answer in (first, second) for entry in answer.context["entries"]]
    assert told == [f"Message {number:02}" for number in reversed(range(40))]


def test_a_group_lists_its_people(house: House, marketing: Client) -> None:
    page = marketing.get(f"/groups/{house.group.public_id}/").content.decode()
    assert "6 people" in page
    assert "Ada Lovelace" in page
