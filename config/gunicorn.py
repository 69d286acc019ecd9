"""How `manage.py up` runs the web processes: few processes, threads that keep their connection."""

import os
import signal
from typing import Any

from config.processes import die_with_parent

wsgi_app = "config.wsgi"
preload_app = True  # read once, shared by the processes; nothing connects while it is read
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = 8
timeout = 60
graceful_timeout = 5
control_socket_disable = True  # it would be a file under the home folder, shared by two copies


def post_fork(_server: Any, worker: Any) -> None:
    """A killed master takes its workers along, and with them the port."""
    die_with_parent(signal.SIGKILL, worker.ppid)
