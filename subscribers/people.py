"""Finding people, and making those whom nobody has met before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower, Reverse

from subscribers.models import Subscriber

# Sorted, so that two callers with numbers in common wait for each other in the same order.
_CREATE = """
insert into subscribers_subscriber (
    phone, first_name, last_name, email, attributes, time_zone, time_zone_source,
    imessage_capability, imessage_source, created_at
)
select phone, '', '', '', '{}', '', '', 'unknown', '', clock_timestamp()
from (select distinct unnest(%s::text[]) as phone order by 1) given
on conflict (phone) do nothing
returning phone, id
"""

_FEWEST_DIGITS = 3
_MOST_WORDS = 4


def find_or_create(phones: Sequence[str]) -> dict[str, int]:
    """The row keys of people by E.164 number. Whoever is new is made; two callers may race."""
    found = _keys(phones)
    missing = [phone for phone in phones if phone not in found]
    if missing:
        with connection.cursor() as cursor:
            cursor.execute(_CREATE, [missing])
            found.update(cursor.fetchall())
        # Somebody else made these in the meantime: the new statement sees them.
        found.update(_keys([phone for phone in missing if phone not in found]))
    return found


def _keys(phones: Sequence[str]) -> dict[str, int]:
    if not phones:
        return {}
    rows = Subscriber.objects.filter(phone__in=phones).values_list("phone", "pk")
    return {phone: key for phone, key in rows if phone}


def search(text: str, limit: int = 20) -> list[Subscriber]:
    """People by the beginning of a name, a number or its last digits, or a whole e-mail address.

    Every question is answered from an index. Fewer than three digits find nobody.
    """
    return list(found(text)[:limit])


def found(text: str) -> QuerySet[Subscriber]:
    """The people of :func:`search`, not yet asked for."""
    wanted = " ".join(text.replace("\0", "").lower().split())
    people = Subscriber.objects.alias(
        by_first_name=Lower("first_name"),
        by_last_name=Lower("last_name"),
        by_email=Lower("email"),
        by_last_digits=Reverse("phone"),
    )
    return people.filter(_matches(wanted)).order_by("last_name", "first_name", "pk")


def _matches(wanted: str) -> Q:
    if not wanted:
        return Q(pk__in=[])
    if "@" in wanted:
        return Q(by_email=wanted)
    digits = re.sub(r"\D", "", wanted)
    if digits and not re.search(r"[^\W\d_]", wanted):
        return _has_number(digits)
    matches = Q(by_first_name__startswith=wanted) | Q(by_last_name__startswith=wanted)
    words = wanted.split(" ")
    for place in range(1, min(len(words), _MOST_WORDS)):
        first, rest = " ".join(words[:place]), " ".join(words[place:])
        matches |= Q(by_first_name__startswith=first, by_last_name__startswith=rest)
        matches |= Q(by_last_name__startswith=first, by_first_name__startswith=rest)
    return matches


def _has_number(digits: str) -> Q:
    if len(digits) < _FEWEST_DIGITS:
        return Q(pk__in=[])
    return Q(phone__startswith=f"+{digits}") | Q(by_last_digits__startswith=digits[::-1])
