"""``manage.py demo``: senders, people, templates, sign-ins and tokens to try everything with."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from config.demo import accounts, crowd, people, senders
from identifiers import public_ids
from messaging.models import Template
from subscribers.models import Group, Subscriber

FILE = "demo.json"
GROUP = "Spring open house"
FRIENDS = "Friends of the house"
TEMPLATES = {
    "Open house invitation": (
        "Hi {{ first_name }}, our spring open house is on Saturday from 10 to 4. Come and see"
        " what is new in {{ attributes.city }}! Reply STOP to opt out."
    ),
    "Friendly reminder": (
        "Hi {{ first_name|there }}, see you on Saturday? Reply YES and we save you a seat."
    ),
    "Thank you": (
        "Thank you for coming, {{ first_name|friend }}! 🌷 Tell us how you liked it: just reply."
    ),
}


class Command(BaseCommand):
    help = "Make the demo's data once, and write what is needed to use it to VAR/demo.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--simulator-url", required=True)
        parser.add_argument("--var", required=True, type=Path, help="The folder for demo.json.")
        parser.add_argument("--url", required=True, help="Where the console is.")
        parser.add_argument("--people", type=int, default=2400, help="How many, the first time.")

    def handle(self, *, simulator_url: str, var: Path, url: str, people: int, **_: Any) -> None:
        try:
            ours = senders.make(simulator_url)
            _make_people(ours, people)
            facts = _facts(ours, _read(var / FILE))
            _write(var / FILE, {"url": url, "simulator_url": simulator_url} | facts)
            senders.register(simulator_url)
            senders.introduce(simulator_url)
        except (senders.NotEmpty, senders.SimulatorMissing) as error:
            raise CommandError(str(error)) from None


@transaction.atomic
def _make_people(ours: senders.Senders, size: int) -> None:
    """Both groups and the templates, unless there is anybody: a second start keeps all as is."""
    if Subscriber.objects.exists():
        return
    consented = {"identity": ours.main, "elsewhere": ours.other}
    crowd_words, friends_words = "The whole invitation list.", "Somebody of each kind."
    people.make_group(GROUP, crowd_words, crowd.crowd(size), **consented)
    people.make_group(FRIENDS, friends_words, crowd.friends(), **consented)
    for name, body in TEMPLATES.items():
        Template.objects.get_or_create(name=name, defaults={"body": body})


def _facts(ours: senders.Senders, kept: dict[str, Any]) -> dict[str, Any]:
    """What ``demo.json`` holds, with the passwords and tokens that an earlier one held."""
    group = _group(kept)
    users = [tuple(user) for user in kept.get("users", [])]
    contiguity_token = kept.get("contiguity_token", "")
    return {
        "users": accounts.make_users(users),
        "token": accounts.make_token(kept.get("token", ""), form="tapback"),
        "contiguity_token": accounts.make_token(contiguity_token, form="contiguity"),
        "sender_name": ours.main.name,
        "longcode_id": ours.main.longcode.public_id,
        "from_number": ours.main.longcode.number,
        "group": group.name if group else "",
        "group_id": group.public_id if group else None,
        "numbers": crowd.example_numbers(),
    }


def _group(kept: dict[str, Any]) -> Group | None:
    """The demo's group, whatever it is called by now."""
    key = public_ids.decode("group", kept.get("group_id") or "")
    groups = Group.objects.order_by("pk")
    return groups.filter(pk__in=[] if key is None else [key]).first() or groups.first()


def _read(file: Path) -> dict[str, Any]:
    """What an earlier run wrote: its passwords and tokens can't be read from anywhere else."""
    try:
        facts = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _write(file: Path, facts: dict[str, Any]) -> None:
    """For its owner's eyes only; never half of it."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(facts, out, indent=2, ensure_ascii=False)
        out.write("\n")
    unfinished.replace(file)
