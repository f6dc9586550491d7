"""``underpaint recipe schema``: what a recipe may say, for editors and other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

recipe_app = typer.Typer(help="What a recipe may say.", no_args_is_help=True)


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
    from underpaint.pipeline.recipe.recipe_schema import schema_text

    if out is None:
        print(schema_text(), end="")
    else:
        out.write_text(schema_text(), "utf-8")
