"""Opt-ins and opt-outs: the flags that routing reads, and the ledger entry behind each change.

Everything here happens in the caller's transaction. People are written before the ledger, whose
lock is held until the transaction ends: a caller that changes several people does so in one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from senders.models import SenderIdentity
from subscribers import ledger
from subscribers.ledger import Entry, Evidence
from subscribers.models import ConsentEvent, OptIn, Subscriber

_Action, _Scope = ConsentEvent.Action, ConsentEvent.Scope

_OPT_IN = """
insert into subscribers_optin (subscriber_id, identity_id, opted_in_at, proof_message_id)
values (%s, %s, %s, %s)
on conflict (subscriber_id, identity_id) do update
set opted_in_at = excluded.opted_in_at,
    opted_out_at = null,
    proof_message_id = excluded.proof_message_id
where subscribers_optin.opted_out_at is not null
"""
_OPT_OUT = """
insert into subscribers_optin (subscriber_id, identity_id, opted_out_at)
values (%s, %s, %s)
on conflict (subscriber_id, identity_id) do update
set opted_out_at = excluded.opted_out_at
where subscribers_optin.opted_out_at is null
"""


def is_opted_out(subscriber: Subscriber, identity: SenderIdentity | None) -> bool:
    """Whether nobody may text this person from this identity, nor from its longcode."""
    if subscriber.opted_out_at is not None:
        return True
    return (
        identity is not None
        and OptIn.objects.filter(
            subscriber=subscriber, identity=identity, opted_out_at__isnull=False
        ).exists()
    )


def opt_in(
    *,
    subscriber_id: int,
    identity: SenderIdentity,
    at: datetime,
    source: ConsentEvent.Source,
    words: str = "",
    message_id: int | None = None,
    by: User | None = None,
) -> bool:
    """Opt a person in to an identity, and undo their opt-out of it.

    Their opt-out of everything stays (see :func:`lift`). True when anything changed; an opt-out
    later than ``at`` stays as it is.
    """
    has_changed = _opt_in_to(subscriber_id, identity, at, message_id)
    scopes = [_Scope.IDENTITY] if has_changed else []
    _record(_Action.OPT_IN, scopes, subscriber_id, identity, at, source, words, message_id, by)
    return has_changed


def opt_out(
    *,
    subscriber_id: int,
    identity: SenderIdentity | None,
    at: datetime,
    source: ConsentEvent.Source,
    words: str = "",
    message_id: int | None = None,
    by: User | None = None,
) -> bool:
    """Opt a person out: of everything, or of one identity and its longcode where ``OPT_OUT_SCOPE``
    is ``identity`` and one is given. True when that changed anything.

    The flag holds the moment from which we obey, that is now; the ledger holds ``at``, the moment
    of the person, and every opt-out, repeated ones too: none of them may be undone by an earlier
    opt-in.
    """
    if identity is not None and settings.OPT_OUT_SCOPE == "identity":
        scope = _Scope.IDENTITY
        has_changed = _write(_OPT_OUT, [subscriber_id, identity.pk, timezone.now()])
    else:
        scope = _Scope.EVERYTHING
        people = Subscriber.objects.filter(pk=subscriber_id, opted_out_at__isnull=True)
        has_changed = bool(people.update(opted_out_at=timezone.now()))
    _record(_Action.OPT_OUT, [scope], subscriber_id, identity, at, source, words, message_id, by)
    return has_changed


def opt_out_many(
    subscriber_ids: Sequence[int], *, at: datetime, source: ConsentEvent.Source
) -> list[int]:
    """Opt people out of everything, as a set. Returns those whom that changed."""
    sql = """
        update subscribers_subscriber set opted_out_at = %s where id in (
            select id from subscribers_subscriber
            where id = any(%s) and opted_out_at is null order by id for update)
        returning id, coalesce(phone, '')
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [at, list(subscriber_ids)])
        changed: list[tuple[int, str]] = cursor.fetchall()
    ledger.write(
        [
            Entry(key, _Action.OPT_OUT, _Scope.EVERYTHING, source, at, evidence=Evidence(phone))
            for key, phone in changed
        ]
    )
    return [key for key, _ in changed]


