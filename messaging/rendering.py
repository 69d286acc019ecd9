"""Texts with merge fields: ``Hi {{ first_name|there }}, see you in {{ attributes.city }}!``

A text is parsed here and rendered in one place only: by the SQL expression that :func:`render_sql`
makes. Preview, forecast and expansion all use that expression, so they can't differ. A field
without a value takes its default (the words after the bar, which may be empty); without a default
the person is left out with the reason ``missing_field``: never a blank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COLUMNS: dict[str, str] = {
    "first_name": "s.first_name",
    "last_name": "s.last_name",
    "full_name": "s.first_name || ' ' || s.last_name",
    "phone": "s.phone",
    "email": "s.email",
}
_ATTRIBUTE = re.compile(r"^attributes\.([A-Za-z0-9_\-]{1,64})$")
_FIELD = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NOT_CLOSED = "A merge field is not closed: write it as {{ first_name }}."
#: In SQL: what may stand around a value. One that holds nothing else is missing.
_BLANKS = r"E' \t\n\r\u00a0'"


class TemplateError(ValueError):
    """A text whose merge fields can't be read. The message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Field:
    """One merge field. Without a default (``None``) the field is required."""

    name: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text as its literal pieces and its fields, in order."""

    parts: tuple[str | Field, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(part for part in self.parts if isinstance(part, Field))

    @property
    def may_be_blank(self) -> bool:
        """Whether nothing may be left of the text for somebody who lacks every value."""
        return all(
            part.default == "" if isinstance(part, Field) else not part.strip()
            for part in self.parts
        )


@dataclass(frozen=True, slots=True)
class RenderSql:
    """SQL over ``subscribers_subscriber AS s``: the text, whether it is complete, parameters."""

    body: str
    is_complete: str
    params: dict[str, str]


def _field(inner: str) -> Field:
    name, bar, default = inner.partition("|")
    name = name.strip()
    if name not in COLUMNS and not _ATTRIBUTE.match(name):
        known = ", ".join(COLUMNS)
        shown = name[:40] or "(nothing)"
        raise TemplateError(f"There is no field “{shown}”. Use one of {known}, or attributes.NAME.")
    return Field(name, default.strip() if bar else None)


def parse(body: str) -> Parsed:
    """Split a text into literals and fields. Raises :class:`TemplateError`."""
    parts: list[str | Field] = []
    end = 0
    for match in _FIELD.finditer(body):
        if "{{" in match.group(1):
            raise TemplateError(_NOT_CLOSED)
        parts += [body[end : match.start()], _field(match.group(1))]
        end = match.end()
    parts.append(body[end:])
    literals = [part for part in parts if isinstance(part, str)]
    if any("{{" in literal or "}}" in literal for literal in literals):
        raise TemplateError(_NOT_CLOSED)
    return Parsed(tuple(part for part in parts if part != ""))


def _value_sql(field: Field, params: dict[str, str]) -> str:
    attribute = _ATTRIBUTE.match(field.name)
    if attribute is None:
        return f"nullif(btrim({COLUMNS[field.name]}, {_BLANKS}), '')"
    key = f"part_{len(params)}"
    params[key] = attribute.group(1)
    return f"nullif(btrim(s.attributes ->> %({key})s::text, {_BLANKS}), '')"


def render_sql(parsed: Parsed) -> RenderSql:
    """The one renderer."""
    params: dict[str, str] = {}
    pieces: list[str] = []
    required: list[str] = []
    for part in parsed.parts:
        if isinstance(part, Field):
            value = _value_sql(part, params)
            if part.default is None:
                required.append(f"{value} IS NOT NULL")
                pieces.append(value)
                continue
            text = part.default
        else:
            value, text = "", part
        key = f"part_{len(params)}"
        params[key] = text
        pieces.append(f"coalesce({value}, %({key})s::text)" if value else f"%({key})s::text")
    # Not concat(), which takes a hundred pieces at most.
    body = f"array_to_string(ARRAY[{', '.join(pieces)}]::text[], '')"
    return RenderSql(body=body, is_complete=" AND ".join(required) or "true", params=params)
