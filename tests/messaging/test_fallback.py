"""What follows an attempt that failed or stayed unknown: a table of cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.fallback import (
    MOST_OUTAGE_TRIES,
    MOST_TRIES,
    Next,
    after_failure,
    after_unknown,
    pause_seconds,
)
from messaging.routing import FALLBACK_REASONS
from senders.gateways.errors import REFUSALS

RETRY, FALL_BACK, END = Next.RETRY, Next.FALL_BACK, Next.END
ALLOWED = st.none() | st.sets(st.sampled_from(FALLBACK_REASONS)).map(sorted)


@pytest.mark.parametrize(
    ("error_code", "reason"),
    [
        ("not_capable", "not_capable"),
        ("identity_blocked", "identity_blocked"),
        ("identity_banned", "identity_banned"),
        ("credentials_refused", "route_unavailable"),
        ("content_refused", "imessage_failed"),
        ("delivery_failed", "imessage_failed"),
        ("not_supported", "imessage_failed"),
        ("a word that no carrier of ours says", "imessage_failed"),
        ("", "imessage_failed"),
    ],
)
def test_an_imessage_that_was_refused_goes_by_sms_with_the_reason(error_code, reason):
    step = after_failure(route="imessage", error_code=error_code, tries=1, allowed=None)
    assert step == (FALL_BACK, reason, 0.0)


@pytest.mark.parametrize("error_code", ["invalid_number", "opted_out"])
@pytest.mark.parametrize("route", ["imessage", "sms"])
def test_a_refusal_that_holds_for_every_way_ends_the_message(route, error_code):
    step = after_failure(route=route, error_code=error_code, tries=1, allowed=None)
    assert step == (END, "", 0.0)


@pytest.mark.parametrize(
    "error_code", sorted(code for code, error in REFUSALS.items() if not error.may_retry)
)
def test_an_sms_that_was_refused_for_good_ends_the_message(error_code):
    step = after_failure(route="sms", error_code=error_code, tries=1, allowed=None)
    assert step.next is END


@pytest.mark.parametrize(
    ("error_code", "most"), [("rate_limited", MOST_TRIES), ("route_unavailable", MOST_OUTAGE_TRIES)]
)
def test_an_imessage_that_never_left_is_tried_again_then_goes_by_sms(error_code, most):
    """A carrier that asks us to slow down is obeyed for longer than one that is away."""
    steps = [
        after_failure(route="imessage", error_code=error_code, tries=tries, allowed=None)
        for tries in range(1, most + 1)
    ]
    assert [step.next for step in steps] == [*[RETRY] * (most - 1), FALL_BACK]
    assert steps[-1].reason == "route_unavailable"


@pytest.mark.parametrize("error_code", ["rate_limited", "route_unavailable"])
def test_an_sms_that_never_left_is_tried_again_then_given_up(error_code):
    nexts = [
        after_failure(route="sms", error_code=error_code, tries=tries, allowed=None).next
        for tries in range(1, MOST_TRIES + 1)
    ]
    assert nexts == [*[RETRY] * (MOST_TRIES - 1), END]


def test_a_retry_waits_longer_each_time_and_never_too_long():
    pauses = [pause_seconds(tries) for tries in range(1, MOST_TRIES)]
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 300.0


def test_a_retry_waits_as_long_as_the_carrier_asks():
    step = after_failure(
        route="sms", error_code="rate_limited", tries=1, allowed=None, retry_after_seconds=40.0
    )
    assert step == (RETRY, "", 40.0)


def test_a_reason_that_the_send_does_not_allow_ends_the_message_with_it():
    step = after_failure(
        route="imessage", error_code="delivery_failed", tries=1, allowed=["not_capable"]
    )
    assert step == (END, "imessage_failed", 0.0)


def test_a_policy_without_any_reason_still_allows_trying_again():
    step = after_failure(route="imessage", error_code="route_unavailable", tries=1, allowed=[])
    assert step.next is RETRY


@pytest.mark.parametrize(
    ("route", "may_fall_back", "allowed", "expected"),
    [
        ("imessage", True, None, (FALL_BACK, "outcome_unknown", 0.0)),
        ("imessage", True, ["outcome_unknown"], (FALL_BACK, "outcome_unknown", 0.0)),
        ("imessage", True, ["not_capable"], (END, "", 0.0)),
        ("imessage", True, [], (END, "", 0.0)),
        ("imessage", False, None, (END, "", 0.0)),
        ("sms", True, None, (END, "", 0.0)),
    ],
)
def test_an_unknown_outcome_goes_by_sms_only_where_the_send_says_so(
    route, may_fall_back, allowed, expected
):
    assert after_unknown(route=route, may_fall_back=may_fall_back, allowed=allowed) == expected


@given(
    st.sampled_from(["imessage", "sms"]),
    st.sampled_from(sorted(REFUSALS)),
    st.integers(min_value=1, max_value=50),
    ALLOWED,
)
def test_the_policy_is_kept_and_every_reason_is_a_known_one(route, error_code, tries, allowed):
    step = after_failure(route=route, error_code=error_code, tries=tries, allowed=allowed)
    assert step.reason in {"", *FALLBACK_REASONS}
    if step.next is FALL_BACK:
        assert route == "imessage"
        assert allowed is None or step.reason in allowed
    if step.next is RETRY:
        assert tries < max(MOST_OUTAGE_TRIES, MOST_TRIES)
        assert step.pause_seconds > 0


def test_every_reason_that_only_an_attempt_gives_is_given_by_one():
    given_by_attempts = {
        after_failure(route="imessage", error_code=code, tries=99, allowed=None).reason
        for code in REFUSALS
    } | {after_unknown(route="imessage", may_fall_back=True, allowed=None).reason}
    assert {"imessage_failed", "outcome_unknown"} <= given_by_attempts
