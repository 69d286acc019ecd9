"""The consent ledger: it chains itself, refuses change, and a change that gets past is found."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subscribers import verification
from subscribers.ledger import BEGINNING, Entry, Evidence, write
from subscribers.models import ConsentEvent, ConsentEvidence, ConsentHead, Subscriber
from subscribers.verification import Anchor, verify

from .conftest import NOON

Action, Scope, Source = ConsentEvent.Action, ConsentEvent.Scope, ConsentEvent.Source


def entry(person, *, after=0, **fields):
    return Entry(
        **{
            "subscriber_id": person.pk,
            "action": Action.OPT_IN,
            "scope": Scope.EVERYTHING,
            "source": Source.MESSAGE,
            "at": NOON + timedelta(microseconds=after),
            "evidence": Evidence(phone=person.phone, words=f"hello {after}"),
            **fields,
        }
    )


@pytest.fixture
def ledger(person, identity):
    """Six entries of all shapes, written by two statements."""
    write([entry(person, after=n) for n in range(3)])
    write(
        [
            entry(person, after=3, action=Action.OPT_OUT, message_id=7),
            entry(person, after=4, scope=Scope.IDENTITY, identity_id=identity.pk),
            entry(person, after=5, action=Action.HELP, source=Source.STAFF, message_id=2**62),
        ]
    )
    return list(ConsentEvent.objects.all())


def tamper(sql, params=()):
    """Change rows behind the back of the triggers, as somebody with the server's password could."""
    with connection.cursor() as cursor:
        cursor.execute("set local session_replication_role = replica")
        cursor.execute(sql, params)
        cursor.execute("set local session_replication_role = origin")


def test_entries_chain_in_the_order_given(ledger):
    assert [e.position for e in ledger] == [1, 2, 3, 4, 5, 6]
    assert [e.previous_hash for e in ledger] == [BEGINNING, *(e.hash for e in ledger[:-1])]
    assert [e.at - NOON for e in ledger] == [timedelta(microseconds=n) for n in range(6)]
    assert [e.evidence.words for e in ledger] == [f"hello {n}" for n in range(6)]


def test_a_whole_ledger_verifies(ledger):
    findings = verify()
    assert (findings.fault, findings.entries, findings.erased) == ("", 6, 0)
    assert findings.head == Anchor(6, ledger[-1].hash)


def test_an_empty_ledger_verifies(db):
    assert verify().fault == ""


@pytest.mark.parametrize("wanted", ["position = 9", "previous_hash = 'x'", "hash = 'x'"])
def test_nobody_chooses_their_place_in_the_chain(ledger, person, wanted):
    column, value = wanted.split(" = ")
    with connection.cursor() as cursor:
        cursor.execute(
            f"insert into subscribers_consentevent ({column}, subscriber_id, action, scope, source,"
            f" at, evidence_digest) values ({value}, %s, 'help', 'everything', 'api', now(), '')",
            [person.pk],
        )
    assert verify().fault == ""
    assert verify().head.position == 7


@pytest.mark.parametrize(
    "sql",
    [
        "update subscribers_consentevent set action = 'opt_in' where position = 4",
        "delete from subscribers_consentevent where position = 6",
    ],
)
def test_the_database_refuses_change_and_removal(ledger, sql):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(sql)


def test_the_database_refuses_to_empty_the_ledger(ledger):
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute("truncate subscribers_consentevent cascade")


CHANGES = {
    "subscriber_id": lambda row: row.subscriber_id + 1,
    "identity_id": lambda row: None if row.identity_id else 1,
    "action": lambda row: "opt_in" if row.action == "opt_out" else "opt_out",
    "scope": lambda row: "identity" if row.scope == "everything" else "everything",
    "source": lambda row: "carrier",
    "message_id": lambda row: 1 if row.message_id is None else None,
    "by_id": lambda row: 1,
    "at": lambda row: row.at + timedelta(microseconds=1),
    "evidence_digest": lambda row: "0" * 64,
    "previous_hash": lambda row: "1" * 64,
    "hash": lambda row: "2" * 64,
    "id": lambda row: row.id + 1000,
    "position": lambda row: row.position + 1000,
}
POSITIONS = st.integers(1, 6)


def change(position, column):
    row = ConsentEvent.objects.get(position=position)
    tamper(
        f"update subscribers_consentevent set {column} = %s where position = %s",
        [CHANGES[column](row), position],
    )


def remove(first, last):
    tamper(
        "delete from subscribers_consentevidence e using subscribers_consentevent c"
        " where e.event_id = c.id and c.position between %s and %s",
        [first, last],
    )
    tamper("delete from subscribers_consentevent where position between %s and %s", [first, last])


