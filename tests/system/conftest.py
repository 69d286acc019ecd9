"""The whole program, started as a user starts it, with every process that it has."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
#: What would make the program use the test run's own services and settings.
_OURS = ("DATABASE_URL", "CELERY_BROKER_URL", "VAR", "PORT", "DJANGO_SETTINGS_MODULE", "PUBLIC_URL")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def eventually(ask: Callable[[], Any], *, seconds: float = 60.0, every: float = 0.1) -> Any:
    """The first true answer to a question that is asked until then."""
    ends_at = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < ends_at, f"still not true after {seconds:g} s"
        time.sleep(every)
    return answer


class System:
    """A running copy, and what its users can do to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.env = {key: value for key, value in os.environ.items() if key not in _OURS}
        self.env |= {"VAR": str(folder), "PORT": str(self.port)}
        self.process: subprocess.Popen[str]

    def start(self) -> None:
        with (self.folder / "up.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(lambda: "ready: " in self.log or self.process.poll(), seconds=120)
        assert self.process.poll() is None, self.log
        self.demo = json.loads((self.folder / "demo.json").read_text())

    @property
    def log(self) -> str:
        return (self.folder / "up.log").read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def pids(self, marker: str) -> list[int]:
        listed = json.loads((self.folder / "run/pids.json").read_text())
        return [entry["pid"] for entry in listed if entry["marker"].startswith(marker)]

    def kill_worker(self) -> None:
        """End the dispatching worker and its children as a power cut would."""
        for pid in self.pids("dispatch@"):
            os.killpg(pid, signal.SIGKILL)

    def call(self, path: str, body: Any = None, *, headers: Any = None) -> tuple[int, Any]:
        """A call to the API."""
        return self._http(
            self.demo["url"] + path,
            body,
            {"Authorization": f"Bearer {self.demo['token']}", **(headers or {})},
        )

    def carrier(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """A call to the simulated carrier."""
        return self._http(self.demo["simulator_url"] + path, body, {}, method)[1]

    def _http(
        self, url: str, body: Any, headers: dict[str, str], method: str | None = None
    ) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json", **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What the database says."""
        place = dict(
            line.split("=", 1) for line in (self.folder / "run/env").read_text().splitlines()
        )
        folder = place["DATABASE_URL"].split("@/", 1)[1].rpartition("/")[0]
        with psycopg.connect(host=folder, dbname="tapback", user="tapback") as connection:
            return connection.execute(sql, params).fetchall() if sql else []


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("system"))
    system.start()
    yield system
    system.stop()
