"""A carrier of raw sockets, so that a test decides every byte of an answer and every cut."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One request as it arrived: on which connection, and as which of that connection."""

    connection: int
    number: int
    head: str
    body: bytes


Answer = Callable[[Request], bytes | None]


def http(status: int = 200, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class RawCarrier:
    """Answers each request with the bytes that ``answer`` returns; ``None`` closes instead."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Answer = lambda request: http()
        self.requests: list[Request] = []
        self.connections = 0
        self.most_at_once = 0
        self._tls = tls
        self._at_once = 0
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(
                target=self._serve, args=(connection, self.connections), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, index: int) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                number = 0
                while request := self._read(stream, index, number):
                    number += 1
                    if not self._reply(connection, request):
                        return
        except OSError:
            return

    def _read(self, stream, index: int, number: int) -> Request | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return None
            head += line
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = stream.read(int(length[1])) if length else b""
        request = Request(index, number, head.decode("latin-1"), body)
        self.requests.append(request)
        return request

    def _reply(self, connection: socket.socket, request: Request) -> bool:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            content = self.answer(request)
        finally:
            with self._lock:
                self._at_once -= 1
        if content is None:
            return False
        connection.sendall(content)
        return b"Connection: close" not in content
