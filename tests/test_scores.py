"""Scores of drafts and of their repairs: cosines worked out by hand, on vectors of two numbers."""

from __future__ import annotations

from typing import Any

import pytest
from stage_inputs import TORN, Scorer, failures, run_stage, shade

from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import score
from underpaint.stages.common.stage import Outcome

# Unit vectors, so that a product is a cosine: (0.6, 0.8)·(0.8, 0.6) = 0.48 + 0.48 = 0.96.
SHOWN = {10: (1.0, 0.0), 20: (0.6, 0.8), 30: (0.0, 1.0), 40: (0.8, 0.6), 50: (0.0, -1.0)}
SAID = {"one": (0.8, 0.6), "two": (0.28, 0.96), "three": (0.96, 0.28), "four": (0.6, 0.8)}


def values(made: Outcome) -> dict[tuple[Any, ...], float]:
    """By sample, rollout, step, attempt and name; no two rows share those."""
    rows = made.table.to_pylist()
    found = {(r["sample"], r["rollout"], r["step"], r["attempt"], r["name"]): r["value"] for r in rows}
    assert len(found) == len(rows)
    return found


def drafts(*rows: tuple[int, int, str, bytes]) -> dict[str, Any]:
    """Of (sample, step, description, picture)."""
    return {
        "plan": [{"sample": s, "step": n, "description": words} for s, n, words, _ in rows],
        "draft": [{"sample": s, "step": n, "picture": picture} for s, n, _, picture in rows],
    }


def test_a_draft_is_compared_with_its_words_and_with_the_one_before(vocabulary: Vocabulary) -> None:
    given = drafts(
        (4, 1, "one", shade(10)), (4, 2, "two", shade(20)), (4, 3, "three", shade(30)), (5, 1, "four", shade(40))
    )
    made = run_stage(score.DRAFT_SCORES, vocabulary, given, {"scorer": Scorer(SHOWN, SAID)})
    assert values(made) == pytest.approx(
        {
            (4, 0, 1, 0, "picture_text"): 0.8,
            (4, 0, 2, 0, "picture_text"): 0.936,  # 0.6 · 0.28 + 0.8 · 0.96
            (4, 0, 3, 0, "picture_text"): 0.28,
            (5, 0, 1, 0, "picture_text"): 0.96,
            (4, 0, 2, 0, "neighbour"): 0.6,  # 20 and 10
            (4, 0, 3, 0, "neighbour"): 0.8,  # 30 and 20
        }
    )  # a first picture has none before it, whatever sample comes before
    assert made.ledger.summary() == {"entered": 4, "kept": 4, "rejected": {}, "failed": {}}


def test_a_torn_draft_is_a_failure_and_nobody_s_neighbour(vocabulary: Vocabulary) -> None:
    given = drafts((4, 1, "one", TORN), (4, 2, "two", shade(20)), (4, 3, "three", shade(30)))
    made = run_stage(score.DRAFT_SCORES, vocabulary, given, {"scorer": Scorer(SHOWN, SAID)})
    assert values(made) == pytest.approx(
        {(4, 0, 2, 0, "picture_text"): 0.936, (4, 0, 3, 0, "picture_text"): 0.28, (4, 0, 3, 0, "neighbour"): 0.8}
    )
    assert made.ledger.summary() == {"entered": 3, "kept": 2, "rejected": {}, "failed": {"PictureError": 1}}


def test_where_no_draft_opens_there_is_no_score(vocabulary: Vocabulary) -> None:
    made = run_stage(score.DRAFT_SCORES, vocabulary, drafts((4, 1, "one", TORN)), {"scorer": Scorer(SHOWN, SAID)})
    assert values(made) == {} and failures(made) == ["PictureError"]


def test_a_repair_is_compared_with_the_words_and_with_the_draft_it_mends(vocabulary: Vocabulary) -> None:
    """The draft of rollout 1 has the cosine 0.936; its tries have 0.96 and -0.96."""

    def at(rollout: int, step: int, **more: Any) -> dict[str, Any]:
        return {"sample": 2, "rollout": rollout, "step": step, **more}

    given = {
        "rollout": [
            at(0, 1, description="one", picture=shade(40)),
            at(1, 1, description="two", picture=shade(20)),
            at(1, 2, description="three", picture=shade(10)),
        ],
        "critique": [
            at(0, 1, side="text"), at(0, 1, side="picture"), at(1, 1, side="picture"), at(1, 2, side="text")
        ],
        "repair": [
            at(1, 1, attempt=1, picture=shade(30)),
            at(1, 1, attempt=2, picture=shade(50)),
            at(1, 1, attempt=3, picture=TORN),
        ],
    }  # fmt: skip
    made = run_stage(score.ALIGNMENT_SCORES, vocabulary, given, {"scorer": Scorer(SHOWN, SAID)})
    assert values(made) == pytest.approx(
        {
            (2, 0, 1, 0, "picture_text"): 1.0,
            (2, 1, 1, 0, "picture_text"): 0.936,
            (2, 1, 1, 1, "picture_text"): 0.96,
            (2, 1, 1, 1, "margin"): 0.024,  # nearer to the words than the draft by so much
            (2, 1, 1, 1, "neighbour"): 0.8,  # 30 and 20
            (2, 1, 1, 2, "picture_text"): -0.96,
            (2, 1, 1, 2, "margin"): -1.896,
            (2, 1, 1, 2, "neighbour"): -0.8,
        },
        abs=1e-6,
    )  # a draft that only its text was judged of has no score
    assert made.ledger.summary() == {"entered": 5, "kept": 4, "rejected": {}, "failed": {"PictureError": 1}}
