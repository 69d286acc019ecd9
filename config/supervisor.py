"""Keeping a set of services running: start in order, restart what crashes, stop in reverse.

One thread, no Django: what runs is described by :class:`Service` values, and `up` describes it.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from config import processes
from config.processes import StartError

Say = Callable[[str], None]

_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 30
_STEADY_SECONDS = 60
_LARGEST_LOG_BYTES = 20_000_000
_PROC = Path("/proc")


class Stopped(Exception):
    """Somebody asked us to stop."""


@dataclass(frozen=True)
class Service:
    """One child process: how it starts, how it shows that it serves, how it is told to end."""

    name: str
    start: Callable[[], "subprocess.Popen[bytes]"]
    is_ready: Callable[[], bool]
    log: Path
    # A text that the command line of this process has and no stranger's has.
    marker: str
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = 10
    ready_seconds: float = 60


@dataclass
class _Running:
    service: Service
    process: "subprocess.Popen[bytes]"
    started_at: float = field(default_factory=time.monotonic)
    crashes: int = 0
    restart_at: float | None = None


class Supervisor:
    """Starts services one group after the other and answers for them until told to stop."""

    def __init__(self, *, say: Say, pids: Path) -> None:
        self._say = say
        self._pids = pids
        self._groups: list[list[_Running]] = []
        self._stopping = False

    @contextmanager
    def listening_for_stop(self) -> Iterator[None]:
        """Turn Ctrl-C, a polite kill and a closed terminal into :class:`Stopped`."""
        kinds = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to live on
            kinds.append(signal.SIGHUP)
        before = {kind: signal.signal(kind, self._note_stop) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def start(self, *services: Service) -> None:
        """Start services side by side; return once all of them serve."""
        group: list[_Running] = []
        self._groups.append(group)
        for service in services:
            self._check_stop()
            group.append(_Running(service, service.start()))
            self._write_pids()
        for running in group:
            self._wait_ready(running)

    def run(self, *commands: Sequence[str | Path], env: Mapping[str, str], log: Path) -> None:
        """Run commands side by side to their end; a failure is a :class:`StartError`."""
        started: list[subprocess.Popen[bytes]] = []
        try:
            with log.open("ab") as output:
                started += [processes.start(part, log=output, env=env) for part in commands]
            for process, command in zip(started, commands, strict=True):
                while process.poll() is None:
                    self._check_stop()
                    time.sleep(_POLL_SECONDS)
                if process.returncode != 0:
                    raise StartError(f"`{_spoken(command)}` failed. {log} says why.")
        finally:
            for process in started:
                processes.kill_session(process.pid)
                process.wait()

    def watch(self) -> None:
        """Restart what crashes, until asked to stop, which raises :class:`Stopped`."""
        while True:
            self._check_stop()
            for running in self._running():
                self._attend(running)
            time.sleep(_WATCH_SECONDS)

    def stop(self) -> None:
        """End everything in reverse order; a group ends together."""
        for group in reversed(self._groups):
            for running in group:
                running.process.send_signal(running.service.stop_signal)
            for running in group:
                self._end(running)
        self._groups.clear()
        self._pids.unlink(missing_ok=True)

    def _note_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _check_stop(self) -> None:
        if self._stopping:
            raise Stopped

    def _running(self) -> list[_Running]:
        return [running for group in self._groups for running in group]

    def _wait_ready(self, running: _Running) -> None:
        service = running.service
        deadline = time.monotonic() + service.ready_seconds
        while not service.is_ready():
            self._check_stop()
            if running.process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"The {service.name} did not start. {service.log} says why.")
            time.sleep(_POLL_SECONDS)

    def _attend(self, running: _Running) -> None:
        """Look after one child: notice its end, start it again when its pause is over."""
        now = time.monotonic()
        if running.restart_at is not None:
            if now >= running.restart_at:
                self._restart(running)
        elif running.process.poll() is not None:
            # What it started must not go on without it, or hold its port.
            processes.kill_session(running.process.pid)
            if now - running.started_at > _STEADY_SECONDS:
                running.crashes = 0
            self._plan_restart(running, how=_ending(running.process.returncode))
        else:
            keep_small(running.service.log)

    def _plan_restart(self, running: _Running, *, how: str) -> None:
        pause = min(2**running.crashes, _LONGEST_BACKOFF_SECONDS)
        running.crashes += 1
        running.restart_at = time.monotonic() + pause
        name, log = running.service.name, running.service.log
        self._say(f"The {name} {how}; starting it again in {pause} s. Its log: {log}")

    def _restart(self, running: _Running) -> None:
        try:
            running.process = running.service.start()
        except StartError as error:
            self._plan_restart(running, how=f"did not start ({error})")
            return
        running.started_at = time.monotonic()
        running.restart_at = None
        self._write_pids()
        self._say(f"The {running.service.name} is running again.")

    def _end(self, running: _Running) -> None:
        service = running.service
        if not processes.end(running.process, grace_seconds=service.grace_seconds):
            self._say(f"The {service.name} did not stop in {service.grace_seconds:g} s; killed it.")
        processes.kill_session(running.process.pid)

    def _write_pids(self) -> None:
        known = [
            {"pid": running.process.pid, "marker": running.service.marker}
            for running in self._running()
        ]
        self._pids.write_text(json.dumps(known))


def end_leftovers(pids: Path, *, grace_seconds: float = 20) -> None:
    """End what a killed supervisor left running, by the file of process ids that it kept.

    The kernel ends children with their supervisor on Linux, but some take a moment; elsewhere
    nobody does. A process id may be a stranger's by now, so the command line must show that it is
    one of ours.
    """
    with suppress(FileNotFoundError, ValueError):
        known = [(int(item["pid"]), str(item["marker"])) for item in json.loads(pids.read_text())]
        deadline = time.monotonic() + grace_seconds
        for pid, marker in reversed(known):
            _end_leftover(pid, marker, deadline)
    pids.unlink(missing_ok=True)


def _end_leftover(pid: int, marker: str, deadline: float) -> None:
    asked = False
    while _is_ours(pid, marker):
        with suppress(ProcessLookupError):
            if not asked:
                os.kill(pid, signal.SIGINT)  # for PostgreSQL the fast way, for others a plain stop
                asked = True
            elif time.monotonic() > deadline:
                processes.kill_session(pid)
        time.sleep(_POLL_SECONDS)


def _is_ours(pid: int, marker: str) -> bool:
    return marker in _command_line(pid)


def _command_line(pid: int) -> str:
    """The command line of a running process, empty when there is none."""
    if _PROC.exists():
        with suppress(OSError):
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return ""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout


def keep_small(log: Path) -> None:
    """Move a log that has grown large aside; who writes it appends, so it may be cut in place."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LARGEST_LOG_BYTES:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended unexpectedly with code {code}"


def _spoken(command: Sequence[str | Path]) -> str:
    return " ".join(str(part) for part in command[1:4])
