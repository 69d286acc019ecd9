"""What carriers told us becomes facts, and these go to messaging.

Reports on our messages go as sets. What people write goes one by one, each committed at once: an
opt-out counts from the moment it is stored, and no crowd of reports is before it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import compress, islice
from operator import not_
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from identifiers import texts
from messaging import intake
from senders import wire
from senders.gateways.contract import (
    CallbackFact,
    CallbackRequest,
    DeliveryStatus,
    InboundMessage,
    MalformedCallback,
    StatusReport,
)
from senders.models import Gateway
from webhooks.models import Receipt

logger = logging.getLogger(__name__)

#: A callback may overtake our own record of its message; after so long there is no such message.
PATIENCE = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(minutes=2)
#: The advisory locks of whoever processes: receipts of one person must not overtake each other.
PEOPLE_LOCK = 0x7461_7062_6163_6B01
REPORTS_LOCK = 0x7461_7062_6163_6B02
REPORTS_AT_ONCE = 250


class Read(NamedTuple):
    """A receipt and the facts in it."""

    receipt: Receipt
    facts: list[CallbackFact]


def is_due(*, reports: bool) -> bool:
    """Whether a receipt of this sort waits."""
    return _due(reports).exists()


def process_people() -> int:
    """Process the oldest receipt of what people wrote. Returns how many were looked at."""
    return _process(reports=False, limit=1)


def process_reports(limit: int = REPORTS_AT_ONCE) -> int:
    """Process the oldest receipts that hold reports only. Returns how many were looked at."""
    return _process(reports=True, limit=limit)


def _process(*, reports: bool, limit: int) -> int:
    """One transaction: what a receipt says happens together with its being marked as processed.
    Returns 0 at once when somebody else is at it."""
    with transaction.atomic():
        if not _lock(REPORTS_LOCK if reports else PEOPLE_LOCK):
            return 0
        due = _due(reports).select_related("gateway").order_by("next_try_at", "id")
        receipts = list(due[:limit])
        by_gateway: dict[Gateway, list[Receipt]] = {}
        for receipt in sorted(receipts, key=lambda receipt: receipt.pk):
            by_gateway.setdefault(receipt.gateway, []).append(receipt)
        for gateway, its_receipts in by_gateway.items():
            _process_gateway(gateway, its_receipts)
    return len(receipts)


def _due(reports: bool) -> QuerySet[Receipt]:
    return Receipt.objects.filter(
        is_report=reports, outcome=Receipt.Outcome.WAITING, next_try_at__lte=timezone.now()
    )


def _lock(key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
        (is_ours,) = cursor.fetchone()
    return bool(is_ours)


def _process_gateway(gateway: Gateway, receipts: Sequence[Receipt]) -> None:
    read = [reading for receipt in receipts if (reading := _read(gateway, receipt)) is not None]
    if read:
        _take(gateway, read)
        _note_life(gateway, [fact for reading in read for fact in reading.facts])


def _read(gateway: Gateway, receipt: Receipt) -> Read | None:
    """The facts of a receipt; ``None`` when there is no making sense of it, which is noted."""
    request = CallbackRequest(
        method="POST",
        url=gateway.callback_url + receipt.path,
        path=receipt.path,
        headers=receipt.headers,
        query=receipt.query,
        body=bytes(receipt.body),
    )
    try:
        facts = wire.adapter_of(gateway).parse(request)
    except MalformedCallback as error:
        _close([receipt], Receipt.Outcome.MALFORMED, error=str(error))
        return None
    except Exception as error:  # an adapter's fault must not stop the other receipts
        logger.exception("a callback could not be read", extra={"receipt": receipt.pk})
        _close([receipt], Receipt.Outcome.MALFORMED, error=type(error).__name__)
        return None
    return Read(receipt, [_storable(fact) for fact in facts])


def _take(gateway: Gateway, read: Sequence[Read]) -> None:
    """Hand the facts over in one go; where that fails, find out by halves which receipt it is, so
    that it holds up nobody else."""
    try:
        with transaction.atomic():
            taken = intake.take(gateway, [fact for reading in read for fact in reading.facts])
    except Exception as error:  # one receipt's fault must not stop the others
        if len(read) > 1:
            middle = len(read) // 2
            _take(gateway, read[:middle])
            _take(gateway, read[middle:])
            return
        logger.exception("a receipt failed", extra={"receipt": read[0].receipt.pk})
        _postpone([read[0].receipt], Receipt.Outcome.FAILED, error=type(error).__name__)
        return
    found = iter(taken.found)
    matched = [all(list(islice(found, len(reading.facts)))) for reading in read]
    receipts = [reading.receipt for reading in read]
    _close(list(compress(receipts, matched)), Receipt.Outcome.PROCESSED)
    _postpone(list(compress(receipts, map(not_, matched))), Receipt.Outcome.UNMATCHED)


def _close(receipts: Sequence[Receipt], outcome: Receipt.Outcome, *, error: str = "") -> None:
    Receipt.objects.filter(pk__in=[receipt.pk for receipt in receipts]).update(
        outcome=outcome, error=error[:200], tries=F("tries") + 1, processed_at=timezone.now()
    )


def _postpone(receipts: Sequence[Receipt], outcome: Receipt.Outcome, *, error: str = "") -> None:
    """Try them again later; those that have been tried for long enough end with ``outcome``."""
    now = timezone.now()
    again: dict[int, list[Receipt]] = {}
    over: list[Receipt] = []
    for receipt in receipts:
        is_over = now - receipt.received_at > PATIENCE
        (over if is_over else again.setdefault(receipt.tries, [])).append(receipt)
    for tries, tried in again.items():
        pause = min(timedelta(seconds=2**tries), LONGEST_PAUSE)
        Receipt.objects.filter(pk__in=[receipt.pk for receipt in tried]).update(
            tries=tries + 1, next_try_at=now + pause, error=error[:200]
        )
    if over:
        _close(over, outcome, error=error)


def _note_life(gateway: Gateway, facts: Iterable[CallbackFact]) -> None:
    """A gateway's health is when it last brought something in, and last delivered."""
    seen: dict[str, datetime] = {}
    now = timezone.now()
    for fact in facts:
        if isinstance(fact, InboundMessage):
            seen["last_inbound_at"] = now
        elif isinstance(fact, StatusReport) and fact.status in _DELIVERED:
            seen["last_delivery_at"] = now
    if seen:
        Gateway.objects.filter(pk=gateway.pk).update(**seen)


_DELIVERED = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.READ})


def _storable(value: Any) -> Any:
    """A fact, or a part of one, without characters that PostgreSQL can't keep."""
    if type(value) is str:
        return texts.mended(value)
    if isinstance(value, tuple):
        return tuple(_storable(part) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _storable(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    return value
