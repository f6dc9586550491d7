"""Derives a seed for every random draw from what the draw is for, so that order and workers change nothing."""

from __future__ import annotations

import hashlib
import random


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2^63) from e.g. (recipe seed, stage, sample, step, attempt)."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derive_random(*parts: str | int) -> random.Random:
    """A random generator for one decision, seeded from these parts."""
    return random.Random(derive_seed(*parts))
