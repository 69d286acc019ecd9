"""As much of an HTTP/1.1 server as a carrier needs: kept connections, plain bodies, fast answers.

Handlers are plain functions from a request to an answer. An answer can be late, cut in half, or
never come, which is what frameworks are made to prevent.
"""

from __future__ import annotations

import asyncio
import enum
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 2 * 1024 * 1024
LINGER_SECONDS = 2.0


class Cut(enum.Enum):
    """What becomes of an answer on its way."""

    NONE = "none"
    HALF = "half"
    CLOSE = "close"
    NEVER = "never"


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut: Cut = Cut.NONE

    def head(self, *, keeps: bool) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines.append(f"Content-Type: {self.content_type}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        if not keeps:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode()


def json_answer(content: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(content).encode(), headers=named)


def error(status: int, code: str, sentence: str, **headers: str) -> Answer:
    return json_answer({"error": {"code": code, "message": sentence}}, status, **headers)


class BadRequest(Exception):
    """The request can't be understood. The text is a sentence for its author."""


@dataclass
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes

    @cached_property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @cached_property
    def query(self) -> dict[str, str]:
        values = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: found[-1] for name, found in values.items()}

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises ``BadRequest``."""
        try:
            content = json.loads(self.content.decode())
            if b"\\u" in self.content:  # half a surrogate pair could not be kept
                json.dumps(content, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise BadRequest("The body is not JSON in UTF-8.") from None
        if not isinstance(content, dict):
            raise BadRequest("The body is not a JSON object.")
        return content


Handler = Callable[[Request], Answer]


class Connection(asyncio.Protocol):
    """One connection, one request after another.

    ``all_open`` holds every open connection. When it has more than ``most_kept``, connections end
    with their answer: a customer's idle ones must not use up the files that we may open.
    """

    def __init__(self, handler: Handler, all_open: set[Connection], *, most_kept: int) -> None:
        self._handler = handler
        self._all_open = all_open
        self._most_kept = most_kept
        self._buffer = bytearray()
        self._is_answering = False
        self._is_over = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._all_open.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._all_open.discard(self)

    def data_received(self, data: bytes) -> None:
        if not self._is_over:
            self._buffer += data
            self._read_on()

    def _read_on(self) -> None:
        while not (self._is_answering or self._is_over or self._transport.is_closing()):
            try:
                request = self._take_request()
            except BadRequest as fault:
                self._give_up(fault)
                return
            if request is None:
                return
            self._answer(request)

    def _give_up(self, fault: BadRequest) -> None:
        # What is still on its way is dropped for a while: closing at once would make the client's
        # system throw our answer away.
        self._is_over = True
        self._buffer.clear()
        answer = error(400, "invalid_request", str(fault))
        self._transport.write(answer.head(keeps=False) + answer.body)
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)

    def _take_request(self) -> Request | None:
        """The next request if it has arrived in full."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadRequest("The head of the request is too long.")
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = _length(headers)
        if len(self._buffer) < end + 4 + length:
            if headers.get("expect", "").lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        content = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        method, _, rest = first.partition(" ")
        return Request(method, rest.rpartition(" ")[0], headers, content)

    def _answer(self, request: Request) -> None:
        is_asked_to_close = request.headers.get("connection", "").lower() == "close"
        keeps = not is_asked_to_close and len(self._all_open) <= self._most_kept
        try:
            answer = self._handler(request)
        except BadRequest as fault:
            answer = error(400, "invalid_request", str(fault))
        except Exception:  # noqa: BLE001  one faulty request must not end the others
            traceback.print_exc(file=sys.stderr)
            answer = error(500, "internal", "The simulator has a fault: see its log.")
        if answer.cut is Cut.NEVER:
            self._is_answering = True
        elif answer.delay_seconds > 0:
            self._is_answering = True
            loop = asyncio.get_running_loop()
            loop.call_later(answer.delay_seconds, self._write_late, answer, keeps)
        else:
            self._write(answer, keeps=keeps)

    def _write_late(self, answer: Answer, keeps: bool) -> None:
        self._is_answering = False
        if not self._transport.is_closing():
            self._write(answer, keeps=keeps)
            self._read_on()

    def _write(self, answer: Answer, *, keeps: bool) -> None:
        content = answer.head(keeps=keeps) + answer.body
        if answer.cut is Cut.HALF:
            content = content[: -max(1, len(answer.body) // 2)]
        if answer.cut is not Cut.CLOSE:
            self._transport.write(content)
        if answer.cut is not Cut.NONE or not keeps:
            self._transport.close()


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest("Send the body with a Content-Length.")
    text = headers.get("content-length", "0")
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    if not is_number or int(text) > MAX_BODY_BYTES:
        raise BadRequest(f"The body may have {MAX_BODY_BYTES} bytes.")
    return int(text)
