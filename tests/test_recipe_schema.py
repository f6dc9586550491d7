"""The recipe's fields as JSON Schema and as a page: every field is described, and both files are up to date."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT, underpaint

from underpaint.pipeline.recipe.recipe_schema import files, json_schema, meaning, type_name
from underpaint.schemas.corpus.write_schema import stale, write_or_check

RECIPES = sorted([*(ROOT / "recipes").glob("*.yaml"), *(ROOT / "examples").glob("*/recipe.yaml")])
MODULE = "underpaint.pipeline.recipe.recipe_schema"


def problems(recipe: Any) -> list[str]:
    """What the schema refuses. YAML's whole-number keys are words in JSON."""
    checked = jsonschema.Draft202012Validator(json_schema())
    return [error.message for error in checked.iter_errors(json.loads(json.dumps(recipe)))]


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_recipe_of_ours_keeps_to_the_schema_that_its_first_line_names(file: Path) -> None:
    text = file.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named and json.loads((file.parent / named[1]).read_text()) == json_schema()
    assert problems(yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sead": 3}, "'sead' was unexpected"),
        ({"select": {"min_margn": 0.1}}, "'min_margn' was unexpected"),
        ({"stages": {"critique": {"answers": 16}}}, "16 is greater than the maximum of 15"),
        ({"seed": -1}, "-1 is less than the minimum of 0"),
        ({"run": {"gpu_roles": ["paintr"]}}, "'paintr' is not one of"),
    ],
)
def test_what_is_no_recipe_is_refused(recipe: dict[str, Any], change: dict[str, Any], said: str) -> None:
    assert problems(recipe) == []
    (problem,) = problems({**recipe, **change})
    assert said in problem


def test_a_misspelt_field_of_a_model_is_refused(recipe: dict[str, Any]) -> None:
    recipe["models"]["renderer"]["fault_rat"] = 0.1
    assert len(problems(recipe)) == 1


def test_every_field_says_what_it_means() -> None:
    schema = json_schema()
    silent = [
        f"{name}.{field}"
        for name, node in {"Recipe": schema, **schema["$defs"]}.items()
        for field, said in node.get("properties", {}).items()
        if not meaning(said, schema["$defs"])
    ]
    assert silent == []


def test_types_are_said_in_words() -> None:
    assert type_name({"type": "integer", "minimum": 1, "exclusiveMaximum": 5}, {}) == "integer, at least 1, below 5"
    assert type_name({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, {}) == "`a` or `b`"
    assert (
        type_name({"type": "array", "items": {"$ref": "#/$defs/B"}}, {"B": "a.b, x_y"}) == "list of [a.b, x_y](#ab-x_y)"
    )
    assert type_name({"type": "object", "additionalProperties": {"type": "number"}}, {}) == "mapping to number"


def test_the_files_are_up_to_date() -> None:
    assert stale(files()) == [], f"run python -m {MODULE}"


def test_every_link_of_the_page_leads_to_one_of_its_sections() -> None:
    page = (ROOT / "docs" / "recipe.md").read_text()

    def anchors() -> Iterator[str]:
        for heading in re.findall(r"^## (.*)$", page, re.MULTILINE):
            yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

    assert set(re.findall(r"\]\(#(.*?)\)", page)) <= set(anchors())


def test_a_file_that_is_not_up_to_date_is_named_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = {tmp_path / "page.md": "new"}
    assert write_or_check(expected, "a.module", ["--check"]) == 1
    assert "page.md: not up to date; run python -m a.module" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
    assert write_or_check(expected, "a.module", []) == 0
    assert (tmp_path / "page.md").read_text() == "new"
    assert write_or_check(expected, "a.module", ["--check"]) == 0
    assert write_or_check(expected, "a.module", ["--chek"]) == 2


def test_the_command_writes_the_schema(tmp_path: Path) -> None:
    assert underpaint("recipe", "schema", "--out", tmp_path / "schema.json").returncode == 0
    assert json.loads((tmp_path / "schema.json").read_text()) == json_schema()
    assert json.loads(underpaint("recipe", "schema").stdout) == json_schema()
