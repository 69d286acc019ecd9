"""The states of a send: the one function that writes them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from messaging.models import Batch, Event, Send
from messaging.states import SEND_MOVES


def move(
    send_id: int, verb: str, *, by: AbstractBaseUser | None = None, detail: str = "", **fields: Any
) -> bool:
    """Do one of ``states.SEND_MOVES``: compare-and-set, with its event in the same transaction.

    ``fields`` are written with it. False when the send is not in a state from which the verb
    starts.
    """
    sources, target = SEND_MOVES[verb]
    with transaction.atomic():
        send = (
            Send.objects.select_for_update(no_key=True)
            .filter(pk=send_id, state__in=sources)
            .first()
        )
        if send is None:
            return False
        old, send.state = send.state, target
        for name, value in fields.items():
            setattr(send, name, value)
        send.save(update_fields=["state", *fields])
        Event.objects.create(
            kind=Event.Kind.SEND,
            send_id=send_id,
            old=old,
            new=target,
            reason=verb,
            detail=detail,
            actor_id=by.pk if by else None,
        )
        return True


def finish_if_done(send_id: int) -> bool:
    """Close a send whose messages have all left the queue. Reports may still come."""
    if Batch.objects.filter(send_id=send_id).exists():
        return False
    return move(send_id, "finish", finished_at=timezone.now())
