"""Changing an identity's status."""

import pytest
from django.contrib.auth.models import User

from senders.identities import NotValid, change_status
from senders.models import IdentityStatusChange, SenderIdentity


def test_a_change_is_stored_with_who_and_why(identity: SenderIdentity) -> None:
    admin = User.objects.create_user("ada")

    assert change_status(identity, to="disabled", reason="  Moving to \n a new phone. ", by=admin)

    identity.refresh_from_db()
    assert identity.status == "disabled"
    change = IdentityStatusChange.objects.get()
    assert (change.identity, change.old, change.new) == (identity, "active", "disabled")
    assert (change.reason, change.by, change.source) == (
        "Moving to a new phone.",
        admin,
        "person",
    )


def test_what_a_carrier_reports_is_stored_as_the_carriers_word(identity: SenderIdentity) -> None:
    assert change_status(identity, to="banned", reason="Reported.", source="carrier")

    change = IdentityStatusChange.objects.get()
    assert (change.source, change.by) == ("carrier", None)


def test_the_same_status_changes_nothing_and_leaves_no_history(identity: SenderIdentity) -> None:
    assert not change_status(identity, to="active", reason="Again.")

    assert not IdentityStatusChange.objects.exists()


def test_a_change_decided_on_an_outdated_status_is_not_made(identity: SenderIdentity) -> None:
    as_a_slow_colleague_sees_it = SenderIdentity.objects.get(pk=identity.pk)
    change_status(identity, to="banned", reason="Reported.", source="carrier")

    assert not change_status(as_a_slow_colleague_sees_it, to="disabled", reason="Holiday.")

    identity.refresh_from_db()
    assert identity.status == "banned"
    assert IdentityStatusChange.objects.count() == 1


def test_the_object_in_hand_shows_its_new_status(identity: SenderIdentity) -> None:
    change_status(identity, to="blocked", reason="Reported.")
    assert change_status(identity, to="active", reason="The carrier lifted it.")

    assert identity.status == "active"


@pytest.mark.parametrize(
    ("to", "reason", "field"),
    [
        ("disabled", "", "reason"),
        ("disabled", " \n\t", "reason"),
        ("disabled", "x" * 301, "reason"),
        ("asleep", "Why not.", "to"),
    ],
)
def test_a_change_without_reason_or_known_status_is_refused(
    identity: SenderIdentity, to: str, reason: str, field: str
) -> None:
    with pytest.raises(NotValid) as refusal:
        change_status(identity, to=to, reason=reason)

    assert refusal.value.field == field
    identity.refresh_from_db()
    assert identity.status == "active"
    assert not IdentityStatusChange.objects.exists()
