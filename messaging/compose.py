"""From what a person or a program wants to say to a send: one validator for console and API."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from identifiers.texts import can_be_kept
from messaging import expand, settle
from messaging.models import Batch, Conversation, Message, Send, Template
from messaging.rendering import TemplateError, parse
from messaging.routing import FALLBACK_REASONS
from messaging.sends import move
from messaging.states import MessageState, SendState
from senders.models import Longcode, SenderIdentity
from subscribers.models import Group, Subscriber

#: A text may have so many characters before its merge fields are filled in: about ten SMS segments.
MOST_CHARACTERS = 1_600
MOST_MEDIA = 10
MOST_TAGS = 20
_SCHEDULE_AT_MOST = timedelta(days=366)
#: A moment that passed this short a time ago means now: clocks differ, and people take time to
#: press.
_PAST_TOLERANCE = timedelta(minutes=5)


class Problem(NamedTuple):
    """What is wrong with one field of a :class:`Draft`, as a sentence that says what to do."""

    field: str
    sentence: str


class NotValid(Exception):
    """A draft that can't become a send. ``problems`` names every field that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.sentence}" for problem in problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Draft:
    """What somebody wants to say. Keys are row keys; no sender at all means plain SMS, and so does
    ``sms_only`` with a longcode that has an identity.

    ``fallback_reasons``: which reasons may fall back to SMS; ``None`` means all of them.
    """

    body: str = ""
    template_id: int | None = None
    media_urls: Sequence[str] = ()
    sender_name: str = ""
    longcode_id: int | None = None
    sms_only: bool = False
    to_everyone: bool = False
    group_ids: Sequence[int] = ()
    excluded_group_ids: Sequence[int] = ()
    subscriber_ids: Sequence[int] = ()
    scheduled_at: datetime | None = None
    fallback_reasons: Sequence[str] | None = None
    unknown_policy: str = Send.UnknownPolicy.HOLD
    name: str = ""
    external_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    kind: str = Send.Kind.BROADCAST
    origin: str = Send.Origin.CONSOLE


def check(draft: Draft) -> Send:
    """The send that this draft describes, complete and unsaved.

    Raises :class:`NotValid` with everything that is wrong, not only the first thing.
    """
    send = Send(
        kind=draft.kind,
        origin=draft.origin,
        media_urls=list(draft.media_urls),
        to_everyone=draft.to_everyone,
        group_ids=sorted(set(draft.group_ids)),
        excluded_group_ids=sorted(set(draft.excluded_group_ids)),
        subscriber_ids=sorted(set(draft.subscriber_ids)),
        scheduled_at=draft.scheduled_at,
        unknown_policy=draft.unknown_policy,
        name=draft.name.strip(),
        external_id=draft.external_id,
        tags=dict(draft.tags),
    )
    problems: list[Problem] = []
    for step in _CHECKS:
        try:
            step(draft, send)
        except NotValid as error:
            problems += error.problems
    if problems:
        raise NotValid(problems)
    return send


def _fault(name: str, sentence: str) -> NotValid:
    return NotValid([Problem(name, sentence)])


def _check_content(draft: Draft, send: Send) -> None:
    send.body = draft.body
    if draft.template_id is not None:
        if draft.body.strip():
            raise _fault("template_id", "Give either a text or a template, not both.")
        template = Template.objects.filter(pk=draft.template_id, archived_at=None).first()
        if template is None:
            raise _fault("template_id", "There is no such template. Choose another one.")
        send.template, send.body = template, template.body
    if not send.body.strip() and not draft.media_urls:
        raise _fault("body", "Write a text, or choose a template.")
    check_text(send.body)
    if not draft.media_urls and parse(send.body).may_be_blank:
        raise _fault(
            "body", "Give one of the merge fields a default, or write some words beside them."
        )


def check_text(body: str) -> None:
    """Refuse a text that can't be sent to anybody. Raises :class:`NotValid` for ``body``."""
    if "\x00" in body:
        raise _fault("body", "Take the NUL character out of the text.")
    try:
        body.encode()
    except UnicodeEncodeError:
        raise _fault("body", "The text holds half of a character. Type it again.") from None
    if len(body) > MOST_CHARACTERS:
        raise _fault(
            "body",
            f"Shorten the text to {MOST_CHARACTERS:,} characters; it has {len(body):,}.",
        )
    try:
        parse(body)
    except TemplateError as error:
        raise _fault("body", str(error)) from None


def _check_media(draft: Draft, send: Send) -> None:
    if len(draft.media_urls) > MOST_MEDIA:
        raise _fault("media_urls", f"Attach {MOST_MEDIA} files or fewer.")
    if not all(map(_is_web_address, draft.media_urls)):
        raise _fault("media_urls", "Give the attachment as a public http or https address.")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return is_web and url.isprintable() and len(url) <= 2_000


