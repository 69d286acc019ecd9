"""What goes wrong on request: rules that match a message and name a fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.draws import Draws
from simulator.model import ROUTES

#: Refusals with the HTTP status that they are answered with. Nothing is recorded.
REFUSALS = {
    "invalid_request": 400,
    "unauthorized": 401,
    "line_blocked": 403,
    "line_banned": 403,
    "invalid_number": 422,
    "not_on_imessage": 422,
    "opted_out": 422,
    "rate_limited": 429,
    "not_accepted": 503,
}

#: Faults of the answer, of which the first that matches decides. "accept_…" records the message.
ANSWER_FAULTS = frozenset(
    {
        *REFUSALS,
        "error_500",
        "close",
        "accept_then_time_out",
        "accept_then_500",
        "accept_then_close",
        "accept_then_garbage",
        "accept_then_half",
    }
)
#: Faults of what follows an accepted message, of which all that match take effect.
LATER_FAULTS = frozenset(
    {
        "fail_later",
        "never_sent",
        "never_delivered",
        "lose_callbacks",
        "duplicate_callbacks",
        "reorder_callbacks",
        "delay_callbacks",
    }
)
FAULTS = ANSWER_FAULTS | LATER_FAULTS

_MATCHES = ("route", "line", "to", "to_suffix", "reference", "status", "share")


class FaultyRule(ValueError):
    """A rule that can't be. The text is a sentence for the person who wrote it."""


class Subject(Protocol):
    """What a rule looks at; a message is one."""

    @property
    def route(self) -> str: ...
    @property
    def line(self) -> str: ...
    @property
    def contact(self) -> str: ...
    @property
    def reference(self) -> str: ...


@dataclass(slots=True)
class Rule:
    """One fault and which messages have it. ``times`` counts down; ``None`` is without end."""

    number: int
    fault: str
    match: dict[str, Any]
    times: int | None = None
    #: The Retry-After of "rate_limited", the wait of "delay_…", the window of "reorder_callbacks".
    seconds: float = 1.0
    #: For "fail_later": the code that is reported.
    error: str = "delivery_failed"

    def public(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "match": self.match,
            "times": self.times,
            "seconds": self.seconds,
            "error": self.error,
        }


class Faults:
    """The rules in force, in the order in which they were given."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self.rules: list[Rule] = []

    def add(self, written: list[Any]) -> None:
        """Add rules as they came over HTTP, all of them or, raising ``FaultyRule``, none."""
        first = self.rules[-1].number + 1 if self.rules else 1
        self.rules += [_rule(first + index, item) for index, item in enumerate(written)]

    def clear(self) -> None:
        self.rules = []

    def of_answer(self, subject: Subject) -> Rule | None:
        """The rule that decides how a send is answered, counted as used."""
        return next(self._taken(ANSWER_FAULTS, subject, ""), None)

    def afterwards(self, fault: str, subject: Subject, status: str = "") -> Rule | None:
        """The rule that puts this fault on what follows an accepted message, counted as used."""
        if not self.rules:
            return None
        return next(self._taken(frozenset({fault}), subject, status), None)

    def _taken(self, faults: frozenset[str], subject: Subject, status: str) -> Iterator[Rule]:
        for rule in self.rules:
            if rule.fault in faults and rule.times != 0 and self._matches(rule, subject, status):
                if rule.times is not None:
                    rule.times -= 1
                yield rule

    def _matches(self, rule: Rule, subject: Subject, status: str) -> bool:
        match = rule.match
        wanted = {
            "route": subject.route,
            "line": subject.line,
            "to": subject.contact,
            "reference": subject.reference,
            "status": status,
        }
        if any(name in match and match[name] != value for name, value in wanted.items()):
            return False
        if not subject.contact.endswith(match.get("to_suffix", "")):
            return False
        if "share" not in match:
            return True
        drawn = self._draws.share(rule.fault, str(rule.number), subject.reference)
        return drawn < float(match["share"])


def _rule(number: int, item: Any) -> Rule:
    if not isinstance(item, dict):
        raise FaultyRule("A rule is an object with fault and match.")
    unknown = set(item) - {"fault", "match", "times", "seconds", "error"}
    if unknown:
        raise FaultyRule(f"Unknown field in a rule: {min(unknown)}.")
    if item.get("fault") not in FAULTS:
        raise FaultyRule(f"Give fault as one of {', '.join(sorted(FAULTS))}.")
    times, seconds = item.get("times"), item.get("seconds", 1.0)
    if times is not None and (type(times) is not int or times < 1):
        raise FaultyRule("Give times as a whole number from 1 on, or leave it out.")
    if type(seconds) not in (int, float) or not 0 <= seconds <= 3600:
        raise FaultyRule("Give seconds as a number from 0 to 3600.")
    error = item.get("error", "delivery_failed")
    if not isinstance(error, str):
        raise FaultyRule("Give error as text.")
    return Rule(number, item["fault"], _match(item.get("match", {})), times, seconds, error)


def _match(match: Any) -> dict[str, Any]:
    if not isinstance(match, dict) or set(match) - set(_MATCHES):
        raise FaultyRule(f"match is an object; it may have {', '.join(_MATCHES)}.")
    if match.get("route", "sms") not in ROUTES:
        raise FaultyRule("Give route as imessage or sms.")
    share = match.get("share", 1)
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise FaultyRule("Give share as a number from 0 to 1.")
    if any(not isinstance(value, str) for name, value in match.items() if name != "share"):
        raise FaultyRule("Everything in match but share is text.")
    return match
