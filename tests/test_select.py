"""Selection on made-up candidates: exact quotas, thresholds, duplicates, splits, benchmarks. No store, no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from underpaint.pipeline.engine.candidate_tables import EMPTY, Candidates
from underpaint.pipeline.engine.graph import YIELDS
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe
from underpaint.pipeline.selection.pool import CandidatePool
from underpaint.pipeline.selection.select import Selection, select
from underpaint.pipeline.selection.threshold_grid import yields
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.seeds import derive_random
from underpaint.stages.prompts import CATEGORIES, compose

Write = Callable[[dict[str, Any]], Path]
LOTS, SIZE = 6, 60


class Given(Candidates):
    """Candidates of an invented store."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = pa.Table.from_pylist(rows, schema=EMPTY.schema)

    def table(self, lots: Any) -> pa.Table:
        return self.rows


@pytest.fixture(scope="module")
def rows(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Lots of candidates of every kind; scenes, contents and scores come again as they do in a small world."""
    found = []
    for branch in YIELDS.values():
        for sample in range(LOTS * SIZE):
            rng = derive_random("test", sample)
            category = rng.choice(sorted(CATEGORIES))
            scene = compose(rng, category, vocabulary, 4)
            for kind in branch:
                found.append(
                    {
                        "sample": sample, "rollout": 0, "step": 0, "kind": kind, "category": category,
                        "prompt": describe(scene, vocabulary), "short": "", "scene": scene.key(),
                        "pictures": 1 + sample % 5,
                        "content": derive_random(kind, scene.key(), rng.randint(0, 2)).getrandbits(60),
                        "fault": "a picture that the judge rejects" if sample % 7 == 0 else "",
                        "checked_by": "grammar",
                        "agreement": (1 + sample % 3) / 3, "picture_text": rng.random(),
                        "neighbour": rng.random() if sample % 2 else None,
                        "margin": rng.uniform(-0.2, 0.2) if kind == "alignment_negative" else None,
                        "detour": "", "repair": "", "tries": 0, "findings": [], "lot": sample // SIZE,
                    }
                )  # fmt: skip
    return found


def choose(rows: list[dict[str, Any]], recipe: Recipe) -> Selection:
    lots = {"painted": LOTS, "sampled": LOTS}
    return select(recipe, {}, None, lots, Given(rows), recipe.benchmarks(), {})  # type: ignore[arg-type]


def loaded(write: Write, recipe: dict[str, Any], **fields: Any) -> Recipe:
    return load_recipe(write({**recipe, **fields}))


def test_quotas_are_exact_by_kind_and_category(
    rows: list[dict[str, Any]], recipe: dict[str, Any], write_recipe: Write
) -> None:
    shares = {"multi_turn": {"counting": 2, "position": 1}, "alignment": {"two_objects": 1}}
    made = loaded(write_recipe, recipe, quotas={"total": 40, "categories": shares})
    selection = choose(rows, made)
    chosen = Counter(r.name for r in selection.chosen)
    assert chosen == {k: n for k, n in made.quotas.numbers().items() if n}
    assert Counter(r.category for r in selection.chosen if r.name == "multi_turn") == {"counting": 14, "position": 7}
    assert {r.category for r in selection.chosen if r.subset == "alignment"} == {"two_objects"}
    assert len({r.id for r in selection.chosen}) == len(selection.chosen)
    for kind in made.quotas.numbers():  # every candidate is chosen or has its reason
        refused = sum(selection.rejected[kind].values())
        assert chosen[kind] + refused == sum(r["kind"] == kind for r in rows)


def test_nothing_comes_twice_and_no_scene_is_in_two_splits(
    rows: list[dict[str, Any]], recipe: dict[str, Any], write_recipe: Write
) -> None:
    content = {(r["kind"], r["sample"]): r["content"] for r in rows}
    made = loaded(write_recipe, recipe, quotas={"total": 400}, select={"validation_share": 0.3})
    selection = choose(rows, made)
    taken = [content[r.name, r.sample] for r in selection.chosen]
    assert len(taken) == len(set(taken)) and selection.rejected["multi_turn"]["a duplicate"]
    splits: dict[str, set[str]] = {}
    for r in selection.chosen:
        splits.setdefault(r.group, set()).add(r.split)
    assert {len(s) for s in splits.values()} == {1} and {s for found in splits.values() for s in found} == {
        "train", "validation"
    }  # fmt: skip


def test_what_is_run_beyond_the_need_changes_nothing(
    rows: list[dict[str, Any]], recipe: dict[str, Any], write_recipe: Write
) -> None:
    made = loaded(write_recipe, recipe)
    fewer = [r for r in rows if r["lot"] < LOTS // 2]
    assert choose(fewer, made).met(made.quotas.cells())
    assert choose(fewer, made).chosen == choose(rows, made).chosen


def test_thresholds_by_number_and_by_rank(
    rows: list[dict[str, Any]], recipe: dict[str, Any], write_recipe: Write
) -> None:
    by_number = choose(rows, loaded(write_recipe, recipe, select={"min_margin": 0.05, "min_agreement": 0.5}))
    refused = by_number.rejected["alignment_negative"]
    assert refused["margin below the threshold"] and refused["agreement below the threshold"]
    assert "margin below the threshold" not in by_number.rejected["multi_turn"]  # it has no such score
    made = loaded(write_recipe, recipe, select={"min_picture_text": {"quantile": 0.25}})
    kept = choose([{**r, "fault": "", "content": i} for i, r in enumerate(rows)], made)
    for kind in made.quotas.numbers():
        assert kept.rejected[kind]["picture_text below the threshold"] == LOTS * SIZE // 4


def test_a_benchmarks_prompts_are_removed_and_named(
    rows: list[dict[str, Any]], recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    prompt = choose(rows, loaded(write_recipe, recipe)).chosen[0]
    text = next(r["prompt"] for r in rows if r["scene"] == prompt.group)
    (tmp_path / "bench.txt").write_text(f"A photo of {text[0].lower()}{text[1:]}\n")
    selection = choose(rows, loaded(write_recipe, recipe, decontaminate={"lists": ["bench.txt"]}))
    assert prompt.group not in {r.group for r in selection.chosen}
    assert selection.contaminated[text].line.file == "bench.txt"
    assert sum(c["a benchmark's prompt"] for c in selection.rejected.values()) == sum(
        r["scene"] == prompt.group for r in rows
    )


def test_yields_fall_as_thresholds_rise(
    rows: list[dict[str, Any]], recipe: dict[str, Any], write_recipe: Write
) -> None:
    made = loaded(write_recipe, recipe, select={"min_margin": 0.05})
    pool = CandidatePool(Given(rows).rows)
    pool.refuse_faults()
    found = yields(pool, made.select)
    margins = [y for y in found if y.measure == "margin"]
    counts = [y.accepted["alignment_negative"] for y in margins]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]
    current = next(y for y in margins if y.current)
    assert current.threshold == 0.05 and current.accepted == choose(rows, made).accepted
    assert not np.any(pool.why > 1)  # the pool is as it was