def _check_sender(draft: Draft, send: Send) -> None:
    """``senderName`` beats ``longcodeId``; a longcode stands for its identity; else plain SMS."""
    longcode = _longcode(draft)
    if draft.sender_name:
        names = SenderIdentity.objects.filter(name=draft.sender_name)
        identity = names.first() if can_be_kept(draft.sender_name) else None
        if identity is None:
            raise _fault(
                "sender_name",
                "There is no sender identity of that name. Check the spelling, or ask an admin.",
            )
        send.identity, send.longcode = identity, longcode or identity.longcode
    elif longcode is not None:
        send.longcode = longcode
        if not draft.sms_only:
            send.identity = SenderIdentity.objects.filter(longcode=longcode).first()
    else:
        first = Longcode.objects.filter(is_active=True).order_by("pk").first()
        if first is None:
            raise _fault("longcode_id", "There is no active longcode. An admin has to add one.")
        send.longcode = first
    if not send.longcode.is_active:
        raise _fault("longcode_id", "This sender's longcode is not active. Choose another sender.")


def _longcode(draft: Draft) -> Longcode | None:
    if draft.longcode_id is None:
        return None
    longcode = Longcode.objects.filter(pk=draft.longcode_id).first()
    if longcode is None:
        raise _fault("longcode_id", "There is no such longcode. Choose one of yours.")
    return longcode


def _check_audience(draft: Draft, send: Send) -> None:
    if not (draft.to_everyone or draft.group_ids or draft.subscriber_ids):
        raise _fault("audience", "Choose who gets this: a group, some people, or everybody.")
    if draft.to_everyone and (draft.group_ids or draft.subscriber_ids):
        raise _fault("audience", "Choose either everybody or some groups and people, not both.")
    groups = set(draft.group_ids) | set(draft.excluded_group_ids)
    if Group.objects.filter(pk__in=groups).count() != len(groups):
        raise _fault("group_ids", "One of these groups does not exist. Choose from the list.")
    people = send.subscriber_ids
    if people and Subscriber.objects.filter(pk__in=people).count() != len(people):
        raise _fault("subscriber_ids", "One of these people does not exist.")


def _check_schedule(draft: Draft, send: Send) -> None:
    if draft.scheduled_at is None:
        return
    now = timezone.now()
    if draft.scheduled_at < now - _PAST_TOLERANCE:
        raise _fault("scheduled_at", "This moment has passed. Choose one in the future.")
    if draft.scheduled_at > now + _SCHEDULE_AT_MOST:
        raise _fault("scheduled_at", "Choose a moment within a year from now.")


def _check_policy(draft: Draft, send: Send) -> None:
    if draft.unknown_policy not in Send.UnknownPolicy.values:
        raise _fault("unknown_policy", "Choose whether to hold unknown outcomes or send by SMS.")
    if draft.fallback_reasons is None:
        return
    unknown = sorted(set(draft.fallback_reasons) - set(FALLBACK_REASONS))
    if unknown:
        raise _fault("fallback_reasons", f"There is no fallback reason “{unknown[0][:40]}”.")
    send.fallback_reasons = sorted(set(draft.fallback_reasons))


def _check_labels(draft: Draft, send: Send) -> None:
    if len(send.name) > 120:
        raise _fault("name", "Shorten the name to 120 characters.")
    if len(draft.external_id) > 200:
        raise _fault("external_id", "Shorten the external id to 200 characters.")
    if len(draft.tags) > MOST_TAGS:
        raise _fault("tags", f"Give {MOST_TAGS} tags or fewer.")
    texts = [send.name, draft.external_id, *draft.tags, *draft.tags.values()]
    if not all(len(text) <= 500 and can_be_kept(text) for text in texts):
        raise _fault("tags", "Tags and names are texts of at most 500 characters without NUL.")


_CHECKS: tuple[Callable[[Draft, Send], None], ...] = (
    _check_content,
    _check_media,
    _check_sender,
    _check_audience,
    _check_schedule,
    _check_policy,
    _check_labels,
)


def create(draft: Draft, *, by: AbstractBaseUser | None = None) -> Send:
    """Check a draft and keep it, in the state ``draft``."""
    send = check(draft)
    send.created_by_id = by.pk if by else None
    send.save()
    return send


#: What a revision leaves as it was.
_KEPT = frozenset({"id", "state", "created_by", "created_at", "origin"})


