"""``underpaint export | publish``: what is done with a corpus once it is built."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UserError
from pipeline.terminal import AsJson, show

corpus_app = typer.Typer(rich_markup_mode="rich")

Corpus = Annotated[Path, typer.Argument(help="A corpus folder, e.g. runs/miniature/corpus.", show_default=False)]


class Shape(StrEnum):
    """What a corpus can be exported to; each a module of `pipeline.exports`."""

    energon = "energon"
    parquet = "parquet"
    dpo = "dpo"


@corpus_app.command()
def export(
    corpus: Corpus,
    to: Annotated[Shape, typer.Option(help="Energon's index, IRG's conversations, or pairs for preference training.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; must not exist.")],
    json: AsJson = False,
) -> None:
    """Write a corpus in the shape of a trainer that does not read its shards as they are.

    Example: [bold]underpaint export runs/miniature/corpus --to dpo --out runs/pairs[/bold]
    """
    from schemas.sample import SampleError

    try:
        counts = import_module(f"pipeline.exports.{to}").export(corpus, out)
    except SampleError as e:
        raise UserError(f"{corpus}: {e}; `underpaint verify {corpus}` lists all that is wrong") from None
    said = ", ".join(f"{n} {what}" for what, n in counts.items())
    show({"out": str(out), **counts}, json, [f"{out}: {said}"])
