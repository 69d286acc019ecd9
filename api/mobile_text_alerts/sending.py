"""From a checked request to a send, and from the send to their answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count
from django.db.models.functions import Lower
from rest_framework.exceptions import ValidationError

from messaging import compose, expand, forecast, wake
from messaging.compose import Draft
from messaging.models import Conversation, Message, Send
from messaging.states import MessageState
from subscribers import people
from subscribers.models import Subscriber

#: Up to so many people, each named, are no broadcast: such a send overtakes those.
MOST_TRANSACTIONAL = 100


def place(asked: Mapping[str, Any], *, name: str) -> Send:
    """Make the send that was asked for, and start it if it is due and its people are named.

    Call it in a transaction: people who were not known are made first, and what is not valid then
    raises ``NotValid`` or ``ValidationError``.
    """
    send = compose.create(_draft(asked, name=name))
    compose.schedule(send)
    if "scheduledDate" not in asked:
        _start(send, at_once=_names_everybody(asked))
    send.refresh_from_db()
    return send


def _start(send: Send, *, at_once: bool) -> None:
    """Messages of people who were named are made here, so that their ids can be told."""
    if at_once:
        expand.run(send.pk, most_chunks=1)
        wake.dispatch()
    else:
        wake.expand(send.pk)


def report(send: Send) -> dict[str, Any]:
    """Their answer to ``/send``, with ours beside it: ``suppressed`` and ``routes``.

    Of a send that has its messages, what they say; of any other, what the forecast says.
    """
    routes = _routes(send) if send.expanded_at else _forecast_routes(send)
    suppressed = sum(route["count"] for route in routes if not route["route"])
    return {
        "messageId": str(send.public_id),
        "totalSent": sum(route["count"] for route in routes) - suppressed,
        "totalFailedInternationalRecipients": 0,
        "outboundIds": _outbound_ids(send) if send.expanded_at else [],
        "suppressed": suppressed,
        "routes": routes,
    }


def _draft(asked: Mapping[str, Any], *, name: str) -> Draft:
    subscriber_ids = [*asked.get("subscriberIds", ()), *_found(asked.get("subscribers", ()))]
    sender_name, longcode_id = asked.get("senderName", ""), asked.get("longcodeId")
    sms_only = False
    if "threadId" in asked:
        thread = _thread(asked["threadId"])
        subscriber_ids = [thread.subscriber_id]
        if not sender_name and longcode_id is None:
            sender_name = thread.identity.name if thread.identity else ""
            longcode_id = thread.longcode_id
            sms_only = thread.identity is None
    is_small = _names_everybody(asked) and len(set(subscriber_ids)) <= MOST_TRANSACTIONAL
    return Draft(
        body=_body(asked),
        template_id=asked.get("templateId"),
        media_urls=(asked["image"],) if "image" in asked else (),
        sender_name=sender_name,
        longcode_id=longcode_id,
        sms_only=sms_only,
        to_everyone=asked.get("allSubscribers", False),
        group_ids=tuple(dict.fromkeys(asked.get("groups", ()))),
        excluded_group_ids=tuple(dict.fromkeys(asked.get("excludedGroupIds", ()))),
        subscriber_ids=tuple(dict.fromkeys(subscriber_ids)),
        scheduled_at=asked.get("scheduledDate"),
        name=name,
        external_id=asked.get("externalId", ""),
        tags=asked.get("tags", {}),
        kind=Send.Kind.TRANSACTIONAL if is_small else Send.Kind.BROADCAST,
        origin=Send.Origin.API,
    )


def _names_everybody(asked: Mapping[str, Any]) -> bool:
    return not asked.get("groups") and not asked.get("allSubscribers", False)


def _body(asked: Mapping[str, Any]) -> str:
    parts = (asked.get("header", ""), asked.get("message", ""), asked.get("footer", ""))
    return "\n".join(part for part in parts if part)


def _thread(key: int) -> Conversation:
    thread = Conversation.objects.select_related("identity").filter(pk=key).first()
    if thread is None:
        raise ValidationError({"threadId": "There is no thread with this id."})
    return thread


def _found(recipients: Sequence[str]) -> list[int]:
    """The keys of these people; a number that nobody has becomes a new subscriber."""
    emails = _by_email([recipient for recipient in recipients if "@" in recipient])
    faults: dict[Any, Any] = {
        place: _EMAIL_FAULTS[len(emails.get(recipient, ())) > 1]
        for place, recipient in enumerate(recipients)
        if "@" in recipient and len(emails.get(recipient, ())) != 1
    }
    if faults:
        raise ValidationError({"subscribers": faults})
    phones = [recipient for recipient in recipients if "@" not in recipient]
    keys = people.find_or_create(phones) if phones else {}
    return [*keys.values(), *(key for found in emails.values() for key in found)]


_EMAIL_FAULTS = {
    False: "No subscriber has this e-mail address. Give a phone number.",
    True: "Several subscribers have this e-mail address. Give the number or the id of one.",
}


def _by_email(emails: Sequence[str]) -> dict[str, list[int]]:
    rows = Subscriber.objects.annotate(address=Lower("email")).filter(address__in=emails)
    found: dict[str, list[int]] = {}
    for address, key in rows.values_list("address", "pk") if emails else ():
        found.setdefault(address, []).append(key)
    return found


def _routes(send: Send) -> list[dict[str, Any]]:
    rows = (
        Message.objects.filter(send=send, direction=Message.Direction.OUT)
        .values_list("route", "reason", "state")
        .annotate(count=Count("pk"))
    )
    counts: dict[tuple[str, str], int] = {}
    for route, reason, state, count in rows:
        way = ("" if state == MessageState.SUPPRESSED else route, reason)
        counts[way] = counts.get(way, 0) + count
    return [
        {"route": route, "reason": reason, "count": count}
        for (route, reason), count in sorted(counts.items(), key=lambda item: -item[1])
    ]


def _forecast_routes(send: Send) -> list[dict[str, Any]]:
    return [
        {"route": row.route, "reason": row.reason, "count": row.people}
        for row in forecast.forecast(send).rows
    ]


def _outbound_ids(send: Send) -> list[int]:
    sent = Message.objects.filter(send=send, direction=Message.Direction.OUT).exclude(
        state=MessageState.SUPPRESSED
    )
    return [message.public_id for message in sent.only("pk").order_by("pk")]