def revise(send: Send, draft: Draft) -> bool:
    """Write a send anew that is still a draft; False when it went further meanwhile.

    Raises :class:`NotValid`.
    """
    changed = check(draft)
    names = [column.name for column in Send._meta.concrete_fields if column.name not in _KEPT]
    with transaction.atomic():
        drafts = Send.objects.select_for_update().filter(pk=send.pk, state=SendState.DRAFT)
        if not drafts.exists():
            return False
        changed.pk = send.pk
        changed.save(force_update=True, update_fields=names)
        return True


def schedule(
    send: Send,
    *,
    at: datetime | None = None,
    by: AbstractBaseUser | None = None,
    foreseen: Sequence[tuple[str, str, int]] | None = None,
) -> bool:
    """Let a draft go at a moment (its own, or now, when none is given).

    ``foreseen``: the forecast as (route, reason, people), kept to compare the outcome with.
    """
    moment = at or send.scheduled_at or timezone.now()
    return move(send.pk, "schedule", by=by, scheduled_at=moment, forecast=foreseen)


def pause(send: Send, *, by: AbstractBaseUser | None = None) -> bool:
    """Stop handing messages over. What a carrier is being handed at this moment still goes."""
    with transaction.atomic():
        if not move(send.pk, "pause", by=by):
            return False
        Batch.objects.filter(send=send, state=Batch.State.OPEN).update(state=Batch.State.PAUSED)
        return True


def resume(send: Send, *, by: AbstractBaseUser | None = None) -> bool:
    """Go on after a pause."""
    with transaction.atomic():
        is_expanded = Send.objects.filter(pk=send.pk, expanded_at__isnull=False).exists()
        if not move(send.pk, "resume" if is_expanded else "resume_expanding", by=by):
            return False
        Batch.objects.filter(send=send, state=Batch.State.PAUSED).update(state=Batch.State.OPEN)
        return True


def cancel(send: Send, *, by: AbstractBaseUser | None = None) -> bool:
    """Stop for good: whoever has not been handed over never will be."""
    with transaction.atomic():
        if not move(send.pk, "cancel", by=by, finished_at=timezone.now()):
            return False
        waiting = list(
            Batch.objects.select_for_update()
            .filter(send=send)
            .exclude(state=Batch.State.LEASED)
            .order_by("pk")
        )
        for batch in waiting:
            settle.cancel(batch.message_ids)
        Batch.objects.filter(pk__in=[batch.pk for batch in waiting]).delete()
        return True


def reply(
    conversation: Conversation,
    *,
    body: str,
    by: AbstractBaseUser | None,
    media_urls: Sequence[str] = (),
    once: str = "",
) -> Send:
    """Answer a person, from the identity (else the longcode) that they wrote to. Goes at once.

    Merge fields work here as in any text. ``once`` names the form that was filled in: the same text
    from the same form is one answer, however often it comes. Raises :class:`NotValid`.
    """
    key = hashlib.sha256(f"{once}\n{body}".encode()).hexdigest() if once else ""
    try:
        with transaction.atomic():
            send = _speak(
                conversation,
                body=body,
                kind=Send.Kind.REPLY,
                by=by,
                media_urls=media_urls,
                external_id=key,
            )
            _put_on_top(send, conversation)
    except IntegrityError as error:
        if "send_reply_once" not in str(error):
            raise
        return Send.objects.get(kind=Send.Kind.REPLY, external_id=key)
    return send


def _put_on_top(send: Send, conversation: Conversation) -> None:
    """Show an answer as its conversation's last words, unless nobody may text it."""
    said = Message.objects.filter(send=send).exclude(state=MessageState.SUPPRESSED).first()
    if said is not None:
        Conversation.objects.filter(pk=conversation.pk).update(
            last_body=said.body[: Conversation.MOST_PREVIEWED],
            last_direction=Message.Direction.OUT,
            last_route=said.route,
            last_at=said.created_at,
        )


def answer_automatically(conversation: Conversation, *, body: str, kind: str) -> Send:
    """A welcome (``AUTO_REPLY``), or an answer to STOP, START, HELP (``COMPLIANCE``)."""
    return _speak(conversation, body=body, kind=kind, by=None)


def _speak(
    conversation: Conversation,
    *,
    body: str,
    kind: str,
    by: AbstractBaseUser | None,
    media_urls: Sequence[str] = (),
    external_id: str = "",
) -> Send:
    identity = conversation.identity
    draft = Draft(
        body=body,
        media_urls=media_urls,
        sender_name=identity.name if identity else "",
        longcode_id=conversation.longcode_id,
        sms_only=identity is None,
        subscriber_ids=[conversation.subscriber_id],
        kind=kind,
        origin=Send.Origin.CONSOLE if by else Send.Origin.SYSTEM,
        external_id=external_id,
    )
    with transaction.atomic():
        send = create(draft, by=by)
        schedule(send, by=by)
        expand.run(send.pk, most_chunks=1)
    return send
