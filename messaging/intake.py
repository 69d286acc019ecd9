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
    """How many facts found what they are about, and how many did not."""

    matched: int
    unmatched: int


def take(gateway: Gateway, facts: Sequence[CallbackFact]) -> Taken:
    """Take in what one gateway told. Safe to repeat; reports are settled as one set, in one
    transaction,
    and everything else in a transaction each."""
    reports = [fact for fact in facts if isinstance(fact, StatusReport)]
    matched = _settle(gateway, reports)
    for fact in facts:
        if not isinstance(fact, StatusReport):
            matched += _RECEIVERS[type(fact)](gateway, fact)
    return Taken(matched, len(facts) - matched)


def _settle(gateway: Gateway, reports: Sequence[StatusReport]) -> int:
    attempts = _attempts(gateway, reports)
    found = [
        Report(
            attempt_id,
            AttemptState(report.status.value),
            at=report.at,
            gateway_message_id=report.gateway_message_id,
            error_code=report.error_code,
            detail=report.detail,
        )
        for report in reports
        if (attempt_id := attempts.get(_name(report))) is not None
    ]
    settle.apply(found)
    return len(found)


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
