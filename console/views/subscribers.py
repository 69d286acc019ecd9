"""Subscribers: finding people, and everything about one."""

from __future__ import annotations

import datetime as dt

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from console import find, keyset
from console.access import SignedIn, action, page
from messaging import timeline
from messaging.models import Conversation, Message
from subscribers import consent, people
from subscribers.models import ConsentEvent, Subscriber

TIMELINE_SIZE = 30


@page("subscribers.view_subscriber")
def subscribers(request: SignedIn) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:100]
    if text:
        found = keyset.Page(list(people.search(text, limit=keyset.SIZE)), "", True)
    else:
        after = request.GET.get("after", "")
        found = keyset.page(Subscriber.objects.all(), kind="subscriber", key="-id", after=after)
    return render(request, "console/subscribers.html", {"page": found, "q": text})


@page("subscribers.view_subscriber")
def subscriber(request: SignedIn, public_id: int) -> HttpResponse:
    person = find.or_404(Subscriber.objects.all(), "subscriber", public_id)
    before = _moment(request.GET.get("before", ""))
    entries = timeline.person(person.pk, before=before, size=TIMELINE_SIZE + 1)
    opt_ins = list(person.opt_ins.select_related("identity__longcode").order_by("identity__name"))
    proofs = Message.objects.in_bulk([o.proof_message_id for o in opt_ins if o.proof_message_id])
    return render(
        request,
        "console/subscriber.html",
        {
            "person": person,
            "groups": person.groups.order_by("name"),
            "opt_ins": [(opt_in, proofs.get(opt_in.proof_message_id or 0)) for opt_in in opt_ins],
            "conversations": Conversation.objects.filter(subscriber=person).select_related(
                "longcode", "identity"
            ),
            "entries": entries[:TIMELINE_SIZE],
            "older": entries[TIMELINE_SIZE - 1].at if len(entries) > TIMELINE_SIZE else None,
            "is_first_page": before is None,
        },
    )


@action("subscribers.change_subscriber")
def opt_out(request: SignedIn, public_id: int) -> HttpResponse:
    person = find.or_404(Subscriber.objects.all(), "subscriber", public_id)
    with transaction.atomic():
        changed = consent.opt_out(
            subscriber_id=person.pk,
            identity=None,
            at=timezone.now(),
            source=ConsentEvent.Source.STAFF,
            by=request.user,
        )
    if changed:
        messages.success(request, f"{person} is opted out. No more texts will be sent to them.")
    else:
        messages.info(request, f"{person} had opted out already. Nothing changed.")
    return redirect("console:subscribers-one", public_id=public_id)


def _moment(text: str) -> dt.datetime | None:
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at if at and timezone.is_aware(at) else None
