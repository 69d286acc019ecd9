"""``manage.py roles``: the groups Marketing, Sender admin and Auditor, as config/roles.py says."""

from typing import Any

from django.core.management.base import BaseCommand

from config import roles


class Command(BaseCommand):
    help = "Make the groups Marketing, Sender admin and Auditor. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        roles.establish()
        self.stdout.write(f"Roles are up to date: {', '.join(roles.ROLES)}.")
