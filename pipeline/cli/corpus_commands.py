"""``underpaint verify | export | publish``: commands for a corpus that is built."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from underpaint.pipeline.cli.terminal import AsJson, Corpus, show
from underpaint.pipeline.common.errors import UserError

corpus_app = typer.Typer(rich_markup_mode="rich")


class Shape(StrEnum):
    """The formats for export; each is a module of `pipeline.corpus.exports`."""

    energon = "energon"
    parquet = "parquet"
    dpo = "dpo"


@corpus_app.command()
def verify(corpus: Corpus, json: AsJson = False) -> None:
    """Read the shards back and check names, counts, checksums, schema and pictures. Exits with 1 on any problem.

    Example: [bold]underpaint verify runs/miniature/corpus[/bold]
    """
    from underpaint.pipeline.corpus.verify import verify as read_back

    if not (corpus / "index.json").exists():
        raise UserError(f"{corpus} holds no corpus (no index.json); give the folder that `underpaint build` named")
    found = read_back(corpus)
    lines = list(map(str, found.problems))
    counts = ", ".join(f"{n} {what}" for what, n in found.counts.items())
    lines.append(f"{counts}; {len(found.problems)}{' or more' if found.cut else ''} problems")
    problems = [asdict(p) for p in found.problems]
    show({"counts": found.counts, "totals": found.totals, "problems": problems}, json, lines)
    if problems:
        raise typer.Exit(1)


@corpus_app.command()
def export(
    corpus: Corpus,
    to: Annotated[Shape, typer.Option(help="Energon's index, IRG's conversations, or pairs for preference training.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; must not exist.")],
    json: AsJson = False,
) -> None:
    """Write a corpus in the format of a trainer that does not read its shards.

    Example: [bold]underpaint export runs/miniature/corpus --to dpo --out runs/pairs[/bold]
    """
    from underpaint.schemas.corpus.sample import SampleError

    try:
        counts = import_module(f"underpaint.pipeline.corpus.exports.{to}").export(corpus, out)
    except SampleError as e:
        raise UserError(f"{corpus}: {e}; `underpaint verify {corpus}` lists all that is wrong") from None
    said = ", ".join(f"{n} {what}" for what, n in counts.items())
    show({"out": str(out), **counts}, json, [f"{out}: {said}"])


@corpus_app.command()
def publish(
    corpus: Corpus,
    repo: Annotated[str, typer.Option(help="Dataset repository on the hub, owner/name; made if it is not there.")],
    yes: Annotated[bool, typer.Option("--yes", help="Upload. Without it, only say what would be uploaded.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public; private otherwise.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that verify the corpus before.")] = 1,
    json: AsJson = False,
) -> None:
    """Verify a corpus and upload it to the Hugging Face hub in one commit. Without --yes only say what would be done.

    The token is huggingface_hub's: HF_TOKEN, or `hf auth login`.

    Example: [bold]underpaint publish runs/miniature/corpus --repo my-lab/underpaint-miniature --yes[/bold]
    """
    from underpaint.pipeline.corpus.hub import check_repository, upload_corpus, uploads

    check_repository(repo)
    files = uploads(corpus)
    size = sum(f.bytes for f in files)
    url = upload_corpus(corpus, repo, not public, workers) if yes else ""
    lines = [f"{f.bytes:>14,}  {f.path}" for f in files]
    lines.append(f"{size:>14,}  bytes in {len(files)} files")
    visible = "public" if public else "private"
    lines.append(
        f"uploaded to {url}" if yes else f"nothing is uploaded; with --yes they go to {repo} ({visible} if new)"
    )
    show({"repo": repo, "uploaded": url, "bytes": size, "files": [asdict(f) for f in files]}, json, lines)