def lift(
    *,
    subscriber_id: int,
    identity: SenderIdentity | None,
    at: datetime,
    source: ConsentEvent.Source,
    words: str = "",
    message_id: int | None = None,
    by: User | None = None,
    opts_in: bool = True,
) -> bool:
    """Undo a person's opt-out (START): of everything, and of ``identity`` where one is given.

    ``opts_in`` opts them in to that identity too; a START texted to its longcode does not. True
    when anything changed; an opt-out later than ``at`` stays as it is.
    """
    if _has_later_opt_out(subscriber_id, None, at):
        return False
    scopes = [_Scope.EVERYTHING] if _lift_everything(subscriber_id) else []
    if identity is not None:
        has_changed = (
            _opt_in_to(subscriber_id, identity, at, message_id)
            if opts_in
            else _forget_opt_out(subscriber_id, identity, at)
        )
        scopes += [_Scope.IDENTITY] if has_changed else []
    _record(_Action.OPT_IN, scopes, subscriber_id, identity, at, source, words, message_id, by)
    return bool(scopes)


def record_help(
    *,
    subscriber_id: int,
    identity: SenderIdentity | None,
    at: datetime,
    source: ConsentEvent.Source,
    words: str = "",
    message_id: int | None = None,
) -> None:
    """Put on record that a person asked for help."""
    scope = _Scope.EVERYTHING if identity is None else _Scope.IDENTITY
    _record(_Action.HELP, [scope], subscriber_id, identity, at, source, words, message_id, None)


def _has_later_opt_out(subscriber_id: int, identity: SenderIdentity | None, at: datetime) -> bool:
    """Whether they opted out after ``at``: callbacks may arrive in any order. By the ledger's
    moments, which are those of the person; the flags say since when we obey."""
    return ConsentEvent.objects.filter(
        subscriber_id=subscriber_id, identity=identity, action=_Action.OPT_OUT, at__gt=at
    ).exists()


def _opt_in_to(
    subscriber_id: int, identity: SenderIdentity, at: datetime, message_id: int | None
) -> bool:
    if _has_later_opt_out(subscriber_id, identity, at):
        return False
    return _write(_OPT_IN, [subscriber_id, identity.pk, at, message_id])


def _lift_everything(subscriber_id: int) -> bool:
    people = Subscriber.objects.filter(pk=subscriber_id, opted_out_at__isnull=False)
    return bool(people.update(opted_out_at=None))


def _forget_opt_out(subscriber_id: int, identity: SenderIdentity, at: datetime) -> bool:
    """Back to how the person stood with the identity before: opted in once, or never."""
    if _has_later_opt_out(subscriber_id, identity, at):
        return False
    opted_out = OptIn.objects.filter(
        subscriber_id=subscriber_id, identity=identity, opted_out_at__isnull=False
    )
    if opted_out.filter(opted_in_at__isnull=False).update(opted_out_at=None):
        return True
    return bool(opted_out.delete()[0])


def _write(sql: str, values: Sequence[int | datetime | None]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return bool(cursor.rowcount)


def _record(
    action: ConsentEvent.Action,
    scopes: Sequence[ConsentEvent.Scope],
    subscriber_id: int,
    identity: SenderIdentity | None,
    at: datetime,
    source: ConsentEvent.Source,
    words: str,
    message_id: int | None,
    by: User | None,
) -> None:
    """One ledger entry for each scope that changed."""
    if not scopes:
        return
    phone = Subscriber.objects.values_list("phone", flat=True).get(pk=subscriber_id) or ""
    ledger.write(
        [
            Entry(
                subscriber_id=subscriber_id,
                action=action,
                scope=scope,
                source=source,
                at=at,
                identity_id=identity.pk if identity and scope == _Scope.IDENTITY else None,
                message_id=message_id,
                by_id=by.pk if by else None,
                evidence=Evidence(phone=phone, words=words),
            )
            for scope in scopes
        ]
    )
