"""The states of attempts and sends, as declared: reports in any order end in the same state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.states import (
    CLOSED,
    ENDED,
    MESSAGE_STATE_OF_ATTEMPT,
    RANK,
    SEND_MOVES,
    WITHDRAWN,
    AttemptState,
    MessageState,
    SendState,
    moves,
)

REPORTABLE = sorted(RANK, key=RANK.__getitem__)


def ends_in(reports, start=AttemptState.CLAIMED):
    state = start
    for reported in reports:
        if moves(state, reported):
            state = reported
    return state


@st.composite
def _reports_in_two_orders(draw):
    reports = draw(st.lists(st.sampled_from(REPORTABLE), max_size=12))
    repeated = reports + draw(st.lists(st.sampled_from(reports), max_size=6)) if reports else []
    return reports, draw(st.permutations(repeated))


@given(_reports_in_two_orders())
def test_shuffled_and_repeated_reports_end_where_ordered_ones_do(orders):
    reports, shuffled = orders
    assert ends_in(shuffled) == ends_in(sorted(reports, key=RANK.__getitem__))


@given(st.sampled_from(REPORTABLE), st.sampled_from(REPORTABLE))
def test_of_two_different_states_exactly_one_moves_to_the_other(one, other):
    assert moves(one, other) + moves(other, one) == (one != other)


@given(*[st.sampled_from(REPORTABLE)] * 3)
def test_what_moves_over_two_steps_moves_over_one(first, second, third):
    if moves(first, second) and moves(second, third):
        assert moves(first, third)


@pytest.mark.parametrize(
    ("current", "reported", "expected"),
    [
        ("claimed", "unknown", True),
        ("claimed", "accepted", True),
        ("unknown", "accepted", True),
        ("unknown", "delivered", True),
        ("accepted", "unknown", False),
        ("accepted", "sent", True),
        ("sent", "accepted", False),
        ("accepted", "failed", True),
        ("sent", "failed", True),
        ("failed", "sent", False),
        ("failed", "delivered", True),
        ("delivered", "failed", False),
        ("delivered", "sent", False),
        ("delivered", "read", True),
        ("read", "delivered", False),
        ("delivered", "delivered", False),
        ("released", "delivered", False),
        ("abandoned", "delivered", False),
    ],
)
def test_a_report_moves_an_attempt_upward_only(current, reported, expected):
    assert moves(AttemptState(current), AttemptState(reported)) is expected


@pytest.mark.parametrize("withdrawn", sorted(WITHDRAWN))
def test_no_report_moves_an_attempt_that_was_withdrawn(withdrawn):
    assert ends_in(REPORTABLE, start=withdrawn) == withdrawn


def test_another_attempt_is_allowed_only_after_one_that_did_not_reach_the_person():
    assert {"failed", "released", "abandoned"} == CLOSED


def test_a_message_shows_each_state_that_a_carrier_can_report():
    assert MESSAGE_STATE_OF_ATTEMPT[AttemptState.UNKNOWN] == MessageState.UNKNOWN
    assert {key.value: value.value for key, value in MESSAGE_STATE_OF_ATTEMPT.items()} == {
        word: word for word in ("unknown", "accepted", "sent", "failed", "delivered", "read")
    }


@pytest.mark.parametrize(
    ("verb", "sources", "target"),
    [
        ("schedule", "draft scheduled", "scheduled"),
        ("start", "scheduled", "expanding"),
        ("expanded", "expanding", "sending"),
        ("pause", "expanding sending", "paused"),
        ("resume", "paused", "sending"),
        ("resume_expanding", "paused", "expanding"),
        ("finish", "sending", "done"),
        ("reopen", "done", "sending"),
        ("cancel", "draft scheduled expanding sending paused", "cancelled"),
    ],
)
def test_a_send_moves_only_as_declared(verb, sources, target):
    assert {state.value for state in SEND_MOVES[verb].sources} == set(sources.split())
    assert SEND_MOVES[verb].target == target


def test_a_cancelled_or_failed_send_goes_nowhere():
    for state in ENDED - {SendState.DONE}:
        assert not [verb for verb, move in SEND_MOVES.items() if state in move.sources]
