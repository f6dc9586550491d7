"""The workbench on a run's stored steps: nothing is painted or stored, the pages show what the figures count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, structural_recipe
from test_walk import walk

from underpaint.pipeline.cli.main import main
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.run_folder import Run, find_run, mark_run, open_run
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.pipeline.workbench.asking import ask, load_model
from underpaint.pipeline.workbench.comparison import TemplateComparison, compare_templates, comparison_lines
from underpaint.pipeline.workbench.listing import every_template, list_templates
from underpaint.pipeline.workbench.pages import preview_lines, write_comparison, write_preview
from underpaint.pipeline.workbench.subjects import stored_subjects
from underpaint.stages.common.templating import load_template


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Rollouts of 24 prompts, and a recipe with the walk's critique about perspective and a judge who has opinions."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        (folder / "t").mkdir()
        template = next(text for _, file, text in walk() if file)
        (folder / "t" / "critique_perspective.md.j2").write_text(template)
        recipe = {**structural_recipe(), "lot_size": 24, "templates": [str(folder / "t")]}
        recipe["models"]["purist"] = {"kind": "python", "factory": "poison:Purist"}
        recipe["roles"] |= {"judge": "purist", "renderer": "renderer"}
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        opened = open_run(folder / "recipe.yaml", folder / "run")
        mark_run(opened)
        nodes = build_graph(opened.recipe)
        for stage in ("prompts", "rollout", "calibration"):
            stage_worker(opened.recipe, stage, str(opened.root), nodes[stage].fingerprint)(0)
    return opened


def stored(run: Run) -> set[Path]:
    return set((run.root / "lots").rglob("*"))


def test_a_preview_asks_about_stored_steps_and_stores_nothing(run: Run) -> None:
    before = stored(run)
    template = every_template(run.recipe)["critique_perspective"]
    subjects = stored_subjects(run, template, 12)
    assert subjects == stored_subjects(run, template, 12) and len({s.unit for s in subjects}) == 12
    answered = ask(run, load_model(run, template), template, subjects)
    assert {a.verdict for a in answered} >= {"conflict", "unread"}
    for a in answered:
        assert a.subject.variables["description"] in a.request and "one perspective" in a.request
        assert a.error == "" or a.answers == ["The horizon leans."]
    page = write_preview(run, template, answered).read_text()
    assert page.count("<article>") == page.count("data:image/webp;base64,") == 12
    assert page.count("cannot be read") == sum(a.verdict == "unread" for a in answered) > 0
    text = "\n".join(preview_lines(answered))
    assert "read: conflict (wrong_perspective: the fish is as large as a house)" in text
    lost = sum(a.verdict == "unread" for a in answered)
    summary = text.splitlines()[-1]
    assert summary.startswith(f"12 steps: 12 answers, {12 - lost} read, {lost} unread ({lost} no JSON); verdicts: ")
    assert f"{lost} unread" in summary.partition("verdicts")[2]
    assert stored(run) == before


def test_a_comparison_counts_shows_and_knows_the_truth(run: Run) -> None:
    every = every_template(run.recipe)
    found = compare_templates(run, every["critique_picture"], every["critique_perspective"], 60)
    assert sum(found.shifts.values()) == len(found.truths) == 60
    plain, purist = found.calibrations
    assert (
        plain.known == 60
        and plain.called == plain.both == plain.faulty > 0
        and plain.partial_called == 0 < plain.partial
    )
    assert purist.aside == sum(a.kinds == ("wrong_perspective",) for a in found.answered[1]) > 0
    assert purist.known + purist.aside == 60 and purist.both < purist.faulty  # what it cannot say is missed
    cases, _ = found.case_calibrations  # half of them faulty
    assert len(found.case_truths) == cases.known == 24 and cases.called == cases.both == cases.faulty == 12
    different = found.disagreements()
    assert len(different) == sum(n for (a, b), n in found.shifts.items() if a != b) > 0
    page = write_comparison(run, found).read_text()
    assert page.count("<article>") == len(different) and page.count("known truth</small>") == len(different)
    same, both = found.agreeing
    assert f"they agree on fault or none in {same}" in "\n".join(comparison_lines(found)) and both < 60
    assert json.loads(json.dumps(found.to_json()))["agreeing"] == same


def test_the_text_side_is_calibrated_too(run: Run) -> None:
    critique = every_template(run.recipe)["critique_text"]
    figures, _ = compare_templates(run, critique, critique, 60).calibrations
    assert figures.called == figures.both == figures.faulty > 0 and figures.partial > 0 == figures.partial_called


def test_a_writers_template_is_previewed_on_what_former_words_made(run: Run, tmp_path: Path) -> None:
    """A new `write` template makes the rollouts stale; those of the former one are what it is tried on."""
    words = (Path(every_template(run.recipe)["write"].file)).read_text()
    (tmp_path / "write.md.j2").write_text(words.replace("Write the next", "Say the next"))
    file = tmp_path / "recipe.yaml"
    recipe = run.recipe.model_dump(mode="json", exclude_none=True, exclude={"stages", "quotas"})
    quotas = {"total": 30}
    file.write_text(yaml.safe_dump({**recipe, "quotas": quotas, "templates": [str(tmp_path)]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        other = open_run(file, run.root)
    assert not other.store.done(other.nodes["rollout"])
    template = every_template(other.recipe)["write"]
    answered = ask(other, load_model(other, template), template, stored_subjects(other, template, 6))
    assert all(a.parsed and a.request.endswith("nothing is missing.") and "Say the next" in a.request for a in answered)


def test_templates_about_prompts_are_previewed_once_a_prompt(run: Run) -> None:
    for id in ("parse_prompt", "enrich_prompt", "write_plan"):
        template = every_template(run.recipe)[id]
        subjects = stored_subjects(run, template, 6)
        assert len({s.variables["prompt"] for s in subjects}) == 6
        answered = ask(run, load_model(run, template), template, subjects)
        assert all(a.subject.variables["prompt"] in a.request for a in answered)


def test_the_list_knows_stages_and_shares(run: Run) -> None:
    drawn = {x.template.id: x.drawn for x in list_templates(run.recipe.all_templates(), None)}
    assert drawn["critique_perspective"] == dict.fromkeys(("critique", "repair", "calibration"), pytest.approx(1 / 3))
    assert drawn["critique_picture"]["check"] == 1 and drawn["critique_picture"]["critique"] == pytest.approx(2 / 3)


def test_templates_of_one_id_are_told_apart(run: Run, tmp_path: Path) -> None:
    general = every_template(run.recipe)["critique_picture"]
    dialect = load_template(ROOT / "miniature" / "templates" / "critique_picture.md.j2")
    found = compare_templates(run, dialect, general, 6)
    assert found.names == ("critique_picture (miniature)", "critique_picture (general words)")
    lines = comparison_lines(found)
    assert any(line.startswith("critique_picture (miniature): 6 steps: 6 answers") for line in lines)
    assert (
        write_comparison(run, found).name == "compare-critique_picture_miniature_-critique_picture_general_words_.html"
    )
    copy = tmp_path / "mine" / "critique_picture.md.j2"
    copy.parent.mkdir()
    copy.write_text(Path(general.file).read_text())
    names = TemplateComparison((general, load_template(copy)), ([], []), []).names
    assert names == ("critique_picture (templates)", "critique_picture (mine)")


def test_what_cannot_be_compared_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    every = every_template(run.recipe)
    with pytest.raises(UserError, match="critique_text is for critique_text, write for write; compare two critiques"):
        compare_templates(run, every["critique_text"], every["write"], 4)


def test_lint_and_test_exit_with_1_where_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = next(text for _, file, text in walk() if file)
    (tmp_path / "a.md.j2").write_text(text.replace("expect: {verdict: consistent}", "expect: {verdict: conflict}"))
    (tmp_path / "b.md.j2").write_text(text)
    for command, said in (("lint", "b.md.j2, line 2: the id 'critique_perspective' is that of"), ("test", "FAILED")):
        monkeypatch.setattr("sys.argv", ["underpaint", "templates", command, str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1 and said in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["underpaint", "templates", "lint", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "neither a template nor a folder" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["underpaint", "templates", "lint", str(ROOT / "miniature" / "templates")])
    with pytest.raises(SystemExit) as ended:
        main()
    said = "in the dialect miniature, which no other model was taught: critique_picture, critique_text, write"
    assert ended.value.code == 0 and said in capsys.readouterr().out


def test_a_run_is_found_by_its_folder_under_the_recipe_as_it_is_now(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert find_run(run.root).nodes["rollout"].fingerprint == run.nodes["rollout"].fingerprint
    mine = tmp_path / "mine.md.j2"  # no recipe names it
    mine.write_text(
        Path(every_template(run.recipe)["critique_picture"].file).read_text().replace("id: critique_", "id: m")
    )
    monkeypatch.setattr(
        "sys.argv", ["underpaint", "templates", "preview", str(mine), "--run", str(run.root), "--samples", "2"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert (run.root / "templates" / "preview-mpicture.html").exists() and "== sample" in capsys.readouterr().out
    for typo, said in (("task: critique_picture", "unknown task 'x'"), ("{{ instruction }}", "undefined variable 'x'")):
        text = Path(every_template(run.recipe)["critique_picture"].file).read_text()
        mine.write_text(text.replace(typo, typo.split()[0] + " x" + (" }}" if "{{" in typo else "")))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
    with pytest.raises(UserError, match="holds no run of underpaint"):
        find_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"recipe": "gone", "file": str(tmp_path / "gone.yaml")}))
    with pytest.raises(UserError, match=r"its recipe is no longer at .*build the recipe 'gone' there"):
        find_run(tmp_path)
