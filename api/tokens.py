"""Bearer tokens: made, shown once, recognised, revoked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from django.db.models import Q
from django.utils import timezone

from api.models import Token

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: How a token's text begins. Contiguity's SDKs refuse a key that does not look like theirs.
PREFIXES = {"tapback": "tapback_", "contiguity": "contiguity_sk_"}
SCHEMES = frozenset({"bearer", "token"})
#: A token in constant use would else be written at every request.
LAST_USED_PRECISION = timedelta(minutes=1)


class NotAuthenticated(Exception):
    """No valid token was given. The text is a sentence for the caller."""


def issue(
    *,
    name: str,
    scopes: Sequence[str],
    by: User | None = None,
    form: Literal["tapback", "contiguity"] = "tapback",
) -> tuple[Token, str]:
    """Make a token. The second value is its text, which nobody can show again."""
    unknown = set(scopes) - set(Token.Scope.values)
    if unknown:
        raise ValueError(f"unknown scopes: {', '.join(sorted(unknown))}")
    text = PREFIXES[form] + secrets.token_urlsafe(32)
    token = Token.objects.create(
        name=name, digest=_digest(text), hint=text[-4:], scopes=list(scopes), created_by=by
    )
    return token, text


def authenticate(header: str) -> Token:
    """The token that an ``Authorization`` header carries, or :class:`NotAuthenticated`."""
    scheme, _, text = header.strip().partition(" ")
    if scheme.lower() not in SCHEMES or not text.strip():
        raise NotAuthenticated("Send your API key in the header “Authorization: Bearer <key>”.")
    token = Token.objects.filter(digest=_digest(text.strip()), revoked_at=None).first()
    if token is None:
        raise NotAuthenticated("This API key is not valid. Check it, or ask for a new one.")
    _note_use(token)
    return token


def revoke(token: Token) -> bool:
    """Make the token invalid for ever; false when it was already."""
    revoked = Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    return revoked == 1


def _note_use(token: Token) -> None:
    now = timezone.now()
    stale = now - LAST_USED_PRECISION
    if token.last_used_at is None or token.last_used_at < stale:
        Token.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=stale), pk=token.pk).update(
            last_used_at=now
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
