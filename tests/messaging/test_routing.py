"""The way of a message: the rules, their order, and that SQL decides as Python does."""

import itertools
import subprocess
import sys
from dataclasses import replace

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.facts import FACT_COLUMNS
from messaging.routing import (
    FALLBACK_REASONS,
    RULES,
    SENTENCES,
    SUPPRESSION_REASONS,
    Facts,
    chain,
    decide,
    decision_sql,
    rule_sql,
)

GOOD = Facts(
    opted_out=False,
    has_number=True,
    is_complete=True,
    identity_asked=True,
    identity_status="active",
    imessage_available=True,
    capability="yes",
    opted_in=True,
)
#: For each rule, in order, the one fact that makes it match, and what it then decides.
CASES = [
    ({"opted_out": True}, ("suppressed", "", "opted_out")),
    ({"has_number": False}, ("suppressed", "", "invalid_number")),
    ({"is_complete": False}, ("suppressed", "", "missing_field")),
    ({"identity_asked": False}, ("queued", "sms", "")),
    ({"identity_status": "disabled"}, ("queued", "sms", "identity_disabled")),
    ({"identity_status": "blocked"}, ("queued", "sms", "identity_blocked")),
    ({"identity_status": "banned"}, ("queued", "sms", "identity_banned")),
    ({"imessage_available": False}, ("queued", "sms", "route_unavailable")),
    ({"capability": "no"}, ("queued", "sms", "not_capable")),
    ({"opted_in": False}, ("queued", "sms", "not_opted_in")),
    ({}, ("queued", "imessage", "")),
]
FACTS = st.builds(
    Facts,
    opted_out=st.booleans(),
    has_number=st.booleans(),
    is_complete=st.booleans(),
    identity_asked=st.booleans(),
    identity_status=st.sampled_from(["", "active", "disabled", "blocked", "banned"]),
    imessage_available=st.booleans(),
    capability=st.sampled_from(["yes", "no", "unknown"]),
    opted_in=st.booleans(),
)
ALLOWED = st.none() | st.sets(st.sampled_from(FALLBACK_REASONS)).map(sorted)
EVERY_FACTS = [
    Facts(*values)
    for values in itertools.product(
        *[(False, True)] * 4,
        ("", "active", "disabled", "blocked", "banned"),
        (False, True),
        ("yes", "no", "unknown"),
        (False, True),
    )
]


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_each_fact_decides_as_its_rule_says(change, expected):
    assert decide(replace(GOOD, **change)) == expected


def test_a_person_whose_capability_is_unknown_is_tried_by_imessage():
    assert decide(replace(GOOD, capability="unknown")) == ("queued", "imessage", "")


@pytest.mark.parametrize("place", range(len(CASES)))
def test_the_first_matching_rule_wins_over_all_later_ones(place):
    changes = {}
    for change, _ in reversed(CASES[place:]):
        changes |= change
    assert decide(replace(GOOD, **changes)) == CASES[place][1]


def test_without_an_identity_its_condition_is_not_asked():
    facts = replace(GOOD, identity_asked=False, identity_status="", imessage_available=False)
    assert decide(facts, allowed=[]) == ("queued", "sms", "")


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_a_reason_that_may_not_fall_back_fails_the_message_with_it(change, expected):
    state, route, reason = expected
    others = [other for other in FALLBACK_REASONS if other != reason]
    is_fallback = state == "queued" and reason
    wanted = ("failed", "", reason) if is_fallback else expected
    assert decide(replace(GOOD, **change), allowed=others) == wanted
    assert decide(replace(GOOD, **change), allowed=[reason]) == (state, route, reason)


@given(FACTS)
def test_the_chain_ends_with_the_question_that_decided(facts):
    steps = chain(facts)
    decision = decide(facts)
    assert [step.reason for step in steps] == [rule.reason for rule in RULES][: len(steps)]
    assert not any(step.decided for step in steps[:-1])
    if steps[-1].decided:
        assert steps[-1].reason == decision.reason
    else:
        assert len(steps) == len(RULES)
        assert decision.route == "imessage"


def test_every_reason_has_a_sentence_and_every_question_is_one():
    for reason in {*FALLBACK_REASONS, *SUPPRESSION_REASONS, ""}:
        assert SENTENCES[reason].endswith(".")
    assert {step.question[-1] for step in chain(replace(GOOD, opted_in=True))} == {"?"}


def decide_in_sql(every_facts, allowed):
    """What the SQL rendering says of many facts, in one query."""
    kinds = ["text[]" if type(getattr(GOOD, n)) is str else "boolean[]" for n in FACT_COLUMNS]
    arrays = ", ".join(
        f"%({name})s::{kind}" for name, kind in zip(FACT_COLUMNS, kinds, strict=True)
    )
    sql = f"""
        WITH facts AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY
                         AS given ({", ".join(FACT_COLUMNS)}, place)),
        ruled AS (SELECT f.place, {rule_sql("f")} FROM facts f)
        SELECT {decision_sql("r")} FROM ruled r ORDER BY r.place"""
    params = {name: [getattr(facts, name) for facts in every_facts] for name in FACT_COLUMNS}
    with connection.cursor() as cursor:
        cursor.execute(sql, {**params, "allowed": allowed})
        return cursor.fetchall()


@pytest.mark.django_db
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ALLOWED)
def test_sql_decides_as_python_does_for_every_facts_and_any_policy(allowed):
    by_sql = decide_in_sql(EVERY_FACTS, allowed)
    assert by_sql == [tuple(decide(facts, allowed=allowed)) for facts in EVERY_FACTS]


def test_facts_are_read_in_the_order_in_which_routing_takes_them():
    assert Facts.__slots__ == FACT_COLUMNS


@pytest.mark.parametrize("module", ["routing", "fallback", "states"])
def test_decisions_are_plain_python(module):
    lines = f"import sys, messaging.{module}; print('django' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "False"
