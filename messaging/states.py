"""Every state there is, declared once and checked at import. Pure.

Ranks make the order in which reports arrive irrelevant: of everything a carrier says about one
attempt, the highest rank wins. ``messaging.settle`` is the only module that writes these states.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class MessageState(enum.StrEnum):
    """The states of a message."""

    QUEUED = "queued"
    HELD = "held"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    RECEIVED = "received"


class AttemptState(enum.StrEnum):
    """The states of one leg tried.

    ``claimed``: between the claim and the answer. ``unknown``: it may have left; nobody repeats it.
    ``released``: it provably never left. ``abandoned``: it was unknown and somebody, a person or
    the send's policy, decided to try another leg all the same.
    """

    CLAIMED = "claimed"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    RELEASED = "released"
    ABANDONED = "abandoned"


class SendState(enum.StrEnum):
    """The states of a send."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    EXPANDING = "expanding"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


#: Messages that wait for their turn; whoever wants to stop them still can.
WAITING = frozenset({MessageState.QUEUED, MessageState.HELD})
#: Attempts that are over without the person having the message: only then may there be another one.
CLOSED = frozenset({AttemptState.FAILED, AttemptState.RELEASED, AttemptState.ABANDONED})
#: A late report about these is recorded and moves nothing.
WITHDRAWN = frozenset({AttemptState.RELEASED, AttemptState.ABANDONED})
#: The carrier said something about these.
ANSWERED = frozenset(
    {
        AttemptState.ACCEPTED,
        AttemptState.SENT,
        AttemptState.FAILED,
        AttemptState.DELIVERED,
        AttemptState.READ,
    }
)
#: Sends whose messages may be handed to a carrier.
RUNNING = frozenset({SendState.EXPANDING, SendState.SENDING})
#: Sends that are over.
ENDED = frozenset({SendState.DONE, SendState.CANCELLED, SendState.FAILED})


#: What a report about an attempt may change. A report of a rank that is not higher moves nothing.
#: ``failed`` is below ``delivered`` because carriers are known to report both, and a phone that has
#: the message is the stronger fact.
RANK: dict[AttemptState, int] = {
    AttemptState.CLAIMED: 1,
    AttemptState.UNKNOWN: 2,
    AttemptState.ACCEPTED: 3,
    AttemptState.SENT: 4,
    AttemptState.FAILED: 5,
    AttemptState.DELIVERED: 6,
    AttemptState.READ: 7,
}

#: A message shows the state of its newest attempt; while that is claimed, it stays queued.
MESSAGE_STATE_OF_ATTEMPT: dict[AttemptState, MessageState] = {
    AttemptState.UNKNOWN: MessageState.UNKNOWN,
    AttemptState.ACCEPTED: MessageState.ACCEPTED,
    AttemptState.SENT: MessageState.SENT,
    AttemptState.FAILED: MessageState.FAILED,
    AttemptState.DELIVERED: MessageState.DELIVERED,
    AttemptState.READ: MessageState.READ,
}


class Move(NamedTuple):
    """One verb on a send."""

    sources: frozenset[SendState]
    target: SendState


#: The moves of a send: from where each verb may start, and where it leads.
SEND_MOVES: dict[str, Move] = {
    "schedule": Move(frozenset({SendState.DRAFT, SendState.SCHEDULED}), SendState.SCHEDULED),
    "start": Move(frozenset({SendState.SCHEDULED}), SendState.EXPANDING),
    "expanded": Move(frozenset({SendState.EXPANDING}), SendState.SENDING),
    "pause": Move(frozenset({SendState.EXPANDING, SendState.SENDING}), SendState.PAUSED),
    "resume": Move(frozenset({SendState.PAUSED}), SendState.SENDING),
    "resume_expanding": Move(frozenset({SendState.PAUSED}), SendState.EXPANDING),
    "finish": Move(frozenset({SendState.SENDING}), SendState.DONE),
    "reopen": Move(frozenset({SendState.DONE}), SendState.SENDING),
    "cancel": Move(
        frozenset(
            {
                SendState.DRAFT,
                SendState.SCHEDULED,
                SendState.EXPANDING,
                SendState.SENDING,
                SendState.PAUSED,
            }
        ),
        SendState.CANCELLED,
    ),
    "fail": Move(frozenset({SendState.SCHEDULED, SendState.EXPANDING}), SendState.FAILED),
}


def moves(current: AttemptState, reported: AttemptState) -> bool:
    """Whether a report moves an attempt that is in ``current``."""
    return current not in WITHDRAWN and RANK[reported] > RANK[current]


def _check() -> None:
    assert set(RANK) | WITHDRAWN == set(AttemptState)
    assert set(MESSAGE_STATE_OF_ATTEMPT) == set(RANK) - {AttemptState.CLAIMED}
    assert set(MESSAGE_STATE_OF_ATTEMPT.values()) <= set(MessageState)
    assert len(set(RANK.values())) == len(RANK)
    for move in SEND_MOVES.values():
        assert move.sources | {move.target} <= set(SendState)
        assert not move.sources & ENDED or move.sources == {SendState.DONE}


_check()
