"""STOP, START and HELP: messages that are commands as a whole. Pure.

What a phone writes for a tapback (Liked “STOP”) holds more than the word, so it is never one.
"""

from __future__ import annotations

import enum
import unicodedata


class Word(enum.StrEnum):
    """A whole message that carriers and people take for a command."""

    STOP = "stop"
    START = "start"
    #: Means START, but only from somebody who is opted out; else it is an answer like any other.
    RESTART = "restart"
    HELP = "help"


_WORDS = {
    **dict.fromkeys(
        ("stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke"), Word.STOP
    ),
    **dict.fromkeys(("optout", "opt out"), Word.STOP),
    **dict.fromkeys(("start", "unstop"), Word.START),
    **dict.fromkeys(("yes", "resume"), Word.RESTART),
    **dict.fromkeys(("help", "info"), Word.HELP),
}


def word_of(body: str) -> Word | None:
    """The word that the whole of ``body`` is, whatever its case, punctuation and spacing."""
    return _WORDS.get(_bare(body))


def is_opt_in_words(body: str, opt_in_message: str) -> bool:
    """Whether the person sent the words that an identity's opt-in link fills in for them."""
    words = _bare(opt_in_message)
    return bool(words) and _bare(body) == words


def _bare(text: str) -> str:
    """``text`` in lower case, with one space for whatever is no letter, digit or accent."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(char if _is_of_a_word(char) else " " for char in folded).split())


def _is_of_a_word(char: str) -> bool:
    is_variation_of_emoji = "\ufe00" <= char <= "\ufe0f"
    return unicodedata.category(char)[0] in "LNM" and not is_variation_of_emoji
