"""Opt-ins and opt-outs: the flags, and the entry on the ledger for each change."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from subscribers import consent
from subscribers.models import ConsentEvent, OptIn, Subscriber
from subscribers.verification import verify

from .conftest import NOON

MESSAGE = ConsentEvent.Source.MESSAGE
LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def person_in(person, identity):
    consent.opt_in(subscriber_id=person.pk, identity=identity, at=NOON, source=MESSAGE)
    return person


def change(how, person, identity, at=NOON, **more):
    return how(subscriber_id=person.pk, identity=identity, at=at, source=MESSAGE, **more)


def is_out(person, identity):
    return consent.is_opted_out(Subscriber.objects.get(pk=person.pk), identity)


def is_in(person, identity):
    opt_in = OptIn.objects.filter(subscriber=person, identity=identity).first()
    return opt_in is not None and opt_in.is_opted_in


def written():
    return [(e.action, e.scope, e.identity_id) for e in ConsentEvent.objects.all()]


def test_an_opt_in_is_for_one_identity(person, identity, other_identity):
    assert change(consent.opt_in, person, identity, message_id=5)
    assert is_in(person, identity)
    assert not is_in(person, other_identity)
    assert OptIn.objects.get().proof_message_id == 5


def test_a_second_opt_in_changes_nothing_and_keeps_the_first_proof(person, identity):
    change(consent.opt_in, person, identity, message_id=5)
    assert not change(consent.opt_in, person, identity, at=LATER, message_id=6)
    assert OptIn.objects.get().proof_message_id == 5
    assert len(written()) == 1


def test_the_ledger_holds_who_what_and_by_which_message(person, identity):
    by = User.objects.create_user("staff")
    change(consent.opt_in, person, identity, words="Hi! Sign me up", message_id=5, by=by)
    entry = ConsentEvent.objects.select_related("evidence").get()
    assert (entry.subscriber, entry.identity, entry.action, entry.scope, entry.source) == (
        person, identity, "opt_in", "identity", "message",
    )  # fmt: skip
    assert (entry.message_id, entry.by, entry.at) == (5, by, NOON)
    assert (entry.evidence.phone, entry.evidence.words) == (person.phone, "Hi! Sign me up")
    assert verify().fault == ""


def test_an_opt_out_is_of_everything_by_default(person_in, identity, other_identity):
    assert change(consent.opt_out, person_in, identity, at=LATER)
    assert is_out(person_in, identity)
    assert is_out(person_in, other_identity)
    assert is_out(person_in, None)
    assert written()[-1] == ("opt_out", "everything", None)


def test_an_opt_out_can_be_of_one_identity(settings, person_in, identity, other_identity):
    settings.OPT_OUT_SCOPE = "identity"
    assert change(consent.opt_out, person_in, identity, at=LATER)
    assert is_out(person_in, identity)
    assert not is_in(person_in, identity)
    assert not is_out(person_in, other_identity)
    assert not is_out(person_in, None)
    assert written()[-1] == ("opt_out", "identity", identity.pk)


def test_an_opt_out_without_an_identity_is_always_of_everything(settings, person, identity):
    settings.OPT_OUT_SCOPE = "identity"
    assert change(consent.opt_out, person, None)
    assert is_out(person, identity)


@pytest.mark.parametrize("scope", ["identity", "everything"])
def test_a_second_opt_out_changes_no_flag_and_is_on_record(settings, scope, person_in, identity):
    settings.OPT_OUT_SCOPE = scope
    assert change(consent.opt_out, person_in, identity, at=LATER)
    assert not change(consent.opt_out, person_in, identity, at=LATER)
    assert len(written()) == 3


@pytest.mark.parametrize("scope", ["everything", "identity"])
def test_an_opt_in_before_a_repeated_opt_out_does_not_undo_it(settings, scope, person_in, identity):
    settings.OPT_OUT_SCOPE = scope
    change(consent.opt_out, person_in, identity, at=LATER)
    change(consent.opt_out, person_in, identity, at=LATER + timedelta(hours=2))
    assert not change(consent.lift, person_in, identity, at=LATER + timedelta(hours=1))
    assert is_out(person_in, identity)
    assert change(consent.lift, person_in, identity, at=LATER + timedelta(hours=3))


def test_the_flag_holds_the_moment_from_which_we_obey(person, identity):
    before = timezone.now()
    change(consent.opt_out, person, None, at=before - timedelta(hours=1))
    person.refresh_from_db()
    assert person.opted_out_at >= before


def test_a_person_who_never_opted_in_can_opt_out_of_an_identity(settings, person, identity):
    settings.OPT_OUT_SCOPE = "identity"
    assert change(consent.opt_out, person, identity)
    assert is_out(person, identity)


def test_an_opt_in_leaves_an_opt_out_of_everything_in_place(person, identity):
    change(consent.opt_out, person, None)
    assert change(consent.opt_in, person, identity, at=LATER)
    assert is_out(person, identity)


def test_opt_in_words_undo_an_opt_out_of_everything(person, identity):
    change(consent.opt_out, person, None)
    assert change(consent.lift, person, identity, at=LATER)
    assert not is_out(person, identity)
    assert written()[1:] == [("opt_in", "everything", None), ("opt_in", "identity", identity.pk)]


@pytest.mark.parametrize("scope", ["identity", "everything"])
def test_start_undoes_the_opt_out_and_opts_in(settings, scope, person, identity):
    settings.OPT_OUT_SCOPE = scope
    change(consent.opt_out, person, identity)
    assert change(consent.lift, person, identity, at=LATER)
    assert not is_out(person, identity)
    assert is_in(person, identity)


def test_start_by_text_to_the_longcode_opts_in_to_no_identity(settings, person, identity):
    settings.OPT_OUT_SCOPE = "identity"
    change(consent.opt_out, person, identity)
    assert change(consent.lift, person, identity, at=LATER, opts_in=False)
    assert not is_out(person, identity)
    assert not is_in(person, identity)


def test_start_by_text_to_the_longcode_restores_an_earlier_opt_in(settings, person_in, identity):
    settings.OPT_OUT_SCOPE = "identity"
    change(consent.opt_out, person_in, identity)
    assert change(consent.lift, person_in, identity, at=LATER, opts_in=False)
    assert is_in(person_in, identity)


def test_start_changes_nothing_for_somebody_who_is_in(person_in, identity):
    assert not change(consent.lift, person_in, identity, at=LATER)
    assert not change(consent.lift, person_in, None, at=LATER)
    assert len(written()) == 1


@pytest.mark.parametrize("scope", ["identity", "everything"])
@pytest.mark.parametrize("opts_in", [True, False])
def test_a_late_start_does_not_undo_a_newer_stop(settings, scope, opts_in, person_in, identity):
    settings.OPT_OUT_SCOPE = scope
    change(consent.opt_out, person_in, identity, at=LATER)
    assert not change(consent.lift, person_in, identity, at=NOON, opts_in=opts_in)
    assert is_out(person_in, identity)


def test_many_are_opted_out_by_one_statement_each_once(person, identity):
    other = Subscriber.objects.create(phone="+14155550144")
    change(consent.opt_out, person, None)
    ids = [person.pk, other.pk, other.pk]
    assert consent.opt_out_many(ids, at=LATER, source=ConsentEvent.Source.CARRIER) == [other.pk]
    assert is_out(other, identity)
    entry = ConsentEvent.objects.select_related("evidence").last()
    assert (entry.subscriber, entry.source, entry.evidence.phone) == (
        other, "carrier", other.phone,
    )  # fmt: skip


def test_a_question_for_help_is_on_record_and_changes_nothing(person, identity):
    consent.record_help(
        subscriber_id=person.pk, identity=identity, at=NOON, source=MESSAGE, words="HELP"
    )
    assert written() == [("help", "identity", identity.pk)]
    assert not OptIn.objects.exists()
