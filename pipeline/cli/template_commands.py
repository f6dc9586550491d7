"""``underpaint templates list | lint | test | preview | compare``: a workbench for templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underpaint.pipeline.cli.terminal import AsJson, Out, opened, show
from underpaint.pipeline.common.errors import UserError
from underpaint.stages.common.suggest import did_you_mean

if TYPE_CHECKING:
    from underpaint.pipeline.recipe.recipe import Recipe
    from underpaint.stages.common.templating import Template

templates = typer.Typer(
    help="List, check, try and compare the templates: every word that is put to a model.", no_args_is_help=True
)

Sources = Annotated[
    list[Path] | None,
    typer.Argument(help="Template files, folders of them, or recipes; the built-in ones unless given."),
]
Samples = Annotated[int, typer.Option(min=1, help="Stored steps to ask about.")]
Id = Annotated[
    str,
    typer.Argument(help="A template's id, e.g. critique_picture, or a file (*.j2).", show_default=False),
]
RunOption = Annotated[
    Path, typer.Option("--run", help="A recipe that was built, or the folder of its run.", show_default=False)
]


@templates.command(name="list")
def list_(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe; the built-in templates unless given.")] = None,
    out: Out = None, json: AsJson = False,
) -> None:  # fmt: skip
    """Say which templates there are, which stages use them how often, and their share in the recipe's corpus.

    Example: [bold]underpaint templates list recipes/miniature.yaml[/bold]
    """
    from underpaint.pipeline.workbench.listing import list_templates, listing_lines
    from underpaint.stages.common.templating import BUILT_IN, load_templates

    if recipe is None:
        found = list_templates(load_templates([BUILT_IN]), None)
    else:
        run = opened(recipe, out)
        built = (run.corpus / "manifest.parquet").exists()
        found = list_templates(run.recipe.every_template(), run.corpus if built else None)
    kept = ("id", "version", "task", "role", "weight", "model", "dialect", "file")
    rows = [
        {**{k: getattr(x.template, k) for k in kept}, "digest": x.template.digest, "drawn": x.drawn,
         "samples": x.samples, "of": x.corpus}
        for x in found
    ]  # fmt: skip
    show(rows, json, listing_lines(found))


@templates.command()
def lint(sources: Sources = None, json: AsJson = False) -> None:
    """Find what is wrong with templates before anything is asked; every message names line and remedy. Exits with 1.

    Example: [bold]underpaint templates lint my_templates[/bold]
    """
    from underpaint.pipeline.workbench.lint import lint_files
    from underpaint.stages.all_stages import STAGES

    files = _files(sources)
    stages = {name: stage.tasks for name, stage in STAGES.items()}
    problems = lint_files(files, stages)
    show(
        [asdict(p) for p in problems],
        json,
        [*map(str, problems), *_dialects(files), _sum(files, len(problems), "problem")],
    )
    if problems:
        raise typer.Exit(1)


@templates.command()
def test(sources: Sources = None, json: AsJson = False) -> None:
    """Run the templates' examples as unit tests: the words they render to, what is read of their answers. Exits with 1.

    Example: [bold]underpaint templates test my_templates[/bold]
    """
    from underpaint.pipeline.workbench.examples import run_examples
    from underpaint.stages.common.templating import TemplateError, load_template

    files = _files(sources)
    try:
        tested = [one for file in files for one in run_examples(load_template(file))]
    except TemplateError as e:
        raise UserError(str(e)) from None
    lines = [
        f"FAILED  {t.template}: {t.example}: {t.wrong}" if t.wrong else f"passed  {t.template}: {t.example}"
        for t in tested
    ]
    failed = sum(bool(t.wrong) for t in tested)
    show([asdict(t) for t in tested], json, [*lines, _sum(files, failed, "failure")])
    if failed:
        raise typer.Exit(1)


@templates.command()
def preview(name: Id, run: RunOption, samples: Samples = 8, json: AsJson = False) -> None:
    """Ask a template's model about stored steps: request, picture, answer and what is read of it. Nothing is painted.

    Prints text and writes a page into the run's folder.
    Example: [bold]underpaint templates preview critique_picture --run runs/miniature --samples 8[/bold]
    """
    from underpaint.pipeline.engine.run_folder import find_run
    from underpaint.pipeline.workbench.asking import ask, load_model
    from underpaint.pipeline.workbench.pages import preview_lines, write_preview
    from underpaint.pipeline.workbench.subjects import stored_subjects

    found = find_run(run)
    template = _named(found.recipe, name)
    subjects = stored_subjects(found, template, samples)
    answered = ask(found, load_model(found, template), template, subjects)
    page = write_preview(found, template, answered)
    rows = [
        {"unit": str(a.subject.unit), "request": a.request, "answers": a.answers, "parsed": a.parsed, "error": a.error,
         "unread": list(a.unread), "bends": list(a.bends), "graded": a.graded}
        for a in answered
    ]  # fmt: skip
    show({"template": template.id, "page": str(page), "steps": rows}, json, [*preview_lines(answered), f"page: {page}"])


@templates.command()
def compare(a: Id, b: Id, run: RunOption, samples: Samples = 64, json: AsJson = False) -> None:
    """Ask two critiques of one task about the same stored steps: agreement, shifts, calibration, disagreements.

    Prints the figures and writes a page with every disagreement, side by side.
    Example: [bold]underpaint templates compare critique_picture mine.md.j2 --run runs/miniature --samples 64[/bold]
    """
    from underpaint.pipeline.engine.run_folder import find_run
    from underpaint.pipeline.workbench.comparison import compare_templates, comparison_lines
    from underpaint.pipeline.workbench.pages import write_comparison

    opened = find_run(run)
    found = compare_templates(opened, _named(opened.recipe, a), _named(opened.recipe, b), samples)
    page = write_comparison(opened, found)
    show({**found.to_json(), "page": str(page)}, json, [*comparison_lines(found), f"page: {page}"])


def _named(recipe: Recipe, id: str) -> Template:
    """The recipe's template of this id, or the template of a file (*.j2) in any folder. Raises UserError."""
    from underpaint.pipeline.workbench.listing import every_template
    from underpaint.stages.common.templating import TemplateError, load_template
    from underpaint.stages.prompting.tasks import unusable

    if id.endswith(".j2"):
        try:
            template = load_template(Path(id))
        except TemplateError as e:
            raise UserError(str(e)) from None
        for problem in unusable(template):
            raise UserError(str(problem))
        return template
    every = every_template(recipe)
    if id not in every:
        raise UserError(f"the recipe has no template {id!r}; {did_you_mean(id, every)}")
    return every[id]


