"""The console's words: every state, route and reason with its label, tone, icon and meaning."""

from __future__ import annotations

from typing import NamedTuple

from messaging.routing import SENTENCES


class Word(NamedTuple):
    """``tone`` colours a badge: info, good, warn, bad or none. The icon says the same."""

    label: str
    tone: str
    icon: str
    meaning: str


ROUTES: dict[str, Word] = {
    "imessage": Word("iMessage", "imessage", "imessage", "Sent by Apple's iMessage: blue bubbles."),
    "sms": Word("SMS", "sms", "sms", "Sent as a text by the longcode: green bubbles."),
    "": Word("Nobody", "nobody", "nobody", "Not sent at all; the reason says why."),
}

SEND_STATES: dict[str, Word] = {
    "draft": Word("Draft", "", "pencil", "Written, not sent. Nobody gets it until you send it."),
    "scheduled": Word("Scheduled", "info", "clock", "Starts by itself at its moment."),
    "expanding": Word(
        "Starting", "info live", "send", "The audience is being read; first messages leave already."
    ),
    "sending": Word("Sending", "info live", "send", "Messages are being handed to the carrier."),
    "paused": Word("Paused", "warn", "pause", "Nothing leaves until somebody resumes it."),
    "done": Word(
        "Done", "good", "check", "Nothing waits any more; delivery reports may still come."
    ),
    "cancelled": Word("Cancelled", "", "stop", "Stopped by a person before all of it left."),
    "failed": Word("Failed", "bad", "alert", "It could not start; its page says why."),
}

MESSAGE_STATES: dict[str, Word] = {
    "queued": Word("Waiting", "", "clock", "Waits for its turn."),
    "held": Word("Held", "warn", "pause", "Kept back by a rule until a later moment."),
    "unknown": Word(
        "Unknown",
        "warn",
        "alert",
        "It may have left, and the carrier has not said. Tapback never repeats it by itself.",
    ),
    "accepted": Word("Accepted", "info", "arrow-right", "The carrier has taken it."),
    "sent": Word("Sent", "info", "check", "The carrier has sent it on."),
    "delivered": Word("Delivered", "good", "check-all", "It is on the person's phone."),
    "read": Word("Read", "good", "eye", "The person has opened it."),
    "failed": Word("Failed", "bad", "alert", "It could not be delivered by any way allowed."),
    "suppressed": Word(
        "Not sent", "", "nobody", "Kept from this person on purpose; the reason says why."
    ),
    "cancelled": Word("Cancelled", "", "stop", "The send was cancelled before it left."),
    "received": Word("Received", "info", "conversation", "The person wrote it to you."),
}

ATTEMPT_STATES: dict[str, Word] = {
    **{
        state: MESSAGE_STATES[state]
        for state in ("unknown", "accepted", "sent", "failed", "delivered", "read")
    },
    "claimed": Word("Under way", "info live", "send", "Being handed to the carrier now."),
    "released": Word("Not sent", "", "stop", "It provably never left; another try may follow."),
    "abandoned": Word(
        "Given up", "warn", "close", "It stayed unknown, and another way was chosen instead."
    ),
}

IDENTITY_STATES: dict[str, Word] = {
    "active": Word("Active", "good", "check", "May send iMessages."),
    "disabled": Word("Disabled", "", "pause", "Switched off by an admin; its sends go by SMS."),
    "blocked": Word("Blocked", "warn", "alert", "Blocked by the carrier; its sends go by SMS."),
    "banned": Word("Banned", "bad", "alert", "Banned by the carrier; its sends go by SMS."),
}

CAPABILITIES: dict[str, Word] = {
    "yes": Word("Has iMessage", "info", "imessage", "This number is known to receive iMessage."),
    "no": Word("No iMessage", "sms", "sms", "This number is known not to receive iMessage."),
    "unknown": Word("Not known", "", "question", "Nobody has found out yet; iMessage is tried."),
}

#: Short names of the reasons, for filters and charts; the sentences are routing's own.
REASONS: dict[str, str] = {
    "opted_out": "Opted out",
    "invalid_number": "No number",
    "missing_field": "Missing merge field",
    "identity_disabled": "Identity disabled",
    "identity_blocked": "Identity blocked",
    "identity_banned": "Identity banned",
    "route_unavailable": "iMessage route down",
    "not_capable": "No iMessage",
    "not_opted_in": "Not opted in",
    "imessage_failed": "iMessage failed",
    "outcome_unknown": "Outcome unknown",
}

TAPBACKS: dict[str, str] = {
    "love": "Loved",
    "like": "Liked",
    "dislike": "Disliked",
    "laugh": "Laughed at",
    "emphasize": "Emphasized",
    "question": "Questioned",
}

#: Characters that word processors like, and what says the same at half the price.
PLAIN: dict[str, str] = {
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "’": "'",
    "–": "-",
    "—": "-",
    "…": "...",
    "\u00a0": "a space",
    "•": "*",
    "`": "'",
}

KINDS: dict[str, dict[str, Word]] = {
    "send": SEND_STATES,
    "message": MESSAGE_STATES,
    "attempt": ATTEMPT_STATES,
    "identity": IDENTITY_STATES,
    "capability": CAPABILITIES,
}


def reason_label(reason: str) -> str:
    """A short name for a reason."""
    return REASONS.get(reason, reason.replace("_", " ").capitalize())


def reason_sentence(reason: str) -> str:
    """What a reason means, as a sentence."""
    return SENTENCES.get(reason, reason_label(reason))
