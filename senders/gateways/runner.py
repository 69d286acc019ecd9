"""Makes the HTTP calls that adapters ask for: one at a time, or hundreds at once from one thread.

Both runners promise the same: no redirect is followed, no call is repeated, no proxy or password
file of the environment is used, and a call without a complete answer becomes a
:class:`~senders.gateways.contract.CallFailed` that is thrown into the adapter's generator. How a
generator ends is translated once, in :class:`Job`:

* it returns: the result;
* it raises a :class:`~senders.gateways.errors.GatewayError`: that error;
* it lets a ``CallFailed`` through: ``OutcomeUnknown`` if the request may have left, else
  ``GatewayUnavailable``;
* it raises anything else, which is a fault in the adapter: ``OutcomeUnknown`` if any of its calls
  may have left, else ``NotSupported``, so that the next leg is tried and nothing is repeated.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Generator, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import certifi
import pycurl
import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
)

from senders.gateways.contract import CallFailed, HttpCall, HttpReply
from senders.gateways.errors import (
    GatewayError,
    GatewayUnavailable,
    NotSupported,
    OutcomeUnknown,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
Steps = Generator[HttpCall, HttpReply, T]

CONNECT_SECONDS = 10.0
#: An answer longer than this is not an answer to anything we ask.
MAX_REPLY_BYTES = 8 * 1024 * 1024
USER_AGENT = "Tapback"

#: Between two looks while curl has no socket to wait on, as when it looks up a name.
_PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Finished:
    """How the generator started under ``key`` ended: with a result, or with an error."""

    key: Hashable
    result: Any = None
    error: GatewayError | None = None


class Job:
    """A generator under way, and whether any of its calls may have left."""

    __slots__ = ("has_left", "key", "steps")

    def __init__(self, key: Hashable, steps: Steps[Any]) -> None:
        self.key = key
        self.steps = steps
        self.has_left = False

    def advance(self, answer: HttpReply | CallFailed | None) -> HttpCall | Finished:
        """Give the generator its answer (``None`` to begin); return its next call, or its end."""
        try:
            return self._next_call(answer)
        except StopIteration as stop:
            return Finished(self.key, result=stop.value)
        except GatewayError as error:
            return Finished(self.key, error=error)
        except CallFailed as failure:
            return Finished(self.key, error=_translated(failure))
        except Exception as fault:  # noqa: BLE001  anything else is a fault of the adapter
            return Finished(self.key, error=self._adapter_fault(fault))

    def _next_call(self, answer: HttpReply | CallFailed | None) -> HttpCall:
        if answer is None:
            call = next(self.steps)
        elif isinstance(answer, CallFailed):
            call = self.steps.throw(answer)
        else:
            call = self.steps.send(answer)
        for name, value in call.headers.items():
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"a header that can't be sent: {name}")
        return call

    def _adapter_fault(self, fault: Exception) -> GatewayError:
        # Neither the text of the error nor its traceback is logged: both may quote what was sent.
        where, name = _place(fault), type(fault).__name__
        logger.error("gateway adapter failed", extra={"error": name, "place": where})
        if self.has_left:
            return OutcomeUnknown(f"the adapter failed on the answer: {name} in {where}")
        return NotSupported("this adapter", f"this call ({name} in {where})")


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    code = trace.tb_frame.f_code
    return f"{Path(code.co_filename).name}:{trace.tb_lineno}"


def _translated(failure: CallFailed) -> GatewayError:
    detail = str(failure)
    return OutcomeUnknown(detail) if failure.may_have_left else GatewayUnavailable(detail)


# One call at a time, over requests.


def run_one(steps: Steps[T], *, session: requests.Session | None = None) -> T:
    """Drive one generator to its end and return its result.

    Raises the ``GatewayError`` that it ended with. ``session`` is used for connections kept between
    calls; without it each call has its own.
    """
    job = Job(None, steps)
    step = job.advance(None)
    while isinstance(step, HttpCall):
        answer = _request(step, session)
        job.has_left |= isinstance(answer, HttpReply) or answer.may_have_left
        step = job.advance(answer)
    if step.error is not None:
        raise step.error
    result: T = step.result
    return result


def _request(call: HttpCall, session: requests.Session | None) -> HttpReply | CallFailed:
    if session is None:
        with requests.Session() as own:
            return _request(call, own)
    session.trust_env = False
    ends_at = time.monotonic() + call.deadline_seconds
    connect_seconds = min(CONNECT_SECONDS, call.deadline_seconds)
    try:
        with session.request(
            call.method,
            call.url,
            data=call.body or None,
            headers={
                "User-Agent": USER_AGENT,
                "Accept-Encoding": "identity",
                **call.headers,
            },
            timeout=(connect_seconds, call.deadline_seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = _read(response, ends_at)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpReply(response.status_code, headers, body)
    except (requests.RequestException, TimeoutError, ValueError) as error:
        detail = f"no complete answer: {type(error).__name__}"
        return CallFailed(detail, may_have_left=not _never_left(error))


def _read(response: requests.Response, ends_at: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise ValueError("the answer is too long")
        if time.monotonic() > ends_at:
            raise TimeoutError
    return bytes(body)


_BEFORE_REQUEST = (
    ConnectTimeoutError,
    NewConnectionError,
    NameResolutionError,
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
)


def _never_left(error: BaseException | None) -> bool:
    """Whether the chain of causes proves that no byte of the request was sent."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, _BEFORE_REQUEST) or type(error).__name__ == "SSLCertVerificationError":
            return True
        seen.add(id(error))
        reason = getattr(error, "reason", None)
        error = (
            reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__
        )
    return False


