"""Worked examples with pictures, and pictures before and after a step: what the model is shown, and what lint says."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from stage_inputs import Judge, critique, redness

from underpaint.pipeline.workbench.lint import lint_file
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.ledger import Ledger, Unit
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.stage import Context, Lot
from underpaint.stages.common.templating import BUILT_IN, TemplateError, load_template
from underpaint.stages.judgement.panel import JudgeParams, Question, Side, judge

TASKS_OF = {name: stage.tasks for name, stage in STAGES.items()}
SHOTS = """shots:
  - variables: {prompt: A red car., instruction: Paint a red car., description: A red car.}
    pictures: {after: blue_car.png}
    answer: >-
      {"observed": ["a blue car"], "findings": [{"kind": "wrong_attribute", "detail": "the car is blue, not red"}],
      "verdict": "conflict", "analysis": "The car is blue.", "correction": "Make the car red."}
"""


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """The built-in critique of pictures with a worked example."""
    Image.new("RGB", (16, 16), (77, 0, 0)).save(tmp_path / "blue_car.png")
    file = tmp_path / "critique_picture.md.j2"
    text = (BUILT_IN / "critique_picture.md.j2").read_text()
    file.write_text(text.replace("\nexamples:\n", f"\n{SHOTS}examples:\n", 1))
    return file


def asked(vocabulary: Vocabulary, file: Path, before: Image.Image | None) -> AskRequest:
    judge_, settings = Judge(lambda _: critique()), JudgeParams()
    context = Context(
        "check", 7, Lot(0, 8), settings, vocabulary, {"judge": judge_}, {"critique_picture": [load_template(file)]}
    )  # fmt: skip
    variables = {"prompt": "p", "instruction": "i", "description": "A red car."}
    after = Image.new("RGB", (16, 16), (9, 0, 0))
    judge(context, [Question(Unit(1, step=2), Side.PICTURE, variables, after, before=before)], settings, Ledger())
    return judge_.batches[0][0]


def test_the_model_is_shown_the_example_and_both_pictures(vocabulary: Vocabulary, shot: Path) -> None:
    assert [str(p) for p in lint_file(shot, TASKS_OF)] == []
    turns = asked(vocabulary, shot, Image.new("RGB", (16, 16), (4, 0, 0))).messages()
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert [[redness(p) for p in turn.pictures] for turn in turns] == [[], [77], [], [4, 9]]
    assert "Description: A red car.\nThe picture is the one after the step." in turns[1].text
    assert turns[2].text.startswith('{"observed": ["a blue car"]')
    assert "The first picture is the one before the step" in turns[3].text
    first = asked(vocabulary, shot, None)
    assert [redness(p) for p in first.pictures] == [9] and "The picture is the one after" in first.text


def test_the_pictures_of_an_example_count_in_the_digest(shot: Path) -> None:
    before = load_template(shot).digest
    Image.new("RGB", (16, 16), (78, 0, 0)).save(shot.parent / "blue_car.png")
    changed = load_template(shot).model_copy()
    assert changed.model_copy(update={"version": changed.version}).digest == before  # one object reads its files once
    shot.write_text(shot.read_text() + "\n")  # and so does one text of a file
    assert load_template(shot).digest != before


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("blue_car.png", "green_car.png", "pictures: {after", "No such file"),
        ("    pictures: {after: blue", "    pictures: {before: blue_car.png, after: blue", "", ""),
        ("prompt: A red car., instruction", "promt: A red car., instruction", "- variables", "no critique_picture var"),
        ("prompt: A red car., instruction", "instruction", "- variables", "the variable 'prompt' is missing"),
        ('"correction": "Make the car red."}\n', '"correction": ""}\n', "answer:", "without a correction"),
        ("pictures: [before, after]", "pictures: [before]", "pictures: {after", "shows no picture 'after'"),
    ],
)  # fmt: skip
def test_lint_looks_at_worked_examples(shot: Path, old: str, new: str, where: str, said: str) -> None:
    text = shot.read_text()
    at = text.index(SHOTS) if old in SHOTS else 0
    shot.write_text(text[:at] + text[at:].replace(old, new, 1))
    problems = lint_file(shot, TASKS_OF)
    if not said:
        assert problems == []
        return
    found = next((p for p in problems if said in str(p)), None)
    assert found is not None, [str(p) for p in problems]
    assert where in shot.read_text().splitlines()[found.line - 1]


def test_a_picture_that_is_none_is_refused(shot: Path) -> None:
    (shot.parent / "blue_car.png").write_bytes(b"no picture")
    with pytest.raises(TemplateError, match=r"field 'shots.0.pictures.after'"):
        load_template(shot)
