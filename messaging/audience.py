"""Who a send is for: SQL that gives the keys of its people, frozen at a moment."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.utils import timezone

from messaging.models import Send


def params(send: Send) -> dict[str, Any]:
    return {
        "group_ids": list(send.group_ids),
        "excluded_group_ids": list(send.excluded_group_ids),
        "people_ids": list(send.subscriber_ids),
        "audience_at": send.audience_at or timezone.now(),
    }


def condition(send: Send) -> str:
    """Whether ``s``, with a key in ``%(after)s`` .. ``%(upto)s``, is in the audience."""
    members = """s.id IN (SELECT subscriber_id FROM subscribers_membership
                           WHERE group_id = ANY(%(group_ids)s::bigint[])
                             AND subscriber_id > %(after)s AND subscriber_id <= %(upto)s
                             AND joined_at <= %(audience_at)s)"""
    chosen = ["s.id = ANY(%(people_ids)s::bigint[])"] if send.subscriber_ids else []
    chosen += [members] if send.group_ids else []
    # Who was named is meant, whatever two clocks say of when their row was made.
    everyone = "s.created_at <= %(audience_at)s"
    who = everyone if send.to_everyone else " OR ".join(chosen) or "false"
    excluded = (
        """ AND NOT EXISTS (SELECT FROM subscribers_membership x
                             WHERE x.subscriber_id = s.id
                               AND x.group_id = ANY(%(excluded_group_ids)s::bigint[]))"""
        if send.excluded_group_ids
        else ""
    )
    in_range = "s.id > %(after)s AND s.id <= %(upto)s"
    return f"{in_range} AND ({who}){excluded}"


def next_key(send: Send, *, after: int, most: int) -> int | None:
    """The key up to which the next ``most`` candidates go, or ``None`` when there are no more.

    Candidates are people before exclusions; every branch walks an index in key order.
    """
    branches = []
    if send.to_everyone:
        branches.append(
            "(SELECT id FROM subscribers_subscriber WHERE id > %(after)s"
            " ORDER BY id LIMIT %(most)s)"
        )
    if send.group_ids and not send.to_everyone:
        branches.append(
            """(SELECT m.subscriber_id FROM unnest(%(group_ids)s::bigint[]) g CROSS JOIN LATERAL
                (SELECT subscriber_id FROM subscribers_membership
                  WHERE group_id = g AND subscriber_id > %(after)s
                  ORDER BY subscriber_id LIMIT %(most)s) m)"""
        )
    if send.subscriber_ids and not send.to_everyone:
        branches.append("(SELECT p FROM unnest(%(people_ids)s::bigint[]) p WHERE p > %(after)s)")
    if not branches:
        return None
    sql = f"""SELECT max(id) FROM
        (SELECT id FROM ({" UNION ".join(branches)}) u (id) ORDER BY id LIMIT %(most)s) c"""
    with connection.cursor() as cursor:
        cursor.execute(sql, {**params(send), "after": after, "most": most})
        (key,) = cursor.fetchone()
    return None if key is None else int(key)
