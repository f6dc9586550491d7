"""critique and check: what is asked, and up to where. A rollout is judged up to its first fault on a side."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError
from stage_inputs import TORN, Judge, critique, failures, redness, run_stage, shade

from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import check
from underpaint.stages import critique as stage
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.stage import Outcome

PROMPT = {"sample": 6, "prompt": "the prompt"}
FIRST = {"so_far": "a blank canvas", "description": "words that no grammar reads"}


def step(number: int, rollout: int = 0, picture: bytes = b"", **words: str) -> dict[str, Any]:
    said = {"instruction": f"step {rollout}.{number}", **FIRST, **words}
    red = shade(10 * rollout + number)
    return {"sample": 6, "rollout": rollout, "step": number, **said, "picture": picture or red}


def asked(request: AskRequest) -> tuple[str, str]:
    """The side and the step's number within its rollout, e.g. ("text", "0.2")."""
    return request.task.removeprefix("critique_"), request.context["instruction"].removeprefix("step ")


def judge(**verdicts: str) -> Judge:
    """Says e.g. text="0.2": conflict there, else consistent; "0.2?": no JSON, "0.2-": incomplete."""

    def answer(request: AskRequest) -> str:
        side, where = asked(request)
        said = verdicts.get(side, "").split()
        if f"{where}?" in said:
            return "let us see"
        return critique("conflict" if where in said else "incomplete" if f"{where}-" in said else "consistent")

    return Judge(answer)


def run(vocabulary: Vocabulary, steps: list[dict[str, Any]], judge: Judge, **params: Any) -> Outcome:
    return run_stage(stage.STAGE, vocabulary, {"prompts": [PROMPT], "rollout": steps}, {"judge": judge}, **params)


def judged(made: Outcome) -> list[tuple[int, int, str, str]]:
    return [(r["rollout"], r["step"], r["side"], r["verdict"]) for r in made.table.to_pylist()]


def test_a_rollout_is_judged_up_to_its_first_fault_on_a_side(vocabulary: Vocabulary) -> None:
    """The text of rollout 0 contradicts at step 2, its draft is flawed at step 1; rollout 1 goes on as if alone."""
    steps = [step(n, rollout) for rollout in (0, 1) for n in (1, 2, 3, 4)]
    judge_ = judge(
        text="0.2 0.4",
        picture="0.1 1.3",
    )
    made = run(vocabulary, steps, judge_, answers=1)
    good, bad = "consistent", "conflict"
    assert judged(made) == [
        (0, 1, "picture", bad), (0, 1, "text", good), (0, 2, "text", bad),
        (1, 1, "picture", good), (1, 1, "text", good), (1, 2, "picture", good), (1, 2, "text", good),
        (1, 3, "picture", bad), (1, 3, "text", good), (1, 4, "text", good),
    ]  # fmt: skip
    assert made.ledger.summary() == {
        "entered": 16,
        "kept": 10,
        "rejected": {"follows a conflict": 2, "follows a flawed draft": 4},
        "failed": {},
    }
    said = {asked(r) for batch in judge_.batches for r in batch}  # nobody is asked about what follows
    assert len(said) == 10 and not said & {("text", "0.3"), ("text", "0.4"), ("picture", "0.2"), ("picture", "1.4")}


def test_what_is_not_painted_yet_is_no_fault_and_the_next_step_is_judged(vocabulary: Vocabulary) -> None:
    made = run(vocabulary, [step(1), step(2)], judge(text="0.1-", picture="0.1-"), answers=1)
    verdicts = [v for *_, v in judged(made)]
    assert verdicts == ["incomplete", "incomplete", "consistent", "consistent"]
    assert made.ledger.summary() == {"entered": 4, "kept": 4, "rejected": {}, "failed": {}}


@pytest.mark.parametrize(
    ("side", "reason", "kept"),
    [("text", "follows a conflict", "picture"), ("picture", "follows a flawed draft", "text")],
)
def test_after_a_step_without_a_verdict_that_side_is_not_judged(
    vocabulary: Vocabulary, side: str, reason: str, kept: str
) -> None:
    made = run(vocabulary, [step(1), step(2), step(3)], judge(**{side: "0.2?"}), answers=1)
    assert made.ledger.summary() == {"entered": 6, "kept": 4, "rejected": {reason: 1}, "failed": {"CritiqueError": 1}}
    assert [(n, s) for _, n, s, _ in judged(made)] == sorted([(1, side), (1, kept), (2, kept), (3, kept)])


def test_all_first_steps_are_asked_about_together(vocabulary: Vocabulary) -> None:
    """Whatever the order in the table: one batch a step number, each with its answers, and rows in order."""
    steps = [step(2, 1), step(1), step(2), step(1, 1)]
    judge_ = judge()
    made = run(vocabulary, steps, judge_, answers=3)
    batches = [Counter(where for _, where in map(asked, batch)) for batch in judge_.batches]
    assert batches == [{"0.1": 6, "1.1": 6}, {"0.2": 6, "1.2": 6}]
    where = [w[:3] for w in judged(made)]
    assert where == sorted(where) and len(where) == 8
    assert all(len(r["answers"]) == 3 and r["agreement"] == 1.0 for r in made.table.to_pylist())


