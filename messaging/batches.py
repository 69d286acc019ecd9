"""Putting queued messages into batches: the one way back into the queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from messaging.models import Batch, Send
from senders import lanes
from senders.models import Lane

#: Lower goes first. Confirmations and replies overtake what was sent to many.
PRIORITY: dict[str, int] = {
    Send.Kind.COMPLIANCE: 0,
    Send.Kind.REPLY: 1,
    Send.Kind.AUTO_REPLY: 1,
    Send.Kind.TRANSACTIONAL: 2,
    Send.Kind.BROADCAST: 3,
}


class Place(NamedTuple):
    """Where a queued message stands: its lane, and from when it may go."""

    message_id: int
    send_id: int
    lane_id: int
    route: str
    due_at: datetime


def enqueue(places: Iterable[Place]) -> None:
    """Make batches for these messages. The messages are queued already, or will be in the same
    transaction; none of them may be in another batch."""
    groups: dict[tuple[int, int, str, datetime], list[int]] = defaultdict(list)
    for place in places:
        groups[place.send_id, place.lane_id, place.route, place.due_at].append(place.message_id)
    if not groups:
        return
    kinds = dict(Send.objects.filter(pk__in={key[0] for key in groups}).values_list("pk", "kind"))
    sizes = {
        lane.pk: lanes.batch_size(lane.line, most=Batch.MOST)
        for lane in Lane.objects.select_related("identity", "longcode").filter(
            pk__in={key[1] for key in groups}
        )
    }
    Batch.objects.bulk_create(
        Batch(
            send_id=send_id,
            lane_id=lane_id,
            route=route,
            priority=PRIORITY[kinds[send_id]],
            message_ids=message_ids[start : start + sizes[lane_id]],
            due_at=due_at,
        )
        for (send_id, lane_id, route, due_at), message_ids in groups.items()
        for start in range(0, len(message_ids), sizes[lane_id])
    )
