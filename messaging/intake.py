"""What carriers tell us, sorted: reports to settle, the rest to receive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from identifiers import public_ids
from messaging import receive, settle
from messaging.models import Attempt
from messaging.settle import Report
from messaging.states import AttemptState
from senders.gateways.contract import (
    CallbackFact,
    InboundMessage,
    InboundTapback,
    InboundTyping,
    LineReport,
    StatusReport,
)
from senders.models import Gateway

#: What the column of inbound ids takes.
_MOST_OF_AN_ID = 200

_RECEIVERS: dict[type[CallbackFact], Callable[[Gateway, Any], bool]] = {
    InboundMessage: receive.message,
    InboundTapback: receive.tapback,
    InboundTyping: receive.typing,
    LineReport: receive.line_report,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """Which facts, in the order in which they were given, found what they are about."""

    found: Sequence[bool]

    @property
    def matched(self) -> int:
        return sum(self.found)

    @property
    def unmatched(self) -> int:
        return len(self.found) - self.matched


def take(gateway: Gateway, facts: Sequence[CallbackFact]) -> Taken:
    """Take in what one gateway told. Safe to repeat; reports are settled as one set, in one
    transaction, and everything else in a transaction each."""
    facts = [_keepable(fact) for fact in facts]
    attempts = _attempts(gateway, [fact for fact in facts if isinstance(fact, StatusReport)])
    settle.apply(
        [
            _report(attempts[_name(fact)], fact)
            for fact in facts
            if isinstance(fact, StatusReport) and _name(fact) in attempts
        ]
    )
    return Taken(
        [
            _name(fact) in attempts
            if isinstance(fact, StatusReport)
            else _RECEIVERS[type(fact)](gateway, fact)
            for fact in facts
        ]
    )


def _keepable(fact: CallbackFact) -> CallbackFact:
    """A fact whose moment and id our columns take: an odd clock or id must not cost a STOP."""
    fact = replace(fact, at=_in_utc(fact.at))
    if isinstance(fact, InboundMessage):
        fact = replace(fact, gateway_message_id=_inbound_id(fact))
    return fact


def _in_utc(at: datetime | None) -> datetime | None:
    """The moment in UTC; ``None`` for one without a zone or beyond the calendar."""
    if at is None or at.tzinfo is None:
        return None
    try:
        return at.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _inbound_id(fact: InboundMessage) -> str:
    """The carrier's id, or, for an empty or overlong one, a digest of the message itself."""
    if 0 < len(fact.gateway_message_id) <= _MOST_OF_AN_ID:
        return fact.gateway_message_id
    said = (fact.gateway_message_id, fact.line, fact.sender, fact.body, fact.at)
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _report(attempt_id: int, fact: StatusReport) -> Report:
    return Report(
        attempt_id,
        AttemptState(fact.status.value),
        at=fact.at,
        gateway_message_id=fact.gateway_message_id,
        error_code=fact.error_code,
        detail=fact.detail,
    )


def _name(report: StatusReport) -> tuple[int | None, str]:
    """What a report calls its attempt by: our own reference, else the carrier's id."""
    key = public_ids.decode("attempt", report.reference) if report.reference else None
    return (key, "") if key is not None else (None, report.gateway_message_id)


def _attempts(
    gateway: Gateway, reports: Sequence[StatusReport]
) -> dict[tuple[int | None, str], int]:
    """The attempts of this gateway that the reports are about, in one query."""
    names = {_name(report) for report in reports}
    keys = [key for key, _ in names if key is not None]
    carrier_ids = [carrier_id for key, carrier_id in names if key is None and carrier_id]
    rows = (
        Attempt.objects.filter(gateway=gateway)
        .filter(Q(pk__in=keys) | Q(gateway_message_id__in=carrier_ids))
        .values_list("pk", "gateway_message_id")
    )
    found: dict[tuple[int | None, str], int] = {}
    for key, carrier_id in rows:
        found[key, ""] = key
        if carrier_id:
            found[None, carrier_id] = key
    return found
