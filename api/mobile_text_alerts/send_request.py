"""The body of ``POST /send``: what it may say, and what that means as a :class:`Draft`."""

# Their words, as they spell them:
# ruff: noqa: N815

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from identifiers import public_ids
from identifiers.e164 import InvalidPhone, normalize

#: Numbers without a country code are read as North American, as theirs are.
HOME_REGION = "US"
#: So many people may be named one by one; more are a group.
MOST_NAMED = 10_000

#: Documented by them and not understood here yet: refused, as leaving them out changes the meaning.
NOT_YET = frozenset(
    {
        "repeat",
        "properties",
        "linkId",
        "isMMS",
        "rehost",
        "filterClicks",
        "poolId",
        "gated",
        "dedicatedNumber",
    }
)


class Text(serializers.CharField):
    """Text, and nothing that would have to be turned into text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise ValidationError("Give a text in quotes.")
        return super().to_internal_value(data)


class Truth(serializers.Field[bool, Any, bool, Any]):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise ValidationError("Give true or false, without quotes.")
        return data


class Id(serializers.Field[int, Any, int, Any]):
    """A public id of one kind of object, read as the row's key."""

    def __init__(self, kind: str, noun: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.noun = kind, noun

    def to_internal_value(self, data: Any) -> int:
        is_number = isinstance(data, int) and not isinstance(data, bool)
        if not is_number and not (isinstance(data, str) and data.isascii() and data.isdigit()):
            raise ValidationError(f"Give the id of a {self.noun}, a whole number.")
        key = public_ids.decode(self.kind, data)
        if key is None:
            raise ValidationError(f"There is no {self.noun} with this id.")
        return key


class Recipient(serializers.Field[str, Any, str, Any]):
    """A phone number, read as E.164, or an e-mail address in lower case."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, int | str):
            raise ValidationError('Give a phone number, such as "+14155550101", or an e-mail.')
        text = str(data).strip()
        if "@" in text:
            return text.lower()
        try:
            return normalize(text, region=HOME_REGION)
        except InvalidPhone as error:
            raise ValidationError(str(error)) from None


class Moment(serializers.Field[datetime, Any, str, Any]):
    """ISO 8601, basic or extended; UTC when it names no zone."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            if not isinstance(data, str) or "T" not in data:
                raise ValueError
            moment = datetime.fromisoformat(data)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(
                "Give a moment in UTC, such as 20270115T143000-0000 or 2027-01-15T14:30:00Z."
            ) from None


class Tags(serializers.DictField):
    child = Text(allow_blank=True, trim_whitespace=False)


def _ids(kind: str, noun: str) -> serializers.ListField:
    return serializers.ListField(child=Id(kind, noun), required=False, max_length=MOST_NAMED)


class SendRequest(serializers.Serializer[Any]):
    subscribers = serializers.ListField(child=Recipient(), required=False, max_length=MOST_NAMED)
    subscriberIds = _ids("subscriber", "subscriber")
    groups = _ids("group", "group")
    excludedGroupIds = _ids("group", "group")
    threadId = Id("conversation", "thread", required=False)
    allSubscribers = Truth(required=False)
    message = Text(required=False, allow_blank=True, trim_whitespace=False)
    templateId = Id("template", "template", required=False)
    image = serializers.URLField(required=False, max_length=2000)
    header = Text(required=False, allow_blank=True)
    footer = Text(required=False, allow_blank=True)
    scheduledDate = Moment(required=False)
    externalId = Text(required=False, allow_blank=True)
    tags = Tags(required=False)
    longcodeId = Id("longcode", "number of yours", required=False)
    senderName = Text(required=False)

    @classmethod
    def read(cls, body: Any) -> dict[str, Any]:
        """The checked body, null fields left out. Raises ``ValidationError`` naming each field."""
        given = {field: value for field, value in body.items() if value is not None}
        _refuse_unknown(given, set(cls._declared_fields))
        request = cls(data={k: v for k, v in given.items() if k in cls._declared_fields})
        request.is_valid(raise_exception=True)
        asked: dict[str, Any] = request.validated_data
        _refuse_contradictions(asked)
        return asked


def _refuse_unknown(body: Mapping[str, Any], known: set[str]) -> None:
    faults: dict[str, str] = {}
    for field, value in body.items():
        if field in NOT_YET:
            if value is not False:
                faults[field] = "This is not supported yet. Leave it out."
        elif field not in known:
            faults[field[:60]] = "There is no such field. Check how it is written."
    if faults:
        raise ValidationError(faults)


def _refuse_contradictions(asked: Mapping[str, Any]) -> None:
    named = [f for f in ("subscribers", "subscriberIds", "groups", "threadId") if asked.get(f)]
    everyone = asked.get("allSubscribers", False)
    if not named and not everyone:
        raise ValidationError(
            "Say who gets it: subscribers, subscriberIds, groups, threadId or allSubscribers."
        )
    for alone, is_given in (("allSubscribers", everyone), ("threadId", "threadId" in named)):
        if is_given and set(named) - {alone}:
            raise ValidationError({alone: "Give no other recipient field beside this one."})
    if "message" in asked and "templateId" in asked:
        raise ValidationError({"templateId": "Give either message or templateId, not both."})
    if not {"message", "templateId", "image"} & set(asked):
        raise ValidationError("Say what to send: message or templateId.")
    if "templateId" in asked and {"header", "footer"} & set(asked):
        raise ValidationError({"templateId": "header and footer go with message only."})
