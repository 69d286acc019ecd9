"""By which way a message goes, and why. Pure.

One rule table, first match wins; it is read in Python (:func:`decide`, :func:`chain`) and rendered
as SQL (:func:`decision_sql`), and a property test proves that both give the same answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from messaging.states import MessageState
from senders.gateways.contract import Route
from senders.gateways.errors import REFUSALS

NOWHERE = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that routing knows of one person and the sender.

    ``identity_status`` is ``""`` when no identity is asked for. ``opted_out`` already takes the
    scope of the opt-out and the exemption of confirmations into account. ``is_complete``: every
    merge field has a value or a default.
    """

    opted_out: bool
    has_number: bool
    is_complete: bool
    identity_asked: bool
    identity_status: str
    imessage_available: bool
    capability: str
    opted_in: bool


class Rule(NamedTuple):
    """When ``fact`` equals ``value``, the message goes by ``route`` with ``reason``."""

    fact: str
    value: bool | str
    route: str
    reason: str


RULES: tuple[Rule, ...] = (
    Rule("opted_out", True, NOWHERE, "opted_out"),
    Rule("has_number", False, NOWHERE, "invalid_number"),
    Rule("is_complete", False, NOWHERE, "missing_field"),
    Rule("identity_asked", False, Route.SMS, ""),
    Rule("identity_status", "disabled", Route.SMS, "identity_disabled"),
    Rule("identity_status", "blocked", Route.SMS, "identity_blocked"),
    Rule("identity_status", "banned", Route.SMS, "identity_banned"),
    Rule("imessage_available", False, Route.SMS, "route_unavailable"),
    Rule("capability", "no", Route.SMS, "not_capable"),
    Rule("opted_in", False, Route.SMS, "not_opted_in"),
)
#: What happens when no rule matches.
OTHERWISE = Rule("", True, Route.IMESSAGE, "")

#: Reasons that only an attempt can give.
AFTER_ATTEMPT = ("imessage_failed", "outcome_unknown")
#: Everything that may send an iMessage by SMS instead.
FALLBACK_REASONS: tuple[str, ...] = (
    *(rule.reason for rule in RULES if rule.route == Route.SMS and rule.reason),
    *AFTER_ATTEMPT,
)
SUPPRESSION_REASONS: tuple[str, ...] = tuple(rule.reason for rule in RULES if rule.route == NOWHERE)
#: What else a carrier may say when a message ends with it.
CARRIER_REASONS: tuple[str, ...] = tuple(
    code for code in REFUSALS if code not in FALLBACK_REASONS + SUPPRESSION_REASONS
)

SENTENCES: dict[str, str] = {
    **{code: error.sentence for code, error in REFUSALS.items()},
    "": "Went the way that was asked for.",
    "opted_out": "This person has opted out.",
    "invalid_number": "There is no number to text.",
    "missing_field": "A merge field of the text has no value for this person and no default.",
    "identity_disabled": "The sender identity is disabled.",
    "identity_blocked": "The carrier has blocked the sender identity.",
    "identity_banned": "The carrier has banned the sender identity.",
    "route_unavailable": "The iMessage route is paused or down.",
    "not_capable": "This person can't receive iMessage.",
    "not_opted_in": "This person has not opted in to this identity.",
    "imessage_failed": "The iMessage was tried and could not be delivered.",
    "outcome_unknown": "The carrier never said whether it took the iMessage.",
}

#: What each rule asks, for the decision chain, answered with "no" when the rule does not match.
QUESTIONS: dict[str, str] = {
    "opted_out": "Opted out?",
    "invalid_number": "No number to text?",
    "missing_field": "A merge field without a value?",
    "": "Plain SMS asked for?",
    "identity_disabled": "Identity disabled?",
    "identity_blocked": "Identity blocked?",
    "identity_banned": "Identity banned?",
    "route_unavailable": "iMessage route unavailable?",
    "not_capable": "Known not to have iMessage?",
    "not_opted_in": "Not opted in to this identity?",
}


class Decision(NamedTuple):
    """``state`` is queued, suppressed, or failed where the send's policy forbids the fallback."""

    state: MessageState
    route: str
    reason: str


class Step(NamedTuple):
    """One question of the decision chain, and whether it decided."""

    reason: str
    question: str
    decided: bool


def matching_rule(facts: Facts) -> Rule:
    """The first rule that these facts fulfil."""
    return next((rule for rule in RULES if getattr(facts, rule.fact) == rule.value), OTHERWISE)


def decide(facts: Facts, *, allowed: Collection[str] | None = None) -> Decision:
    """The way for a message. ``allowed``: the reasons that may fall back; ``None`` means all."""
    rule = matching_rule(facts)
    if rule.route == NOWHERE:
        return Decision(MessageState.SUPPRESSED, NOWHERE, rule.reason)
    if rule.reason and allowed is not None and rule.reason not in allowed:
        return Decision(MessageState.FAILED, NOWHERE, rule.reason)
    return Decision(MessageState.QUEUED, rule.route, rule.reason)


def chain(facts: Facts) -> list[Step]:
    """The questions asked, in order, up to and including the one that decided."""
    steps = []
    for rule in RULES:
        decided = getattr(facts, rule.fact) == rule.value
        steps.append(Step(rule.reason, QUESTIONS[rule.reason], decided))
        if decided:
            break
    return steps


def _literal(value: bool | str) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else f"'{value}'"


def _case(alias: str, column: str) -> str:
    whens = " ".join(
        f"WHEN {alias}.{rule.fact} = {_literal(rule.value)} THEN '{getattr(rule, column)}'"
        for rule in RULES
    )
    return f"(CASE {whens} ELSE '{getattr(OTHERWISE, column)}' END)"


def rule_sql(alias: str) -> str:
    """Two SQL expressions over a row of facts: ``rule_route`` and ``rule_reason``."""
    return f"{_case(alias, 'route')} AS rule_route, {_case(alias, 'reason')} AS rule_reason"


def decision_sql(alias: str) -> str:
    """Three SQL expressions (``state``, ``route``, ``reason``) over a row that has ``rule_route``
    and ``rule_reason``. Wants the parameter ``allowed``: the reasons that may fall back, or null.
    """
    is_forbidden = (
        f"({alias}.rule_reason <> '' AND {alias}.rule_reason <> ALL(%(allowed)s::text[]))"
    )
    return f"""
        CASE WHEN {alias}.rule_route = '' THEN '{MessageState.SUPPRESSED}'
             WHEN {is_forbidden} THEN '{MessageState.FAILED}'
             ELSE '{MessageState.QUEUED}' END AS state,
        CASE WHEN {is_forbidden} THEN '' ELSE {alias}.rule_route END AS route,
        {alias}.rule_reason AS reason"""


def _check() -> None:
    assert set(SENTENCES) - set(REFUSALS) <= {*FALLBACK_REASONS, *SUPPRESSION_REASONS, ""}
    assert set(SENTENCES) >= {*FALLBACK_REASONS, *SUPPRESSION_REASONS, ""}
    assert {rule.fact for rule in RULES} <= set(Facts.__slots__)
    assert len({rule.reason for rule in RULES}) == len(RULES)


_check()
