"""The majority and the arbiter, by hand, through the stage that checks the drafts of a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError
from stage_inputs import Judge, critique, run_stage, shade

from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import check
from underpaint.stages.common.ledger import Failure
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.stage import Outcome
from underpaint.stages.judgement.panel import JudgeParams

YES, NOT_YET, NO, TORN = critique(), critique("incomplete"), critique("conflict"), "let us see"
OTHER_NO = critique("conflict", "wrong_attribute", "Paint it red.")


def checked(
    vocabulary: Vocabulary, said: list[list[str]], arbiter: list[str] | None = None, **params: Any
) -> tuple[Outcome, list[AskRequest], list[AskRequest]]:
    """Drafts with these answers each, in order; what was made, and what judge and arbiter were asked."""
    at = [{"sample": 0, "step": n} for n in range(1, len(said) + 1)]
    answers = iter([answer for draft in said for answer in draft])
    settled = iter(arbiter or [])
    judges = {
        "judge": Judge(lambda r: TORN if r.follow_up else next(answers)),
        "arbiter": Judge(lambda r: TORN if r.follow_up else next(settled)),
    }
    given = {
        "prompts": [{"sample": 0, "prompt": "p"}],
        "plan": [{**a, "instruction": "i", "description": f"d{a['step']}"} for a in at],
        "draft": [{**a, "picture": shade(a["step"])} for a in at],
    }
    cast = judges if arbiter is not None else {"judge": judges["judge"]}
    made = run_stage(check.STAGE, vocabulary, given, cast, answers=len(said[0]), **params)
    asked = [[r for batch in j.batches for r in batch if not r.follow_up] for j in judges.values()]
    return made, asked[0], asked[1]


def first_asked(failure: Failure, asked: list[AskRequest]) -> list[AskRequest]:
    """Of a failure's requests those that were put at first; where an answer was unread, it was asked for again."""
    return [r for r in asked if r.digest in failure.requests]


def verdicts(made: Outcome) -> list[tuple[int, str, float, str]]:
    return [(r["step"], r["verdict"], round(r["agreement"], 6), r["decided_by"]) for r in made.table.to_pylist()]


def test_each_draft_has_its_own_answers_and_the_majority_of_them(vocabulary: Vocabulary) -> None:
    said = [[YES, YES, NO, YES], [NO, TORN, NO, YES], [NOT_YET, TORN, TORN, TORN], [NO, NO, NO, NO]]
    made, asked, _ = checked(vocabulary, said)
    assert verdicts(made) == [
        (1, "consistent", 0.75, "judge"), (2, "conflict", 0.5, "judge"),
        (3, "incomplete", 0.25, "judge"), (4, "conflict", 1.0, "judge"),
    ]  # fmt: skip
    assert [r["answers"] for r in made.table.to_pylist()] == said
    assert [r.context["description"] for r in asked] == ["d1"] * 4 + ["d2"] * 4 + ["d3"] * 4 + ["d4"] * 4


def test_of_the_majority_the_most_frequent_critique_counts_and_the_first_on_a_tie(vocabulary: Vocabulary) -> None:
    made, _, _ = checked(
        vocabulary, [[NO, OTHER_NO, OTHER_NO, YES], [OTHER_NO, NO, NO, OTHER_NO], [NOT_YET, YES, NO, TORN]]
    )
    found = [json.loads(r["critique"]) for r in made.table.to_pylist()]
    assert [c["correction"] for c in found] == ["Paint it red.", "Paint it red.", ""]
    assert [c["verdict"] for c in found] == ["conflict", "conflict", "incomplete"]  # against the one conflict


