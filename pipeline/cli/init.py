"""``underpaint init``: a folder to start from, which builds as it lies."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from underpaint.pipeline.cli.terminal import say
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.common.installation import ROOT
from underpaint.pipeline.recipe.recipe import template_folders
from underpaint.stages.common.recipe_paths import OF_PACKAGE
from underpaint.stages.common.suggest import did_you_mean

TEMPLATE = "critique_picture.md.j2"


def init(
    folder: Annotated[Path, typer.Argument(help="A new folder, or an empty one.", show_default=False)],
    recipe: Annotated[str, typer.Option(help="The shipped recipe to begin with.")] = "miniature",
) -> None:
    """Copy a recipe with its vocabulary and a template to edit into a new folder; it builds as it lies.

    Example: [bold]underpaint init mine --recipe structural && underpaint build mine/recipe.yaml[/bold]
    """
    shipped = {file.stem: file for file in sorted((ROOT / "recipes").glob("*.yaml"))}
    if recipe not in shipped:
        raise UserError(f"--recipe {recipe}: there is no such recipe; {did_you_mean(recipe, list(shipped))}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder; give a new one")
    text = shipped[recipe].read_text("utf-8")
    vocabulary = re.search(r"^vocabulary: (\S+)$", text, re.MULTILINE)
    assert vocabulary is not None, recipe
    (folder / "templates").mkdir(parents=True)
    shutil.copyfile(shipped[recipe].parent / vocabulary[1], folder / "vocabulary.yaml")
    folders = template_folders(shipped[recipe])
    spoken = next(f / TEMPLATE for f in reversed(folders) if (f / TEMPLATE).is_file())  # as the recipe's judge is asked
    shutil.copyfile(spoken, folder / "templates" / TEMPLATE)
    shutil.copy(shipped[recipe].parent / "recipe.schema.json", folder)  # by which an editor checks the recipe
    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_") or recipe
    named = re.search(r"^templates: \[(.*?)\].*\n", text, re.MULTILINE)
    text = text.replace(named[0], "") if named else text
    own = f"templates: [{named[1]}, templates]" if named else "templates: [templates]"
    text = text.replace(vocabulary[0], f"vocabulary: vocabulary.yaml\n{own}")
    text = re.sub(r"^name: .*$", f"name: {name}", text, count=1, flags=re.MULTILINE)
    text = text.replace("../miniature/", f"{OF_PACKAGE}miniature/")  # as shipped recipes name what lies beside them
    (folder / "recipe.yaml").write_text(text, "utf-8")
    say(f"edit what is in {folder}, then `underpaint build {folder / 'recipe.yaml'}`")
