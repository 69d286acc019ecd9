"""Finding people, and making those whom nobody has met before."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from subscribers import people
from subscribers.models import Subscriber


def test_who_is_known_is_found_and_who_is_new_is_made(person):
    keys = people.find_or_create([person.phone, "+14155550144", "+14155550144"])
    made = Subscriber.objects.get(phone="+14155550144")
    assert keys == {person.phone: person.pk, "+14155550144": made.pk}
    assert (made.imessage_capability, made.attributes) == ("unknown", {})
    assert Subscriber.objects.get(pk=person.pk).first_name == "Ada"


def test_known_people_are_found_without_writing(person, django_assert_num_queries):
    with django_assert_num_queries(1):
        people.find_or_create([person.phone])


def test_nobody_is_nobody(db):
    assert people.find_or_create([]) == {}


@pytest.mark.django_db(transaction=True)
def test_two_who_make_the_same_people_at_once_get_the_same_ones():
    phones = [f"+999000{n:04d}" for n in range(9)]

    def find_or_create_elsewhere():
        try:
            return people.find_or_create(phones[::-1])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            mine = people.find_or_create(phones)
            theirs = pool.submit(find_or_create_elsewhere)
            while not _somebody_waits():
                assert not theirs.done()
        assert theirs.result() == mine
    assert len(mine) == Subscriber.objects.count() == 9


def _somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_locks where not granted and locktype <> 'relation'")
        return cursor.fetchone()[0] > 0


@pytest.fixture
def crowd(db):
    rows = [
        ("+14155550142", "Ada", "Lovelace", "ada@example.org"),
        ("+442079460958", "Mary Ann", "Smith", "mary@example.org"),
        (None, "Grace", "Hopper", "Grace@Example.org"),
        ("+14155550143", "Ádám", "O'Neill", ""),
    ]
    for phone, first, last, email in rows:
        Subscriber.objects.create(phone=phone, first_name=first, last_name=last, email=email)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ada", ["Ada"]),
        (" ADA  love", ["Ada"]),
        ("love", ["Ada"]),
        ("lovelace ada", ["Ada"]),
        ("mary ann", ["Mary Ann"]),
        ("mary ann smith", ["Mary Ann"]),
        ("smith mary", ["Mary Ann"]),
        ("smith mary ann", ["Mary Ann"]),
        ("ada\0", ["Ada"]),
        ("a b c d e f g", []),
        ("á", ["Ádám"]),
        ("o'n", ["Ádám"]),
        ("0142", ["Ada"]),
        ("(415) 555-0142", ["Ada"]),
        ("+44 20 7946", ["Mary Ann"]),
        ("555014", []),
        ("42", []),
        ("grace@example.ORG", ["Grace"]),
        ("@example.org", []),
        ("%", []),
        ("_", []),
        ("", []),
        ("  ", []),
        ("+", []),
        ("\U0001f600", []),
    ],
)
def test_people_are_found_by_what_one_knows_of_them(crowd, text, found):
    assert [person.first_name for person in people.search(text)] == found


@pytest.mark.parametrize("text", ["ada", "ada love", "mary ann s", "0142", "+1415", "a@b.org"])
def test_a_search_reads_no_more_than_its_indexes(crowd, text):
    with connection.cursor() as cursor:
        cursor.execute("set local enable_seqscan = off")
    assert "Seq Scan" not in people.found(text).explain()


def test_no_more_people_are_found_than_asked_for(crowd):
    assert len(people.search("+1415", limit=1)) == 1
