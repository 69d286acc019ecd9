"""What the console's navigation offers to whom. A screen is listed once its page exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from messaging.models import Conversation

#: Counting further than this tells nobody anything.
MOST_UNREAD = 99


class Place(NamedTuple):
    label: str
    icon: str
    view: str
    permission: str
    #: Names of views under which this place is the current one.
    section: str


class Link(NamedTuple):
    label: str
    icon: str
    url: str
    is_current: bool
    #: How many wait in it; ``None`` where nothing can.
    unread: int | None


PLACES: tuple[Place, ...] = (
    Place("Dashboard", "home", "console:dashboard", "messaging.view_send", "dashboard"),
    Place("Sends", "send", "console:sends", "messaging.view_send", "sends"),
    Place("Templates", "template", "console:templates", "messaging.view_template", "templates"),
    Place(
        "Conversations",
        "conversation",
        "console:conversations",
        "messaging.view_conversation",
        "conversations",
    ),
    Place("Fallbacks", "fallback", "console:fallbacks", "messaging.view_message", "fallbacks"),
    Place(
        "Subscribers", "person", "console:subscribers", "subscribers.view_subscriber", "subscribers"
    ),
    Place("Groups", "people", "console:groups", "subscribers.view_group", "groups"),
)


def links(request: HttpRequest) -> Iterator[Link]:
    """The places that this person may open."""
    section = request.resolver_match.url_name or "" if request.resolver_match else ""
    for place in PLACES:
        if request.user.has_perm(place.permission):
            waiting = unread() if place.section == "conversations" else None
            is_current = section.split("-")[0] == place.section
            yield Link(place.label, place.icon, reverse(place.view), is_current, waiting)
    if request.user.is_staff and request.user.has_perm("senders.view_senderidentity"):
        yield Link(
            "Senders", "antenna", reverse("admin:senders_senderidentity_changelist"), False, None
        )


def unread() -> int:
    """How many conversations wait to be read, counted up to one more than is shown."""
    rows = Conversation.objects.filter(unread__gt=0).values("pk")[: MOST_UNREAD + 1]
    return len(rows)
