"""The self-sampling loop: the policy learns from shards what the rollout stage will ask it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, make_lot
from factories import corpus, write_tiny_corpus
from typer.testing import CliRunner

SPEAKER = ROOT / "miniature" / "checkpoints" / "speaker"
Write = Callable[[dict[str, Any]], Path]


def test_the_rollout_asks_what_a_shard_answers(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    """A writer that knows a corpus by heart, and nothing else, repeats its trajectories word by word."""
    from underpaint.miniature.shard_dialogues import dialogues_of
    from underpaint.pipeline.corpus.assemble import Assembler
    from underpaint.pipeline.selection.select import select
    from underpaint.schemas.markup import plan_text
    from underpaint.schemas.scenes.vocabulary import Vocabulary
    from underpaint.stages import rollout
    from underpaint.stages.common.roles import AskRequest
    from underpaint.stages.common.stage import Context, Lot
    from underpaint.stages.common.templating import load_templates
    from underpaint.stages.models.drawn import DrawnPainter

    recipe["lot_size"] = 24
    recipe["stages"]["plan"] = {"detour_share": 0}  # a detour comes back to a state that has two answers then
    loaded, nodes, store = make_lot(write_recipe, recipe, tmp_path / "run")
    assemble = Assembler(loaded, nodes, store)
    chosen = [r for r in select(loaded, nodes, store, {"painted": 1, "sampled": 1}).chosen if r.name == "multi_turn"]
    samples = {r.sample: assemble(r)[0] for r in chosen}
    known = {d.request: d.answer for sample in samples.values() for d in dialogues_of(sample)}

    class Parrot:
        def ask(self, requests: Sequence[AskRequest]) -> list[str]:
            return [known[r.text] for r in requests]

    words: Vocabulary = loaded.words()
    models = {"writer": Parrot(), "sketcher": DrawnPainter("underpaint.miniature.world")}
    params = rollout.RolloutParams(rollouts=1)
    context = Context(
        "rollout", 3, Lot(0, 24), params, words, models, load_templates([ROOT / "miniature" / "templates"])
    )
    rows = rollout.run(context, {"prompts": store.table(nodes["prompts"], 0, samples=list(samples))}).table.to_pylist()
    told = {s: list(steps) for s, steps in groupby(rows, key=lambda r: r["sample"])}
    assert set(told) == set(samples) and len(samples) > 3
    for number, sample in samples.items():
        plans = [s.text for s in sample.segments if s.stage == "plan"]
        assert [plan_text(r["instruction"], r["description"]) for r in told[number]] == plans
        assert told[number][0]["finished"] == (len(plans) < params.max_pictures)


def test_a_policy_is_trained_on_shards_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import underpaint.stages.models.torchvision_compat  # noqa: F401  (before transformers imports torchvision)
    from underpaint.miniature.shard_dialogues import read_dialogues
    from underpaint.miniature.trainers.writer import train
    from underpaint.pipeline.recipe.recipe import load_recipe
    from underpaint.stages.common.roles import AskRequest
    from underpaint.stages.models.speaker import TransformersSpeaker

    shards, out = write_tiny_corpus(tmp_path / "corpus", corpus(2)), tmp_path / "policy"
    monkeypatch.chdir(tmp_path)  # the learning curve goes to runs/train
    learnt = read_dialogues(shards, "train")
    assert {d.answer for d in learnt} >= {"done", "<ins>Add thing 2.</ins><des>A scene with 2 things.</des>"}
    train(shards, SPEAKER, out, hours=1e-6, resume=False, seed=0)
    assert (tmp_path / "runs" / "train" / "writer" / "curve.jsonl").read_text().count("held_out_loss") >= 2
    request = AskRequest("write", learnt[0].request, seed=1)
    assert TransformersSpeaker(out, max_new_tokens=4).ask([request])[0].text
    recipe = load_recipe(ROOT / "recipes" / "self_sampling.yaml", [("models.policy.checkpoint", str(out))])
    assert recipe.cast(["writer", "judge"]) == {"writer": "policy", "judge": "tongue"}


@pytest.mark.parametrize(("options", "said"), [((), "--corpus runs/multi_turn"), (("--corpus", "nowhere"), "no train")])
def test_a_corpus_that_is_not_there_is_said(options: tuple[str, ...], said: str) -> None:
    import typer

    from underpaint.miniature.train import main

    app = typer.Typer()
    app.command()(main)
    found = CliRunner().invoke(app, ["writer", *options])
    assert found.exit_code == 2 and said in " ".join(found.output.split())
