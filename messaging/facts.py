"""The facts that routing asks for, read as a set: SQL over people for one sender."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from messaging.models import Send
from messaging.rendering import RenderSql
from senders.models import SenderIdentity

FACT_COLUMNS = (
    "opted_out",
    "has_number",
    "is_complete",
    "identity_asked",
    "identity_status",
    "imessage_available",
    "capability",
    "opted_in",
)


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What holds for the sender of a send at one moment, the same for every recipient.

    ``consent_identity_id`` is the identity whose own opt-outs bind this sender: the one asked for,
    or the one attached to the longcode. ``number_identity_id`` is set when another identity is
    asked for than the longcode's own: who opted out of that one must not be texted by its number.
    """

    identity_asked: bool
    identity_status: str
    imessage_available: bool
    consent_identity_id: int | None
    number_identity_id: int | None
    is_exempt: bool
    allowed: list[str] | None

    def params(self) -> dict[str, Any]:
        return {
            "identity_asked": self.identity_asked,
            "identity_status": self.identity_status,
            "imessage_available": self.imessage_available,
            "consent_identity": self.consent_identity_id,
            "number_identity": self.number_identity_id,
            "is_exempt": self.is_exempt,
            "allowed": self.allowed,
        }


def sender_facts(send: Send, *, at: datetime | None = None) -> SenderFacts:
    """Read the sender's facts afresh: nothing is taken from objects loaded earlier."""
    now = at or timezone.now()
    identity = (
        SenderIdentity.objects.select_related("gateway").get(pk=send.identity_id)
        if send.identity_id
        else None
    )
    is_own_number = identity is not None and identity.longcode_id == send.longcode_id
    attached_id = None if is_own_number else _identity_of(send.longcode_id)
    return SenderFacts(
        identity_asked=identity is not None,
        identity_status=identity.status if identity else "",
        imessage_available=identity.gateway.is_available(now) if identity else False,
        consent_identity_id=identity.pk if identity else attached_id,
        number_identity_id=attached_id if identity else None,
        is_exempt=send.kind == Send.Kind.COMPLIANCE,
        allowed=send.fallback_reasons,
    )


def _identity_of(longcode_id: int) -> int | None:
    identities = SenderIdentity.objects.filter(longcode_id=longcode_id)
    return identities.values_list("pk", flat=True).first()


def facts_sql(*, render: RenderSql | None, people: str, opt_in_range: str = "") -> str:
    """One row of facts per person, with ``subscriber_id`` and ``phone``; with ``render`` also
    ``body``.

    ``people`` is a condition on ``s``; ``opt_in_range`` repeats its range of keys on ``o``, without
    which PostgreSQL reads all opt-ins for every chunk. Wants ``SenderFacts.params()`` and the
    renderer's parameters. Without ``render``, texts are rendered already, and complete.
    """
    body = f", {render.body} AS body" if render else ""
    return f"""
        SELECT s.id AS subscriber_id, s.phone,
               (s.opted_out_at IS NOT NULL OR o.opted_out_at IS NOT NULL
                OR %(number_identity)s::bigint IS NOT NULL AND EXISTS
                   (SELECT FROM subscribers_optin n
                     WHERE n.subscriber_id = s.id AND n.identity_id = %(number_identity)s::bigint
                       AND n.opted_out_at IS NOT NULL))
                   AND NOT %(is_exempt)s::boolean AS opted_out,
               s.phone IS NOT NULL AS has_number,
               {render.is_complete if render else "true"} AS is_complete,
               %(identity_asked)s::boolean AS identity_asked,
               %(identity_status)s::text AS identity_status,
               %(imessage_available)s::boolean AS imessage_available,
               s.imessage_capability AS capability,
               o.opted_in_at IS NOT NULL
                   AND (o.opted_out_at IS NULL OR %(is_exempt)s::boolean) AS opted_in
               {body}
          FROM subscribers_subscriber s
          LEFT JOIN subscribers_optin o
            ON o.subscriber_id = s.id AND o.identity_id = %(consent_identity)s::bigint
            {opt_in_range}
         WHERE {people}"""
