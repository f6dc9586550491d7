"""What the commands share: common options, and printing for a person or for a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from underpaint.pipeline.engine.run_folder import Run

console = Console(soft_wrap=True)

RecipeFile = Annotated[Path, typer.Argument(help="A recipe (YAML), e.g. recipes/miniature.yaml.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder; runs/<recipe name> unless given.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Ray actors; the recipe's number unless given.")]
ShipAnyway = Annotated[bool, typer.Option("--ship-anyway", help="Whatever the judge's calibration says.")]
Corpus = Annotated[Path, typer.Argument(help="A corpus folder, e.g. runs/miniature/corpus.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def show(value: Any, as_json: bool, lines: list[str]) -> None:
    """Print the value as JSON, or else the lines."""
    if as_json:
        print(json.dumps(value, indent=1))
    else:
        say(*lines)


def say(*lines: str) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, highlight=False, markup=False)


def opened(recipe: Path, out: Path | None) -> Run:
    """`open_run`, imported only when a command needs it, so that ``--help`` comes at once."""
    from underpaint.pipeline.engine.run_folder import open_run

    return open_run(recipe, out)