def test_as_many_for_as_against_is_a_failure_with_all_that_was_said(vocabulary: Vocabulary) -> None:
    made, asked, _ = checked(vocabulary, [[YES, NO], [TORN, TORN]])
    assert made.table.num_rows == 0
    divided, torn = made.ledger.failures
    assert divided.message == "the judge's answers are divided 1 to 1" and divided.response == f"{YES}\n{NO}"
    assert "divided" not in torn.message and torn.response == f"{TORN}\n{TORN}"  # why the last does not count
    assert [(f.sample, f.step, f.side) for f in (divided, torn)] == [(0, 1, "picture"), (0, 2, "picture")]
    assert [first_asked(f, asked) for f in (divided, torn)] == [asked[:2], asked[2:]]
    assert divided.request == asked[0].text and "d1" in divided.request and "d2" in torn.request


def test_one_answer_is_greedy_and_several_are_not(vocabulary: Vocabulary) -> None:
    def temperatures(number: int, **params: Any) -> set[float]:
        return {r.temperature for r in checked(vocabulary, [[YES] * number], **params)[1]}

    assert (temperatures(1), temperatures(2), temperatures(3)) == ({0.0}, {0.5}, {0.5})
    assert (temperatures(1, temperature=0.75), temperatures(2, temperature=0.75)) == ({0.0}, {0.75})


def test_the_arbiter_is_asked_below_its_threshold_and_settles_that_draft(vocabulary: Vocabulary) -> None:
    said = [[YES] * 4, [YES, YES, YES, NO], [NO, NO, TORN, YES], [YES, NO, YES, NO]]
    made, asked, settled = checked(vocabulary, said, [YES, NO], arbitrate_below=0.75)
    assert verdicts(made) == [
        (1, "consistent", 1.0, "judge"), (2, "consistent", 0.75, "judge"),  # not below
        (3, "consistent", 0.25, "arbiter"), (4, "conflict", 0.5, "arbiter"),  # the judge's share on its side
    ]  # fmt: skip
    assert [r["arbiter"] for r in made.table.to_pylist()] == ["", "", YES, NO]
    assert [r.context["description"] for r in settled] == ["d3", "d4"]
    assert {r.temperature for r in settled} == {0.0}
    assert len({r.seed for r in (*asked, *settled)}) == len(asked) + 2
    always, _, _ = checked(vocabulary, said[:2], [NO])  # any disagreement, unless told otherwise
    assert [v[3] for v in verdicts(always)] == ["judge", "arbiter"]
    never, _, none = checked(vocabulary, [*said[:3], [TORN] * 4], [], arbitrate_below=0.0)
    assert [v[3] for v in verdicts(never)] == ["judge"] * 3 and none == [] and len(never.ledger.failures) == 1


def test_an_arbiter_that_says_nothing_of_use_leaves_what_the_judge_said(vocabulary: Vocabulary) -> None:
    made, asked, settled = checked(vocabulary, [[YES, YES, NO, YES], [YES, NO, NO, YES]], [TORN, TORN])
    assert verdicts(made) == [(1, "consistent", 0.75, "judge")]
    assert made.table["arbiter"].to_pylist() == [TORN]
    (failure,) = made.ledger.failures
    assert "divided 2 to 2; the arbiter: " in failure.message and failure.response.endswith(f"\n{TORN}")
    assert first_asked(failure, [*asked, *settled]) == [*asked[4:], settled[1]]


@pytest.mark.parametrize(
    ("name", "low", "high", "step", "usual"),
    [("answers", 1, 15, 1, 1), ("temperature", 0.0, 2.0, 0.125, 0.5), ("arbitrate_below", 0.0, 1.0, 0.125, 1.0)],
)
def test_how_a_judge_may_be_asked(name: str, low: Any, high: Any, step: Any, usual: Any) -> None:
    assert [getattr(JudgeParams(**{name: n}), name) for n in (low, high)] == [low, high]  # type: ignore[arg-type]
    for number in (low - step, high + step):
        with pytest.raises(ValidationError):
            JudgeParams(**{name: number})  # type: ignore[arg-type]
    assert getattr(JudgeParams(), name) == usual
