"""Templates as data: the built-in ones are sound, lint names the line, a recipe adds, replaces and reweights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.recipe.recipe import load_recipe, templates_for
from underpaint.pipeline.workbench.examples import run_examples
from underpaint.pipeline.workbench.lint import lint_file
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.templating import BUILT_IN, Template, load_template, load_templates
from underpaint.stages.prompting.tasks import FORMATS, TASKS

Write = Callable[[dict[str, Any]], Path]
FILES = sorted(BUILT_IN.glob("*.j2"))
TASKS_OF = {name: stage.tasks for name, stage in STAGES.items()}
CLEAN = (BUILT_IN / "critique_text.md.j2").read_text()


def variant(folder: Path, *changes: tuple[str, str]) -> Path:
    """The built-in critique of texts with some words changed."""
    text = CLEAN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    file = folder / "mine.md.j2"
    file.write_text(text)
    return file


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_the_built_in_templates_are_sound(file: Path) -> None:
    assert [str(p) for p in lint_file(file, TASKS_OF)] == []
    tested = list(run_examples(load_template(file)))
    assert tested and not [t for t in tested if t.wrong]


def test_every_task_has_a_template_a_format_and_a_stage() -> None:
    assert set(load_templates([BUILT_IN])) == set(TASKS)
    assert {t.output for t in TASKS.values()} == set(FORMATS)
    assert {task for tasks in TASKS_OF.values() for task in tasks} == set(TASKS)


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        (
            "Prompt: {{ prompt }}",
            "Prompt: {{ promt }}",
            "Prompt:",
            "undefined variable 'promt'; did you mean 'prompt'?",
        ),
        ("So far: {{ so_far }}", "So far:", "Does the step", "unused variable 'so_far': the judge is never shown it"),
        ("Prompt: {{", "{% set x = 1 %}Prompt: {{", "{% set", "unused variable 'x': it is set and never used"),
        ("Prompt: {{ prompt }}", "Prompt: {{ prompt", "So far: {{", "expected token 'end of print statement'"),
        (" correction.", " advice.", "Does the step", "reads correction, which the words never name"),
        (
            "output: critique/1",
            "output: plan/1",
            "output:",
            "not what the parser of critique_text reads; write output: c",
        ),
        ("role: judge", "role: writer", "role:", "a critique_text template asks the judge; write role: judge"),
        (
            "task: critique_text",
            "task: critique_txt",
            "task:",
            "unknown task 'critique_txt'; did you mean 'critique_text'?",
        ),
        (
            "\nincomplete: What is",
            "\n#",
            "---",
            "no clause says that incomplete is not wrong; say it in the words, e.g.",
        ),
        ("incomplete: What", "incomplete: That what", "incomplete:", "the words do not hold the clause 'That what is"),
        (
            "output: critique/1",
            "output: critique/1\nkinds: [wrong_style]",
            "Does the step",
            "never name the kind 'wrong_style'",
        ),
        (
            "output: critique/1",
            "output: critique/1\nstages: [rollout]",
            "stages:",
            "the stage 'rollout' renders no critique_text",
        ),
        ("output: critique/1", "output: critique/1\nwait: 1", "wait:", "field 'wait': there is no such field"),
        ("version: 1", "version: 1: 2", "version:", "the front matter is no YAML"),
        ('"findings": [], "verdict"', '"verdict"', "answer:", "the answer does not parse: findings: Field required"),
        ("refused: verdict", "expect: {}  # ", "answer:", "the answer does not parse: the whole: Value error, verdict"),
        (
            "    variables:\n      prompt: A red car on",
            "    variables:\n      promt: A red car on",
            "promt:",
            "'promt'",
        ),
    ],
)
def test_lint_says_what_is_wrong_where_and_what_to_write(
    tmp_path: Path, old: str, new: str, where: str, said: str
) -> None:
    file = variant(tmp_path / "t", (old, new))
    problems = lint_file(file, TASKS_OF)
    assert problems, "nothing found"
    found = next((p for p in problems if said in str(p)), None)
    assert found is not None, [str(p) for p in problems]
    assert where in file.read_text().splitlines()[found.line - 1]
    assert found.file == str(file) and found.fix


def test_an_example_that_fails_is_named_with_what_differs(tmp_path: Path) -> None:
    file = variant(
        tmp_path / "t", ("expect: {verdict: incomplete", "expect: {verdict: conflict"), ("Step: {{", "Do: {{")
    )
    wrong = {t.example: t.wrong for t in run_examples(load_template(file)) if t.wrong}
    assert list(wrong) == ["not painted yet is not wrong"] and "renders to" in wrong["not painted yet is not wrong"]


def test_only_what_can_change_an_answer_changes_the_digest(tmp_path: Path) -> None:
    clean = load_template(BUILT_IN / "critique_text.md.j2")
    for change in (
        ("name: a conflict without", "name: one without"),
        ("output: critique/1", "output: critique/1\nweight: 2.0"),
    ):
        assert load_template(variant(tmp_path / "t", change)).digest == clean.digest
    for change in (
        ("Does the step", "Would the step"),
        ("version: 1", "version: 2"),
        ("output: critique/1\n", "output: critique/1\npictures: [after]\n"),
    ):
        assert load_template(variant(tmp_path / "t", change)).digest != clean.digest


def used(recipe: Path, stage: str) -> dict[str, float]:
    """Id and weight of the templates that a stage renders."""
    found: dict[str, list[Template]] = templates_for(STAGES[stage], load_recipe(recipe).all_templates())
    return {t.id: t.weight for templates in found.values() for t in templates}


def test_a_folder_adds_and_replaces_and_the_recipe_reweights(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    before = build_graph(load_recipe(write_recipe(recipe)))
    folder = tmp_path / "t"
    mine = (
        ("id: critique_text\n", "id: mine\n"),
        ("output: critique/1", "output: critique/1\nweight: 0.5\nstages: [critique]"),
    )
    variant(folder, *mine)
    recipe["templates"] = [str(folder)]
    checks = {"check_agreement": 1.0, "check_critique": 1.0}
    asked = {"critique_text": 1.0, "mine": 0.5, "critique_picture": 1.0, **checks}
    assert used(write_recipe(recipe), "critique") == asked
    after = build_graph(load_recipe(write_recipe(recipe)))
    changed = {name for name in STAGES if after[name].fingerprint != before[name].fingerprint}
    changed.remove("calibration")  # the judge is measured in the words in which it is asked
    assert changed == {"critique", "conflict", "repair", "alignment", "score_alignment", "candidates_sampled"}
    recipe["template_weights"] = {"mine": 2, "critique_text": 0}
    assert used(write_recipe(recipe), "critique") == {"mine": 2.0, "critique_picture": 1.0, **checks}
    recipe["template_weights"] = {"mine": 0}
    assert build_graph(load_recipe(write_recipe(recipe))) == before  # switched off is as if it were not there


def test_weights_of_nothing_and_tasks_without_a_template_are_refused(
    recipe: dict[str, Any], write_recipe: Write
) -> None:
    recipe["template_weights"] = {"critique_txt": 2}
    with pytest.raises(UserError, match=r"template_weights: there is no template 'critique_txt'; did you mean"):
        load_recipe(write_recipe(recipe))
    recipe["template_weights"] = {"write": 0}
    with pytest.raises(UserError, match="the stage rollout is left without a write template"):
        build_graph(load_recipe(write_recipe(recipe)))
