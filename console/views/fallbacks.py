"""The audit of fallbacks: what did not go its first way, and why."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console import find, keyset, words
from console.access import SignedIn, action, page
from identifiers import public_ids
from messaging import audit, settle, wake
from messaging.models import Attempt, Message, Send
from messaging.states import AttemptState
from senders.models import SenderIdentity

PERIODS = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days", "": "All time"}
ROUTES = {"sms": "Went by SMS", "nobody": "Not sent"}


@page("messaging.view_message")
def fallbacks(request: SignedIn) -> HttpResponse:
    filters = _filters(request)
    rows = audit.unlike_asked(filters).select_related("subscriber", "identity", "send")
    found = keyset.page(rows, kind="message", key="-id", after=request.GET.get("after", ""))
    reasons = audit.by_reason(filters)
    identities = list(SenderIdentity.objects.order_by("name"))
    return render(
        request,
        "console/fallbacks.html",
        {
            "page": found,
            "by_reason": reasons,
            "most": max((reason.total for reason in reasons), default=0),
            "total": sum(reason.total for reason in reasons),
            "by_sms": sum(reason.by_sms for reason in reasons),
            "not_sent": sum(reason.not_sent for reason in reasons),
            "chosen": {name: request.GET.get(name, "") for name in ("route", "reason", "state")}
            | {"days": _days(request), "identity": request.GET.get("identity", "")},
            "send": _send(request),
            "unknown": audit.unknown(filters),
            "periods": PERIODS.items(),
            "routes": ROUTES.items(),
            "reasons": words.REASONS.items(),
            "states": [
                (key, words.MESSAGE_STATES[key].label)
                for key in ("delivered", "read", "sent", "failed", "unknown", "suppressed")
            ],
            "identities": [(str(row.public_id), row.name) for row in identities],
        },
    )


@page("messaging.view_message")
def story(request: SignedIn, public_id: int) -> HttpResponse:
    rows = Message.objects.filter(direction=Message.Direction.OUT).select_related(
        "subscriber", "identity", "send", "longcode"
    )
    message = find.or_404(rows, "message", public_id)
    template = "console/parts/story.html" if request.htmx else "console/story.html"
    return render(request, template, {"story": audit.story(message), "message": message})


@action("messaging.change_send")
def by_sms(request: SignedIn, public_id: int) -> HttpResponse:
    """Somebody decided not to wait for an outcome that nobody knows."""
    rows = Attempt.objects.filter(state=AttemptState.UNKNOWN).select_related("message__subscriber")
    attempt = find.or_404(rows, "attempt", public_id)
    if settle.send_by_sms(attempt, by=request.user):
        wake.dispatch()
        messages.success(request, f"The message to {attempt.message.subscriber} goes by SMS now.")
    else:
        messages.info(request, "What became of it is known now, so nothing was sent.")
    return redirect("console:fallbacks")


def _days(request: HttpRequest) -> str:
    days = request.GET.get("days", "30")
    return days if days in PERIODS else "30"


def _send(request: HttpRequest) -> Send | None:
    public_id = request.GET.get("send")
    return find.or_404(Send.objects.all(), "send", public_id) if public_id else None


def _filters(request: HttpRequest) -> audit.Filters:
    """The filters in the address; a word that means nothing filters nothing."""
    given: dict[str, Any] = {}
    days = _days(request)
    if days:
        given["since"] = timezone.now() - dt.timedelta(days=int(days))
    route = {"sms": "sms", "nobody": ""}.get(request.GET.get("route", "?"))
    identity = request.GET.get("identity")
    send = _send(request)
    reason, state = request.GET.get("reason", ""), request.GET.get("state", "")
    return audit.Filters(
        **given,
        route=route,
        reason=reason if reason in words.REASONS else "",
        state=state if state in words.MESSAGE_STATES else "",
        identity_id=public_ids.decode("identity", identity) if identity else None,
        send_id=send.pk if send else None,
    )