def test_each_side_sees_what_it_is_to_compare(vocabulary: Vocabulary) -> None:
    judge_ = judge()
    run(vocabulary, [step(1, 2)], judge_, answers=1)
    (text, picture), words = judge_.batches[0], {"instruction": "step 2.1", "prompt": "the prompt"}
    assert text.context == {**words, **FIRST} and text.picture is None
    assert picture.context == {**words, "description": FIRST["description"]}  # no word of what came before
    assert picture.picture is not None and redness(picture.picture) == 21


def test_the_share_of_answers_on_the_verdicts_side_is_the_agreement(vocabulary: Vocabulary) -> None:
    turn = iter([critique(), critique("conflict"), critique("conflict"), critique(), "?", critique("incomplete")])
    made = run(vocabulary, [step(1)], Judge(lambda _: next(turn)), answers=3)
    text, picture = sorted(made.table.to_pylist(), key=lambda r: r["side"], reverse=True)
    assert (text["verdict"], text["agreement"]) == ("conflict", pytest.approx(2 / 3))
    assert (picture["verdict"], picture["agreement"]) == ("consistent", pytest.approx(2 / 3))


def test_a_draft_whose_step_says_two_things_is_not_judged(vocabulary: Vocabulary) -> None:
    """Nor is what is painted onto it; its text is, and so is another rollout's draft."""
    twofold = {"instruction": "Paint a red car.", "description": "A blue car."}
    onefold = {"instruction": "Paint a red car.", "description": "A red car."}
    steps = [step(1, 0, **twofold), step(2, 0, **onefold), step(1, 1, **onefold)]
    made = run(vocabulary, steps, judge(), answers=1)
    assert [w[:3] for w in judged(made)] == [(0, 1, "text"), (0, 2, "text"), (1, 1, "picture"), (1, 1, "text")]
    reasons = {"follows a flawed draft": 1, "instruction and description disagree": 1}
    assert made.ledger.summary() == {"entered": 6, "kept": 4, "rejected": reasons, "failed": {}}


def test_a_torn_draft_is_a_failure_and_what_follows_it_is_not_judged(vocabulary: Vocabulary) -> None:
    made = run(vocabulary, [step(1, picture=TORN), step(2)], judge(), answers=1)
    assert [w[:3] for w in judged(made)] == [(0, 1, "text"), (0, 2, "text")]
    assert failures(made) == ["PictureError"]
    assert made.ledger.summary()["rejected"] == {"follows a flawed draft": 1}


def test_answers_are_odd_in_number(vocabulary: Vocabulary) -> None:
    assert [stage.CritiqueParams(answers=n).answers for n in (1, 3, 15)] == [1, 3, 15]
    assert stage.CritiqueParams().answers == 3
    for number in (0, 2, 16, 17):
        with pytest.raises(ValidationError):
            stage.CritiqueParams(answers=number)


def test_every_draft_of_a_plan_is_checked(vocabulary: Vocabulary) -> None:
    """A fault hides no later one: the trajectory is not shipped anyhow, and the report counts pictures."""
    at = [{"sample": 6, "step": n} for n in (1, 2, 3, 4)]
    plan = [{**a, "instruction": f"step 0.{a['step']}", "description": f"d{a['step']}"} for a in at]
    drafts = [{**a, "picture": TORN if a["step"] == 2 else shade(a["step"])} for a in at]
    judge_ = judge(picture="0.1 0.3?")
    given = {"prompts": [PROMPT], "plan": plan, "draft": drafts}
    made = run_stage(check.STAGE, vocabulary, given, {"judge": judge_})
    assert [(r["sample"], r["step"], r["verdict"]) for r in made.table.to_pylist()] == [
        (6, 1, "conflict"), (6, 4, "consistent"),
    ]  # fmt: skip
    failed = {"CritiqueError": 1, "PictureError": 1}
    assert made.ledger.summary() == {"entered": 4, "kept": 2, "rejected": {}, "failed": failed}
    batch = judge_.batches[0]  # what could not be read is asked for again in another
    assert [(r.context["description"], r.picture and redness(r.picture)) for r in batch] == [
        ("d1", 1), ("d3", 3), ("d4", 4),
    ]  # fmt: skip
    assert {r.context["prompt"] for r in batch} == {"the prompt"}


def test_every_answer_has_a_seed_of_its_own(vocabulary: Vocabulary) -> None:
    """Of two samples, two rollouts and two steps; else a judge at a temperature repeats itself."""
    prompts = [{"sample": s, "prompt": "p"} for s in (6, 7)]
    steps = [{**step(n, rollout), "sample": s} for s in (6, 7) for rollout in (0, 1) for n in (1, 2)]
    judge_ = judge()
    run_stage(stage.STAGE, vocabulary, {"prompts": prompts, "rollout": steps}, {"judge": judge_}, answers=3)
    seeds = [r.seed for batch in judge_.batches for r in batch]
    assert len(set(seeds)) == len(seeds) == 8 * 2 * 3
    at = [{"sample": s, "step": n} for s in (6, 7) for n in (1, 2)]
    given = {
        "prompts": prompts,
        "plan": [{**a, "instruction": "i", "description": "d"} for a in at],
        "draft": [{**a, "picture": shade(1)} for a in at],
    }
    judge_ = judge()
    run_stage(check.STAGE, vocabulary, given, {"judge": judge_}, answers=3)
    (batch,) = judge_.batches
    assert len({r.seed for r in batch}) == len(batch) == 4 * 3
