"""A fingerprint hashes what a stage's tables depend on and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT

from benchmarks.staleness import PAGE, edit_all, page, stale_by
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common import code_digest


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(ROOT / "recipes" / "miniature.yaml")


def test_the_page_has_the_table_of_modules_and_the_stages_they_stale() -> None:
    assert page(PAGE.read_text(encoding="utf-8")) == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "module",
    [
        "stages.judgement.panel", "stages.judgement.entailment", "stages.judgement.step_consistency",
        "stages.critique", "schemas.scenes.critique", "schemas.scenes.inspection.picture",
        "schemas.scenes.inspection.text", "schemas.scenes.inspection.wording", "stages.prompting.tasks",
    ],
)  # fmt: skip
def test_judging_and_inspection_leave_what_is_painted_alone(recipe: Recipe, module: str) -> None:
    stale = stale_by(recipe, f"underpaint.{module}", edit_all(f"underpaint.{module}"))
    assert not stale & {"prompts", "plan", "draft", "rollout", "score_drafts"}


def test_one_function_stales_only_those_that_reach_it(recipe: Recipe) -> None:
    module = "underpaint.stages.score"
    source = code_digest._file(module).read_text()
    drafts = source.replace("vectors[i] @ texts[i]", "texts[i] @ vectors[i]")
    assert stale_by(recipe, module, drafts) == {"score_drafts", "candidates_painted"}
    both = source.replace("ledger.keep(len(opened))", "ledger.keep(units=len(opened))")
    assert stale_by(recipe, module, both) == {
        "score_drafts", "candidates_painted", "score_alignment", "candidates_sampled",
    }  # fmt: skip
    more = source + "\n\ndef unused(row):\n    return row\n"
    assert stale_by(recipe, module, more) == set()


def test_a_column_stales_its_stage_and_those_that_read_it(recipe: Recipe) -> None:
    module = "underpaint.stages.check"
    source = code_digest._file(module).read_text()
    wider = source.replace('of one step of a plan."""', 'of one step of a plan."""\n\n    seconds: float')
    assert wider != source and stale_by(recipe, module, wider) == {"check", "candidates_painted"}


def test_words_and_types_do_not_count(recipe: Recipe) -> None:
    module = "underpaint.stages.draft"
    source = code_digest._file(module).read_text()
    tree = ast.parse(source)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "run")
    function.returns = ast.Constant("object")
    function.body[0] = ast.Expr(ast.Constant("Other words."))
    assert stale_by(recipe, module, ast.unparse(ast.fix_missing_locations(tree)) + "\n# a remark\n") == set()


def test_a_role_of_the_symbolic_model_stales_those_who_ask_it() -> None:
    recipe, module = load_recipe(ROOT / "recipes" / "structural.yaml"), "underpaint.stages.models.symbolic"
    source = code_digest._file(module).read_text()
    swapped = source.replace("self.judge if", "self.writer if")
    assert swapped != source and stale_by(recipe, module, swapped) >= {"rollout", "check", "critique", "calibration"}
    judge = source.replace("to_json()", "to_json().strip()")
    assert judge != source and not stale_by(recipe, module, judge) & {"rollout", "draft", "score_drafts"}


def test_what_a_decorator_of_ours_registers_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("")
    words = "WAYS = {}\ndef way(f):\n    WAYS[f.__name__] = f\n    return f\n@way\ndef one():\n    return NUMBER\n"
    run = "def run():\n    return WAYS['one']()\n"

    def digest(number: int, tail: str = "") -> str:
        (tmp_path / "lab" / "stage.py").write_text(words.replace("NUMBER", str(number)) + run + tail)
        return code_digest.code_digest("lab.stage", ["run"], ("lab",))

    assert digest(1) != digest(2) and digest(1) == digest(1, "def other():\n    pass\n")
    assert digest(1) != digest(1, "WAYS['two'] = len\n")  # a statement that defines nothing


RUN = "def run():\n    return f()\n"


@pytest.mark.parametrize(
    ("stage", "other"),
    [
        ("from .other import f\n" + RUN, "def f():\n    return NUMBER\n"),
        ("from . import other\ndef run():\n    return other.f()\n", "def f():\n    return NUMBER\n"),
        ("from lab.other import *\n" + RUN, "def f():\n    return NUMBER\n"),
        ("from lab.other import oneNUMBER as f, oneOTHER as g\ndef run():\n    return f() - g()\n",
         "def one1():\n    return 1\ndef one2():\n    return 2\n"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    N = int\nelse:\n    N = NUMBER\n"
         "def run():\n    return N\n", ""),
        ("from lab.other import TABLE, f\nTABLE['x'] = NUMBER\n" + RUN,
         "TABLE = {}\ndef f():\n    return TABLE['x']\n"),
    ],
    ids=["relative", "relative module", "star", "swapped names", "not for the type checker", "set elsewhere"],
)  # fmt: skip
def test_what_changes_what_run_gives_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, other: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    lab = f"lab_{tmp_path.name}"  # another one each time, since Python remembers where modules lie
    folder = tmp_path / lab
    folder.mkdir()
    (folder / "__init__.py").write_text("")

    def digest(number: int) -> str:
        for name, text in (("stage", stage), ("other", other)):
            filled = text.replace("NUMBER", str(number)).replace("OTHER", str(3 - number)).replace("lab.", f"{lab}.")
            (folder / f"{name}.py").write_text(filled)
        return code_digest.code_digest(f"{lab}.stage", ["run"], (lab,))

    assert digest(1) != digest(2)
    with pytest.raises(LookupError, match=r"\.stage defines no wrapper"):
        code_digest.code_digest(f"{lab}.stage", ["wrapper"], (lab,))


def test_a_package_of_ones_own_may_hold_compiled_modules_and_plain_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "compiled_lab"
    (folder / "plain").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "judge.py").write_text("from . import fast, plain\nclass Judge:\n    pass\n")
    (folder / "fast.so").write_bytes(b"\x7fELF\xff\x01")
    before = code_digest.code_digest("compiled_lab.judge", packages=("compiled_lab",))
    (folder / "fast.so").write_bytes(b"\x7fELF\xff\x02")
    assert code_digest.code_digest("compiled_lab.judge", packages=("compiled_lab",)) != before


def test_what_a_stage_is_follows_from_its_declaration(recipe: Recipe) -> None:
    for name, node in build_graph(recipe).items():
        assert STAGES[name].schema.names[0] == "sample"  # by which the store finds a sample's rows
        assert set(node.parts) >= {"code", "table", "parameters", "seed", "lot size", "vocabulary"}
        assert list(node.upstream) == list(STAGES[name].inputs)
