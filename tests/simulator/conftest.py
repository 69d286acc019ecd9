from __future__ import annotations

import heapq
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator.carrier import Carrier, Sending
from simulator.journal import Journal
from simulator.model import Event

ROOT = Path(__file__).parents[2]
CAPABLE, OTHER = "+13035550102", "+13035550103"
DENVER = ("imessage", "denver@example.com")
LONGCODE = ("sms", "+13035550100")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def later(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + delay, next(self._order), action))

    def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, action = heapq.heappop(self._due)
            action()
        self.now = end


class World:
    """A carrier in memory, its clock, and what it told its customers."""

    def __init__(self, path: Path, seed: int = 1) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        self.journal = Journal(path)
        self.carrier = Carrier(
            seed=seed, journal=self.journal, later=self.clock.later, tell=self.events.append
        )
        self._references = itertools.count(1)

    def sending(self, key=DENVER, to: str = CAPABLE, body: str = "Hello", **options) -> Sending:
        reference = options.pop("reference", "") or str(next(self._references))
        return Sending(reference, *key, to, body, **options)

    def send(self, *arguments: Any, **options: Any):
        sending = self.sending(*arguments, **options)
        self.carrier.check(sending)
        return self.carrier.accept(sending)

    def told(self, kind: str = "message.status") -> list[dict[str, Any]]:
        bodies = [json.loads(event.body) for event in self.events]
        return [body["data"] for body in bodies if body["type"] == kind]

    def statuses(self, message) -> list[str]:
        return [data["status"] for data in self.told() if data["id"] == message.id]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "record.sqlite3")


class Running:
    """The simulator as a process, with calls to it."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self._options = options
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "simulator", "--port", "0", "--data", str(self.data)]
        self._process = subprocess.Popen(
            [*command, *self._options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.url = self._process.stdout.readline().removeprefix("simulator: ").strip().rstrip("/")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        code = self._process.wait(timeout=10)
        self._process.stdout.close()
        return code

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": "Bearer key", **options.pop("headers", {})}
        return requests.request(
            method, self.url + path, headers=headers, timeout=options.pop("timeout", 10), **options
        )

    def fault(self, fault: str, **rule: Any) -> None:
        answer = self.call("POST", "/control/faults", json={"rules": [{"fault": fault, **rule}]})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("simulator") / "record.sqlite3")
    yield running
    running.stop()


@pytest.fixture
def running(process: Running) -> Running:
    process.call("POST", "/control/reset", json={"everything": True})
    process.call("POST", "/control/latency", json={"sent_ms": 0, "delivered_ms": 0})
    return process
