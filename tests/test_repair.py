"""Repairs of flawed drafts: what is tried in which order, what is kept of every try, and best of N."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from underpaint.schemas.corpus.picture import decode_picture, encode_picture
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import alignment, repair
from underpaint.stages.common.ledger import balances
from underpaint.stages.common.painting import paint_best
from underpaint.stages.common.roles import AskRequest, PaintRequest
from underpaint.stages.common.rows import schema_of
from underpaint.stages.common.stage import Context, Lot
from underpaint.stages.common.templating import BUILT_IN, load_templates
from underpaint.stages.critique import CritiqueRow
from underpaint.stages.rollout import RolloutRow

WORDS = {"so_far": "a blank canvas", "instruction": "Paint a red cup.", "description": "A red cup."}
FINE = {"observed": [], "findings": [], "verdict": "consistent", "analysis": "It is red.", "correction": ""}
WRONG = FINE | {
    "findings": [{"kind": "wrong_attribute", "detail": "the cup is blue"}],
    "verdict": "conflict",
    "analysis": "It is blue.",
    "correction": "Make the cup red.",
}


def shade(red: int) -> bytes:
    return encode_picture(Image.new("RGB", (16, 16), (red, 0, 0)))


def redness(picture: Image.Image) -> int:
    return int(picture.getpixel((0, 0))[0])  # type: ignore[index]


class Painter:
    """Paints ever redder pictures; breaks where there is nothing to start from."""

    def __init__(self) -> None:
        self.asked: list[PaintRequest] = []

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        self.asked += requests
        if any("break" in r.instruction for r in requests):
            raise RuntimeError("broken")
        return [Image.new("RGB", (16, 16), (r.seed % 256, 0, 0)) for r in requests]


class Judge:
    """Accepts what is red enough."""

    def __init__(self, least: int) -> None:
        self.least = least

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        return [json.dumps(FINE if redness(r.picture) >= self.least else WRONG) for r in requests if r.picture]


class Scorer:
    """The redder, the nearer to any text."""

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        reds = np.array([redness(p) / 255 for p in pictures])
        return np.stack([reds, np.sqrt(1 - reds**2)], axis=1).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[1.0, 0.0]] * len(texts), np.float32)


def context(vocabulary: Vocabulary, least: int = 250, **params: Any) -> Context:
    models = {"painter": Painter(), "judge": Judge(least), "scorer": Scorer()}
    settings = repair.RepairParams(**{"second_check": "none", **params})
    return Context("repair", 1, Lot(0, 8), settings, vocabulary, models, load_templates([BUILT_IN]))


def inputs(verdicts: Sequence[dict[str, Any]], instruction: str = "Paint a red cup.") -> dict[str, pa.Table]:
    """One prompt, a rollout of one step for every verdict; rollout n's draft has the redness 100 + n."""
    where = [{"sample": 0, "rollout": n, "step": 1} for n in range(len(verdicts))]
    judged = {"template": "t", "template_sha256": "0" * 64, "answers": [], "arbiter": "", "decided_by": "judge"}
    judged |= {"checked_by": "grammar", "checks": []}
    steps = [
        {**w, "steps": 1, "finished": True, **WORDS, "instruction": instruction, "writer_seed": 0, "seed": 0,
         "picture": shade(100 + w["rollout"])}
        for w in where
    ]  # fmt: skip
    critiques = [
        {
            **w,
            "side": "picture",
            "verdict": v["verdict"],
            "critique": json.dumps(v),
            "agreement": 0.6 + n / 10,
            **judged,
        }
        for n, (w, v) in enumerate(zip(where, verdicts, strict=True))
    ]
    return {
        "prompts": pa.table({"sample": [0], "prompt": ["A red cup."], "scene": [""]}),
        "rollout": pa.Table.from_pylist(steps, schema_of(RolloutRow)),
        "critique": pa.Table.from_pylist(critiques, schema_of(CritiqueRow)),
    }


def test_the_sibling_most_agreed_upon_is_tried_first(vocabulary: Vocabulary) -> None:
    given = inputs([WRONG, FINE, FINE])
    made = repair.run(context(vocabulary, least=101), given)
    (row,) = made.table.to_pylist()
    assert (row["method"], row["attempt"], row["accepted"]) == ("sibling", 1, True)
    assert redness(decode_picture(row["picture"])) == 102  # of rollout 2, agreed upon by 0.8
    aligned = alignment.run(context(vocabulary), {**given, "repair": made.table}).table.to_pylist()
    assert [(r["polarity"], r["tries"], r["repair"]) for r in aligned] == [
        ("negative", 1, "sibling"), ("positive", 0, ""), ("positive", 0, ""),
    ]  # fmt: skip


