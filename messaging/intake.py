"""What carriers tell us, sorted: reports to settle, the rest to receive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
