"""Fields of a JSON body, checked one by one, with a sentence for each mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from simulator.carrier import Refusal, Sending
from simulator.model import ROUTES, LineKey
from simulator.numbers import is_unreal
from simulator.web import BadRequest

MAX_TEXT = 20_000
MAX_WORD = 500


def text(content: Mapping[str, Any], name: str, default: str = "", limit: int = MAX_WORD) -> str:
    value = content.get(name, default)
    if not isinstance(value, str) or len(value) > limit:
        raise BadRequest(f"Give {name} as text of at most {limit} characters.")
    return value


def truth(content: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = content.get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"Give {name} as true or false.")
    return value


def choice(content: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = content.get(name)
    if not isinstance(value, str) or value not in choices:
        raise BadRequest(f"Give {name} as one of {', '.join(choices)}.")
    return value


def number(content: Mapping[str, Any], name: str) -> str:
    """One of the simulator's numbers; anything else is refused as the carrier refuses it."""
    value = content.get(name)
    if not is_unreal(value):
        raise Refusal("invalid_number")
    return str(value)


def address(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_WORD or not value.isprintable():
        raise BadRequest("A line's address is a number or a handle.")
    return value


def line(content: Mapping[str, Any]) -> LineKey:
    value = content.get("line")
    if not isinstance(value, dict):
        raise BadRequest("Give line as an object with route and address.")
    return choice(value, "route", ROUTES), address(value.get("address"))


def web_address(content: Mapping[str, Any], name: str) -> str:
    value = text(content, name, limit=2000)
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_one = is_one and (parts.port is None or parts.port > 0)
    except ValueError:
        is_one = False
    if not is_one or not value.isascii() or not value.isprintable() or " " in value:
        raise BadRequest(f"Give {name} as an http or https address.")
    return value


def sending(content: Mapping[str, Any], contact_field: str, reference: str) -> Sending:
    """A message to send, or one that a person writes."""
    route, line_address = line(content)
    media_urls = content.get("media_urls", [])
    if not isinstance(media_urls, list) or len(media_urls) > 10:
        raise BadRequest("Give media_urls as a list of at most ten addresses.")
    media = tuple(web_address({"media_urls": url}, "media_urls") for url in media_urls)
    body = text(content, "body", limit=MAX_TEXT)
    if not body and not media:
        raise BadRequest("Give a body or media_urls.")
    return Sending(reference, route, line_address, number(content, contact_field), body, media)


def seconds(content: Mapping[str, Any], name: str) -> tuple[float, float]:
    """A delay, given in milliseconds as one number or as the two between which it is drawn."""
    value = content.get(name)
    bounds: list[Any] = value if isinstance(value, list) else [value, value]
    if len(bounds) != 2 or any(
        type(bound) not in (int, float) or not 0 <= bound <= 600_000 for bound in bounds
    ):
        raise BadRequest(f"Give {name} as milliseconds: one number, or a list of two.")
    return bounds[0] / 1000, bounds[1] / 1000
