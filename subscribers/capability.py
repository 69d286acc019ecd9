"""Whether people have iMessage: what we believe, from which evidence, of when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from subscribers.models import Subscriber

_Source = Subscriber.CapabilitySource
#: Hearsay: it never displaces that a person wrote to us by iMessage.
_WEAK = {_Source.IMPORT, _Source.LOOKUP}


def note(
    subscriber_ids: Sequence[int],
    capability: Subscriber.Capability,
    *,
    source: Subscriber.CapabilitySource,
    at: datetime,
) -> int:
    """Put evidence on record for a set of people, in one statement; returns how many it changed.

    The newest evidence wins; of the same moment, the person's own iMessage does. What was only
    looked up or imported does not displace that.
    """
    is_news = Q(imessage_checked_at__isnull=True) | Q(imessage_checked_at__lt=at)
    if source == _Source.INBOUND:
        is_news |= Q(imessage_checked_at=at)
    people = Subscriber.objects.filter(is_news, pk__in=list(subscriber_ids))
    if source in _WEAK:
        people = people.exclude(
            imessage_source=_Source.INBOUND, imessage_capability=Subscriber.Capability.YES
        )
    return people.update(
        imessage_capability=capability, imessage_source=source, imessage_checked_at=at
    )
