"""The consent ledger: who agreed to what, who took it back, and the proof that nobody rewrote it.

The database chains the entries (migration 0002) and refuses changes; here they are written, and the
two digests are computed that ``subscribers.verification`` checks.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import connection

from subscribers.models import ConsentEvent

#: What the first entry has for its predecessor's hash.
BEGINNING = "0" * 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _salt() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The personal data behind an entry. Only a salted digest of it is in the chain."""

    phone: str = ""
    words: str = ""
    address: str = ""
    user_agent: str = ""
    salt: str = field(default_factory=_salt)

    @property
    def digest(self) -> str:
        text = json.dumps([self.phone, self.words, self.address, self.user_agent])
        return hashlib.sha256((self.salt + text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry to append."""

    subscriber_id: int
    action: ConsentEvent.Action
    scope: ConsentEvent.Scope
    source: ConsentEvent.Source
    at: datetime
    identity_id: int | None = None
    message_id: int | None = None
    by_id: int | None = None
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """A stored entry, with everything that its hash covers."""

    previous_hash: str
    position: int
    id: int
    subscriber_id: int
    identity_id: int | None
    action: str
    scope: str
    source: str
    message_id: int | None
    by_id: int | None
    at: datetime
    evidence_digest: str

    def computed_hash(self) -> str:
        """The hash as the database trigger computes it: SHA-256 over a JSON array of all fields."""
        fields = [
            self.previous_hash,
            self.position,
            self.id,
            self.subscriber_id,
            self.identity_id,
            self.action,
            self.scope,
            self.source,
            self.message_id,
            self.by_id,
            (self.at - _EPOCH) // timedelta(microseconds=1),
            self.evidence_digest,
        ]
        text = json.dumps(fields, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


# One statement whatever the number of entries. A digest is salted, hence unique: it joins an entry
# to its evidence.
_WRITE = """
with given as (
    select * from unnest(
        %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::int[],
        %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]
    ) with ordinality as given (
        subscriber_id, identity_id, action, scope, source, message_id, by_id,
        at, evidence_digest, salt, phone, words, address, user_agent, n
    )
), entry as (
    insert into subscribers_consentevent (
        subscriber_id, identity_id, action, scope, source, message_id, by_id, at, evidence_digest
    )
    select subscriber_id, identity_id, action, scope, source, message_id, by_id, at, evidence_digest
    from given order by n
    returning id, evidence_digest
)
insert into subscribers_consentevidence (event_id, salt, phone, words, address, user_agent)
select entry.id, salt, phone, words, address, user_agent
from entry join given using (evidence_digest)
"""


def write(entries: Sequence[Entry]) -> None:
    """Append to the ledger, in this order, in the caller's transaction."""
    if not entries:
        return
    rows = [
        (
            entry.subscriber_id,
            entry.identity_id,
            entry.action,
            entry.scope,
            entry.source,
            entry.message_id,
            entry.by_id,
            entry.at,
            entry.evidence.digest,
            entry.evidence.salt,
            entry.evidence.phone,
            entry.evidence.words,
            entry.evidence.address,
            entry.evidence.user_agent,
        )
        for entry in entries
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [list(column) for column in zip(*rows, strict=True)])
