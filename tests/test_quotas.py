"""Quotas by kind and category, exact to the sample, and the lots they take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from underpaint.pipeline.recipe.corpus_settings import Quotas
from underpaint.pipeline.recipe.quotas import PAPER, largest_remainder, lots_wanted, proportional, shard_numbers


def test_quotas_keep_the_papers_proportions() -> None:
    assert Quotas().numbers() == proportional(62_213) == PAPER
    for total in (5, 77, 200, 2000):
        quota = proportional(total)
        assert sum(quota.values()) == total
        assert all(abs(n - total * PAPER[k] / 62_213) < 1 for k, n in quota.items())


@given(st.integers(0, 10**6), st.dictionaries(st.text(max_size=3), st.floats(0.01, 100), min_size=1, max_size=8))
def test_largest_remainder_is_exact(total: int, shares: dict[str, float]) -> None:
    parts = largest_remainder(total, shares)
    assert sum(parts.values()) == total and parts.keys() == shares.keys()
    assert all(abs(n - total * shares[k] / sum(shares.values())) <= 1 for k, n in parts.items())


def test_categories_share_a_subset() -> None:
    cells = Quotas(total=100, categories={"multi_turn": {"counting": 2, "position": 1}}).cells()
    assert cells["multi_turn", "counting"] + cells["multi_turn", "position"] == proportional(100)["multi_turn"]
    assert cells["multi_turn", "counting"] == 35  # of 52
    assert cells["conflict_positive", ""] == proportional(100)["conflict_positive"]


def wanted(accepted: int, recent: int, done: int, most: int = 99) -> int:
    cell = ("multi_turn", "")
    return lots_wanted({cell: 100}, {cell: accepted}, {cell: recent}, done, 2, most)


def test_rounds_follow_the_latest_yield() -> None:
    assert wanted(0, 0, 0) == 2
    assert wanted(60, 25, 20) == 38  # 2.5 a lot, a tenth more
    assert wanted(50, 5, 20) == 60  # 0.5 a lot of late, but a round is at most three times the last
    assert wanted(0, 0, 2) == 4  # nothing yet
    assert wanted(100, 50, 2) == 2
    assert wanted(1, 1, 50) == 99
    assert wanted(1, 1, 50, most=60) == 60


def test_shards_are_the_papers_for_the_paper_and_fewer_in_proportion() -> None:
    full = shard_numbers(PAPER, {})
    assert [full[s, "train"] for s in ("multi_turn", "conflict", "alignment")] == [128, 64, 64]
    assert {full[s, "validation"] for s in ("multi_turn", "conflict", "alignment")} == {8}
    assert set(shard_numbers(proportional(210), {}).values()) == {2, 1}  # two workers have a shard each
    middle = shard_numbers(proportional(2_000), {"conflict": 6, "validation": 3})
    assert middle["multi_turn", "train"] == 4 and middle["conflict", "train"] == 6
    assert {n for (_, split), n in middle.items() if split == "validation"} == {3}
