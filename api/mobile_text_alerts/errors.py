"""Their error object, for everything that can go wrong under ``/v3``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils import timezone
from rest_framework.exceptions import APIException, ValidationError

from messaging.compose import NotValid

logger = logging.getLogger(__name__)

#: At most so many faults of one request are told.
MOST_PROBLEMS = 50


class Kind(NamedTuple):
    type: str
    name: str


#: By HTTP status; those for 404 to 415 are ours, since theirs are not published.
KINDS: dict[int, Kind] = {
    400: Kind("bad_request_error", "MTABadRequestError"),
    401: Kind("unauthorized_error", "MTAUnauthorizedError"),
    403: Kind("forbidden_error", "MTAForbiddenError"),
    404: Kind("not_found_error", "MTANotFoundError"),
    405: Kind("method_not_allowed_error", "MTAMethodNotAllowedError"),
    409: Kind("conflict_error", "MTAConflictError"),
    411: Kind("length_required_error", "MTALengthRequiredError"),
    413: Kind("payload_too_large_error", "MTAPayloadTooLargeError"),
    415: Kind("unsupported_media_type_error", "MTAUnsupportedMediaTypeError"),
    500: Kind("internal_server_error", "MTAInternalServerError"),
}

SENTENCES: dict[int, str] = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    415: "Send the body as JSON, with “Content-Type: application/json”.",
    500: "Something went wrong on our side. Nothing was sent. Try again later.",
}

#: Where compose's field names differ from theirs.
FIELDS: dict[str, str] = {
    "body": "message",
    "template_id": "templateId",
    "media_urls": "image",
    "sender_name": "senderName",
    "longcode_id": "longcodeId",
    "to_everyone": "allSubscribers",
    "group_ids": "groups",
    "excluded_group_ids": "excludedGroupIds",
    "subscriber_ids": "subscribers",
    "scheduled_at": "scheduledDate",
    "external_id": "externalId",
}


class Conflict(APIException):
    status_code = 409
    default_detail = (
        "This X-Request-Id was used before. Nothing was sent again; use a new one for a new send."
    )


class Problem(NamedTuple):
    """One fault in a request; ``field`` is empty when it is of the request as a whole."""

    field: str
    sentence: str


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


def explain(error: Exception, request_id: str) -> Answer:
    """The answer to a request that ended in ``error``; an unexpected one is logged, not told."""
    if isinstance(error, NotValid):
        problems = [Problem(FIELDS.get(p.field, p.field), p.sentence) for p in error.problems]
        return _answer(400, _sentence(problems), request_id, problems)
    if isinstance(error, ValidationError):
        problems = list(_problems(error.detail))[:MOST_PROBLEMS]
        return _answer(400, _sentence(problems), request_id, problems)
    if isinstance(error, Http404):
        return _answer(404, SENTENCES[404], request_id)
    if isinstance(error, PermissionDenied):
        return _answer(403, "This is not allowed.", request_id)
    if isinstance(error, APIException) and error.status_code in KINDS:
        sentence = SENTENCES.get(error.status_code, str(error.detail))
        return _answer(error.status_code, sentence, request_id)
    logger.error("unexpected error", exc_info=error)
    return _answer(500, SENTENCES[500], request_id)


def _answer(
    status: int, sentence: str, request_id: str, problems: Sequence[Problem] = ()
) -> Answer:
    kind = KINDS[status]
    body: dict[str, Any] = {
        "httpCode": status,
        "message": sentence,
        "timestamp": timezone.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "type": kind.type,
        "name": kind.name,
        "requestId": request_id,
    }
    if status == 403:
        body["reason"] = None
    if problems:
        body["problems"] = [{"field": p.field, "message": p.sentence} for p in problems]
    return Answer(status, body)


def _sentence(problems: Sequence[Problem]) -> str:
    first = problems[0]
    sentence = f"{first.field}: {first.sentence}" if first.field else first.sentence
    more = len(problems) - 1
    return f"{sentence} (And {more} more: see problems.)" if more else sentence


def _problems(detail: Any, place: str = "") -> Iterator[Problem]:
    """The faults in what a serializer says, with places such as ``subscribers[3]``."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            if key == "non_field_errors":
                yield from _problems(inner, place)
            elif isinstance(key, int):
                yield from _problems(inner, f"{place}[{key}]")
            else:
                yield from _problems(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _problems(inner, place)
    else:
        yield Problem(place, str(detail))
