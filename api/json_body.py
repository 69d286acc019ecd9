"""Request bodies: JSON objects of a bounded size, in text that the database can keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from identifiers import texts

MOST_BYTES = 2 * 1024 * 1024
#: So much of a body that is too large is read off the line, so that the answer can be heard.
MOST_DISCARDED = 32 * 1024 * 1024


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The body is too large. Send at most 2 MB."


class LengthRequired(APIException):
    """A body in chunks: Django reads none of it."""

    status_code = 411
    default_detail = "Send the body in one piece, with a Content-Length."


class JsonBody(BaseParser):
    """Raises ``ParseError`` or :class:`BodyTooLarge`, with a sentence that says what to do."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            body = json.loads(_read(stream).decode(), parse_constant=_refuse)
        except OSError:
            raise ParseError("The body did not arrive completely.") from None
        except (ValueError, RecursionError):
            raise ParseError("The body is not valid JSON in UTF-8.") from None
        if not isinstance(body, dict):
            raise ParseError('The body must be a JSON object, such as {"message": "Hello"}.')
        for place, text in _texts(body):
            if not texts.can_be_kept(text):
                raise ParseError(
                    f"{place}: Remove the characters that are no text, such as U+0000."
                )
        return body


def _read(stream: IO[Any]) -> bytes:
    body: bytes = stream.read(MOST_BYTES + 1)
    if len(body) <= MOST_BYTES:
        return body
    discarded = len(body)
    while discarded < MOST_DISCARDED and (chunk := stream.read(65536)):
        discarded += len(chunk)
    raise BodyTooLarge


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _texts(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in the body, keys included, with the top-level field it is in."""
    for field, content in body.items():
        yield "The body", field
        rest = [content]
        while rest:
            value = rest.pop()
            if isinstance(value, str):
                yield field, value
            elif isinstance(value, list):
                rest.extend(value)
            elif isinstance(value, dict):
                rest.extend(value.keys())
                rest.extend(value.values())
