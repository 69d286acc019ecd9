"""Writing the demo's people: a few statements, however many they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from config.demo.crowd import Person
from senders.models import SenderIdentity
from subscribers import ledger
from subscribers.ledger import Entry, Evidence
from subscribers.models import ConsentEvent, Group

_Action, _Scope = ConsentEvent.Action, ConsentEvent.Scope
_WORDS = "Signed up on a demo list."

_INSERT_PEOPLE = """
insert into subscribers_subscriber (
    phone, first_name, last_name, email, attributes, time_zone, time_zone_source, opted_out_at,
    imessage_capability, imessage_source, imessage_checked_at, created_at
)
select phone, first_name, last_name, email, attributes::jsonb, time_zone,
    case when time_zone = '' then '' else 'area code' end, opted_out_at, capability,
    case when capability = 'unknown' then '' else 'import' end,
    case when capability = 'unknown' then null else now() end, now()
from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
    %s::text[]
) with ordinality as given (
    phone, first_name, last_name, email, attributes, time_zone, opted_out_at, capability, n
)
order by n
returning coalesce(phone, email), id
"""
_INSERT_OPT_INS = """
insert into subscribers_optin (subscriber_id, identity_id, opted_in_at, opted_out_at)
select * from unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
"""
_INSERT_MEMBERS = """
insert into subscribers_membership (group_id, subscriber_id, joined_at)
select %s, id, now() from unnest(%s::bigint[]) as id
"""


@transaction.atomic
def make_group(
    name: str,
    description: str,
    people: Iterable[Person],
    *,
    identity: SenderIdentity,
    elsewhere: SenderIdentity,
) -> Group:
    """A group with these people, their opt-ins to the two identities, and the ledger of both."""
    now = timezone.now()
    known = list(people)
    keys = _insert_people(known, now)
    consents = [
        consent
        for person, key in zip(known, keys, strict=True)
        for consent in _consents(person, key, identity=identity, elsewhere=elsewhere, now=now)
    ]
    _insert_opt_ins(consents)
    ledger.write(sorted(consents, key=lambda entry: entry.at))
    group = Group.objects.create(name=name, description=description)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_MEMBERS, [group.pk, keys])
    return group


def _insert_people(people: Sequence[Person], now: datetime) -> list[int]:
    rows = [
        (
            person.phone,
            person.first_name,
            person.last_name,
            person.email,
            json.dumps({"city": person.city, "plan": person.plan}),
            person.time_zone,
            _opted_out_at(person, now) if person.case.opted_out_of == "everything" else None,
            person.case.capability,
        )
        for person in people
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_PEOPLE, [list(column) for column in zip(*rows, strict=True)])
        keys: dict[str, int] = dict(cursor.fetchall())
    return [keys[person.phone or person.email] for person in people]


def _opted_in_at(person: Person, now: datetime) -> datetime:
    return now - timedelta(days=person.days)


def _opted_out_at(person: Person, now: datetime) -> datetime:
    return now - timedelta(days=person.days // 2, hours=1)


def _consents(
    person: Person,
    key: int,
    *,
    identity: SenderIdentity,
    elsewhere: SenderIdentity,
    now: datetime,
) -> list[Entry]:
    """What one person agreed to and took back, as the ledger has it."""
    case, evidence_phone = person.case, person.phone or ""

    def entry(
        action: ConsentEvent.Action, about: SenderIdentity | None, at: datetime, words: str
    ) -> Entry:
        return Entry(
            subscriber_id=key,
            action=action,
            scope=_Scope.IDENTITY if about else _Scope.EVERYTHING,
            source=ConsentEvent.Source.IMPORT,
            at=at,
            identity_id=about.pk if about else None,
            evidence=Evidence(phone=evidence_phone, words=words),
        )

    entries = []
    if case.is_opted_in:
        entries.append(entry(_Action.OPT_IN, identity, _opted_in_at(person, now), _WORDS))
    if case.is_opted_in_elsewhere:
        entries.append(entry(_Action.OPT_IN, elsewhere, _opted_in_at(person, now), _WORDS))
    if case.opted_out_of:
        about = identity if case.opted_out_of == "identity" else None
        entries.append(entry(_Action.OPT_OUT, about, _opted_out_at(person, now), "STOP"))
    return entries


def _insert_opt_ins(consents: Sequence[Entry]) -> None:
    """The flags that these entries lead to: one row for each person and identity."""
    opted_in_at, opted_out_at = (
        {
            (entry.subscriber_id, entry.identity_id): entry.at
            for entry in consents
            if entry.identity_id is not None and entry.action == action
        }
        for action in (_Action.OPT_IN, _Action.OPT_OUT)
    )
    rows = [(*pair, at, opted_out_at.get(pair)) for pair, at in opted_in_at.items()]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_OPT_INS, [list(column) for column in zip(*rows, strict=True)])
