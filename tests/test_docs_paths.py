"""Every path, module, name and command that a page of this repository speaks of is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
import yaml
from conftest import ROOT

from underpaint.pipeline.cli.main import app

FOLDERS = "schemas|stages|pipeline|miniature|recipes|benchmarks|docs|tests|examples"
# CHANGELOG.md speaks of what was, too.
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md",
    *(page for f in ("docs", "examples", "miniature", "benchmarks") for page in sorted((ROOT / f).rglob("*.md"))),
]  # fmt: skip
# What a reader makes along the way (the first is part of a sed expression).
THEIRS = {
    "miniature/name",
    "recipes/mine.yaml",
    "recipes/my_corpus.yaml",
    "recipes/my_vocabulary.yaml",
    "recipes/miniature_2000.yaml",
    "recipes/watched.yaml",
}
# Files that a page makes, or lines that it changes: tests/test_contributing.py does so.
MADE = re.compile(r"^```(?:python \S+|diff)\n.*?^```$", re.DOTALL | re.MULTILINE)
WORKED_ON = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return MADE.sub("", page.read_text(encoding="utf-8"))


@WORKED_ON
def test_paths_are_there(page: Path) -> None:
    named = set(re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]*[\w/])", text_of(page))) - THEIRS
    assert {path for path in named if not (ROOT / path).exists() and not (page.parent / path).exists()} == set()


@WORKED_ON
def test_modules_named_by_their_file_alone_are_there(page: Path) -> None:
    named = set(re.findall(r"(?<![\w./-])(\w+\.(?:py|ipynb))\b", text_of(page))) - {"my_icons.py"}
    assert named <= {file.name for folder in FOLDERS.split("|") for file in (ROOT / folder).rglob("*.*")}


@WORKED_ON
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(page))
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


@WORKED_ON
def test_modules_that_are_run_are_there(page: Path) -> None:
    modules = set(re.findall(r"python -m ([\w.]+\w)", text_of(page))) - {"pytest"}
    assert {module for module in modules if find_spec(module) is None} == set()


@WORKED_ON
def test_modules_that_are_imported_are_there_under_one_name(page: Path) -> None:
    imported = set(re.findall(rf"\b(?:from|import) ((?:underpaint|{FOLDERS})\.[\w.]*\w)", text_of(page)))
    assert {module for module in imported if not module.startswith("underpaint.") or find_spec(module) is None} == set()


@WORKED_ON
def test_names_in_code_are_there(page: Path) -> None:
    """`stages.…` alone is a field of the recipe."""
    names = re.findall(r"`(?:underpaint\.)?((?:schemas|pipeline|miniature)\.[\w.]+\w)(?:\(\))?`", text_of(page))
    assert [name for name in names if not is_there(f"underpaint.{name}")] == []


def is_there(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        return find_spec(name) is not None or hasattr(import_module(module), attribute)
    except ModuleNotFoundError:  # what it lies in is a module and no package
        return hasattr(import_module(module), attribute)


@WORKED_ON
def test_commands_are_there(page: Path) -> None:
    used = re.findall(r"(?:`|^|\$ |-- )underpaint ([a-z][a-z-]*)(?: ([a-z]+))?", text_of(page), re.MULTILINE)
    assert [" ".join(words) for words in used if not is_command(*words)] == []


@cache
def commands() -> dict[str, set[str]]:
    """Every command with its own."""
    whole = typer.main.get_command(app)
    return {name: set(getattr(command, "commands", {})) for name, command in whole.commands.items()}  # type: ignore[attr-defined]


def is_command(name: str, below: str) -> bool:
    return name in commands() and (not commands()[name] or not below or below in commands()[name])


def test_the_test_itself_notices_what_is_not_there() -> None:
    assert is_there("underpaint.pipeline.recipe.quotas.shard_numbers") and is_there("underpaint.schemas.scenes")
    assert not is_there("underpaint.pipeline.recipe.quotas.shard_number")
    assert is_command("templates", "lint") and is_command("plan", "recipes") and is_command("plan", "")
    assert not is_command("templates", "lnt") and not is_command("bild", "")


def versions() -> Iterator[str]:
    yield tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    yield yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]


def test_the_version_is_the_same_everywhere_and_in_the_changelog() -> None:
    (version,) = set(versions())
    assert re.search(rf"^## .*\b{re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_a_commit_and_a_push_are_checked_as_make_checks() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [(hook["entry"], hook["stages"]) for hook in hooks] == [
        ("make style", ["pre-commit"]),
        ("make lint", ["pre-push"]),
    ]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"style", "lint"} <= set(targets)