def _files(sources: Sequence[Path] | None) -> list[Path]:
    """The template files of these files, folders and recipes. Raises UserError where one is none of these."""
    from underpaint.pipeline.recipe.recipe import template_folders
    from underpaint.stages.common.templating import BUILT_IN

    files: list[Path] = []
    for source in sources or [BUILT_IN]:
        folders = template_folders(source) if source.suffix in (".yaml", ".yml") else [source]
        for each in folders:
            found = sorted(each.glob("*.j2")) if each.is_dir() else [each]
            if not found or not all(f.is_file() for f in found):
                raise UserError(f"{each}: is neither a template nor a folder with templates (*.j2)")
            files += found
    return list(dict.fromkeys(files))


def _dialects(files: Sequence[Path]) -> list[str]:
    """A line for each dialect among the templates: lint does not ask of their words what it asks of others'."""
    from underpaint.stages.common.templating import TemplateError, load_template

    found: dict[str, list[str]] = {}
    for file in files:
        try:
            template = load_template(file)
        except TemplateError:
            continue
        if template.dialect:
            found.setdefault(template.dialect, []).append(template.id)
    return [f"in the dialect {name}, which no other model was taught: {', '.join(ids)}" for name, ids in found.items()]


def _sum(files: Sequence[Path], wrong: int, what: str) -> str:
    return ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for n, name in ((len(files), "template"), (wrong, what)))
