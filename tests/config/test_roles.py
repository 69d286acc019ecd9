"""Roles: what each may do."""

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.management import call_command

from config import roles

OUR_APPS = ("senders", "subscribers", "messaging", "webhooks", "api")
CHANGING = ("add", "change", "delete")

#: duty: who may do it
DUTIES = {
    "messaging.view_send": {"Marketing", "Sender admin", "Auditor"},
    "messaging.add_send": {"Marketing"},
    "messaging.change_send": {"Marketing"},
    "messaging.change_template": {"Marketing"},
    "messaging.view_conversation": {"Marketing", "Sender admin", "Auditor"},
    "messaging.change_conversation": {"Marketing"},
    "messaging.add_tapback": {"Marketing"},
    "subscribers.view_subscriber": {"Marketing", "Sender admin", "Auditor"},
    "subscribers.change_subscriber": {"Marketing"},
    "subscribers.view_consentevent": {"Marketing", "Sender admin", "Auditor"},
    "senders.view_senderidentity": {"Marketing", "Sender admin", "Auditor"},
    "senders.change_senderidentity": {"Sender admin"},
    "senders.view_gateway": {"Sender admin", "Auditor"},
    "senders.change_gateway": {"Sender admin"},
    "senders.add_longcode": {"Sender admin"},
    "webhooks.view_receipt": {"Sender admin", "Auditor"},
    "auth.view_user": {"Auditor"},
    "auth.change_user": set(),
    "messaging.delete_message": set(),
    "subscribers.delete_subscriber": set(),
    "senders.delete_senderidentity": set(),
}


@pytest.fixture
def people(db: None) -> dict[str, User]:
    roles.establish()
    people = {}
    for role in roles.ROLES:
        user = User.objects.create_user(role)
        roles.give(user, role)
        people[role] = User.objects.get(pk=user.pk)
    return people


@pytest.mark.parametrize(("duty", "allowed"), DUTIES.items(), ids=DUTIES)
def test_each_duty_is_open_to_its_roles_and_to_nobody_else(
    people: dict[str, User], duty: str, allowed: set[str]
) -> None:
    assert {role for role, user in people.items() if user.has_perm(duty)} == allowed


def test_the_auditor_reads_every_row_and_changes_none(people: dict[str, User]) -> None:
    auditor = people["Auditor"]
    models = {
        model._meta.label_lower
        for app in OUR_APPS
        for model in apps.get_app_config(app).get_models()
        if not hasattr(model, "history_id") and "historical" not in model._meta.label_lower
    }
    assert {
        model for model in models if not auditor.has_perm("{}.view_{}".format(*model.split(".")))
    } == set()
    assert not [
        permission
        for permission in auditor.get_all_permissions()
        if permission.split(".")[1].startswith(CHANGING)
    ]


def test_only_roles_with_duties_in_the_admin_may_enter_it(people: dict[str, User]) -> None:
    assert {role for role, user in people.items() if user.is_staff} == {"Sender admin", "Auditor"}


def test_the_command_can_be_repeated_and_puts_back_what_was_changed(db: None) -> None:
    call_command("roles", verbosity=0)
    before = set(Group.objects.values_list("name", "permissions__codename"))
    Group.objects.get(name="Auditor").permissions.clear()

    call_command("roles", verbosity=0)

    assert set(Group.objects.values_list("name", "permissions__codename")) == before
    assert set(Group.objects.values_list("name", flat=True)) == set(roles.ROLES)


def test_who_leaves_the_last_role_of_the_admin_can_no_longer_enter_it(
    people: dict[str, User],
) -> None:
    auditor = people["Auditor"]
    auditor.groups.clear()

    roles.let_into_admin(auditor)

    assert not User.objects.get(pk=auditor.pk).is_staff
