"""The admin's first page: how the lines are doing, those in trouble first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.http import HttpRequest

from senders.condition import Condition, condition_of
from senders.forms import STATUS_TONES
from senders.models import Gateway, SenderIdentity


class Row(NamedTuple):
    """A line of the list: an identity with its gateway, or a gateway."""

    subject: SenderIdentity | Gateway
    status: str
    tone: str
    gateway: Condition

    @property
    def is_in_order(self) -> bool:
        return self.tone == "success" and self.gateway.tone == "success"


def front_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds what ``templates/admin/index.html`` shows, as far as this person may see it."""
    return {
        **context,
        "title": "Senders",
        "identities": _in_trouble_first(_identities())
        if request.user.has_perm("senders.view_senderidentity")
        else [],
        "gateways": _in_trouble_first(_gateways())
        if request.user.has_perm("senders.view_gateway")
        else [],
    }


def _identities() -> Iterable[Row]:
    for identity in SenderIdentity.objects.select_related("longcode", "gateway"):
        word = identity.get_status_display()
        yield Row(identity, word, STATUS_TONES[word], condition_of(identity.gateway))


def _gateways() -> Iterable[Row]:
    for gateway in Gateway.objects.all():
        condition = condition_of(gateway)
        yield Row(gateway, condition.word, condition.tone, condition)


def _in_trouble_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.is_in_order, str(row.subject)))
