"""The carrier's record on disk: a SQLite file that a thread of its own keeps up with memory.

Memory answers, the file remembers. What was put is on its way to the file within
``FLUSH_SECONDS``, so a kill of the carrier loses no more than that. Rows that change often between
two flushes are written once.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

from simulator.model import Event, Line, Message, Person

FLUSH_SECONDS = 0.05

_SCHEMA = """
create table if not exists messages (
    seq integer primary key, id text, reference text, direction text, route text, line text,
    contact text, body text, media_urls text, status text, at real, error text, sent_at real,
    delivered_at real, read_at real, tapbacks text
) strict;
create table if not exists documents (
    kind text, key text, content text, primary key (kind, key)
) strict, without rowid;
"""

_COLUMNS = [field.name for field in fields(Message)]
_UPSERT_MESSAGE = (
    f"insert or replace into messages ({', '.join(_COLUMNS)}) "
    f"values ({', '.join('?' * len(_COLUMNS))})"
)
_UPSERT_DOCUMENT = "insert or replace into documents values (?, ?, ?)"
_DELETE_DOCUMENT = "delete from documents where kind = ? and key = ?"

Document = Line | Person | Event | dict[str, object]


class Journal:
    """``put`` and ``forget`` return at once; ``close`` writes what is left."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._messages: dict[int, Message] = {}
        self._documents: dict[tuple[str, str], Document | None] = {}
        self._is_wiped = False
        self._lock = threading.Lock()
        self._is_closing = threading.Event()
        with sqlite3.connect(self._path) as connection:
            connection.executescript(_SCHEMA)
        connection.close()
        self._writer = threading.Thread(target=self._write_on, name="journal")

    def start(self) -> None:
        self._writer.start()

    def put_message(self, message: Message) -> None:
        with self._lock:
            self._messages[message.seq] = message

    def put(self, kind: str, key: str, document: Document) -> None:
        with self._lock:
            self._documents[kind, key] = document

    def forget(self, kind: str, key: str) -> None:
        with self._lock:
            self._documents[kind, key] = None

    def wipe(self) -> None:
        """Forget every message and document that was put so far."""
        with self._lock:
            self._messages, self._documents, self._is_wiped = {}, {}, True

    def close(self) -> None:
        self._is_closing.set()
        self._writer.join()

    def messages(self) -> Iterator[Message]:
        """What the file holds, oldest first. To be read before ``start``."""
        for row in self._rows(f"select {', '.join(_COLUMNS)} from messages order by seq"):
            values = dict(zip(_COLUMNS, row, strict=True))
            values["media_urls"] = tuple(json.loads(values["media_urls"]))
            values["tapbacks"] = json.loads(values["tapbacks"])
            yield Message(**values)

    def documents(self, kind: str) -> Iterator[str]:
        """The documents of one kind, as JSON. To be read before ``start``."""
        for (content,) in self._rows("select content from documents where kind = ?", kind):
            yield content

    def _rows(self, query: str, *parameters: str) -> list[tuple]:  # type: ignore[type-arg]
        connection = sqlite3.connect(self._path)
        try:
            return connection.execute(query, parameters).fetchall()
        finally:
            connection.close()

    def _write_on(self) -> None:
        connection = sqlite3.connect(self._path)
        # The file survives a kill of this process; a power cut may cost the last moments.
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = off")
        while True:
            is_last = self._is_closing.wait(FLUSH_SECONDS)
            try:
                self._flush(connection)
            except sqlite3.Error as error:
                print(f"simulator: the record can't be written: {error}", file=sys.stderr)
            if is_last:
                connection.close()
                return

    def _flush(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            messages, self._messages = self._messages, {}
            documents, self._documents = self._documents, {}
            is_wiped, self._is_wiped = self._is_wiped, False
        if not (messages or documents or is_wiped):
            return
        with connection:
            if is_wiped:
                connection.execute("delete from messages")
                connection.execute("delete from documents")
            connection.executemany(_UPSERT_MESSAGE, [_row(item) for item in messages.values()])
            for (kind, key), document in documents.items():
                if document is None:
                    connection.execute(_DELETE_DOCUMENT, (kind, key))
                else:
                    connection.execute(_UPSERT_DOCUMENT, (kind, key, _content(document)))


def _row(message: Message) -> list[object]:
    values = {name: getattr(message, name) for name in _COLUMNS}
    values["media_urls"] = json.dumps(message.media_urls)
    values["tapbacks"] = json.dumps(dict(message.tapbacks))
    return list(values.values())


def _content(document: Document) -> str:
    if isinstance(document, Event):
        return document.document()
    return json.dumps(document if isinstance(document, dict) else asdict(document))
