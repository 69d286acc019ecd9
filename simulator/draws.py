"""Chance that repeats: the same seed and the same words always draw the same number."""

from __future__ import annotations

import hashlib


class Draws:
    """Draws depend on the seed and on what is drawn for, never on what was drawn before."""

    def __init__(self, seed: int) -> None:
        self._seed = hashlib.blake2b(str(seed).encode(), digest_size=8)

    def share(self, *words: str) -> float:
        """A number from 0 to just below 1."""
        digest = self._seed.copy()
        digest.update("\0".join(words).encode())
        return int.from_bytes(digest.digest(), "big") / 2**64

    def between(self, bounds: tuple[float, float], *words: str) -> float:
        low, high = bounds
        return low + (high - low) * self.share(*words)
