"""What the simulator calls back: its signature, and its events as facts."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from senders.gateways.contract import (
    CallbackFact,
    CallbackRequest,
    DeliveryStatus,
    InboundMessage,
    InboundTapback,
    InboundTyping,
    Line,
    LineReport,
    MalformedCallback,
    Route,
    StatusReport,
    TapbackKind,
)
from senders.gateways.errors import DeliveryFailed
from senders.gateways.simulator.statuses import ERRORS, LINE_STATES, STATUSES

TIMESTAMP_HEADER = "x-simulator-timestamp"
SIGNATURE_HEADER = "x-simulator-signature"
REPLAY_WINDOW_SECONDS = 300

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def is_signed(request: CallbackRequest, secret: str) -> bool:
    """Whether body and timestamp are signed with ``secret`` and no older than the window."""
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    if not secret or not _TIMESTAMP.fullmatch(timestamp):
        return False
    if abs(time.time() - int(timestamp)) > REPLAY_WINDOW_SECONDS:
        return False
    signed = timestamp.encode() + b"." + request.body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    given = request.headers.get(SIGNATURE_HEADER, "")
    return hmac.compare_digest(given.encode(), expected.encode())


def facts(body: bytes) -> list[CallbackFact]:
    """The facts of one callback body. Raises ``MalformedCallback``; unknown events give ``[]``."""
    try:
        event = json.loads(body)
        read = _READERS.get(as_text(event["type"]))
        return [] if read is None else [read(event["data"], _moment(event["at"]))]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedCallback(f"unreadable event ({type(error).__name__})") from None


def _status(data: dict[str, Any], at: datetime) -> StatusReport:
    status = STATUSES[data["status"]]
    error_code = ""
    if status is DeliveryStatus.FAILED:
        error_code = as_error_code(data["error"]) or DeliveryFailed.code
    return StatusReport(
        status=status,
        at=at,
        gateway_message_id=as_text(data["id"]),
        reference=as_text(data["reference"]),
        error_code=error_code,
    )


def _inbound(data: dict[str, Any], at: datetime) -> InboundMessage:
    return InboundMessage(
        gateway_message_id=as_text(data["id"]),
        line=_line(data),
        sender=as_text(data["from"]),
        body=as_text(data["body"]),
        at=at,
        media_urls=tuple(as_text(url) for url in data["media_urls"]),
    )


def _tapback(data: dict[str, Any], at: datetime) -> InboundTapback:
    return InboundTapback(
        line=_line(data),
        sender=as_text(data["from"]),
        target_gateway_message_id=as_text(data["message_id"]),
        kind=TapbackKind(data["kind"]),
        is_removed=_truth(data["removed"]),
        at=at,
    )


def _typing(data: dict[str, Any], at: datetime) -> InboundTyping:
    return InboundTyping(_line(data), as_text(data["from"]), _truth(data["typing"]), at)


def _line_state(data: dict[str, Any], at: datetime) -> LineReport:
    state = as_text(data["state"])
    if state not in LINE_STATES:
        raise ValueError("unknown state")
    return LineReport(_line(data), state, at)


_READERS: dict[str, Callable[[dict[str, Any], datetime], CallbackFact]] = {
    "message.status": _status,
    "message.inbound": _inbound,
    "tapback": _tapback,
    "typing": _typing,
    "line.state": _line_state,
}


def _line(data: dict[str, Any]) -> Line:
    return Line(Route(data["line"]["route"]), as_text(data["line"]["address"]))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment


def as_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def as_error_code(value: object) -> str:
    """Our code for a failure in the simulator's words; ``""`` where it names none."""
    word = as_text(value)
    return ERRORS.get(word, DeliveryFailed).code if word else ""


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not a truth value")
    return value
