"""How many samples of each subset and polarity a corpus holds, how many lots that takes, how many shards it fills."""

from __future__ import annotations

import math
from collections.abc import Mapping

Quota = dict[str, int]

# The paper's corpus: 32,012 + (6,905 + 8,296) + (5,000 + 10,000) samples.
PAPER: Quota = {
    "multi_turn": 32_012,
    "conflict_positive": 6_905,
    "conflict_negative": 8_296,
    "alignment_positive": 5_000,
    "alignment_negative": 10_000,
}

# Shards of that corpus for training and, of every subset, for validation: some 250 samples each, in numbers that eight
# ranks of eight workers share evenly. Loaders floor when they divide: of 60 shards those 64 workers would read none.
PAPER_SHARDS = {"multi_turn": 128, "conflict": 64, "alignment": 64}
PAPER_VALIDATION_SHARDS = 8


def proportional(total: int) -> Quota:
    """`total` samples in the paper's proportions, by largest remainder (ties to the earlier name)."""
    whole = sum(PAPER.values())
    exact = {n: total * share / whole for n, share in PAPER.items()}
    quota = {n: math.floor(x) for n, x in exact.items()}
    by_remainder = sorted(PAPER, key=lambda n: exact[n] - quota[n], reverse=True)
    for name in by_remainder[: total - sum(quota.values())]:
        quota[name] += 1
    return quota


def shard_numbers(quota: Quota, given: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Shards by (subset, split): those `given` for the subset or for "validation", else in proportion to the paper.

    Those in proportion are powers of two, two or more for training, so that two workers have a shard each.
    """
    numbers = {}
    for subset, full in PAPER_SHARDS.items():
        names = [n for n in PAPER if n.startswith(subset)]
        share = sum(quota[n] for n in names) / sum(PAPER[n] for n in names)
        numbers[subset, "train"] = given.get(subset) or _power_of_two(full * share, 2, full)
        numbers[subset, "validation"] = given.get("validation") or _power_of_two(
            PAPER_VALIDATION_SHARDS * share, 1, PAPER_VALIDATION_SHARDS
        )
    return numbers


def _power_of_two(wanted: float, least: int, most: int) -> int:
    """The nearest one within the limits, themselves powers of two."""
    return min(most, max(least, 2 ** round(math.log2(wanted)) if wanted > 1 else 1))


def lots_wanted(quota: Quota, accepted: Quota, names: tuple[str, ...], done: int, pilot: int, most: int) -> int:
    """How many lots a branch should have run in all, from its yield so far; `done` where its quotas are met.

    A first round runs `pilot` lots. A name without any yield doubles what was run. A tenth is added to the
    estimate, so that a slightly lower yield does not cost another round.
    """
    if done == 0:
        return min(pilot, most) if any(quota[n] for n in names) else 0
    wanted = done
    for name in names:
        if accepted[name] >= quota[name]:
            continue
        rate = accepted[name] / done
        estimate = math.ceil(1.1 * quota[name] / rate) if rate else 2 * done
        wanted = max(wanted, estimate, done + 1)
    return min(wanted, most)
