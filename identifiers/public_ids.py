"""Public ids: what the outside sees instead of row keys.

A public id is a whole number below 2**52 (so that it survives JSON readers that use doubles),
computed from the row's key by a keyed permutation (a six-round Feistel network over BLAKE2b). It is
computed, not stored; it is reversible; it says nothing of how many rows there are or which came
first. Each kind of object has a permutation of its own.
"""

from __future__ import annotations

import hashlib
from functools import cache

from django.conf import settings

_HALF_BITS = 26
_HALF_MASK = (1 << _HALF_BITS) - 1
_ROUNDS = 6
LIMIT = 1 << (2 * _HALF_BITS)


@cache
def _round_states(kind: str, key: str) -> tuple[hashlib.blake2b, ...]:
    digest = hashlib.sha256(key.encode()).digest()
    return tuple(
        hashlib.blake2b(bytes([number]), key=digest, digest_size=4, person=kind.encode()[:16])
        for number in range(_ROUNDS)
    )


def _mix(state: hashlib.blake2b, half: int) -> int:
    hasher = state.copy()
    hasher.update(half.to_bytes(4, "big"))
    return int.from_bytes(hasher.digest(), "big") & _HALF_MASK


def encode(kind: str, key: int) -> int:
    """The public id of row ``key`` of ``kind``. Raises ``ValueError`` outside 0 .. 2**52 - 1."""
    if not 0 <= key < LIMIT:
        raise ValueError("row key out of range")
    left, right = key >> _HALF_BITS, key & _HALF_MASK
    for state in _round_states(kind, settings.PUBLIC_ID_KEY):
        left, right = right, left ^ _mix(state, right)
    return (left << _HALF_BITS) | right


def decode(kind: str, public_id: int | str) -> int | None:
    """The row key behind a public id, or ``None`` for what can't be one."""
    try:
        number = int(public_id)
    except (TypeError, ValueError):
        return None
    if not 0 <= number < LIMIT:
        return None
    left, right = number >> _HALF_BITS, number & _HALF_MASK
    for state in reversed(_round_states(kind, settings.PUBLIC_ID_KEY)):
        left, right = right ^ _mix(state, left), left
    return (left << _HALF_BITS) | right
