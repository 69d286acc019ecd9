"""`manage.py up`: the whole system from one command."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config.processes import StartError
from config.supervisor import Stopped
from config.system import System


class Command(BaseCommand):
    help = (
        "Starts everything and stops it together: database and broker (embedded, unless "
        "DATABASE_URL and CELERY_BROKER_URL name yours), workers, web, and the simulated carrier."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=os.environ.get("PORT") or 8000, help="default: $PORT, 8000"
        )
        parser.add_argument(
            "--no-demo",
            action="store_true",
            help="start without the demo data and the simulated carrier",
        )

    def handle(self, *_: Any, port: int, no_demo: bool, **__: Any) -> None:
        try:
            System(port=port, demo=not no_demo, say=self._say).run()
        except StartError as error:
            sys.exit(str(error))
        except Stopped:
            self._say("Stopped.")

    def _say(self, line: str) -> None:
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except BrokenPipeError:
            pass  # nobody reads any more; that is no reason to stop
