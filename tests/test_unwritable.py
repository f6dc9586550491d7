"""Half a character in a prompt, an answer or an error goes no further than its own row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage_inputs import Judge, critique, run_stage, shade
from test_prompt_source import run_prompts

from underpaint.pipeline.engine.store import table_bytes
from underpaint.schemas.markup import MarkupError, check_plain, refine_text, unwritable, writable
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import critique as critique_stage
from underpaint.stages import prompts
from underpaint.stages.common.ledger import Failure, Unit, balances
from underpaint.stages.common.roles import Answer, AskRequest, answer_of

HALF, LOW = "\ud83d", "\ude97"  # together a car


@pytest.mark.parametrize("text", [f"a car {HALF}", f"{LOW}", "a\x00b", "a\x1b[31mb", "a\x7f"])
def test_a_text_that_no_file_can_hold_is_no_plain_text(text: str) -> None:
    assert unwritable(text) and not unwritable(writable(text))
    writable(text).encode()
    with pytest.raises(MarkupError, match="holds"):
        check_plain(text)
    with pytest.raises(MarkupError, match="<refine> holds"):
        refine_text(text)


@pytest.mark.parametrize("text", ["a 🚗\u200d", "مرحبا \u200f", "a\tb\nc\r\n", "é e\u0301", "\ufffe"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert unwritable(text) == "" and writable(text) == text == check_plain(text)


def test_a_failure_can_always_be_stored() -> None:
    failure = Failure.of(Unit(3, detail=HALF), ValueError(HALF), f"ask {HALF}", f"say {HALF}")
    for text in (failure.detail, failure.message, failure.request, failure.response, failure.trace):
        assert "\ufffd" in text and text.encode()


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (json.dumps({"a": f"x {HALF}"}), "x \ufffd"),
        (json.dumps({"a": f"x {LOW} y"}), "x \ufffd y"),
        (json.dumps({"a": f"{HALF}{HALF}{LOW}{LOW}"}), "\ufffd🚗\ufffd"),
        (json.dumps({"a": "x 🚗"}), "x 🚗"),
        (json.dumps({"a": f"x {HALF}"}, ensure_ascii=False), "x \ufffd"),
        (json.dumps({"a": "café 🚗"}, ensure_ascii=False), "café 🚗"),
    ],
)
def test_an_answer_holds_only_whole_characters(said: str, read: str) -> None:
    answer = answer_of(Answer(said, cut=True))
    assert json.loads(answer.text) == {"a": read} and answer.cut
    assert answer_of(said).text == answer.text


FAR = "Far away, in soft and even light, stands a blue house with a calm outline."


def step(number: int) -> dict[str, Any]:
    words = {"so_far": "a blank canvas", "instruction": f"step {number}", "description": "words"}
    return {"sample": 6, "rollout": number, "step": 1, **words, "picture": shade(number)}


@pytest.mark.parametrize("field", ["observed", "analysis"])
@pytest.mark.parametrize("escaped", [True, False])
def test_half_a_character_in_a_judges_answer_costs_its_own_row_at_most(
    vocabulary: Vocabulary, field: str, escaped: bool
) -> None:
    said = json.loads(critique()) | {field: [f"a car {HALF}"] if field == "observed" else f"so {HALF}"}

    def answer(request: AskRequest) -> str:
        return json.dumps(said, ensure_ascii=escaped) if request.context["instruction"] == "step 0" else critique()

    inputs = {"prompts": [{"sample": 6, "prompt": "a car"}], "rollout": [step(0), step(1)]}
    made = run_stage(critique_stage.STAGE, vocabulary, inputs, {"judge": Judge(answer)}, answers=1, second_check="none")
    kept = [(row["rollout"], row["side"]) for row in made.table.to_pylist()]
    assert {(1, "text"), (1, "picture")} <= set(kept)
    assert len(kept) == (4 if field == "observed" else 2) and made.ledger.entered == 4
    table_bytes(made.table)
    assert all("holds" in failure.message for failure in made.ledger.failures)


@pytest.mark.parametrize("said", [f"A shiny red car waits {HALF}", f"A shiny red car {HALF}\ufffd", "A red car \x00"])
def test_a_long_prompt_with_half_a_character_is_refused(vocabulary: Vocabulary, said: str, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("a red car\na blue house\n")
    writer = Judge(lambda r: said if "red car" in r.context["prompt"] else FAR)
    source = {"path": str(tmp_path / "own.txt"), "reader": "grammar"}
    made = run_stage(prompts.STAGE, vocabulary, {}, {"writer": writer}, source=source, enrich={"words": 20})
    assert [row["prompt"] for row in made.table.to_pylist()] == [FAR]
    (failure,) = made.ledger.failures
    assert "which marks a character that was lost" in failure.message


def test_half_a_character_in_a_list_costs_its_own_row_alone(
    recipe: dict[str, Any], write_recipe: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    first = json.dumps({"prompt": f"In the morning a yellow star hangs above a purple cup {HALF}"})
    rest = [json.dumps({"prompt": f"a red car above a {colour} house"}) for colour in ("yellow", "purple", "blue")]
    (tmp_path / "own.jsonl").write_text("\n".join([first, *rest]))
    recipe["stages"]["prompts"] = {"source": {"path": "./own.jsonl", "repeat": 3}}
    ((rows, manifest, failures),) = run_prompts(recipe, write_recipe, tmp_path / "run")
    assert [row["sample"] for row in rows] == [1, 2, 3, 5, 6, 7]  # a lot of 8: the list goes round twice
    assert [f["sample"] for f in failures] == [0, 4] and balances(manifest["ledger"])
    assert all("line 1: the 'prompt' holds" in f["message"] for f in failures)
