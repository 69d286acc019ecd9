"""STOP, START and HELP, and the texts that only look like words from a person. Pure."""

from __future__ import annotations

import enum
import re
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

_TAPBACK_VERBS = (
    "loved", "liked", "disliked", "laughed at", "emphasized", "emphasised", "questioned",
    "removed a heart from", "removed a like from", "removed a dislike from",
    "removed a laugh from", "removed an exclamation from", "removed an exclamation point from",
    "removed a question mark from",
)  # fmt: skip
_TAPBACK_THINGS = (
    r"(?:an? )?(?:image|photo|picture|video|movie|audio message|voice message|attachment|link|"
    r"location|contact|sticker|message|file)"
)
#: What a phone sends by SMS for a tapback: Liked “See you”, Reacted 🎉 to “…”, Loved an image.
_TAPBACK_TEXT = re.compile(
    rf"(?:{'|'.join(_TAPBACK_VERBS)}|reacted \S+ to|removed \S+ (?:reaction )?from)\s+"
    rf"(?:[“\"«„].*[”\"»“]|{_TAPBACK_THINGS})",
    re.IGNORECASE | re.DOTALL,
)


def word_of(body: str) -> Word | None:
    """The word that the whole of ``body`` is, whatever its case, punctuation and spacing."""
    return _WORDS.get(_bare(body))


def is_opt_in_words(body: str, opt_in_message: str) -> bool:
    """Whether the person sent the words that an identity's opt-in link fills in for them."""
    words = _bare(opt_in_message)
    return bool(words) and _bare(body) == words


def is_tapback_text(body: str) -> bool:
    """Whether ``body`` is a phone's description of a tapback, not something that a person wrote."""
    return _TAPBACK_TEXT.fullmatch(body.strip()) is not None


def _bare(text: str) -> str:
    """``text`` in lower case, with one space for whatever is no letter, digit or accent."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(char if _is_of_a_word(char) else " " for char in folded).split())


def _is_of_a_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNM"
