"""The dashboard: today at a glance, and what wants attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console import charts
from console.access import SignedIn, page, zone_of
from console.views.sends import LISTED
from messaging import audit
from messaging.models import Conversation, Send
from messaging.states import SendState
from senders.models import Gateway, SenderIdentity

DAYS = 14
_UNDER_WAY = [SendState.SCHEDULED, SendState.EXPANDING, SendState.SENDING, SendState.PAUSED]


@page("messaging.view_send")
def dashboard(request: SignedIn) -> HttpResponse:
    now = timezone.now()
    days = audit.days(count=DAYS, zone=zone_of(request), now=now)
    today = days[-1].summary
    listed = Send.objects.filter(kind__in=LISTED).select_related("identity", "longcode")
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return render(
        request,
        "console/dashboard.html",
        {
            "now": now,
            "today": today,
            "has_sent": any(day.summary.people for day in days),
            "chart": _chart(days),
            "reasons": audit.by_reason(audit.Filters(since=midnight)),
            "since": midnight,
            "under_way": listed.filter(state__in=_UNDER_WAY).order_by("-id")[:6],
            "latest": listed.exclude(state__in=_UNDER_WAY).order_by("-id")[:5],
            "replies": _replies(request),
            "troubles": _troubles(),
        },
    )


def _chart(days: Sequence[audit.Day]) -> charts.Columns:
    return charts.columns(
        [
            (
                f"{day.day} {day:%b}",
                (
                    f"{day:%A} {day.day} {day:%B}: {summary.imessage:,} by iMessage, "
                    f"{summary.sms:,} by SMS, {summary.nobody:,} not sent"
                ),
                [
                    ("imessage", summary.imessage),
                    ("sms", summary.sms),
                    ("nobody", summary.nobody),
                ],
            )
            for day, summary in days
        ]
    )


def _replies(request: SignedIn) -> list[Conversation]:
    if not request.user.has_perm("messaging.view_conversation"):
        return []
    rows = Conversation.objects.filter(unread__gt=0).select_related("subscriber")
    return list(rows.order_by("-last_at", "-id")[:5])


def _troubles() -> list[dict[str, Any]]:
    """Lines that can't send by iMessage now, and gateways that are paused or down."""
    now = timezone.now()
    identities = SenderIdentity.objects.exclude(status=SenderIdentity.Status.ACTIVE)
    gateways = Gateway.objects.filter(Q(is_paused=True) | Q(breaker_open_until__gt=now))
    return [
        *({"identity": identity} for identity in identities[:10]),
        *({"gateway": gateway} for gateway in gateways[:10]),
    ]
