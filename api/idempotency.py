"""A key that a program puts on a request is good for one request."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from api.models import IdempotencyKey, Token


def claim(token: Token, key: str, *, body: Any, status: int) -> bool:
    """Take ``key`` for a request that will be answered with ``status``; false when it is taken.

    Call it in the transaction that does the work: when that is rolled back, the key is free again,
    and while it runs, a second request with the same key waits here for how it ends.
    """
    _, is_new = IdempotencyKey.objects.get_or_create(
        token=token, key=key, defaults={"request_digest": _digest(body), "status": status}
    )
    return is_new


def _digest(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
