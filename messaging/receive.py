"""What people send us: texts, tapbacks, typing. Dedupe first, then conversation and consent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from identifiers import e164
from messaging import compose
from messaging.models import Attempt, Conversation, Event, Message, Send, Tapback
from messaging.states import MessageState
from senders.gateways.contract import (
    InboundMessage,
    InboundTapback,
    InboundTyping,
    Line,
    LineReport,
    Route,
)
from senders.identities import change_status
from senders.models import Gateway, Longcode, SenderIdentity
from subscribers import capability, consent, consent_rules, people, wording
from subscribers.consent_rules import Change, Confirmation
from subscribers.models import ConsentEvent, OptIn, Subscriber

logger = logging.getLogger(__name__)

#: A typing bubble that nobody took away disappears by itself.
TYPING_LASTS = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class _Line:
    """The line that somebody wrote to."""

    longcode: Longcode
    identity: SenderIdentity | None


def _line_of(gateway: Gateway, line: Line) -> _Line | None:
    """Our line behind what the carrier calls it; ``None`` for a line that this gateway has not."""
    if line.route == Route.IMESSAGE:
        identity = (
            SenderIdentity.objects.select_related("longcode")
            .filter(handle=line.address, gateway=gateway)
            .first()
        )
        return _Line(identity.longcode, identity) if identity else None
    longcode = Longcode.objects.filter(number=line.address, gateway=gateway).first()
    return _Line(longcode, None) if longcode else None


def _person(sender: str) -> int | None:
    """The key of whoever wrote, a new person if need be; ``None`` for what is no phone number."""
    try:
        phone = e164.normalize(sender)
    except e164.InvalidPhone:
        return None
    return people.find_or_create([phone])[phone]


def message(gateway: Gateway, fact: InboundMessage) -> bool:
    """Take in an inbound text. False when it names no line or no number that we know how to keep.

    The same message reported twice is one message.
    """
    line = _line_of(gateway, fact.line)
    if line is None:
        return False
    with transaction.atomic():
        subscriber_id = _person(fact.sender)
        if subscriber_id is None:
            return False
        received = _keep(gateway, fact, line, subscriber_id)
        if received is not None:
            conversation = _converse(received, line)
            _consent(received, line, conversation)
    return True


def _keep(
    gateway: Gateway, fact: InboundMessage, line: _Line, subscriber_id: int
) -> Message | None:
    """Write the message; ``None`` when it is here already."""
    now = timezone.now()
    created = Message.objects.bulk_create(
        [
            Message(
                direction=Message.Direction.IN,
                subscriber_id=subscriber_id,
                longcode=line.longcode,
                identity=line.identity,
                route=fact.line.route,
                state=MessageState.RECEIVED,
                body=fact.body.replace("\x00", ""),
                media_urls=list(fact.media_urls),
                gateway=gateway,
                gateway_message_id=fact.gateway_message_id,
                created_at=now,
                # A carrier's clock may be ahead; nothing was written in the future.
                state_at=min(fact.at or now, now),
            )
        ],
        ignore_conflicts=True,
    )
    kept = Message.objects.filter(
        direction=Message.Direction.IN,
        gateway=gateway,
        gateway_message_id=fact.gateway_message_id,
        created_at=created[0].created_at,
    ).first()
    if kept is not None:
        _note(Event.Kind.RECEIVED, kept, at=fact.at)
    return kept


def _note(kind: str, about: Message, *, at: datetime | None, detail: str = "") -> None:
    Event.objects.create(
        kind=kind,
        send_id=about.send_id,
        subscriber_id=about.subscriber_id,
        message_id=about.pk,
        route=about.route,
        detail=detail,
        at=at or timezone.now(),
    )


def _converse(received: Message, line: _Line) -> Conversation:
    """Put the message on top of its conversation."""
    conversation, _ = Conversation.objects.get_or_create(
        subscriber_id=received.subscriber_id, longcode=line.longcode
    )
    Conversation.objects.filter(pk=conversation.pk).update(
        identity=line.identity,
        last_body=received.body[: Conversation.MOST_PREVIEWED],
        last_direction=Message.Direction.IN,
        last_route=received.route,
        last_at=received.created_at,
        unread=F("unread") + 1,
        is_open=True,
        typing_until=None,
    )
    conversation.refresh_from_db()
    return conversation


def _consent(received: Message, line: _Line, conversation: Conversation) -> None:
    """Do what the words ask for, and what writing to an identity means."""
    # One at a time per person: two STOPs at once get one confirmation.
    subscriber = Subscriber.objects.select_for_update(no_key=True).get(pk=received.subscriber_id)
    if line.identity is not None:
        capability.note(
            [subscriber.pk],
            Subscriber.Capability.YES,
            source=Subscriber.CapabilitySource.INBOUND,
            at=received.state_at,
        )
    # An opt-out by text to the longcode binds the identity attached to it, and the other way round.
    bound = line.identity or SenderIdentity.objects.filter(longcode=line.longcode).first()
    decision = consent_rules.answer_to(
        received.body,
        opt_in_message=line.identity.opt_in_message if line.identity else None,
        opted_out=consent.is_opted_out(subscriber, bound),
        opted_in=_is_opted_in(subscriber, line.identity),
    )
    has_changed = _carry_out(decision.change, received, line, bound)
    if has_changed or decision.confirmation == Confirmation.HELP:
        welcome = line.identity.welcome_text if line.identity else ""
        text = wording.confirmation_text(decision.confirmation, welcome_text=welcome)
        _answer(conversation, decision.confirmation, text)


def _is_opted_in(subscriber: Subscriber, identity: SenderIdentity | None) -> bool:
    """Whether the person is opted in to the identity that they wrote to."""
    opt_ins = OptIn.objects.filter(
        subscriber=subscriber,
        identity=identity,
        opted_in_at__isnull=False,
        opted_out_at__isnull=True,
    )
    return identity is not None and opt_ins.exists()


def _carry_out(
    change: Change, received: Message, line: _Line, bound: SenderIdentity | None
) -> bool:
    """Write a change of consent with its proof; whether anything changed."""
    proof: dict[str, Any] = {
        "subscriber_id": received.subscriber_id,
        # The carrier's moment: of a START and a STOP that arrive in the wrong order the later wins.
        "at": received.state_at,
        "source": ConsentEvent.Source.MESSAGE,
        "words": received.body,
        "message_id": received.pk,
    }
    if change == Change.HELP:
        consent.record_help(identity=bound, **proof)
        return False
    if change == Change.OPT_OUT:
        has_changed = consent.opt_out(identity=bound, **proof)
        kind = Event.Kind.OPT_OUT
    elif change == Change.LIFT:
        has_changed = consent.lift(identity=bound, opts_in=line.identity is not None, **proof)
        kind = Event.Kind.OPT_IN
    elif change == Change.OPT_IN and line.identity is not None:
        has_changed = consent.opt_in(identity=line.identity, **proof)
        kind = Event.Kind.OPT_IN
    else:
        return False
    if has_changed:
        _note(kind, received, at=None)
    return has_changed


def _answer(conversation: Conversation, confirmation: Confirmation, text: str) -> None:
    """Answer by itself, on the line that was written to."""
    if not text:
        return
    is_welcome = confirmation == Confirmation.WELCOME
    kind = Send.Kind.AUTO_REPLY if is_welcome else Send.Kind.COMPLIANCE
    try:
        compose.answer_automatically(conversation, body=text, kind=kind)
    except compose.NotValid as error:
        fields = [problem.field for problem in error.problems]
        logger.warning("automatic answer not sent", extra={"fields": fields})
    except Exception:  # what the person asked for holds, whatever becomes of the answer
        logger.exception("automatic answer not sent")


def tapback(gateway: Gateway, fact: InboundTapback) -> bool:
    """Put a person's tapback on its message, or take it away. False: no such message."""
    target = _target(gateway, fact.target_gateway_message_id)
    if target is None:
        return False
    at = fact.at or timezone.now()
    theirs = Tapback.objects.filter(message=target, is_ours=False)
    with transaction.atomic():
        if fact.is_removed:
            changed = theirs.filter(kind=fact.kind).delete()[0]
        else:
            changed = _put(target, fact.kind, at=at)
        if changed:
            detail = f"{'-' if fact.is_removed else '+'}{fact.kind}"
            _note(Event.Kind.TAPBACK, target, at=at, detail=detail)
    return True


