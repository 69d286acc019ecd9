"""How many segments a text costs by SMS. Pure.

After 3GPP TS 23.038 (alphabet) and 23.040 (concatenation). The SQL function ``message_segments`` of
migration 0002 counts the same way; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Written as an escape and a second septet.
EXTENSION = frozenset("\f^{}\\[~]|€")

GSM_7 = "GSM-7"
UCS_2 = "UCS-2"
#: Units in a text that fits one segment, and in each segment of one that doesn't: the header that
#: joins the parts takes six octets.
ROOM = {GSM_7: (160, 153), UCS_2: (70, 67)}


class Segments(NamedTuple):
    """``units`` are septets (GSM-7) or UTF-16 code units (UCS-2). ``forced_by`` is the first
    character that GSM-7 lacks, ``None`` where there is none."""

    encoding: str
    units: int
    segments: int
    forced_by: str | None


def count(text: str) -> Segments:
    """The segments of ``text``; an empty text has none."""
    forced_by = next((char for char in text if char not in BASIC and char not in EXTENSION), None)
    encoding = GSM_7 if forced_by is None else UCS_2
    widths = [_width(char, encoding) for char in text]
    units = sum(widths)
    single, part = ROOM[encoding]
    segments = min(units, 1) if units <= single else _parts(widths, part)
    return Segments(encoding, units, segments, forced_by)


def _width(char: str, encoding: str) -> int:
    if encoding == GSM_7:
        return 2 if char in EXTENSION else 1
    return 2 if char > "\uffff" else 1


def _parts(widths: Iterable[int], room: int) -> int:
    """Fill one part after another. A character of two units is never torn apart."""
    parts = left = 0
    for width in widths:
        if width > left:
            parts, left = parts + 1, room
        left -= width
    return parts
