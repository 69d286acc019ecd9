"""Tapbacks, typing and read marks of ours: shown on the person's phone where the carrier can."""

from __future__ import annotations

from collections.abc import Generator

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from messaging.models import Attempt, Conversation, Event, Message, Tapback
from messaging.states import CLOSED
from senders import wire
from senders.gateways.contract import Adapter, HttpCall, HttpReply, Line, Route, TapbackKind
from senders.gateways.errors import GatewayError, NotSupported
from senders.models import Gateway, SenderIdentity


def tapback(
    message: Message, kind: TapbackKind, *, by: AbstractBaseUser | None, remove: bool = False
) -> None:
    """Put our tapback on an iMessage of either side, or take it away; a new one replaces the old.

    Raises a ``GatewayError`` when the carrier can't or won't; then nothing is kept.
    """
    gateway, carrier_id = _carrier_name(message)
    if message.route != Route.IMESSAGE or message.identity is None or not carrier_id:
        raise NotSupported("SMS", "putting a tapback on a message")
    adapter = wire.adapter_of(gateway)
    line = Line(Route.IMESSAGE, message.identity.handle)
    wire.ask(
        gateway,
        adapter.tapback(line, message.subscriber.phone or "", carrier_id, kind, remove=remove),
    )
    with transaction.atomic():
        if remove:
            Tapback.objects.filter(message=message, is_ours=True, kind=kind).delete()
        else:
            Tapback.objects.update_or_create(
                message=message,
                is_ours=True,
                defaults={"kind": kind, "by_id": by.pk if by else None, "at": timezone.now()},
            )
        Event.objects.create(
            kind=Event.Kind.TAPBACK,
            send_id=message.send_id,
            subscriber_id=message.subscriber_id,
            message_id=message.pk,
            route=message.route,
            detail=f"{'-' if remove else '+'}{kind}",
            actor_id=by.pk if by else None,
        )


def _carrier_name(message: Message) -> tuple[Gateway, str]:
    """The gateway that carried a message, and the carrier's id of it."""
    if message.direction == Message.Direction.IN and message.gateway is not None:
        return message.gateway, message.gateway_message_id
    attempt = (
        Attempt.objects.select_related("gateway")
        .filter(message=message)
        .exclude(state__in=CLOSED)
        .first()
    )
    if attempt is None:
        raise NotSupported("a message that no carrier has", "putting a tapback on it")
    return attempt.gateway, attempt.gateway_message_id


def typing(conversation: Conversation, *, is_typing: bool) -> None:
    """Show or hide our typing bubble. Raises a ``GatewayError`` when the carrier can't."""
    identity, adapter, line = _imessage(conversation)
    phone = conversation.subscriber.phone or ""
    wire.ask(identity.gateway, adapter.typing(line, phone, is_typing=is_typing))


def mark_read(conversation: Conversation, *, by: AbstractBaseUser | None) -> None:
    """Nothing is unread any more; the person is told where the carrier can tell them."""
    updated = Conversation.objects.filter(pk=conversation.pk, unread__gt=0).update(unread=0)
    if not updated:
        return
    Event.objects.create(
        kind=Event.Kind.READ,
        subscriber_id=conversation.subscriber_id,
        actor_id=by.pk if by else None,
    )
    if conversation.identity is None:
        return
    try:
        identity, adapter, line = _imessage(conversation)
        steps: Generator[HttpCall, HttpReply, None] = adapter.mark_read(
            line, conversation.subscriber.phone or ""
        )
        wire.ask(identity.gateway, steps)
    except GatewayError:
        return  # a courtesy to the person; what counts is written


def _imessage(conversation: Conversation) -> tuple[SenderIdentity, Adapter, Line]:
    identity = conversation.identity
    if identity is None:
        raise NotSupported("SMS", "showing typing or reading")
    adapter = wire.adapter_of(identity.gateway)
    return identity, adapter, Line(Route.IMESSAGE, identity.handle)
