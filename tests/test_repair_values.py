"""repair and alignment, number by number: who is tried, in which order, and how sure the judge is of what was kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError
from stage_inputs import Judge, Painter, Scorer, critique, redness, run_stage, shade

from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import alignment, repair
from underpaint.stages.common.roles import AskRequest, PaintRequest
from underpaint.stages.common.stage import Outcome

Row = dict[str, Any]
SAID = {"instruction": "Paint a cup.", "description": "a cup, as no grammar reads it"}
FLAWED = critique("conflict", "wrong_attribute", "Make the cup red.")


def at(rollout: int, step: int = 1, sample: int = 0, **more: Any) -> Row:
    return {"sample": sample, "rollout": rollout, "step": step, **more}


def draft(rollout: int, step: int = 1, sample: int = 0, **more: Any) -> Row:
    """Its shade is 100 · step + 10 · sample + rollout, its seed that plus 1000."""
    red = 100 * step + 10 * sample + rollout
    return at(rollout, step, sample, **{"picture": shade(red), "seed": red + 1000, **SAID, **more})


def verdict(rollout: int, said: str, step: int = 1, sample: int = 0, agreement: float = 1.0, **more: Any) -> Row:
    verdict = json.loads(said)["verdict"]
    own = {"side": "picture", "critique": said, "verdict": verdict, "agreement": agreement, "template": "t"}
    return at(rollout, step, sample, **{**own, **more})


def judge_of(least: int) -> Judge:
    """Accepts what is as red as that, and says of a text nothing."""

    def answer(request: AskRequest) -> str:
        assert request.picture is not None and request.task == "critique_picture"
        return critique() if redness(request.picture) >= least else FLAWED

    return Judge(answer)


def mend(
    vocabulary: Vocabulary, steps: Sequence[Row], verdicts: Sequence[Row], judge: Judge, painter: Painter | None = None,
    models: dict[str, Any] | None = None, **params: Any,
) -> Outcome:  # fmt: skip
    prompts = [{"sample": s, "prompt": f"prompt {s}"} for s in (0, 1)]
    given = {"prompts": prompts, "rollout": steps, "critique": verdicts}
    cast = {"judge": judge, "painter": painter or Painter(lambda _: 0), **(models or {})}
    return run_stage(repair.STAGE, vocabulary, given, cast, **{"second_check": "none", **params})


def tried(made: Outcome) -> list[tuple[int, str, int]]:
    """Attempt, method and redness of every try."""
    return [(r["attempt"], r["method"], redness(decode_picture(r["picture"]))) for r in made.table.to_pylist()]


def test_siblings_are_drafts_of_the_same_words_that_the_judge_accepted(vocabulary: Vocabulary) -> None:
    """The most agreed upon first, the earlier rollout on a tie; each is tried once."""
    steps = [
        draft(0), draft(1), draft(2), draft(3), draft(4), draft(5, instruction="Paint it."),
        draft(6, description="a fish"), draft(0, sample=1), draft(7), draft(0, step=2),
    ]  # fmt: skip
    verdicts = [
        verdict(0, FLAWED),
        verdict(1, critique(), agreement=0.5),
        verdict(2, critique("incomplete"), agreement=0.75),
        verdict(3, FLAWED),  # not accepted either
        verdict(4, critique(), agreement=0.75),
        verdict(5, critique()),  # other words
        verdict(6, critique()),
        verdict(0, critique(), sample=1),  # another prompt
        verdict(7, critique(), side="text"),  # not judged as a picture
        verdict(0, critique(), step=2),  # of rollout 0 itself, and so for rollout 3 only
    ]
    made = mend(vocabulary, steps, verdicts, judge_of(255), siblings=8, edits=0, repaints=0)
    ours, theirs = tried(made)[:3], tried(made)[3:]
    assert ours == [(1, "sibling", 102), (2, "sibling", 104), (3, "sibling", 101)]
    assert theirs == [(1, "sibling", 200), (2, "sibling", 102), (3, "sibling", 104), (4, "sibling", 101)]
    assert [r["rollout"] for r in made.table.to_pylist()] == [0] * 3 + [3] * 4
    assert [r["seed"] for r in made.table.to_pylist()][:3] == [1102, 1104, 1101]
    assert made.ledger.summary() == {"entered": 2, "kept": 0, "rejected": {"no try was accepted": 2}, "failed": {}}


def test_it_ends_with_the_first_try_that_is_accepted(vocabulary: Vocabulary) -> None:
    """Rollout 0 is mended by the second edit, rollout 1 by the repaint, rollout 2 never."""
    shades = {0: iter([10, 250]), 1: iter([10, 20, 250]), 2: iter([10, 20, 30])}
    turn = iter([0, 1, 2, 0, 1, 2, 1, 2])  # who is going, in order
    painter = Painter(lambda _: next(shades[next(turn)]))
    steps = [draft(n, instruction=f"Paint cup {n}.") for n in range(3)]
    made = mend(vocabulary, steps, [verdict(n, FLAWED) for n in range(3)], judge_of(200), painter)
    rows = made.table.to_pylist()
    assert tried(made) == [
        (1, "edit", 10), (2, "edit", 250), (1, "edit", 10), (2, "edit", 20), (3, "repaint", 250),
        (1, "edit", 10), (2, "edit", 20), (3, "repaint", 30),
    ]  # fmt: skip
    assert [r["accepted"] for r in rows] == [False, True, False, False, True, False, False, False]
    assert [r["verdict"] for r in rows] == ["conflict", "consistent"] + ["conflict"] * 2 + ["consistent"] + [
        "conflict"
    ] * 3
    assert made.ledger.summary() == {"entered": 3, "kept": 2, "rejected": {"no try was accepted": 1}, "failed": {}}
    edits, repaints = painter.asked[:6], painter.asked[6:]
    assert {r.instruction for r in edits} == {"Make the cup red."}
    assert [r.previous and redness(r.previous) for r in edits] == [100, 101, 102] * 2  # the flawed draft
    assert [r.instruction for r in repaints] == ["Paint cup 1.", "Paint cup 2."]
    assert [r.previous for r in repaints] == [None, None]  # of a first step: the blank canvas
    assert {r.description for r in painter.asked} == {SAID["description"]}
    assert len({r.seed for r in painter.asked}) == 8 and [r["seed"] for r in rows][:2] == [
        painter.asked[0].seed, painter.asked[3].seed,
    ]  # fmt: skip


def test_a_later_step_is_painted_anew_from_the_picture_before_it(vocabulary: Vocabulary) -> None:
    steps = [draft(0, 1), draft(1, 1), draft(1, 2), draft(1, 3)]
    painter = Painter(lambda _: 0)
    mend(vocabulary, steps, [verdict(1, FLAWED, step=3)], judge_of(1), painter, siblings=0, edits=0, repaints=1)
    (request,) = painter.asked
    assert request.previous is not None and redness(request.previous) == 201


def test_every_picture_and_every_answer_has_a_seed_of_its_own(vocabulary: Vocabulary) -> None:
    steps = [draft(rollout, step, sample) for sample in (0, 1) for rollout in (0, 1) for step in (1, 2)]
    verdicts = [verdict(s["rollout"], FLAWED, s["step"], s["sample"]) for s in steps]
    painter, judge = Painter(lambda _: 0), judge_of(1)
    mend(vocabulary, steps, verdicts, judge, painter, siblings=0, edits=2, repaints=2)
    seeds = [r.seed for batch in judge.batches for r in batch]
    assert len(set(seeds)) == len(seeds) == 8 * 4
    assert len({r.seed for r in painter.asked}) == len(painter.asked) == 8 * 4


def test_the_judge_sees_the_try_and_the_words_of_the_step(vocabulary: Vocabulary) -> None:
    judge = judge_of(1)
    mend(vocabulary, [draft(0, sample=1)], [verdict(0, FLAWED, sample=1)], judge, Painter(lambda _: 77), edits=1)
    request = judge.batches[0][0]
    assert request.context == {"prompt": "prompt 1", "so_far": "", **SAID}
    assert request.picture is not None and redness(request.picture) == 77


def test_what_shows_all_of_the_description_is_no_picture_for_half_a_correction(vocabulary: Vocabulary) -> None:
    """The critique names two faults and the correction mends one: neither a sibling nor a repaint will do."""
    whole = json.loads(FLAWED)
    whole["findings"] *= 2
    steps, verdicts = [draft(0), draft(1)], [verdict(0, json.dumps(whole)), verdict(1, critique())]
    made = mend(vocabulary, steps, verdicts, judge_of(255), edits=2, repaints=3)
    assert tried(made) == [(1, "edit", 0), (2, "edit", 0)]
    none = mend(vocabulary, steps, verdicts, judge_of(255), edits=0, repaints=3)
    assert tried(none) == [] and none.ledger.summary()["rejected"] == {"nothing to try": 1}


def test_the_agreement_of_a_try_is_the_judges_share_and_1_where_an_arbiter_decided(vocabulary: Vocabulary) -> None:
    def agreement(said: list[str], arbiter: str = "") -> tuple[float, bool, str]:
        answers = iter(said)
        models = {"arbiter": Judge(lambda _: arbiter)} if arbiter else {}
        judge = Judge(lambda r: torn if r.follow_up else next(answers))  # what cannot be read is asked for once more
        made = mend(vocabulary, [draft(0)], [verdict(0, FLAWED)], judge, models=models, edits=1, repaints=0, answers=4)
        (row,) = made.table.to_pylist()
        return row["agreement"], row["accepted"], row["verdict"]

    fine, torn = critique(), "let us see"
    assert agreement([fine, fine, fine, FLAWED]) == (0.75, True, "consistent")
    assert agreement([FLAWED, fine, FLAWED, torn]) == (0.5, False, "conflict")
    assert agreement([fine, fine, fine, FLAWED], arbiter=critique("incomplete")) == (1.0, True, "incomplete")
    assert agreement([fine, fine, fine, FLAWED], arbiter=FLAWED) == (1.0, False, "conflict")
    assert agreement([fine, fine, fine, FLAWED], arbiter=torn) == (0.75, True, "consistent")
    assert agreement([torn] * 4) == (0.0, False, "")


def test_a_painter_that_breaks_ends_the_repair_and_says_at_what(vocabulary: Vocabulary) -> None:
    def shade(request: PaintRequest) -> int:
        if "fish" in request.instruction or request.instruction == "Break.":
            raise RuntimeError("broken")
        return 0

    steps = [draft(0), draft(1), draft(2, instruction="Paint a fish.")]
    verdicts = [
        verdict(0, FLAWED), verdict(1, critique("conflict", "wrong_attribute", "Break.")), verdict(2, FLAWED),
    ]  # fmt: skip
    made = mend(vocabulary, steps, verdicts, judge_of(1), Painter(shade), edits=2, repaints=1)
    assert [(r["rollout"], r["attempt"], r["method"]) for r in made.table.to_pylist()] == [
        (0, 1, "edit"), (0, 2, "edit"), (0, 3, "repaint"), (2, 1, "edit"), (2, 2, "edit"),
    ]  # fmt: skip
    assert [f.request for f in made.ledger.failures] == ["Break.", "Paint a fish."]
    rejected = {"no try was accepted": 1}
    assert made.ledger.summary() == {"entered": 3, "kept": 0, "rejected": rejected, "failed": {"RuntimeError": 2}}


def test_of_several_pictures_a_try_the_nearest_to_the_words_is_judged(vocabulary: Vocabulary) -> None:
    turn = iter([10, 30, 20])
    scorer = Scorer({10: (0.6, 0.8), 20: (0.8, 0.6), 30: (1.0, 0.0)}, {SAID["description"]: (0.8, 0.6)})
    made = mend(
        vocabulary, [draft(0)], [verdict(0, FLAWED)], judge_of(1), Painter(lambda _: next(turn)), {"scorer": scorer},
        edits=1, repaints=0, drafts=3,
    )  # fmt: skip
    assert tried(made) == [(1, "edit", 20)]
    (row,) = made.table.to_pylist()
    assert row["scores"] == pytest.approx([0.96, 0.8, 1.0]) and row["accepted"]


@pytest.mark.parametrize(
    ("name", "low", "high"), [("siblings", 0, 8), ("edits", 0, 8), ("repaints", 0, 8), ("drafts", 1, 16)]
)
def test_how_many_tries_there_may_be(name: str, low: int, high: int) -> None:
    assert [getattr(repair.RepairParams(**{name: n}), name) for n in (low, high)] == [low, high]  # type: ignore[arg-type]
    for number in (low - 1, high + 1):
        with pytest.raises(ValidationError):
            repair.RepairParams(**{name: number})  # type: ignore[arg-type]
    params = repair.RepairParams()
    assert (params.siblings, params.edits, params.repaints, params.drafts) == (1, 2, 1, 1)


def test_a_flawed_draft_is_a_sample_with_the_try_that_was_accepted(vocabulary: Vocabulary) -> None:
    given = {
        "critique": [
            verdict(4, critique(), side="text"),
            verdict(0, critique(), agreement=0.5, answers=["a"]),
            verdict(3, FLAWED),  # no try was accepted
            verdict(1, critique("incomplete")),
            verdict(2, FLAWED, agreement=0.75, decided_by="arbiter"),
            verdict(2, FLAWED, step=2),
        ],
        "repair": [
            at(2, attempt=1, method="sibling", agreement=0.25, picture=shade(1)),
            at(2, attempt=2, method="edit", agreement=0.625, picture=shade(2), accepted=True),
            at(3, attempt=1, method="edit", agreement=1.0, picture=shade(3)),
        ],
    }
    made = run_stage(alignment.STAGE, vocabulary, given)
    rows = made.table.to_pylist()
    assert [(r["rollout"], r["polarity"], r["tries"], r["repair"], r["repair_agreement"]) for r in rows] == [
        (0, "positive", 0, "", 1.0), (1, "positive", 0, "", 1.0), (2, "negative", 2, "edit", 0.625),
    ]  # fmt: skip
    assert [(r["verdict"], r["agreement"]) for r in rows] == [
        ("consistent", 0.5),
        ("incomplete", 1.0),
        ("conflict", 0.75),
    ]
    assert (rows[0]["answers"], rows[2]["decided_by"], rows[2]["critique"]) == (["a"], "arbiter", FLAWED)
    assert made.ledger.summary() == {"entered": 5, "kept": 3, "rejected": {"not repaired": 2}, "failed": {}}
