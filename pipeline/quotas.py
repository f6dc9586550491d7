"""How many samples of each subset and polarity a corpus holds, and how many lots that takes."""

from __future__ import annotations

import math

Quota = dict[str, int]

# The paper's corpus: 32,012 + (6,905 + 8,296) + (5,000 + 10,000) samples.
PAPER: Quota = {
    "multi_turn": 32_012,
    "conflict_positive": 6_905,
    "conflict_negative": 8_296,
    "alignment_positive": 5_000,
    "alignment_negative": 10_000,
}


def proportional(total: int) -> Quota:
    """`total` samples in the paper's proportions, by largest remainder (ties to the earlier name)."""
    whole = sum(PAPER.values())
    exact = {n: total * share / whole for n, share in PAPER.items()}
    quota = {n: math.floor(x) for n, x in exact.items()}
    by_remainder = sorted(PAPER, key=lambda n: exact[n] - quota[n], reverse=True)
    for name in by_remainder[: total - sum(quota.values())]:
        quota[name] += 1
    return quota


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
