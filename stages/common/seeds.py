"""Every random draw has its own seed, derived from what it is for; nothing depends on order or workers."""

from __future__ import annotations

import hashlib
import random


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2^63) from e.g. (recipe seed, stage, sample, step, attempt)."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derive_random(*parts: str | int) -> random.Random:
    """A generator of its own for one decision."""
    return random.Random(derive_seed(*parts))
