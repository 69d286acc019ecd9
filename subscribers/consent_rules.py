"""What an inbound message means for a person's consent. Pure: values in, a decision out."""

from __future__ import annotations

import enum
from typing import NamedTuple

from subscribers.words import Word, is_opt_in_words, word_of


class Change(enum.StrEnum):
    """What to write. Each is a function of ``subscribers.consent``."""

    NOTHING = "nothing"
    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"
    #: Out of the opt-out, and opted in to the identity that was written to.
    LIFT = "lift"
    HELP = "help"


class Confirmation(enum.StrEnum):
    """Which text answers by itself; the words are in ``subscribers.wording``."""

    NONE = ""
    STOPPED = "stopped"
    STARTED = "started"
    HELP = "help"
    #: The identity's own welcome text, where it has one.
    WELCOME = "welcome"


class Decision(NamedTuple):
    change: Change
    confirmation: Confirmation = Confirmation.NONE


_NOTHING = Decision(Change.NOTHING)
_STARTED = Decision(Change.LIFT, Confirmation.STARTED)


def answer_to(
    body: str, *, opt_in_message: str | None, opted_out: bool, opted_in: bool
) -> Decision:
    """Decide on one message.

    ``opt_in_message`` holds the opt-in words of the identity that was written to, and is ``None``
    for a text to a longcode: that opts nobody in. ``opted_out`` and ``opted_in`` say how the
    person stands with that line now. A STOP is always written, but confirmed once only.
    """
    word = word_of(body)
    if word is Word.STOP:
        return Decision(Change.OPT_OUT, Confirmation.NONE if opted_out else Confirmation.STOPPED)
    if word is Word.HELP:
        return Decision(Change.HELP, Confirmation.HELP)
    if opted_out:
        return _STARTED if _asks_to_restart(word, body, opt_in_message) else _NOTHING
    if opt_in_message is None or opted_in:
        return _NOTHING
    return Decision(Change.OPT_IN, Confirmation.WELCOME)


def _asks_to_restart(word: Word | None, body: str, opt_in_message: str | None) -> bool:
    """Only START, or the identity's own opt-in words, undo an opt-out."""
    if word in (Word.START, Word.RESTART):
        return True
    return opt_in_message is not None and is_opt_in_words(body, opt_in_message)
