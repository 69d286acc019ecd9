"""Changing an identity's status: one function, for people and for what carriers report."""

from __future__ import annotations

from typing import Literal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from senders.models import IdentityStatusChange, SenderIdentity

Source = Literal["person", "carrier"]

REASON_MOST = 300


class NotValid(ValueError):
    """A change that can't be made as asked. ``field`` names what is wrong; ``sentence`` says what
    to do."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


def change_status(
    identity: SenderIdentity,
    *,
    to: str,
    reason: str,
    by: AbstractBaseUser | None = None,
    source: Source = "person",
) -> bool:
    """Move ``identity`` from the status it was read with to ``to``, and record who or what did it.

    False when nothing was changed: it has that status already, or somebody changed it since it was
    read. Raises :class:`NotValid` for a status that does not exist and for a missing reason.
    """
    reason = _checked_reason(reason)
    if to not in SenderIdentity.Status.values:
        raise NotValid("to", "Choose one of the statuses: active, disabled, blocked or banned.")
    if identity.status == to:
        return False
    with transaction.atomic():
        seen = SenderIdentity.objects.filter(pk=identity.pk, status=identity.status)
        if not seen.update(status=to):
            return False
        IdentityStatusChange.objects.create(
            identity=identity,
            old=identity.status,
            new=to,
            reason=reason,
            by_id=by.pk if by else None,
            source=source,
        )
    identity.status = to
    return True


def _checked_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason:
        raise NotValid("reason", "Write why the status changes: it is kept in the history.")
    if len(reason) > REASON_MOST:
        raise NotValid("reason", f"Shorten the reason to {REASON_MOST} characters or fewer.")
    return reason
