"""``manage.py verify_consent``: prove that nobody rewrote the consent ledger."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from subscribers.verification import Anchor, verify


def _anchor(text: str) -> Anchor:
    if not re.fullmatch(r"[1-9][0-9]{0,17}:[0-9a-f]{64}", text):
        raise ArgumentTypeError("write POSITION:HASH, as an earlier run printed it.")
    position, digest = text.split(":")
    return Anchor(int(position), digest)


class Command(BaseCommand):
    help = "Recompute the chain of the consent ledger. Exit code 1 where it does not hold."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--known",
            type=_anchor,
            metavar="POSITION:HASH",
            help="The last entry of an earlier run, kept elsewhere: it must still be there.",
        )

    def handle(self, *, known: Anchor | None, **_: Any) -> None:
        findings = verify(known=known)
        if findings.fault:
            raise CommandError(f"The consent ledger is broken. {findings.fault}", returncode=1)
        self.stdout.write(
            f"The consent ledger is whole: {findings.entries} entries,"
            f" {findings.erased} with erased evidence."
            f" Last entry: {findings.head.position}:{findings.head.hash}"
        )
