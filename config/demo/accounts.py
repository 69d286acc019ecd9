"""The demo's sign-ins and API tokens. Their secrets are known from ``demo.json`` only."""

from __future__ import annotations

import secrets
from typing import Literal

from django.contrib.auth.models import Group, User
from django.db import transaction

from api import tokens
from api.models import Token
from config import roles

SignIn = tuple[str, str, str]

_USERS = (
    ("marketing", "Marketing"),
    ("senderadmin", "Sender admin"),
    ("auditor", "Auditor"),
)
_WORDS = (
    "amber", "beacon", "cedar", "delta", "ember", "fern", "granite", "harbor", "island", "juniper",
    "kettle", "lagoon", "maple", "nectar", "olive", "pebble", "quartz", "river", "saffron",
    "timber", "umber", "velvet", "willow", "yarrow", "zephyr",
)  # fmt: skip


@transaction.atomic
def make_users(kept: list[SignIn]) -> list[SignIn]:
    """One person for each role. Whose password is in ``kept`` keeps it; others get a new one."""
    roles.establish()
    passwords = {username: password for username, password, _ in kept}
    return [
        (username, _make_user(username, role, passwords.get(username, "")), role)
        for username, role in _USERS
    ]


def _make_user(username: str, role: str, password: str) -> str:
    user, is_new = User.objects.get_or_create(
        username=username, defaults={"is_staff": role in roles.STAFF_ROLES}
    )
    if is_new or not password:
        password = password or _password()
        user.set_password(password)
        user.save(update_fields=["password"])
        user.groups.add(Group.objects.get(name=role))
    return password


def _password() -> str:
    """Easy to type, and hard enough to guess: more than 40 bits."""
    words = [secrets.choice(_WORDS) for _ in range(4)]
    return "-".join([*words, f"{secrets.randbelow(10**7):07d}"])


def make_token(kept: str, *, form: Literal["tapback", "contiguity"]) -> str:
    """A token's text: the one in ``kept`` while it is valid, else a new one's."""
    try:
        tokens.authenticate(f"Bearer {kept}")
    except tokens.NotAuthenticated:
        name = f"Demo ({form})"
        return tokens.issue(name=name, scopes=Token.Scope.values, form=form)[1]
    return kept
