"""Which texts the database can keep: those without NUL and without half of a surrogate pair."""

import re

_NOT_KEPT = re.compile("[\x00\ud800-\udfff]")


def can_be_kept(text: str) -> bool:
    return _NOT_KEPT.search(text) is None


def mended(text: str) -> str:
    """``text`` with U+FFFD for each character that can't be kept."""
    return _NOT_KEPT.sub("\ufffd", text)
