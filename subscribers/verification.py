"""Whether the consent ledger is whole: reads it once, with flat memory, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from subscribers.ledger import BEGINNING, ChainedEntry, Evidence
from subscribers.models import ConsentEvent, ConsentHead


class Anchor(NamedTuple):
    """An entry known from elsewhere: it must be there, with this hash."""

    position: int
    hash: str


START = Anchor(0, BEGINNING)


@dataclass
class Findings:
    """What was read, and the first fault as a sentence (empty where all is well)."""

    entries: int = 0
    erased: int = 0
    head: Anchor = START
    fault: str = ""


class _Row(NamedTuple):
    entry: ChainedEntry
    hash: str
    evidence: Evidence | None


def verify(*, known: Anchor | None = None) -> Findings:
    """Recompute the chain from its first entry to its last.

    A removed tail leaves a valid chain behind, so the last entry must also be the one that the
    database noted, and ``known``, noted by somebody outside, must be among the entries.
    """
    findings = Findings()
    # Before the entries: what is appended meanwhile is no fault.
    anchors = _anchors(known)
    for row in _rows():
        findings.fault = _fault_of(row, findings.head, anchors)
        if findings.fault:
            return findings
        findings.entries += 1
        findings.erased += row.evidence is None
        findings.head = Anchor(row.entry.position, row.hash)
    missing = [anchor.position for anchor in anchors if anchor.position > findings.head.position]
    if missing:
        findings.fault = (
            f"Entries are missing at the end: the last one is {findings.head.position},"
            f" but there was one at position {max(missing)}."
        )
    elif findings.entries and not anchors:
        findings.fault = "The note of the last entry is missing, so entries may be missing too."
    return findings


def _fault_of(row: _Row, last: Anchor, anchors: list[Anchor]) -> str:
    entry = row.entry
    if entry.position != last.position + 1:
        return (
            f"Entry {last.position + 1} is missing: after {last.position} comes {entry.position}."
        )
    if entry.computed_hash() != row.hash:
        return f"Entry {entry.position} was changed: its hash does not match its content."
    if entry.previous_hash != last.hash:
        return f"Entry {entry.position} does not follow from entry {last.position}."
    if row.evidence is not None and row.evidence.digest != entry.evidence_digest:
        return f"The evidence of entry {entry.position} was changed."
    if any(known.position == entry.position and known.hash != row.hash for known in anchors):
        return f"Entry {entry.position} is not the one that was noted: the ledger was rewritten."
    return ""


def _anchors(known: Anchor | None) -> list[Anchor]:
    heads = ConsentHead.objects.values_list("position", "hash")
    return [Anchor(*head) for head in heads] + ([known] if known else [])


def _rows() -> Iterator[_Row]:
    """The ledger in order, through a cursor on the server."""
    rows = ConsentEvent.objects.order_by("position").values_list(
        "previous_hash",
        "position",
        "id",
        "subscriber_id",
        "identity_id",
        "action",
        "scope",
        "source",
        "message_id",
        "by_id",
        "at",
        "evidence_digest",
        "hash",
        "evidence__phone",
        "evidence__words",
        "evidence__address",
        "evidence__user_agent",
        "evidence__salt",
    )
    for row in rows.iterator(chunk_size=2000):
        fields, stored_hash, evidence = row[:12], row[12], row[13:]
        is_erased = evidence[-1] is None
        yield _Row(ChainedEntry(*fields), stored_hash, None if is_erased else Evidence(*evidence))
