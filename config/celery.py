"""The Celery application: tasks wake stages, the database holds the work."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tapback")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
