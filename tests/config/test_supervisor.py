"""What `manage.py up` promises about its children, tried on small ones."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config import processes
from config.processes import StartError
from config.supervisor import Service, Stopped, Supervisor, end_leftovers, keep_small

NAPPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_DFL); time.sleep(60)"


def napper(tmp_path: Path, name: str = "napper", *, code: str = NAPPER) -> Service:
    log = tmp_path / f"{name}.log"

    def start() -> "subprocess.Popen[bytes]":
        with log.open("ab") as output:
            command = [sys.executable, "-c", code, f"{tmp_path}/{name}"]
            return processes.start(command, log=output, env=dict(os.environ))

    return Service(
        name=name, start=start, is_ready=lambda: True, log=log, marker=f"{tmp_path}/{name}"
    )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]):
    supervisor = Supervisor(say=said.append, pids=tmp_path / "pids.json")
    yield supervisor
    supervisor.stop()


def pids(tmp_path: Path) -> list[int]:
    return [item["pid"] for item in json.loads((tmp_path / "pids.json").read_text())]


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def watch_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    """Watch as `up` does, in the main thread; Ctrl-C comes when the condition is met."""

    def interrupt() -> None:
        until(condition)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with supervisor.listening_for_stop():
        thread.start()
        with pytest.raises(Stopped):
            supervisor.watch()
    thread.join()


def test_what_was_started_last_is_stopped_first(supervisor, tmp_path: Path) -> None:
    told = (
        "import pathlib, signal, sys; path = pathlib.Path(sys.argv[1]);"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]);"
        "path.with_suffix('.ready').touch(); signal.sigwait([signal.SIGTERM]);"
        "(path.parent / 'order').open('a').write(path.name)"
    )
    for name in ("a", "b", "c"):
        supervisor.start(napper(tmp_path, name, code=told))
    until(lambda: len(list(tmp_path.glob("*.ready"))) == 3)
    supervisor.stop()
    assert (tmp_path / "order").read_text() == "cba"


def test_a_crashed_service_is_started_again_and_said_so(supervisor, tmp_path, said) -> None:
    supervisor.start(napper(tmp_path))
    [first] = pids(tmp_path)
    os.kill(first, signal.SIGKILL)
    watch_until(supervisor, lambda: pids(tmp_path) != [first])
    [second] = pids(tmp_path)
    assert lives(second)
    assert said[0].startswith("The napper was ended by SIGKILL; starting it again in 1 s.")
    assert said[1] == "The napper is running again."


def test_pauses_between_restarts_grow(supervisor, tmp_path: Path, said: list[str]) -> None:
    supervisor.start(napper(tmp_path, code="raise SystemExit(3)"))
    watch_until(supervisor, lambda: sum("starting it again" in line for line in said) == 2)
    pauses = [line for line in said if "starting it again" in line]
    assert "ended unexpectedly with code 3; starting it again in 1 s" in pauses[0]
    assert "starting it again in 2 s" in pauses[1]


def test_a_service_that_ignores_the_request_is_killed_after_its_grace(supervisor, tmp_path) -> None:
    deaf = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "open(sys.argv[1], 'w'); time.sleep(60)"
    )
    service = napper(tmp_path, code=deaf)
    supervisor.start(Service(**{**vars(service), "grace_seconds": 0.1}))
    until((tmp_path / "napper").exists)
    [pid] = pids(tmp_path)
    supervisor.stop()
    assert not lives(pid)


def test_a_service_that_ends_before_it_serves_is_an_error_with_its_log(
    supervisor, tmp_path
) -> None:
    service = napper(tmp_path, code="raise SystemExit(1)")
    with pytest.raises(StartError, match=r"The napper did not start\. .*napper\.log says why\."):
        supervisor.start(Service(**{**vars(service), "is_ready": lambda: False}))


def test_a_command_that_fails_is_an_error(supervisor, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit(1)"]
    with pytest.raises(StartError, match="failed"):
        supervisor.run(command, env=dict(os.environ), log=tmp_path / "setup.log")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from config import processes;"
        "child = processes.start(['sleep', '60'], log=-3, env=dict(os.environ));"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert lives(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not lives(child))


def test_a_low_limit_of_open_files_is_raised_as_far_as_allowed() -> None:
    code = (
        "import resource; from config import processes;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2000));"
        "processes.allow_many_files();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "(2000, 2000)"


def test_leftovers_of_a_killed_run_are_ended_and_strangers_are_not(tmp_path: Path) -> None:
    left = napper(tmp_path, "left").start()
    stranger = napper(tmp_path, "stranger").start()
    reaper = threading.Thread(target=left.wait)
    reaper.start()
    kept = tmp_path / "pids.json"
    kept.write_text(
        json.dumps(
            [
                {"pid": left.pid, "marker": f"{tmp_path}/left"},
                {"pid": stranger.pid, "marker": "the number was ours once"},
            ]
        )
    )
    try:
        end_leftovers(kept)
        reaper.join(5)
        assert not lives(left.pid)
        assert lives(stranger.pid)
        assert not kept.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_large_log_is_set_aside_and_goes_on(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("config.supervisor._LARGEST_LOG_BYTES", 10)
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"more than ten bytes")
        keep_small(log)
        writer.write(b"next")
    assert log.read_bytes() == b"next"
    assert (tmp_path / "web.log.1").read_bytes() == b"more than ten bytes"
