"""The Celery application: tasks wake stages, the database holds the work."""

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init, setup_logging, worker_process_init

from config.processes import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tapback", task_cls="config.tasks:HintTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Being connected is enough: Celery then leaves the logging that Django has set up."""


@worker_process_init.connect
@beat_embedded_init.connect
def end_with_the_worker(**_: Any) -> None:
    """A killed worker takes its pool and its clock along, so that no half of it goes on."""
    die_with_parent(signal.SIGKILL, os.getppid())
