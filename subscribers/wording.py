"""The texts that Tapback answers with by itself.

Each fits one segment where the organisation's name has up to 40 letters.
"""

from __future__ import annotations

from django.conf import settings

from subscribers.consent_rules import Confirmation

_STOPPED_EVERYTHING = (
    "{organisation}: You have opted out and will get no more messages from us."
    " Reply START to opt in again."
)
_STOPPED_ONE_SENDER = (
    "{organisation}: You have opted out and will get no more messages from this sender."
    " Reply START to opt in again."
)
_STARTED = "{organisation}: You have opted in again. Reply HELP for help, STOP to opt out."
_HELP = (
    "{organisation}: You get messages because you asked to hear from us."
    " Reply STOP to opt out, START to opt in."
)


def confirmation_text(confirmation: Confirmation, *, welcome_text: str = "") -> str:
    """The answer to send, or ``""`` for none. ``welcome_text`` is the written-to identity's."""
    if confirmation is Confirmation.WELCOME:
        return welcome_text
    stopped = _STOPPED_ONE_SENDER if settings.OPT_OUT_SCOPE == "identity" else _STOPPED_EVERYTHING
    text = {
        Confirmation.NONE: "",
        Confirmation.STOPPED: stopped,
        Confirmation.STARTED: _STARTED,
        Confirmation.HELP: _HELP,
    }[confirmation]
    return text.format(organisation=settings.ORGANISATION)