def _put(target: Message, kind: str, *, at: datetime) -> bool:
    """Write a person's tapback unless it is there already, or a newer one is."""
    row, is_new = Tapback.objects.get_or_create(
        message=target, is_ours=False, defaults={"kind": kind, "at": at}
    )
    if is_new:
        return True
    return bool(
        Tapback.objects.filter(pk=row.pk, at__lt=at).exclude(kind=kind).update(kind=kind, at=at)
    )


def _target(gateway: Gateway, gateway_message_id: str) -> Message | None:
    """The message, ours or theirs, that a carrier calls by this id."""
    attempt = (
        Attempt.objects.select_related("message")
        .filter(gateway=gateway, gateway_message_id=gateway_message_id)
        .first()
    )
    if attempt is not None:
        return attempt.message
    return Message.objects.filter(
        direction=Message.Direction.IN, gateway=gateway, gateway_message_id=gateway_message_id
    ).first()


def typing(gateway: Gateway, fact: InboundTyping) -> bool:
    """Show or hide a person's typing bubble in their conversation, if there is one."""
    line = _line_of(gateway, fact.line)
    if line is None:
        return False
    until = timezone.now() + TYPING_LASTS if fact.is_typing else None
    Conversation.objects.filter(subscriber__phone=fact.sender, longcode=line.longcode).update(
        typing_until=until
    )
    return True


def line_report(gateway: Gateway, fact: LineReport) -> bool:
    """A carrier says that an identity is blocked or banned: its status follows."""
    line = _line_of(gateway, fact.line)
    if line is None or line.identity is None:
        return False
    if fact.state in {SenderIdentity.Status.BLOCKED, SenderIdentity.Status.BANNED}:
        change_status(
            line.identity, to=fact.state, reason="The carrier reported it.", source="carrier"
        )
    return True
