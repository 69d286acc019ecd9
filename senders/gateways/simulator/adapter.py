"""The simulator: a carrier that exists only on this machine (docs/simulator.md)."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from datetime import datetime
from math import isfinite
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from senders.gateways.contract import (
    Adapter,
    Availability,
    CallbackFact,
    CallbackRequest,
    CallFailed,
    Capabilities,
    CredentialField,
    Health,
    HttpCall,
    HttpReply,
    Line,
    LineHealth,
    LookUp,
    Outbound,
    RemoteMessage,
    Route,
    SendResult,
    TapbackKind,
)
from senders.gateways.errors import (
    CredentialsRefused,
    GatewayError,
    OutcomeUnknown,
    RateLimited,
)
from senders.gateways.simulator.callbacks import as_error_code, as_text, facts, is_signed
from senders.gateways.simulator.statuses import ERRORS, LINE_STATES, STATUSES

DEADLINE_SECONDS = 10.0
#: The longest pause that we let the carrier ask for.
MAX_RETRY_AFTER_SECONDS = 3600.0


class Simulator(Adapter):
    kind = "simulator"
    label = "Simulator"
    only_unreal_numbers = True
    capabilities = Capabilities(
        routes=frozenset({Route.IMESSAGE, Route.SMS}),
        media=True,
        availability=True,
        tapbacks=True,
        typing=True,
        mark_read=True,
        history=True,
        delivery_receipts=True,
        read_receipts=True,
        look_up=LookUp.AUTHORITATIVE,
    )
    credential_fields: ClassVar = (
        CredentialField("api_key", "API key", "The simulator takes any key that is not empty."),
        CredentialField("signing_secret", "Signing secret", "Signs what the simulator calls back."),
    )

    def _send(self, outbound: Outbound) -> Generator[HttpCall, HttpReply, SendResult]:
        reply = yield self._call(
            "POST",
            "/messages",
            {
                "reference": outbound.reference,
                "line": _line_json(outbound.line),
                "to": outbound.to,
                "body": outbound.body,
                "media_urls": list(outbound.media_urls),
                "callback_url": self.config.callback_url,
                "signing_secret": self.config.credentials.get("signing_secret", ""),
            },
        )
        answer = _accepted(reply)
        try:
            return SendResult(as_text(answer["id"]), STATUSES[answer["status"]])
        except (KeyError, TypeError):
            raise OutcomeUnknown("an accepting answer that names no message") from None

    def availability(self, phone: str, line: Line) -> Generator[HttpCall, HttpReply, Availability]:
        answer = _accepted((yield self._call("GET", "/availability?" + urlencode({"to": phone}))))
        can_imessage = answer.get("imessage")
        return Availability(can_imessage if isinstance(can_imessage, bool) else None)

    def tapback(
        self,
        line: Line,
        to: str,
        target_gateway_message_id: str,
        kind: TapbackKind,
        *,
        remove: bool,
    ) -> Generator[HttpCall, HttpReply, None]:
        path = f"/messages/{quote(target_gateway_message_id, safe='')}/tapbacks"
        body = {"line": _line_json(line), "to": to, "kind": kind.value, "remove": remove}
        _accepted((yield self._call("POST", path, body)))

    def typing(
        self, line: Line, to: str, *, is_typing: bool
    ) -> Generator[HttpCall, HttpReply, None]:
        body = {"line": _line_json(line), "to": to, "typing": is_typing}
        _accepted((yield self._call("POST", "/typing", body)))

    def mark_read(self, line: Line, to: str) -> Generator[HttpCall, HttpReply, None]:
        _accepted((yield self._call("POST", "/read", {"line": _line_json(line), "to": to})))

    def fetch(
        self, *, gateway_message_id: str = "", reference: str = ""
    ) -> Generator[HttpCall, HttpReply, RemoteMessage | None]:
        if gateway_message_id:
            path = "/messages/" + quote(gateway_message_id, safe="")
        else:
            path = "/messages?" + urlencode({"reference": reference})
        reply = yield self._call("GET", path)
        if reply.status == 404 and _error_code(reply) == "unknown_message":
            return None
        return _remote_message(_accepted(reply))

    def history(
        self, line: Line, contact: str, *, limit: int
    ) -> Generator[HttpCall, HttpReply, list[RemoteMessage]]:
        query = {"route": line.route, "line": line.address, "contact": contact, "limit": limit}
        answer = _accepted((yield self._call("GET", "/history?" + urlencode(query))))
        return [_remote_message(item) for item in answer.get("messages", [])]

    def health(self) -> Generator[HttpCall, HttpReply, Health]:
        try:
            answer = _accepted((yield self._call("GET", "/account")))
        except CallFailed as failure:
            return Health(is_up=False, detail=f"The simulator can't be reached: {failure}.")
        except GatewayError as error:
            return Health(is_up=False, detail=error.sentence)
        return Health(is_up=True, detail="The simulator answers.", lines=_lines(answer))

    def verify(self, request: CallbackRequest) -> bool:
        return is_signed(request, self.config.credentials.get("signing_secret", ""))

    def parse(self, request: CallbackRequest) -> list[CallbackFact]:
        return facts(request.body)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HttpCall:
        headers = {"Authorization": f"Bearer {self.config.credentials.get('api_key', '')}"}
        content = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        url = self.config.base_url.rstrip("/") + path
        return HttpCall(method, url, headers, content, DEADLINE_SECONDS)


def _lines(answer: Mapping[str, Any]) -> list[LineHealth]:
    lines = answer.get("lines")
    return [
        LineHealth(str(line.get("address", "")), line["state"])
        for line in (lines if isinstance(lines, list) else [])
        if isinstance(line, dict) and line.get("state") in LINE_STATES
    ]


def _line_json(line: Line) -> dict[str, str]:
    return {"route": line.route.value, "address": line.address}


def _accepted(reply: HttpReply) -> dict[str, Any]:
    """The body of an accepting answer; for any other answer, raises the error that it means."""
    if not 200 <= reply.status < 300:
        raise _error(reply)
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise OutcomeUnknown(f"{reply.status} with a body that can't be read")
    return answer


def _error(reply: HttpReply) -> GatewayError:
    """Nothing but a documented refusal counts as one: all else may have been accepted."""
    code = _error_code(reply)
    detail = f"{reply.status} {code}".rstrip()
    if reply.status in (401, 403) and not code:
        return CredentialsRefused(detail)
    if reply.status == 429:
        return RateLimited(detail, retry_after_seconds=_retry_after(reply))
    if code and (400 <= reply.status < 500 or reply.status == 503):
        return ERRORS[code](detail)
    return OutcomeUnknown(detail)


def _error_code(reply: HttpReply) -> str:
    """The carrier's code, if it is one that we know: any other text might quote the message."""
    try:
        code = json.loads(reply.body)["error"]["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and code in ERRORS else ""


def _retry_after(reply: HttpReply) -> float | None:
    try:
        seconds = float(reply.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS) if isfinite(seconds) else None


def _remote_message(item: Any) -> RemoteMessage:
    try:
        return RemoteMessage(
            gateway_message_id=as_text(item["id"]),
            reference=as_text(item["reference"]),
            is_outbound=item["direction"] == "out",
            line=Line(Route(item["line"]["route"]), as_text(item["line"]["address"])),
            contact=as_text(item["contact"]),
            body=as_text(item["body"]),
            status=STATUSES[item["status"]],
            at=datetime.fromisoformat(item["at"]),
            error=as_error_code(item["error"]),
        )
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("a message that can't be read") from None
