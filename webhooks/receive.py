"""Carriers call us: is it theirs? Keep it, answer, understand it later."""

from __future__ import annotations

import hashlib
import json
import time
from typing import NamedTuple

from django.db import connection
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from senders import wire
from senders.gateways.contract import Adapter, CallbackRequest, StatusReport
from senders.models import Gateway
from webhooks.models import Receipt

MOST_BYTES = 1024 * 1024
#: So much of a body that is too large is read off the line, so that the answer can be heard.
MOST_DISCARDED = 16 * 1024 * 1024
#: Not kept with a receipt: they are how a carrier proves who it is.
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


#: So long a gateway is remembered: looking it up costs as much as keeping a callback. After it, a
#: new signing secret is in force everywhere.
REMEMBERED_SECONDS = 5.0

_remembered: dict[str, tuple[float, Gateway]] = {}


class TooLarge(Exception):
    """The body is longer than ``MOST_BYTES``."""


class Unreadable(Exception):
    """The request did not arrive completely, or holds what can't be kept."""


class NotTheirs(Exception):
    """The signature is not the carrier's."""


def gateway_of(token: str) -> Gateway | None:
    """The gateway whose callback address has this token."""
    until, gateway = _remembered.get(token, (0.0, None))
    if time.time() >= until:
        gateway = Gateway.objects.filter(callback_token=token).first()
        if gateway is not None:
            _remembered[token] = (time.time() + REMEMBERED_SECONDS, gateway)
    return gateway


class Kept(NamedTuple):
    """``is_new`` is false when the same callback had been kept before."""

    is_new: bool
    is_report: bool


def receive(gateway: Gateway, request: HttpRequest, path: str) -> Kept:
    """Verify a callback and keep it.

    Raises :class:`TooLarge`, :class:`Unreadable` or :class:`NotTheirs`; then nothing is kept, but
    of the last a count.
    """
    callback = _callback(request, path)
    adapter = wire.adapter_of(gateway)
    if not adapter.verify(callback):
        Gateway.objects.filter(pk=gateway.pk).update(refused_callbacks=F("refused_callbacks") + 1)
        raise NotTheirs
    is_report = _is_report(adapter, callback)
    return Kept(_keep(gateway, callback, is_report=is_report), is_report)


def _is_report(adapter: Adapter, callback: CallbackRequest) -> bool:
    """Whether it holds nothing but reports; what can't be read is looked at with the others."""
    try:
        facts = adapter.parse(callback)
    except Exception:  # noqa: BLE001 -- the processor reads it again and says what is wrong
        return False
    return all(isinstance(fact, StatusReport) for fact in facts)


def _callback(request: HttpRequest, path: str) -> CallbackRequest:
    query = {name: request.GET[name] for name in request.GET}
    if any("\x00" in text for text in (*query, *query.values())):
        raise Unreadable
    return CallbackRequest(
        method=request.method or "",
        url=request.build_absolute_uri(),
        path=path,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=query,
        body=_body(request),
    )


def _body(request: HttpRequest) -> bytes:
    try:
        body: bytes = request.read(MOST_BYTES + 1)
        if len(body) <= MOST_BYTES:
            return body
        discarded = len(body)
        while discarded < MOST_DISCARDED and (chunk := request.read(65536)):
            discarded += len(chunk)
    except OSError:
        raise Unreadable from None
    raise TooLarge


def _keep(gateway: Gateway, callback: CallbackRequest, *, is_report: bool) -> bool:
    """One statement and no transaction around it: this is the whole cost of a callback."""
    query = json.dumps(callback.query)
    headers = {
        name: value for name, value in callback.headers.items() if name not in SECRET_HEADERS
    }
    # Timestamps and signatures in the headers differ between two deliveries of the same thing.
    same = b"\n".join((callback.path.encode(), query.encode(), callback.body))
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO {Receipt._meta.db_table}
                    (gateway_id, digest, path, query, headers, body, is_report, received_at,
                     outcome, tries, next_try_at, error)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 0, %s, '')
                ON CONFLICT (gateway_id, digest) DO NOTHING""",
            [
                gateway.pk,
                hashlib.sha256(same).hexdigest(),
                callback.path,
                query,
                json.dumps(headers),
                callback.body,
                is_report,
                now,
                Receipt.Outcome.WAITING,
                now,
            ],
        )
        return bool(cursor.rowcount == 1)
