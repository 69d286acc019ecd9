"""E.164 numbers: the one place where text becomes a phone number."""

from __future__ import annotations

import re

import phonenumbers

E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"

#: Country code 999 is assigned to nobody: synthetic crowds live there, and only the simulator.
_SYNTHETIC = re.compile(r"\+999[0-9]{4,12}")
#: 555-0100 to 555-0199 is reserved for fiction in every North American area code.
_FICTIONAL = re.compile(r"\+1[2-9][0-9]{2}55501[0-9]{2}")


class InvalidPhone(ValueError):
    """Text that is no phone number. The message is a sentence for the user."""


def is_unreal(phone: str) -> bool:
    """Whether an E.164 number can't exist, so that only the simulator may be asked to text it."""
    return bool(_SYNTHETIC.fullmatch(phone) or _FICTIONAL.fullmatch(phone))


def normalize(text: str, *, region: str | None = None) -> str:
    """Turn what a person typed into E.164, or raise :class:`InvalidPhone` saying what to do.

    ``region`` (ISO 3166, such as ``"US"``) is used for numbers without a country code; without it
    such numbers are refused rather than guessed.
    """
    compact = re.sub(r"[\s().\-\u2010-\u2015\u00a0]", "", text.strip())
    if is_unreal(compact):
        return compact
    try:
        parsed = phonenumbers.parse(compact, region)
    except phonenumbers.NumberParseException:
        raise InvalidPhone(
            "Write the number with + and country code, such as +14155550101."
        ) from None
    if parsed.extension:
        raise InvalidPhone("An extension can’t be texted. Write a number without one.")
    formatted = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if is_unreal(formatted):
        return formatted
    if not phonenumbers.is_valid_number(parsed):
        raise InvalidPhone("This number does not exist in its country's numbering plan.")
    return formatted
