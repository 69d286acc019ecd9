"""What the console's templates need beyond Django's own."""

from __future__ import annotations

import datetime as dt
import zlib
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

import phonenumbers
from django import template
from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import charts, navigation, words
from identifiers import public_ids
from messaging import audit
from messaging.models import Tapback

register = template.Library()

AVATAR_TONES = 6


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """A picture of the sprite; with a label for screen readers where no text stands beside it."""
    sprite = static("console/icons.svg")
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>',
            label,
            sprite,
            name,
        )
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', sprite, name
    )


@register.simple_tag
def badge(kind: str, state: str) -> SafeString:
    """A state as a badge that links to its place in the glossary."""
    word = words.KINDS[kind].get(state)
    if word is None:
        return SafeString("")
    return format_html(
        '<a class="badge {}" href="{}#{}-{}" title="{}">{}{}</a>',
        word.tone,
        reverse("console:glossary"),
        kind,
        state,
        word.meaning,
        icon(word.icon),
        word.label,
    )


@register.simple_tag
def route(name: str) -> SafeString:
    """A route as icon and word, in its colour."""
    word = words.ROUTES.get(name, words.ROUTES[""])
    return format_html('<span class="route {}">{}{}</span>', word.tone, icon(word.icon), word.label)


@register.filter
def reason(code: str) -> str:
    """A reason's short name."""
    return words.reason_label(code)


@register.filter
def sentence(code: str) -> str:
    """A reason's sentence."""
    return words.reason_sentence(code)


@register.simple_tag
def moment(at: dt.datetime | None, style: str = "full") -> SafeString:
    """A moment with its zone: ``full``, ``time`` (the day is known) or ``short`` (in lists)."""
    if at is None:
        return SafeString("")
    local = timezone.localtime(at)
    full = f"{local.day} {local:%b %Y, %H:%M} {_zone_name(local)}"
    text = {"full": full, "time": f"{local:%H:%M}", "short": _short(local)}[style]
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), full, text)


def _zone_name(local: dt.datetime) -> str:
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name


def _short(local: dt.datetime) -> str:
    now = timezone.localtime()
    if local.date() == now.date():
        return f"{local:%H:%M}"
    if local.year == now.year:
        return f"{local.day} {local:%b}"
    return f"{local.day} {local:%b %Y}"


@register.filter
def phone(number: str | None) -> str:
    """A number as people of its country write it, with the country code."""
    if not number:
        return ""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@register.simple_tag
def avatar(name: str, size: str = "") -> SafeString:
    """Initials on a colour that stays with the name; says nothing to screen readers."""
    initials = "".join(part[0] for part in name.split()[:2] if part[0].isalpha()) or "#"
    tone = zlib.crc32(name.encode()) % AVATAR_TONES
    return format_html(
        '<span class="avatar tone-{} {}" aria-hidden="true">{}</span>', tone, size, initials
    )


@register.filter
def money(amount: Decimal) -> str:
    """An amount in the currency of the longcodes' prices."""
    return f"{amount:,.2f} {settings.CURRENCY}"


@register.filter
def whole(number: float | None) -> str:
    """A count with thin separators: 12,480."""
    return f"{number:,.0f}" if number is not None else "–"


@register.filter
def tapback_words(tapback: Tapback) -> str:
    """A tapback for those who hear the page instead of seeing it."""
    return f"{words.TAPBACKS[tapback.kind]} by {'you' if tapback.is_ours else 'the person'}"


@register.filter
def tapback_event(detail: str) -> str:
    """What an event's detail (``+love``, ``-love``) says about a tapback."""
    label = words.TAPBACKS.get(detail[1:], "Reacted to")
    return f"{label} a message" if detail.startswith("+") else f"No longer: {label.lower()}"


@register.filter
def is_web_address(text: str) -> bool:
    """Whether a link may lead there: carriers pass on whatever they were given."""
    return urlsplit(text).scheme in ("http", "https")


@register.filter
def plain(char: str) -> str:
    """What says the same within GSM-7, where there is something."""
    return words.PLAIN.get(char, "")


@register.filter
def rate(per_second: float) -> str:
    """Messages per second: whole above ten, with a decimal below."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.1f}"


@register.filter
def public_id(key: int, kind: str) -> int:
    """What addresses give for a row's key."""
    return public_ids.encode(kind, key)


@register.filter
def row(samples: dict[tuple[str, str], Any], of: Any) -> Any:
    """The sample people of one row of a forecast."""
    return samples.get((of.route, of.reason), [])


@register.filter
def error_sentence(code: str) -> str:
    """What a carrier's refusal means."""
    return audit.error_sentence(code)


@register.filter
def share(part: int, of: int) -> str:
    """A part as per cent, rounded down: only the whole is 100 %, and only nothing is 0 %."""
    percent = 100 * part // of if of else 0
    return "under 1 %" if part and not percent else f"{percent} %"


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "not known"
    if seconds < 1:
        return "under a second"
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * size:
            count = round(seconds / size)
            return f"{count} {name}s" if count != 1 else f"1 {name}"
    count = round(seconds)
    return f"{count} seconds" if count != 1 else "1 second"


@register.inclusion_tag("console/parts/bar.html")
def bar(*parts: Any, label: str = "", thick: bool = False, total: int | None = None) -> Any:
    """A stacked bar of ``tone, count`` pairs; ``label`` says in words what it shows."""
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    return {"pieces": charts.bar(pairs, total=total), "label": label, "thick": thick}


@register.inclusion_tag("console/parts/navigation.html", takes_context=True)
def navigation_links(context: template.Context) -> dict[str, Any]:
    return {"links": list(navigation.links(context["request"]))}


@register.simple_tag(takes_context=True)
def here(context: template.Context, **changes: Any) -> str:
    """This page's query string with some parameters changed; ``None`` takes one away."""
    request: HttpRequest = context["request"]
    query = {name: value for name, value in request.GET.items() if name not in changes}
    query |= {name: value for name, value in changes.items() if value not in (None, "")}
    return "?" + urlencode(query)
