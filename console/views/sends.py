"""Sends: the list, and each one's page from draft to done."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console import find, keyset, words
from console.access import SignedIn, action, page
from messaging import audit, compose, forecast, wake
from messaging.models import Event, Send
from messaging.states import ENDED, RUNNING, SendState
from subscribers.models import Group

#: Counting the messages of a larger send each second would cost more than it tells.
MANY = 200_000

LISTED = (Send.Kind.BROADCAST, Send.Kind.TRANSACTIONAL)
TABS = {
    "": ("All", None),
    "drafts": ("Drafts", [SendState.DRAFT]),
    "open": (
        "Under way",
        [SendState.SCHEDULED, SendState.EXPANDING, SendState.SENDING, SendState.PAUSED],
    ),
    "done": ("Done", [SendState.DONE, SendState.CANCELLED, SendState.FAILED]),
}


@page("messaging.view_send")
def sends(request: SignedIn) -> HttpResponse:
    tab = request.GET.get("show", "")
    tab = tab if tab in TABS else ""
    rows = Send.objects.filter(kind__in=LISTED).select_related("identity", "longcode", "created_by")
    states = TABS[tab][1]
    if states is not None:
        rows = rows.filter(state__in=states)
    found = keyset.page(rows, kind="send", key="-id", after=request.GET.get("after", ""))
    tabs = [(key, label, key == tab) for key, (label, _) in TABS.items()]
    return render(request, "console/sends.html", {"page": found, "tabs": tabs, "tab": tab})


@page("messaging.view_send")
def send_page(request: SignedIn, public_id: int) -> HttpResponse:
    send = _find(public_id)
    context = _context(send)
    if send.audience_at is None:
        context["forecast"] = forecast.forecast(send) if send.state not in ENDED else None
    else:
        context |= _people(request, send)
    return render(request, "console/send.html", context)


@page("messaging.view_send")
def progress(request: SignedIn, public_id: int) -> HttpResponse:
    """The part of a send's page that moves; 204 when nothing moved since ``version``."""
    context = _context(_find(public_id))
    if request.GET.get("version") == context["version"]:
        return HttpResponse(status=204)
    if request.GET.get("live") and not context["is_live"]:
        # It ended: what stands outside the moving part, such as the list of people, is shown anew.
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "console/parts/progress.html", context)


@action("messaging.change_send")
def start(request: SignedIn, public_id: int) -> HttpResponse:
    send = _find(public_id)
    if send.state == SendState.DRAFT:
        _start(request, send)
    else:
        messages.info(request, "This send has started already. It was not started twice.")
    return redirect("console:sends-one", public_id=public_id)


def _start(request: SignedIn, send: Send) -> None:
    foreseen = forecast.forecast(send)
    if not foreseen.imessage + foreseen.sms:
        messages.error(request, "Nobody would get this. Choose other groups or people.")
        return
    ways = [(row.route, row.reason, row.people) for row in foreseen.rows]
    if compose.schedule(send, by=request.user, foreseen=ways) and not _is_later(send):
        wake.expand(send.pk)


@action("messaging.change_send")
def pause(request: SignedIn, public_id: int) -> HttpResponse:
    return _do(request, public_id, compose.pause, "It is not under way, so it can’t be paused.")


@action("messaging.change_send")
def resume(request: SignedIn, public_id: int) -> HttpResponse:
    answer = _do(request, public_id, compose.resume, "It is not paused, so there is nothing to do.")
    wake.dispatch()
    return answer


@action("messaging.change_send")
def cancel(request: SignedIn, public_id: int) -> HttpResponse:
    return _do(request, public_id, compose.cancel, "It is over already, so nothing was cancelled.")


def _do(
    request: SignedIn, public_id: int, verb: Callable[..., bool], otherwise: str
) -> HttpResponse:
    if not verb(_find(public_id), by=request.user):
        messages.info(request, otherwise)
    return redirect("console:sends-one", public_id=public_id)


def _find(public_id: int) -> Send:
    rows: QuerySet[Send] = Send.objects.select_related(
        "identity__gateway", "longcode", "template", "created_by"
    )
    return find.or_404(rows, "send", public_id)


def _is_later(send: Send) -> bool:
    return send.scheduled_at is not None and send.scheduled_at > timezone.now()


def _context(send: Send) -> dict[str, Any]:
    """What both the page and its moving part show."""
    summary = audit.summary(send) if send.audience_at else audit.Summary(())
    drawn = repr((send.state, sorted(summary.outcomes)))
    return {
        "send": send,
        "summary": summary,
        "ways": _ways(send, summary),
        "version": hashlib.sha256(drawn.encode()).hexdigest()[:16],
        "is_live": send.state in RUNNING or send.state == SendState.SCHEDULED,
        "is_settling": send.state == SendState.DONE and _is_fresh(send),
        "seconds": 1 if summary.people < MANY else 5,
        "pace": _pace(send, summary),
        "groups": Group.objects.filter(pk__in=send.group_ids),
        "excluded": Group.objects.filter(pk__in=send.excluded_group_ids),
        "failure": _failure(send),
    }


def _ways(send: Send, summary: audit.Summary) -> list[dict[str, Any]]:
    """One row per way and reason, with what was foreseen and what became of its people: both add up
    to the audience."""
    people = {(route, reason): count for route, reason, count in summary.ways()}
    foreseen = {(route, reason): count for route, reason, count in send.forecast or []}
    if not people:
        return []
    return [
        {
            "route": route,
            "reason": reason,
            "people": people.get((route, reason), 0),
            "foreseen": foreseen.get((route, reason), 0),
            "states": summary.states(route, reason),
        }
        for route, reason in [*people, *(way for way in foreseen if way not in people)]
    ]


def _is_fresh(send: Send) -> bool:
    """Delivery reports still come for a while after the last message left."""
    return send.finished_at is not None and (
        timezone.now() - send.finished_at < dt.timedelta(minutes=2)
    )


def _pace(send: Send, summary: audit.Summary) -> dict[str, Any] | None:
    """How fast it goes, and how long it will still take at that pace."""
    if send.audience_at is None:
        return None
    end = send.finished_at or timezone.now()
    seconds = max((end - send.audience_at).total_seconds(), 0.001)
    rate = summary.gone / seconds
    left = summary.waiting / rate if rate > 0 and summary.waiting else None
    return {"rate": rate, "left": left, "seconds": seconds}


def _failure(send: Send) -> str:
    if send.state != SendState.FAILED:
        return ""
    event = Event.objects.filter(send_id=send.pk, subscriber_id=None, new=SendState.FAILED).last()
    return event.detail if event else ""


def _people(request: HttpRequest, send: Send) -> dict[str, Any]:
    """The list of a send's people, filtered by what the address says."""
    route = request.GET.get("route")
    state = request.GET.get("state", "")
    reason = request.GET.get("reason", "")
    rows = audit.people(
        send,
        route={"imessage": "imessage", "sms": "sms", "nobody": ""}.get(route or ""),
        reason=reason if reason in words.REASONS else "",
        state=state if state in words.MESSAGE_STATES else "",
    )
    return {
        "page": keyset.page(
            rows, kind="subscriber", key="subscriber_id", after=request.GET.get("after", "")
        ),
        "chosen": {"route": route, "state": state, "reason": reason},
        "states": [(key, word.label) for key, word in words.MESSAGE_STATES.items()][:-1],
        "reasons": words.REASONS.items(),
        "routes": [("imessage", "iMessage"), ("sms", "SMS"), ("nobody", "Nobody")],
    }