def test_every_try_is_kept_and_none_ships_that_the_judge_rejects(vocabulary: Vocabulary) -> None:
    given = inputs([WRONG, FINE])
    rejecting = context(vocabulary, least=256, edits=2, repaints=1)
    made = repair.run(rejecting, given)
    rows = made.table.to_pylist()
    assert [r["method"] for r in rows] == ["sibling", "edit", "edit", "repaint"]
    assert [r["attempt"] for r in rows] == [1, 2, 3, 4] and not any(r["accepted"] for r in rows)
    assert {r["verdict"] for r in rows} == {"conflict"} and len({r["seed"] for r in rows[1:]}) == 3
    asked = rejecting.models["painter"].asked
    assert [r.instruction for r in asked] == ["Make the cup red."] * 2 + ["Paint a red cup."]
    assert [r.previous and redness(r.previous) for r in asked] == [100, 100, None]
    assert made.ledger.summary()["rejected"] == {"no try was accepted": 1}
    aligned = alignment.run(rejecting, {**given, "repair": made.table})
    assert [r["polarity"] for r in aligned.table.to_pylist()] == ["positive"]
    assert aligned.ledger.summary()["rejected"] == {"not repaired": 1}


def test_a_painter_that_breaks_is_a_failure_and_not_a_rejection(vocabulary: Vocabulary) -> None:
    made = repair.run(context(vocabulary, edits=0), inputs([WRONG], instruction="Paint, and break."))
    summary = made.ledger.summary()
    assert summary["failed"] == {"RuntimeError": 1} and not summary["rejected"] and balances(summary)


class Mute(Judge):
    """Rejects everything, and breaks off the answers that `broken` says."""

    def __init__(self, broken: Sequence[bool]) -> None:
        super().__init__(256)
        self.broken = iter(broken)

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        said = super().ask(requests)
        cut = [bool(r.follow_up) or next(self.broken) for r in requests]  # asked again, it is cut again
        return ['{"observed": [' if c else answer for c, answer in zip(cut, said, strict=True)]


@pytest.mark.parametrize(
    ("broken", "failed", "rejected"),
    [
        ([False, True], {"CritiqueError": 1}, {}),
        ([True, False], {}, {"no try was accepted": 1}),  # the last try has a verdict
    ],
)
def test_a_judge_without_a_verdict_is_a_failure_and_not_a_rejection(
    vocabulary: Vocabulary, broken: list[bool], failed: dict[str, int], rejected: dict[str, int]
) -> None:
    used = context(vocabulary, siblings=0, edits=2, repaints=0)
    made = repair.run(replace(used, models={**used.models, "judge": Mute(broken)}), inputs([WRONG]))
    summary = made.ledger.summary()
    assert (summary["failed"], summary["rejected"]) == (failed, rejected) and balances(summary)
    assert [r["verdict"] for r in made.table.to_pylist()] == ["" if b else "conflict" for b in broken]
    for failure in made.ledger.failures:  # what `retry` asks again
        assert failure.request and failure.response == '{"observed": [' and failure.detail == "repair 2"


def test_a_draft_fails_once_though_judge_and_painter_do(vocabulary: Vocabulary) -> None:
    used = context(vocabulary, siblings=0, edits=1, repaints=1)
    made = repair.run(
        replace(used, models={**used.models, "judge": Mute([True])}), inputs([WRONG], instruction="Paint, and break.")
    )
    summary = made.ledger.summary()
    assert summary["failed"] == {"RuntimeError": 1} and not summary["rejected"] and balances(summary)


@pytest.mark.parametrize("drafts", [1, 4])
def test_the_best_of_n_is_the_nearest(vocabulary: Vocabulary, drafts: int) -> None:
    used = context(vocabulary, drafts=drafts)
    requests = [PaintRequest(None, "Paint a red cup.", "A red cup.", seed) for seed in (3, 5)]
    found = paint_best(used, requests, drafts)
    for n, best in enumerate(found):
        assert not isinstance(best, Exception)
        own = [r.seed for r in used.models["painter"].asked[n * drafts : (n + 1) * drafts]]
        assert own[0] == requests[n].seed and len(set(own)) == drafts
        assert redness(decode_picture(best["picture"])) == max(seed % 256 for seed in own)
        assert best["seed"] in own and len(best["scores"]) == (drafts if drafts > 1 else 0)


def test_the_scorer_is_a_role_only_where_it_chooses(vocabulary: Vocabulary) -> None:
    assert "scorer" not in repair.STAGE.narrowed(repair.RepairParams()).roles
    assert "scorer" in repair.STAGE.narrowed(repair.RepairParams(drafts=2)).roles


def test_the_template_that_found_the_fault_judges_whether_it_is_mended(vocabulary: Vocabulary) -> None:
    """The judge accepts everything, but for the words that named the fault."""
    found = context(vocabulary, siblings=0, edits=1, repaints=0)
    plain = next(t for t in found.templates["critique_picture"] if t.id == "critique_picture")
    strict = plain.model_copy(update={"id": "t", "body": "Strictly: " + plain.body, "weight": 1e-9})
    both = replace(found, templates={"critique_picture": [plain, strict]})

    class Strict(Judge):
        def ask(self, requests: Sequence[AskRequest]) -> list[str]:
            return [json.dumps(WRONG if r.text.startswith("Strictly") else FINE) for r in requests]

    for named, accepted in ((plain, True), (strict, False)):
        given = inputs([WRONG])
        column = given["critique"].schema.get_field_index("template")
        given["critique"] = given["critique"].set_column(column, schema_of(CritiqueRow).field("template"), [[named.id]])
        made = repair.run(replace(both, models={**found.models, "judge": Strict(0)}), given)
        assert made.table["accepted"].to_pylist() == [accepted]