# Hundreds of calls at once, over pycurl.

_CURL_PHRASES = {
    pycurl.E_COULDNT_RESOLVE_HOST: "the host name did not resolve",
    pycurl.E_COULDNT_CONNECT: "the connection was refused",
    pycurl.E_OPERATION_TIMEDOUT: "no answer in time",
    pycurl.E_GOT_NOTHING: "the connection was closed without an answer",
    pycurl.E_RECV_ERROR: "the connection broke while waiting for the answer",
    pycurl.E_SEND_ERROR: "the connection broke while sending",
    pycurl.E_PARTIAL_FILE: "only half an answer came",
    pycurl.E_ABORTED_BY_CALLBACK: "the connection was closed without an answer",
    pycurl.E_PEER_FAILED_VERIFICATION: "the certificate was not accepted",
    pycurl.E_FILESIZE_EXCEEDED: "the answer is too long",
}


class _Wire:
    """One curl handle, used for one call after another, and what its present call has brought."""

    __slots__ = ("body", "curl", "has_begun", "header_lines", "job")

    def __init__(self) -> None:
        self.job: Job
        self.has_begun = False
        self.header_lines: list[bytes] = []
        self.body: list[bytes] = []
        curl = self.curl = pycurl.Curl()
        curl.setopt(pycurl.PREREQFUNCTION, self._begin)
        curl.setopt(pycurl.HEADERFUNCTION, self.header_lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, self.body.append)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.CAINFO, certifi.where())
        curl.setopt(pycurl.USERAGENT, USER_AGENT)
        curl.setopt(pycurl.MAXFILESIZE, MAX_REPLY_BYTES)

    def _begin(self, *_addresses: object) -> int:
        """Called by curl when a connection is ready and nothing of the request has been sent.

        This is both the proof of what may have left and the lock against repeating it: when a kept
        connection dies without an answer, curl sends the request again on a new one, although the
        carrier may have acted on the first. The second time, we stop it.
        """
        if self.has_begun:
            return pycurl.PREREQFUNC_ABORT
        self.has_begun = True
        return pycurl.PREREQFUNC_OK

    def load(self, job: Job, call: HttpCall) -> None:
        self.job = job
        self.has_begun = False
        self.header_lines.clear()
        self.body.clear()
        curl = self.curl
        curl.setopt(pycurl.URL, call.url)
        if call.body or call.method not in ("GET", "DELETE"):
            curl.setopt(pycurl.POSTFIELDS, call.body)
        else:
            curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, call.method)
        curl.setopt(pycurl.HTTPHEADER, _header_list(call))
        deadline_ms = max(1, int(call.deadline_seconds * 1000))
        curl.setopt(pycurl.TIMEOUT_MS, deadline_ms)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, min(deadline_ms, int(CONNECT_SECONDS * 1000)))

    def reply(self) -> HttpReply:
        headers: dict[str, str] = {}
        for line in self.header_lines:
            if line.startswith(b"HTTP/"):  # an interim answer (1xx) came before
                headers.clear()
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                headers[name.lower()] = value.strip()
        status = int(self.curl.getinfo(pycurl.RESPONSE_CODE))
        return HttpReply(status, headers, b"".join(self.body))


