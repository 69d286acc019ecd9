"""The simulator's words for what became of a message, and ours."""

from __future__ import annotations

from senders.gateways.contract import DeliveryStatus
from senders.gateways.errors import (
    ContentRefused,
    DeliveryFailed,
    GatewayUnavailable,
    InvalidNumber,
    NotOnIMessage,
    OptedOutAtCarrier,
    RateLimited,
    Refused,
    SenderBanned,
    SenderBlocked,
)

STATUSES: dict[str, DeliveryStatus] = {
    "accepted": DeliveryStatus.ACCEPTED,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "received": DeliveryStatus.DELIVERED,  # an inbound message, in the history
    "failed": DeliveryStatus.FAILED,
}

#: Codes of a refusal, and of a failure that is reported later. All of them mean "not sent".
ERRORS: dict[str, type[Refused]] = {
    "not_on_imessage": NotOnIMessage,
    "invalid_number": InvalidNumber,
    "opted_out": OptedOutAtCarrier,
    "line_blocked": SenderBlocked,
    "line_banned": SenderBanned,
    "rate_limited": RateLimited,
    "not_accepted": GatewayUnavailable,
    "invalid_request": ContentRefused,
    "unknown_message": ContentRefused,  # a tapback on a message that is not there
    "delivery_failed": DeliveryFailed,
}

LINE_STATES = frozenset({"ok", "blocked", "banned", "down"})
