"""The admin's look and its navigation, which is the console's with what admins need added.

An item is shown to whoever may open its page, and only if the page exists.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse, reverse_lazy


class Item(NamedTuple):
    """A page: its title, its icon, its URL's name, and the permission that opens it."""

    title: str
    icon: str
    page: str
    permission: str

    @property
    def link(self) -> str:
        """Its address; empty if there is no such page."""
        try:
            return reverse(self.page)
        except NoReverseMatch:
            return ""


NAVIGATION: tuple[tuple[str, tuple[Item, ...]], ...] = (
    (
        "",
        (
            Item("Dashboard", "space_dashboard", "console:dashboard", "messaging.view_send"),
            Item("Sends", "campaign", "console:sends", "messaging.view_send"),
            Item("Templates", "article", "console:templates", "messaging.view_template"),
            Item("Conversations", "forum", "console:conversations", "messaging.view_conversation"),
            Item("Fallbacks", "alt_route", "console:fallbacks", "messaging.view_message"),
            Item("Subscribers", "group", "console:subscribers", "subscribers.view_subscriber"),
            Item("Groups", "groups", "console:groups", "subscribers.view_group"),
        ),
    ),
    (
        "Senders",
        (
            Item(
                "Sender identities",
                "chat_bubble",
                "admin:senders_senderidentity_changelist",
                "senders.view_senderidentity",
            ),
            Item(
                "Longcodes",
                "smartphone",
                "admin:senders_longcode_changelist",
                "senders.view_longcode",
            ),
            Item(
                "Gateways", "cell_tower", "admin:senders_gateway_changelist", "senders.view_gateway"
            ),
            Item(
                "Status history",
                "history",
                "admin:senders_identitystatuschange_changelist",
                "senders.view_identitystatuschange",
            ),
        ),
    ),
    (
        "Operations",
        (
            Item("Lanes", "linear_scale", "admin:senders_lane_changelist", "senders.view_lane"),
            Item("Batches", "stacks", "admin:messaging_batch_changelist", "messaging.view_batch"),
            Item(
                "Attempts",
                "outbound",
                "admin:messaging_attempt_changelist",
                "messaging.view_attempt",
            ),
            Item(
                "Receipts",
                "move_to_inbox",
                "admin:webhooks_receipt_changelist",
                "webhooks.view_receipt",
            ),
        ),
    ),
    (
        "Records",
        (
            Item("Messages", "sms", "admin:messaging_message_changelist", "messaging.view_message"),
            Item("Events", "timeline", "admin:messaging_event_changelist", "messaging.view_event"),
            Item(
                "Consent ledger",
                "verified_user",
                "admin:subscribers_consentevent_changelist",
                "subscribers.view_consentevent",
            ),
        ),
    ),
    (
        "Access",
        (
            Item("Team", "badge", "admin:auth_user_changelist", "auth.view_user"),
            Item("API tokens", "key", "admin:api_token_changelist", "api.view_token"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The navigation of this person, as Unfold reads it."""
    groups: list[dict[str, Any]] = []
    for title, items in NAVIGATION:
        open_items = [
            {
                "title": item.title,
                "icon": item.icon,
                "link": item.link,
                # A page of the console is never the one that is open here.
                "active": item.link.startswith("/admin/") and request.path.startswith(item.link),
            }
            for item in items
            if item.link and request.user.has_perm(item.permission)
        ]
        if open_items:
            groups.append({"title": title, "separator": bool(groups), "items": open_items})
    return groups


# The console's blue (static/console/base.css): 600 carries white text and is read on white; 500 is
# read on dark grounds.
_BLUE = {
    "50": "#eff7ff",
    "100": "#e1efff",
    "200": "#bfdeff",
    "300": "#94c8ff",
    "400": "#6cb3ff",
    "500": "#4aa0ff",
    "600": "#0069dc",
    "700": "#0058bb",
    "800": "#06478f",
    "900": "#0b3b73",
    "950": "#11253e",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tapback",
    "SITE_HEADER": "Tapback",
    "SITE_SUBHEADER": "Senders and records",
    "SITE_ICON": lambda _request: static("console/logo.svg"),
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("console/logo.svg"),
        }
    ],
    "SITE_URL": None,
    "DASHBOARD_CALLBACK": "senders.front_page.front_page",
    "ACCOUNT": {
        "navigation": [
            {"title": "Open the console", "link": "/"},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ]
    },
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": _BLUE},
    "SIDEBAR": {"navigation": navigation, "show_search": False, "show_all_applications": False},
}