def _header_list(call: HttpCall) -> list[str]:
    # Curl would add these two by itself: the first makes it wait and repeat, the second is a guess.
    headers = ["Expect:"]
    has_type = False
    for name, value in call.headers.items():
        has_type = has_type or name.lower() == "content-type"
        headers.append(f"{name}: {value}")
    if not has_type:
        headers.append("Content-Type:")
    return headers


#: What a forked child inherited. Kept for ever: closing it would end the parent's connections.
_inherited: list[object] = []


class Runner:
    """Drives up to ``max_in_flight`` generators at once, from the one thread that calls it.

    Keep it for the life of the process: connections stay open between uses. After a fork the child
    starts afresh, with none of the parent's calls.
    """

    _queue: deque[Job]
    _finished: list[Finished]
    _busy: dict[pycurl.Curl, _Wire]
    _idle: list[_Wire]
    _multi: pycurl.CurlMulti

    def __init__(self, max_in_flight: int = 512) -> None:
        self.max_in_flight = max_in_flight
        self._reset()

    @property
    def in_flight(self) -> int:
        """Generators with a call under way."""
        return len(self._busy)

    @property
    def room(self) -> int:
        """How many more can be started and begin at once."""
        return self.max_in_flight - len(self._busy) - len(self._queue)

    def start(self, key: Hashable, steps: Steps[Any]) -> None:
        """Begin a generator; its first call is made as soon as there is room.

        ``key`` comes back in its :class:`Finished`, and need not be unique.
        """
        self._own_process()
        self._queue.append(Job(key, steps))
        self._fill()

    def wait(self, timeout_seconds: float) -> list[Finished]:
        """Make progress until something has finished, and return all that has.

        Returns an empty list when the time has passed, or at once when nothing is under way.
        """
        self._own_process()
        ends_at = time.monotonic() + timeout_seconds
        while True:
            self._progress()
            remaining = ends_at - time.monotonic()
            if self._finished or not self._busy or remaining <= 0:
                finished, self._finished = self._finished, []
                return finished
            until_timer = self._multi.timeout()
            if until_timer >= 0:
                remaining = min(remaining, until_timer / 1000)
            if remaining > 0 and self._multi.select(remaining) == -1:
                time.sleep(min(remaining, _PAUSE_SECONDS))  # nothing to wait on yet

    def close(self) -> None:
        """Drop every call and connection. Calls under way end without a word."""
        self._own_process()
        for curl in self._busy:
            self._multi.remove_handle(curl)
            curl.close()
        for wire in self._idle:
            wire.curl.close()
        self._multi.close()
        self._reset()

    def _reset(self) -> None:
        self._process_id = os.getpid()
        self._queue = deque()
        self._finished = []
        self._busy = {}
        self._idle = []
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, self.max_in_flight)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_NOTHING)

    def _own_process(self) -> None:
        if self._process_id != os.getpid():
            _inherited.append((self._multi, self._busy, self._idle))
            self._reset()

    def _fill(self) -> None:
        while self._queue and len(self._busy) < self.max_in_flight:
            self._advance(self._queue.popleft(), None)

    def _advance(self, job: Job, answer: HttpReply | CallFailed | None) -> None:
        step = job.advance(answer)
        if isinstance(step, Finished):
            self._finished.append(step)
        else:
            self._begin(job, step)

    def _begin(self, job: Job, call: HttpCall) -> None:
        wire = self._idle.pop() if self._idle else _Wire()
        try:
            wire.load(job, call)
        except (pycurl.error, TypeError, ValueError):
            wire.curl.close()
            failure = CallFailed("the request can't be made as it is", may_have_left=False)
            self._advance(job, failure)
            return
        self._busy[wire.curl] = wire
        self._multi.add_handle(wire.curl)

    def _progress(self) -> None:
        self._multi.perform()
        remaining = 1
        while remaining:
            remaining, answered, failed = self._multi.info_read()
            for curl in answered:
                self._settle(curl, None)
            for curl, code, _text in failed:
                self._settle(curl, code)
        self._fill()

    def _settle(self, curl: pycurl.Curl, error_code: int | None) -> None:
        wire = self._busy.pop(curl)
        self._multi.remove_handle(curl)
        job = wire.job
        job.has_left = job.has_left or wire.has_begun
        answer: HttpReply | CallFailed
        if error_code is None:
            answer = wire.reply()
            self._idle.append(wire)
        else:
            phrase = _CURL_PHRASES.get(error_code, "the call failed")
            detail = f"{phrase} (curl {error_code})"
            answer = CallFailed(detail, may_have_left=wire.has_begun)
            curl.close()  # a handle that failed may keep what it failed of
        self._advance(job, answer)
