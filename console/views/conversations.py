"""Conversations: the inbox, and each thread with its answer field."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import secrets
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from console import find, navigation, words
from console.access import SignedIn, action, page
from identifiers import public_ids
from messaging import compose, gestures, timeline, wake
from messaging.models import Conversation, Message
from senders.gateways.contract import TapbackKind
from senders.gateways.errors import GatewayError
from subscribers.models import OptIn

INBOX_SIZE = 50
TABS = {"": "All", "unread": "Unread"}


@page("messaging.view_conversation")
def inbox(request: SignedIn) -> HttpResponse:
    return render(request, "console/conversations.html", _inbox(request))


@page("messaging.view_conversation")
def inbox_list(request: SignedIn) -> HttpResponse:
    """The inbox alone, for its poll; 204 when nothing changed since ``version``."""
    context = _inbox(request)
    if request.GET.get("version") == context["inbox_version"]:
        return HttpResponse(status=204)
    context |= {"is_poll": True, "unread": navigation.unread()}
    return render(request, "console/parts/inbox.html", context)


@page("messaging.view_conversation")
def conversation(request: SignedIn, public_id: int) -> HttpResponse:
    row = _find(public_id)
    before = public_ids.decode("message", request.GET.get("before", ""))
    thread = timeline.thread(row, before=before)
    context = _thread_context(request, row, thread) | {"is_newest": before is None}
    if request.htmx and before is not None:
        return render(request, "console/parts/said_list.html", context)
    return render(request, "console/conversation.html", _inbox(request, row) | context)


@page("messaging.view_conversation")
def news(request: SignedIn, public_id: int) -> HttpResponse:
    """The newest messages again when anything about them changed; else 204."""
    row = _find(public_id)
    thread = timeline.thread(row)
    if request.GET.get("version") == thread.version:
        return HttpResponse(status=204)
    return render(request, "console/parts/thread.html", _thread_context(request, row, thread))


@action("messaging.change_conversation")
def reply(request: SignedIn, public_id: int) -> HttpResponse:
    row = _find(public_id)
    body = request.POST.get("body", "").replace("\r\n", "\n").strip()
    problem = _reply(request, row, body)
    if not request.htmx:
        if problem:
            messages.error(request, problem)
            return _with_typed(request, row, body)
        return redirect("console:conversations-one", public_id=public_id)
    context = _thread_context(request, row, timeline.thread(row))
    context |= {"problem": problem, "typed": body if problem else "", "answered": True}
    return render(request, "console/parts/answer.html", context)


@action("messaging.change_conversation")
def read(request: SignedIn, public_id: int) -> HttpResponse:
    """Nothing is unread any more. Asked for by the open thread, once what came is on the screen."""
    gestures.mark_read(_find(public_id), by=request.user)
    if request.htmx:
        return HttpResponse(status=204)
    return redirect("console:conversations-one", public_id=public_id)


@action("messaging.change_conversation")
def typing(request: SignedIn, public_id: int) -> HttpResponse:
    """Show or hide our typing bubble on the person's phone. A carrier that can't is no trouble."""
    row = _find(public_id)
    if row.identity_id is not None:
        with contextlib.suppress(GatewayError):
            gestures.typing(row, is_typing=request.POST.get("is_typing") == "1")
    return HttpResponse(status=204)


@action("messaging.change_conversation")
def tapback(request: SignedIn, public_id: int) -> HttpResponse:
    row = _find(public_id)
    said = find.or_404(
        Message.objects.filter(subscriber_id=row.subscriber_id, longcode_id=row.longcode_id),
        "message",
        request.POST.get("message", ""),
    )
    problem = _tapback(request, said)
    if problem and not request.htmx:
        messages.error(request, problem)
    if not request.htmx:
        return redirect("console:conversations-one", public_id=public_id)
    context = _thread_context(request, row, timeline.thread(row))
    return render(request, "console/parts/thread.html", context | {"problem": problem})


def _find(public_id: int) -> Conversation:
    rows = Conversation.objects.select_related(
        "subscriber", "longcode__gateway", "identity__gateway"
    )
    return find.or_404(rows, "conversation", public_id)


def _reply(request: SignedIn, row: Conversation, body: str) -> str:
    """Send an answer; returns the sentence that says what is wrong, empty when nothing is."""
    if row.subscriber.opted_out_at is not None:
        return "This person has opted out. They can be written to once they send START."
    try:
        compose.reply(row, body=body, by=request.user, once=request.POST.get("once", ""))
    except compose.NotValid as error:
        return error.problems[0].sentence
    wake.dispatch()
    return ""


def _tapback(request: SignedIn, said: Message) -> str:
    if request.POST.get("kind") not in {kind.value for kind in TapbackKind}:
        return "There is no such tapback. Choose one of the six."
    kind = TapbackKind(request.POST["kind"])
    try:
        # Pressing one's own tapback again takes it away.
        is_ours = request.POST.get("ours") == kind
        gestures.tapback(said, kind, by=request.user, remove=is_ours)
    except GatewayError as error:
        return error.sentence
    return ""


def _with_typed(request: SignedIn, row: Conversation, body: str) -> HttpResponse:
    """The page again, with what was typed kept in its field."""
    thread = timeline.thread(row)
    context = _thread_context(request, row, thread) | {"is_newest": True, "typed": body}
    return render(request, "console/conversation.html", _inbox(request, row) | context, status=422)


def _thread_context(
    request: SignedIn, row: Conversation, thread: timeline.Thread
) -> dict[str, Any]:
    opt_ins = OptIn.objects.filter(subscriber_id=row.subscriber_id).select_related("identity")
    return {
        "conversation": row,
        "person": row.subscriber,
        "thread": thread,
        "may_answer": request.user.has_perm("messaging.change_conversation"),
        "tapbacks": words.TAPBACKS.items(),
        "can_tapback": row.identity is not None and row.identity.status == "active",
        "opt_ins": opt_ins,
        "once": secrets.token_urlsafe(12),
    }


def _inbox(request: HttpRequest, current: Conversation | None = None) -> dict[str, Any]:
    """One page of the inbox, newest first; the next one begins after the last row's place."""
    rows = Conversation.objects.select_related("subscriber")
    tab = "unread" if request.GET.get("show") == "unread" else ""
    if tab:
        rows = rows.filter(unread__gt=0)
    after = _place(request.GET.get("after", ""))
    if after is not None:
        at, key = after
        rows = rows.filter(Q(last_at__lt=at) | Q(last_at=at, id__lt=key))
    found = list(rows.order_by("-last_at", "-id")[: INBOX_SIZE + 1])
    listed = found[:INBOX_SIZE]
    drawn = repr([(row.pk, row.last_at, row.unread, row.last_body) for row in listed])
    is_last = len(found) <= INBOX_SIZE
    return {
        "listed": listed,
        "next": "" if is_last else _place_of(listed[-1]),
        "is_first": after is None,
        "tab": tab,
        "tabs": [(key, label, key == tab) for key, label in TABS.items()],
        "current": current or _current(request),
        "inbox_version": hashlib.sha256(drawn.encode()).hexdigest()[:16],
    }


def _current(request: HttpRequest) -> Conversation | None:
    key = public_ids.decode("conversation", request.GET.get("current", ""))
    return Conversation(pk=key) if key else None


def _place_of(row: Conversation) -> str:
    return f"{row.last_at.timestamp():.6f}_{row.public_id}"


def _place(text: str) -> tuple[dt.datetime, int] | None:
    moment, _, public_id = text.partition("_")
    key = public_ids.decode("conversation", public_id)
    try:
        at = dt.datetime.fromtimestamp(float(moment), tz=dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return (at, key) if key is not None else None
