"""The numbers that can't exist, which are the only ones this carrier has."""

from __future__ import annotations

import re

#: 555-0100 to 555-0199 in any North American area code, and the unassigned country code 999.
_UNREAL = re.compile(r"\+(1[2-9][0-9]{2}55501[0-9]{2}|999[0-9]{4,12})")


def is_unreal(number: object) -> bool:
    return isinstance(number, str) and _UNREAL.fullmatch(number) is not None


def has_imessage_by_rule(number: str) -> bool:
    """Numbers with an even last digit have iMessage, numbers with an odd one don't."""
    return number[-1] in "02468"
