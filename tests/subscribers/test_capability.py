"""Which evidence of iMessage counts."""

from datetime import timedelta

import pytest

from subscribers import capability
from subscribers.models import Subscriber

from .conftest import NOON

YES, NO = Subscriber.Capability.YES, Subscriber.Capability.NO
Source = Subscriber.CapabilitySource


def note(person, capability_, source, hours=0):
    return capability.note(
        [person.pk], capability_, source=source, at=NOON + timedelta(hours=hours)
    )


def believed(person):
    person.refresh_from_db()
    return person.imessage_capability


def test_evidence_is_kept_with_its_source_and_moment(person):
    assert note(person, YES, Source.INBOUND) == 1
    person.refresh_from_db()
    assert (person.imessage_capability, person.imessage_source, person.imessage_checked_at) == (
        "yes", "inbound", NOON,
    )  # fmt: skip


@pytest.mark.parametrize("first", [YES, NO])
@pytest.mark.parametrize("source", [Source.CARRIER, Source.LOOKUP, Source.IMPORT])
def test_newer_evidence_wins_in_whatever_order_it_comes(person, first, source):
    second = NO if first == YES else YES
    note(person, second, source, hours=2)
    note(person, first, source, hours=1)
    assert believed(person) == second


@pytest.mark.parametrize("source", [Source.LOOKUP, Source.IMPORT])
def test_hearsay_does_not_displace_that_the_person_wrote(person, source):
    note(person, YES, Source.INBOUND)
    note(person, NO, source, hours=1)
    assert believed(person) == YES


def test_a_newer_refusal_of_the_carrier_displaces_even_that(person):
    note(person, YES, Source.INBOUND)
    note(person, NO, Source.CARRIER, hours=1)
    assert believed(person) == NO


def test_of_the_same_moment_the_persons_own_message_counts(person):
    note(person, NO, Source.CARRIER)
    note(person, YES, Source.INBOUND)
    assert believed(person) == YES
    note(person, NO, Source.CARRIER)
    assert believed(person) == YES


def test_a_set_of_people_is_one_statement(person, django_assert_num_queries):
    others = [Subscriber.objects.create(phone=f"+1415555014{n}") for n in range(3, 6)]
    ids = [person.pk, *(other.pk for other in others)]
    with django_assert_num_queries(1):
        assert capability.note(ids, NO, source=Source.CARRIER, at=NOON) == 4


def test_nobody_is_no_question(db):
    assert capability.note([], NO, source=Source.CARRIER, at=NOON) == 0