def swap(first, second):
    tamper(
        "update subscribers_consentevent set position = -position where position in (%s, %s)",
        [first, second],
    )
    tamper(
        "update subscribers_consentevent set position = case position when %s then %s else %s end"
        " where position < 0",
        [-first, second, first],
    )


def change_evidence(position, column):
    tamper(
        f"update subscribers_consentevidence set {column} = left('z' || {column}, 16)"
        " where event_id = (select id from subscribers_consentevent where position = %s)",
        [position],
    )


def swap_evidence(first, second):
    ids = [ConsentEvent.objects.get(position=position).pk for position in (first, second)]
    tamper(
        "update subscribers_consentevidence set event_id = -event_id where event_id = any(%s)",
        [ids],
    )
    tamper(
        "update subscribers_consentevidence set event_id"
        " = case event_id when %s then %s else %s end where event_id < 0",
        [-ids[0], ids[1], ids[0]],
    )


TAMPERINGS = st.one_of(
    st.tuples(st.just(change), POSITIONS, st.sampled_from(sorted(CHANGES))),
    st.tuples(st.just(remove), POSITIONS, POSITIONS).filter(lambda t: t[1] <= t[2]),
    st.tuples(st.just(swap), POSITIONS, POSITIONS).filter(lambda t: t[1] < t[2]),
    st.tuples(st.just(swap_evidence), POSITIONS, POSITIONS).filter(lambda t: t[1] < t[2]),
    st.tuples(
        st.just(change_evidence),
        POSITIONS,
        st.sampled_from(["salt", "phone", "words", "address", "user_agent"]),
    ),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(TAMPERINGS, st.booleans())
def test_any_change_removal_or_reordering_is_found(ledger, tampering, is_written_after):
    how, *where = tampering
    point = transaction.savepoint()
    try:
        how(*where)
        if is_written_after:
            write([entry(Subscriber.objects.get(), after=6)])
        assert verify().fault
    finally:
        transaction.savepoint_rollback(point)


def test_a_change_with_a_matching_hash_is_found_at_the_next_entry(ledger):
    change(4, "action")
    changed = next(row.entry for row in verification._rows() if row.entry.position == 4)
    tamper(
        "update subscribers_consentevent set hash = %s where position = 4",
        [changed.computed_hash()],
    )
    assert verify().fault == "Entry 5 does not follow from entry 4."


def test_the_place_of_a_removed_entry_is_named(ledger):
    remove(3, 4)
    assert verify().fault == "Entry 3 is missing: after 2 comes 5."


def test_a_removed_tail_is_named(ledger):
    remove(5, 6)
    assert "the last one is 4, but there was one at position 6" in verify().fault


def test_a_rewritten_ledger_is_found_by_what_was_noted_elsewhere(ledger, person):
    noted = verify().head
    tamper("delete from subscribers_consentevidence")
    tamper("delete from subscribers_consentevent")
    tamper("delete from subscribers_consenthead")
    write([entry(person, after=n) for n in range(6)])
    assert verify().fault == ""
    assert "rewritten" in verify(known=noted).fault


def test_a_lost_note_of_the_last_entry_is_found(ledger):
    ConsentHead.objects.all().delete()
    assert "note of the last entry" in verify().fault


def test_erased_evidence_leaves_the_proof_whole(ledger):
    ConsentEvidence.objects.filter(event=ledger[2]).delete()
    findings = verify()
    assert (findings.fault, findings.erased) == ("", 1)


def test_the_digest_can_not_be_guessed_from_the_number(person):
    one, two = Evidence(phone=person.phone), Evidence(phone=person.phone)
    assert one.digest != two.digest


def test_evidence_of_other_fields_has_another_digest():
    assert Evidence("a", "b", salt="s").digest != Evidence("ab", "", salt="s").digest
    assert Evidence("a", "b", salt="s").digest != Evidence("a", "", "b", salt="s").digest


def test_two_writers_do_not_take_the_same_place(ledger, person, django_assert_num_queries):
    with django_assert_num_queries(1):
        write([entry(person, after=n) for n in range(6, 106)])
    assert verify().entries == 106


def test_the_command_says_that_the_ledger_is_whole(ledger):
    out = StringIO()
    call_command("verify_consent", stdout=out)
    assert "is whole: 6 entries, 0 with erased evidence" in out.getvalue()
    head = out.getvalue().split()[-1]
    call_command("verify_consent", known=Anchor(*_split(head)), stdout=out)


def _split(head):
    position, digest = head.split(":")
    return int(position), digest


def test_the_command_names_the_broken_entry_and_fails(ledger):
    change(4, "action")
    with pytest.raises(CommandError, match="Entry 4 was changed") as failed:
        call_command("verify_consent")
    assert failed.value.returncode == 1


def test_the_command_refuses_what_is_no_position_and_hash():
    with pytest.raises(CommandError, match="POSITION:HASH"):
        call_command("verify_consent", "--known", "12")
