"""Tells customers what happened: one signed POST an event, over kept connections, with retries.

What a person writes goes out in its order, and so do the reports on what they got; different people
go side by side, so that order holds where it is looked at and a slow customer holds up few. An
event that was not heard is tried again later, and is on disk until it was heard or given up.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
import zlib
from collections.abc import Callable
from urllib.parse import urlsplit

from simulator.model import Event, Line

#: Connections to customers: for reports, and for what people write, so that no crowd of reports
#: delays a STOP.
REPORT_SHARDS = 6
PEOPLE_SHARDS = 2
DEADLINE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
MOST_TRIES = 15

LineOf = Callable[[Event], Line | None]
IsOver = Callable[[Event, bool], None]


def sign(secret: str, timestamp: str, body: bytes) -> str:
    signed = timestamp.encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class Caller:
    """Delivers events."""

    def __init__(self) -> None:
        self._line_of: LineOf
        self._is_over: IsOver
        self._reports = [_Shard() for _ in range(REPORT_SHARDS)]
        self._people = [_Shard() for _ in range(PEOPLE_SHARDS)]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, line_of: LineOf, is_over: IsOver) -> None:
        """Begin. ``line_of`` says where an event goes, at the moment it goes; ``is_over`` is called
        with each event that was heard (true) or given up (false)."""
        self._line_of, self._is_over = line_of, is_over
        self._tasks = [asyncio.create_task(self._work(shard)) for shard in self._shards()]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for shard in self._shards():
            shard.close()

    def _shards(self) -> list[_Shard]:
        return self._reports + self._people

    def add(self, event: Event) -> None:
        shards = self._reports if event.is_report else self._people
        shard = shards[zlib.crc32(event.contact.encode()) % len(shards)]
        shard.events.put_nowait(event)

    async def _work(self, shard: _Shard) -> None:
        while True:
            event = await shard.events.get()
            if await self._deliver(shard, event):
                self._is_over(event, True)
            elif event.tries >= MOST_TRIES:
                self._is_over(event, False)
            else:
                pause = min(FIRST_PAUSE_SECONDS * 2 ** (event.tries - 1), LONGEST_PAUSE_SECONDS)
                asyncio.get_running_loop().call_later(pause, self.add, event)

    async def _deliver(self, shard: _Shard, event: Event) -> bool:
        event.tries += 1
        line = self._line_of(event)
        if line is None or not line.callback_url:
            event.tries = MOST_TRIES
            return False
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                status = await shard.post(line.callback_url, _headers(line, event), event.body)
        except (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError):
            shard.close()
            return False
        return 200 <= status < 300


def _headers(line: Line, event: Event) -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {
        "Content-Type": "application/json",
        "X-Simulator-Event": event.id,
        "X-Simulator-Timestamp": timestamp,
        "X-Simulator-Signature": sign(line.signing_secret, timestamp, event.body),
    }


class _Shard:
    """A queue of events and the one connection over which they go."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._origin: tuple[str, str, int] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """POST and return the status. Customers expect that a callback may come twice."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an HTTP address")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        reader, writer = await self._connect((parts.scheme, parts.hostname, port))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        status, keeps = await _answer(reader)
        if not keeps:
            self.close()
        return status

    async def _connect(
        self, origin: tuple[str, str, int]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = self._streams
        is_usable = streams is not None and not (streams[0].at_eof() or streams[1].is_closing())
        if streams is None or not is_usable or origin != self._origin:
            self.close()
            scheme, host, port = origin
            context = ssl.create_default_context() if scheme == "https" else None
            streams = await asyncio.open_connection(host, port, ssl=context)
            self._streams, self._origin = streams, origin
        return streams


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of an answer, and whether its connection may be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    first, *lines = head.split("\r\n")
    status = int(first.split(" ")[1])
    headers = dict(line.partition(":")[::2] for line in lines if line)
    keeps = first.startswith("http/1.1") and "close" not in headers.get("connection", "")
    if "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
    elif status not in (204, 304):
        keeps = False  # chunked or until the end: nothing in it matters to us
    return status, keeps
