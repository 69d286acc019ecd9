"""What every word on a badge means."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from console import words
from console.access import SignedIn, page
from messaging.routing import (
    CARRIER_REASONS,
    FALLBACK_REASONS,
    SENTENCES,
    SUPPRESSION_REASONS,
)


@page()
def glossary(request: SignedIn) -> HttpResponse:
    reasons = {
        "They sent a message by SMS instead": FALLBACK_REASONS,
        "They kept a message from being sent": SUPPRESSION_REASONS,
        "The carrier refused a message, and nothing else was left to try": CARRIER_REASONS,
    }
    return render(
        request,
        "console/glossary.html",
        {
            "routes": words.ROUTES,
            "kinds": [
                ("send", "States of a send", words.SEND_STATES),
                ("message", "States of a message", words.MESSAGE_STATES),
                ("attempt", "States of an attempt", words.ATTEMPT_STATES),
                ("identity", "States of a sender identity", words.IDENTITY_STATES),
                ("capability", "iMessage capability of a person", words.CAPABILITIES),
            ],
            "reasons": [
                (title, [(code, SENTENCES[code]) for code in codes])
                for title, codes in reasons.items()
            ],
        },
    )
