"""The ``underpaint`` command line; larger commands are in the other modules of this folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from underpaint.pipeline.cli.corpus_commands import corpus_app
from underpaint.pipeline.cli.init import init
from underpaint.pipeline.cli.inspect_pack import inspect_pack
from underpaint.pipeline.cli.run_commands import store_app
from underpaint.pipeline.cli.select_command import select
from underpaint.pipeline.cli.template_commands import templates
from underpaint.pipeline.cli.terminal import AsJson, Out, RecipeFile, ShipAnyway, Workers, console, opened, say, show
from underpaint.pipeline.common.errors import BuildError, UserError

app = typer.Typer(
    help="Builds the training corpus for process-driven image generation: plan, sketch, inspect, refine.",
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
)  # fmt: skip
recipe_app = typer.Typer(help="What a recipe may say.", no_args_is_help=True)
app.add_typer(corpus_app)
app.add_typer(store_app)
app.add_typer(templates, name="templates")
app.add_typer(recipe_app, name="recipe")
app.command(name="init")(init)
app.command(name="inspect-pack")(inspect_pack)
app.command(name="select")(select)


@app.command()
def plan(recipe: RecipeFile, out: Out = None, json: AsJson = False) -> None:
    """Say what a build would make, and what it would reuse; nothing is loaded or made.

    Example: [bold]underpaint plan recipes/miniature.yaml[/bold]
    """
    from underpaint.pipeline.engine.what_changed import explain_plan, plan_lines

    run = opened(recipe, out)
    stages, summary = explain_plan(run), run.recipe.benchmarks().summary()
    show(stages, json, [*plan_lines(stages), *(["", summary] if summary else [])])


@app.command()
def build(recipe: RecipeFile, out: Out = None, workers: Workers = None, ship_anyway: ShipAnyway = False) -> None:
    """Build the corpus; what is done already is reused, so a killed build goes on where it stopped.

    Example: [bold]underpaint build recipes/miniature.yaml --workers 2[/bold]
    """
    from underpaint.pipeline.build import build as run_build
    from underpaint.pipeline.selection.quota_status import funnel_lines, status

    run = opened(recipe, out)
    say(f"recipe {run.recipe.name}, seed {run.recipe.seed}, in {run.root}")
    run_build(run, console, workers, ship_anyway)
    say(*funnel_lines(status(run)), f"corpus: {run.corpus}")


@app.command()
def calibrate(recipe: RecipeFile, out: Out = None, workers: Workers = None, json: AsJson = False) -> None:
    """Ask the judge about cases of known truth and print its precision and recall. Exits with 1 under the floor.

    Example: [bold]underpaint calibrate recipes/miniature.yaml[/bold]
    """
    from underpaint.pipeline.build import calibrate as run_calibration
    from underpaint.pipeline.selection.judge_gate import calibration_lines, shortfalls

    run = opened(recipe, out)
    found = run_calibration(run, Console(stderr=True) if json else console, workers)
    short = shortfalls(run.recipe, found)
    figures = {side.value: figures.to_dict() for side, figures in found.items()}
    lines = [*calibration_lines(found), "", *(f"under the floor: {s}" for s in short)]
    show({"figures": figures, "shortfalls": short}, json, lines)
    if short:
        raise typer.Exit(1)


@app.command(name="status")
def show_status(recipe: RecipeFile, out: Out = None, json: AsJson = False) -> None:
    """Show every stage's ledger, the quotas, and what lies in quarantine. Exits with 1 where a ledger does not balance.

    Example: [bold]underpaint status recipes/miniature.yaml --json[/bold]
    """
    from underpaint.pipeline.selection.quota_status import funnel_lines, status

    found = status(opened(recipe, out))
    show(found, json, funnel_lines(found))
    if not found["balanced"]:
        raise typer.Exit(1)


@app.command()
def report(
    recipe: RecipeFile,
    out: Out = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples shown of each kind.")] = 24,
    against: Annotated[
        Path | None, typer.Option(help="Another run's folder or recipe; its kinds of error stand beside this one's.")
    ] = None,
) -> None:
    """Write one static page: quotas, composition, repairs, errors, thresholds, the funnel, and samples of every kind.

    Example: [bold]underpaint report recipes/miniature.yaml --against recipes/structural.yaml[/bold]
    """
    from underpaint.pipeline.report.report import write_report

    run = opened(recipe, out)
    if not (run.corpus / "index.json").exists():
        raise UserError(f"{run.root} holds no corpus yet; run `underpaint build {recipe}` first")
    say(f"report: {write_report(run, samples, against)}")


@recipe_app.command()
def schema(
    out: Annotated[
        Path | None, typer.Option(help="The file to write; printed unless given.", show_default=False)
    ] = None,
) -> None:
    """Write the JSON Schema of a recipe; docs/recipe.md is the same for people.

    A recipe that begins with [bold]# yaml-language-server: $schema=recipe.schema.json[/bold] is completed and checked
    by editors.
    Example: [bold]underpaint recipe schema --out recipe.schema.json[/bold]
    """
    from underpaint.pipeline.recipe.recipe_schema import json_schema
    from underpaint.schemas.corpus.write_schema import json_text

    if out is None:
        print(json_text(json_schema()), end="")
    else:
        out.write_text(json_text(json_schema()), "utf-8")


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed or found problems, 2 bad input, 130 interrupted."""
    try:
        app()
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
    except BuildError as e:
        print(f"failed: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; what is done is kept, build again to go on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
