"""Starting a child process that cannot outlive its parent, under an account of our choice."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_ON_LINUX = sys.platform == "linux"
# Loaded here and not in the child: between fork and exec as little as possible may happen.
_LIBC = ctypes.CDLL(None, use_errno=True) if _ON_LINUX else None


# Two dispatch processes keep 512 connections each; a user's limit is often 1024, or 256 on macOS.
_OPEN_FILES = 8192


class StartError(Exception):
    """Something can't be started; the message says what to do."""


@dataclass(frozen=True)
class Account:
    """The user and group that a child runs as."""

    uid: int
    gid: int


def allow_many_files() -> None:
    """Let us, and every child from here on, have thousands of files and connections open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def die_with_parent(death_signal: int, parent: int) -> None:
    """Have the kernel send us ``death_signal`` when the thread that forked us ends (Linux only).

    Elsewhere this does nothing; the next start of ``up`` clears away what was left.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        # It ended before we asked: no signal will ever come.
        os.kill(os.getpid(), signal.SIGKILL)


def start(
    command: Sequence[str | Path],
    *,
    log: IO[bytes] | int,
    env: Mapping[str, str],
    cwd: Path | None = None,
    account: Account | None = None,
    death_signal: int = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, so that a Ctrl-C reaches us alone."""
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(env),
        cwd=cwd,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        start_new_session=True,
        # Runs after the change of user, which would have cleared the setting. We fork from one
        # thread only, so the usual danger of running Python between fork and exec is not there.
        preexec_fn=_child_setup(death_signal),  # noqa: PLW1509
    )


def _child_setup(death_signal: int) -> Callable[[], None]:
    parent = os.getpid()
    return lambda: die_with_parent(death_signal, parent)


def end(process: subprocess.Popen[bytes], *, grace_seconds: float) -> bool:
    """Wait for a process that was asked to end, at last kill its session. True if in time."""
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        kill_session(process.pid)
        process.wait()
        return False
    return True


def kill_session(leader: int) -> None:
    """End a child made by :func:`start` and all that it started, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
