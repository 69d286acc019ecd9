"""Groups: named lists of people."""

from __future__ import annotations

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render

from console import find, keyset
from console.access import SignedIn, page
from subscribers.models import Group, Membership


@page("subscribers.view_group")
def groups(request: SignedIn) -> HttpResponse:
    rows = Group.objects.annotate(size=Count("membership"))
    found = keyset.page(rows, kind="group", key="-id", after=request.GET.get("after", ""))
    return render(request, "console/groups.html", {"page": found})


@page("subscribers.view_subscriber")
def group(request: SignedIn, public_id: int) -> HttpResponse:
    row = find.or_404(Group.objects.annotate(size=Count("membership")), "group", public_id)
    members = Membership.objects.filter(group=row).select_related("subscriber")
    found = keyset.page(
        members, kind="subscriber", key="subscriber_id", after=request.GET.get("after", "")
    )
    return render(request, "console/group.html", {"group": row, "page": found})
