"""Who may do what: one table of roles and rows.

A letter grants one of Django's permissions on a model: ``v`` view, ``a`` add, ``c`` change,
``d`` delete. A model that is not in the table is open to superusers only. The history of a row can
be read by whoever may view the row. Sender admins and auditors use the admin too: they are staff.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction

MARKETING = "Marketing"
SENDER_ADMIN = "Sender admin"
AUDITOR = "Auditor"

ROLES = (MARKETING, SENDER_ADMIN, AUDITOR)
STAFF_ROLES = frozenset({SENDER_ADMIN, AUDITOR})

GRANTS: dict[str, tuple[str, str, str]] = {
    #                               Marketing, Sender admin, Auditor
    "senders.gateway": ("", "vac", "v"),
    "senders.longcode": ("v", "vac", "v"),
    "senders.senderidentity": ("v", "vac", "v"),
    "senders.identitystatuschange": ("v", "v", "v"),
    "senders.lane": ("", "v", "v"),
    "subscribers.subscriber": ("vac", "v", "v"),
    "subscribers.group": ("vac", "v", "v"),
    "subscribers.membership": ("vad", "v", "v"),
    "subscribers.optin": ("v", "v", "v"),
    "subscribers.consentevent": ("v", "v", "v"),
    "subscribers.consentevidence": ("v", "v", "v"),
    "subscribers.consenthead": ("v", "v", "v"),
    "messaging.template": ("vac", "v", "v"),
    "messaging.send": ("vac", "v", "v"),
    "messaging.message": ("v", "v", "v"),
    "messaging.batch": ("", "v", "v"),
    "messaging.attempt": ("v", "v", "v"),
    "messaging.event": ("v", "v", "v"),
    "messaging.conversation": ("vac", "v", "v"),
    "messaging.tapback": ("vacd", "v", "v"),
    "webhooks.receipt": ("", "v", "v"),
    "api.token": ("", "v", "v"),
    "api.idempotencykey": ("", "", "v"),
    "auth.user": ("", "", "v"),
    "auth.group": ("", "", "v"),
}

_VERBS = {"v": "view", "a": "add", "c": "change", "d": "delete"}


def permissions_of(role: str) -> Iterator[str]:
    """What a role may do, in the words of ``user.has_perm``."""
    column = ROLES.index(role)
    for model, letters in GRANTS.items():
        app, name = model.split(".")
        for letter in letters[column]:
            yield f"{app}.{_VERBS[letter]}_{name}"


@transaction.atomic
def establish() -> None:
    """Make the three groups, with exactly the permissions of the table. Safe to repeat."""
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    for role in ROLES:
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([known[name] for name in permissions_of(role)])


def give(user: User, role: str) -> None:
    """Put a person into a role; the groups must have been established."""
    user.groups.add(Group.objects.get(name=role))
    let_into_admin(user)


def let_into_admin(user: User) -> None:
    """Open the admin to whoever has a role for it, and close it to everybody else."""
    is_staff = user.is_superuser or user.groups.filter(name__in=STAFF_ROLES).exists()
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])
