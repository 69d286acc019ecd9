"""What `manage.py up` runs: which services, in which order, with which environment."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError

from config import embedded, environment, processes
from config.processes import StartError
from config.supervisor import Say, Service, Supervisor, end_leftovers

BASE_DIR = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
# Below are the ports of the system; the last is left to the simulator.
_FIRST_PORT, _EXAMPLE_PORT, _LAST_PORT = 1024, 8000, 65535


class System:
    """The whole of Tapback on one machine, in one folder, on one port."""

    def __init__(self, *, port: int, demo: bool, say: Say) -> None:
        self.port = port
        self.demo = demo
        self.say = say
        self.var = environment.var_folder(BASE_DIR)
        self.url = f"http://{HOST}:{port}"
        self.supervisor = Supervisor(say=say, pids=self.run_folder / "pids.json")

    def run(self) -> None:
        """Start everything, say where it is, keep it running until told to stop, stop it."""
        processes.allow_many_files()
        with ExitStack() as undo:
            undo.enter_context(self.supervisor.listening_for_stop())
            self._make_folders()
            undo.enter_context(self._alone())
            end_leftovers(self.run_folder / "pids.json")
            self._require_free_port()
            self._clear_up()
            undo.callback(self.supervisor.stop)
            undo.enter_context(self._database_and_broker())
            self._start_simulator()
            self._migrate_and_collect()
            self._make_demo()
            self.supervisor.start(*self._workers(), self._web())
            self._announce()
            self.supervisor.watch()

    # --- Folders ---------------------------------------------------------------------------------

    @property
    def run_folder(self) -> Path:
        return self.var / "run"

    def _log(self, name: str) -> Path:
        return self.var / "logs" / f"{name}.log"

    def _make_folders(self) -> None:
        try:
            for folder in (self.var, self.run_folder, self.var / "logs", self.var / "static"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                (folder / ".writable").touch()
                (folder / ".writable").unlink()
        except OSError as error:
            raise StartError(
                f"The folder {self.var} can't be written ({error.strerror}). "
                "Choose another with VAR=, or start as the user that it belongs to."
            ) from None

    def _clear_up(self) -> None:
        """Begin new logs, keep those of the run before, and drop what it left half done."""
        shutil.rmtree(self.run_folder / "tmp", ignore_errors=True)
        (self.run_folder / "tmp").mkdir(mode=0o700)
        for log in (self.var / "logs").glob("*.log"):
            log.replace(log.with_name(log.name + ".before"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder for us alone; the lock goes with our process, however it ends."""
        with (self.run_folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StartError(
                    f"Tapback already runs in {self.var}. Stop it first, or start a second copy "
                    "with another folder and port: VAR=var2 PORT=8100 bin/run"
                ) from None
            yield

    # --- Environment -----------------------------------------------------------------------------

    @cached_property
    def env(self) -> dict[str, str]:
        """What the children see: ours, the kept secrets, and where things are."""
        return {
            "PUBLIC_URL": self.url,
            "STATIC_ROOT": str(self.var / "static"),
            **environment.read_private(environment.secrets_file(BASE_DIR)),
            **os.environ,
            "VAR": str(self.var),
            "PORT": str(self.port),
            "TMPDIR": str(self.run_folder / "tmp"),  # what a killed process leaves goes with it
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def _key(self) -> str:
        """A name for this installation that others on the machine don't have."""
        return hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]

    def _require_free_port(self) -> None:
        if not _FIRST_PORT <= self.port < _LAST_PORT:
            raise StartError(
                f"PORT must be a number from {_FIRST_PORT} to {_LAST_PORT - 1}: "
                f"PORT={_EXAMPLE_PORT} bin/run"
            )
        if not _is_free(self.port):
            raise StartError(
                f"Port {self.port} is taken by another program. "
                f"Choose another: PORT={_any_free_port()} bin/run"
            )

    def _simulator_port(self) -> int:
        """The port of the last time if it is free: the demo's gateway and bookmarks point at it."""
        remembered = self.var / "simulator-port"
        wanted = [self.port + 1]
        with suppress(FileNotFoundError, ValueError):
            wanted.insert(0, int(remembered.read_text()))
        port = next((port for port in wanted if _is_free(port)), None) or _any_free_port()
        remembered.write_text(f"{port}\n")
        return port

    # --- Services --------------------------------------------------------------------------------

    @contextmanager
    def _database_and_broker(self) -> Iterator[None]:
        """Start the embedded servers, unless the environment names some of yours."""
        given = [name for name in ("DATABASE_URL", "CELERY_BROKER_URL") if os.environ.get(name)]
        if len(given) == 1:
            raise StartError(
                f"{given[0]} is set alone. Set both DATABASE_URL and CELERY_BROKER_URL to use "
                "servers of yours, or neither to use the embedded ones."
            )
        if given:
            yield
            return
        running = environment.running_file(BASE_DIR)
        place = self._place()
        try:
            self.supervisor.start(self._postgres(place), self._valkey(place))
            addresses = {
                "DATABASE_URL": embedded.postgres_url(place),
                "CELERY_BROKER_URL": embedded.valkey_url(place),
            }
            self.env.update(addresses)
            environment.write_private(running, addresses | {"PUBLIC_URL": self.env["PUBLIC_URL"]})
            yield
        finally:
            self.supervisor.stop()
            running.unlink(missing_ok=True)
            place.remove()

    def _place(self) -> embedded.Place:
        """A place for the servers, and an end to the one that a killed run left."""
        remembered = self.run_folder / "place"
        with suppress(FileNotFoundError):
            embedded.remove_left_place(Path(remembered.read_text()))
        place = embedded.prepare_place(self.run_folder, data=self.var / "postgres")
        remembered.write_text(str(place.sockets))
        return place

    def _postgres(self, place: embedded.Place) -> Service:
        data, log = self.var / "postgres", self._log("postgres")
        return Service(
            name="database",
            start=lambda: embedded.start_postgres(data, place, log=log).process,
            is_ready=lambda: True,
            log=log,
            marker=str(place.sockets),
            stop_signal=signal.SIGINT,
            grace_seconds=30,
        )

    def _valkey(self, place: embedded.Place) -> Service:
        data, log = self.var / "valkey", self._log("valkey")
        return Service(
            name="broker",
            start=lambda: embedded.start_valkey(data, place, log=log).process,
            is_ready=lambda: True,
            log=log,
            marker=str(place.sockets),
        )

    def _start_simulator(self) -> None:
        if self.demo:
            port = self._simulator_port()
            self.env["SIMULATOR_URL"] = f"http://{HOST}:{port}"
            self.supervisor.start(self._simulator(port))

    def _simulator(self, port: int) -> Service:
        data = str(self.var / "simulator.sqlite3")
        return self._python(
            "simulator",
            *("-m", "simulator", "--host", HOST, "--port", str(port), "--data", data),
            is_ready=lambda: _answers(f"http://{HOST}:{port}/healthz"),
            marker=data,
        )

    def _workers(self) -> list[Service]:
        """A worker per queue: neither sending a million nor hearing what became of it delays an
        inbound STOP."""
        senders = self.env.get("WORKER_CONCURRENCY") or "2"
        schedule = str(self.run_folder / "beat-schedule")
        return [
            self._worker("dispatch", "--concurrency", senders),
            self._worker("people", "--concurrency", "1"),
            self._worker("reports", "--concurrency", "1"),
            # The clock is one of a kind: it belongs to this worker and must not run twice.
            self._worker("default", "--concurrency", "2", "--beat", "--schedule", schedule),
        ]

    def _worker(self, queue: str, *options: str) -> Service:
        node = f"{queue}@{self._key}"
        return self._python(
            f"{queue} worker",
            *("-m", "celery", "--app", "config", "worker", "--hostname", node),
            *("--queues", queue, "--without-gossip", "--without-mingle"),
            *("--without-heartbeat", *options),
            is_ready=lambda: self._worker_answers(node),
            marker=node,
            grace_seconds=25,  # longer than a call to a carrier may take
        )

    def _web(self) -> Service:
        host = urlsplit(self.env["PUBLIC_URL"]).netloc
        name = f"tapback-{self._key}"
        return self._python(
            "web",
            *("-m", "gunicorn", "--config", "python:config.gunicorn"),
            *("--bind", f"{HOST}:{self.port}", "--name", name),
            is_ready=lambda: _answers(f"{self.url}/health/ready", host=host),
            marker=name,
        )

    def _python(self, name: str, *arguments: str, **details: Any) -> Service:
        """A service that is a Python process of this clone."""
        log = self._log(name.replace(" ", "-"))

        def start() -> "subprocess.Popen[bytes]":
            with log.open("ab") as output:
                command = [sys.executable, *arguments]
                return processes.start(command, log=output, env=self.env, cwd=BASE_DIR)

        return Service(name=name, start=start, log=log, **details)

    def _worker_answers(self, node: str) -> bool:
        try:
            return bool(self._remote.control.ping(destination=[node], timeout=0.3))
        except OperationalError:
            return False

    @cached_property
    def _remote(self) -> Celery:
        return Celery(broker=self.env["CELERY_BROKER_URL"], set_as_current=False)

    # --- Set-up and greeting ---------------------------------------------------------------------

    def _migrate_and_collect(self) -> None:
        self.supervisor.run(
            _manage("migrate", "--no-input"),
            _manage("collectstatic", "--no-input", "--verbosity", "0"),
            env=self.env,
            log=self._log("setup"),
        )

    def _make_demo(self) -> None:
        if self.demo:
            command = _manage(
                *("demo", "--simulator-url", self.env["SIMULATOR_URL"]),
                *("--var", str(self.var), "--url", self.url),
            )
            self.supervisor.run(command, env=self.env, log=self._log("setup"))

    def _announce(self) -> None:
        self.say(f"ready: {self.url}/")
        if self.demo:
            for line in _demo_lines(json.loads((self.var / "demo.json").read_text())):
                self.say(line)


def _demo_lines(demo: dict[str, Any]) -> Iterator[str]:
    """What a newcomer needs to sign in, call the API and see the phone."""
    for username, password, role in demo["users"]:
        yield f"  sign in as {username} with {password}  ({role})"
    yield f"  API token: {demo['token']}"
    yield f"  simulated phone: {demo['simulator_url']}/"


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(BASE_DIR / "manage.py"), *arguments]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that a port just left counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(url: str, *, host: str | None = None) -> bool:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    # Without the proxies that the environment may name: this is our own machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
