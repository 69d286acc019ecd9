"""The closed list of ways in which a carrier call can fail, and what each means for us.

Every class answers four questions: may the same call be repeated later (``may_retry``)? may the
next leg be tried, that is SMS after iMessage (``may_fall_back``)? whose fault is it (``fault``)?
and what may the user read (``sentence``)? ``code`` is what is stored and reported;
``trips_breaker`` says whether it counts against the gateway.

``OutcomeUnknown`` stands apart: it is not a failure, and nothing may be concluded from it.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Fault(enum.StrEnum):
    RECIPIENT = "recipient"
    SENDER = "sender"
    GATEWAY = "gateway"
    CONTENT = "content"
    SETUP = "setup"


class GatewayError(Exception):
    """Base of everything that a carrier call may raise. ``detail`` is for operators: a vendor code
    or phrase, without credentials, numbers or bodies."""

    code: ClassVar[str]
    may_retry: ClassVar[bool] = False
    may_fall_back: ClassVar[bool] = False
    fault: ClassVar[Fault]
    sentence: ClassVar[str]
    trips_breaker: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class Refused(GatewayError):
    """The carrier has provably not accepted the message."""


class NotOnIMessage(Refused):
    code = "not_capable"
    may_fall_back = True
    fault = Fault.RECIPIENT
    sentence = "This person can't receive iMessage."


class InvalidNumber(Refused):
    code = "invalid_number"
    fault = Fault.RECIPIENT
    sentence = "The carrier says that this number can't receive texts."


class OptedOutAtCarrier(Refused):
    code = "opted_out"
    fault = Fault.RECIPIENT
    sentence = "This person opted out with the carrier."


class SenderBlocked(Refused):
    code = "identity_blocked"
    may_fall_back = True
    fault = Fault.SENDER
    sentence = "The carrier has blocked the sender identity."


class SenderBanned(Refused):
    code = "identity_banned"
    may_fall_back = True
    fault = Fault.SENDER
    sentence = "The carrier has banned the sender identity."


class RateLimited(Refused):
    code = "rate_limited"
    may_retry = True
    fault = Fault.GATEWAY
    sentence = "The carrier asked us to slow down."


class GatewayUnavailable(Refused):
    """The connection failed before anything left, or the carrier said that it took nothing."""

    code = "route_unavailable"
    may_retry = True
    may_fall_back = True
    fault = Fault.GATEWAY
    sentence = "The carrier could not be reached."
    trips_breaker = True


class CredentialsRefused(Refused):
    code = "credentials_refused"
    may_fall_back = True
    fault = Fault.SETUP
    sentence = "The carrier refused our credentials. An admin has to check the gateway."
    trips_breaker = True


class ContentRefused(Refused):
    code = "content_refused"
    may_fall_back = True
    fault = Fault.CONTENT
    sentence = "The carrier refused the content of the message."


class DeliveryFailed(Refused):
    """Accepted first, then reported as failed without a better class."""

    code = "delivery_failed"
    may_fall_back = True
    fault = Fault.GATEWAY
    sentence = "The carrier could not deliver the message."


class NotSupported(Refused):
    code = "not_supported"
    may_fall_back = True
    fault = Fault.SETUP
    sentence = "This carrier can't do that."

    def __init__(self, label: str, what: str) -> None:
        super().__init__(f"{what} is not supported by {label}")
        self.label, self.what = label, what


class OutcomeUnknown(GatewayError):
    """The request may have arrived. Never repeated, never called a failure."""

    code = "outcome_unknown"
    fault = Fault.GATEWAY
    sentence = "The carrier did not say whether it took the message."
    trips_breaker = True


REFUSALS: dict[str, type[Refused]] = {
    error.code: error
    for error in (
        NotOnIMessage,
        InvalidNumber,
        OptedOutAtCarrier,
        SenderBlocked,
        SenderBanned,
        RateLimited,
        GatewayUnavailable,
        CredentialsRefused,
        ContentRefused,
        DeliveryFailed,
        NotSupported,
    )
}
