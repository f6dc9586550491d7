"""Trains the miniature checkpoints: ``python -m underpaint.miniature.train painter --hours 1 --resume``.

``python -m underpaint.miniature.train writer --corpus runs/multi_turn --hours 0.2`` fine-tunes the speaker on a corpus
and writes it to ``runs/train/checkpoints/writer``: the policy of recipes/self_sampling.yaml.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

CHECKPOINTS = Path(__file__).parent / "checkpoints"
POLICIES = Path("runs/train/checkpoints")  # not in the repository, since each belongs to one corpus


class Part(StrEnum):
    """The parts, in the order in which they build on each other: the painter needs autoencoder and wording encoder."""

    autoencoder = "autoencoder"
    wording = "wording"
    painter = "painter"
    speaker = "speaker"
    scorer = "scorer"
    reader = "reader"
    writer = "writer"


def main(
    part: Part,
    hours: Annotated[float, typer.Option(help="How long to train.")] = 1.0,
    resume: Annotated[bool, typer.Option(help="Go on from runs/train/<part>.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the checkpoints; the writer's is in runs/train.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="The writer's: a run's folder or its corpus.")] = None,
    seed: int = 0,
    threads: int = 2,
) -> None:
    """Train one part for a while, log its learning curve and write its checkpoint (safetensors)."""
    import torch

    torch.set_num_threads(threads)
    if part is Part.writer:
        _fine_tune(corpus, (out or POLICIES) / part.value, hours, resume, seed)
        return
    trainer = import_module(f"underpaint.miniature.trainers.{part.value}")
    trainer.train((out or CHECKPOINTS) / part.value, hours, resume, seed)


def _fine_tune(corpus: Path | None, out: Path, hours: float, resume: bool, seed: int) -> None:
    from underpaint.miniature.trainers.writer import train
    from underpaint.schemas.corpus.reader import ReaderError

    if corpus is None:
        raise typer.BadParameter("the writer learns from a corpus: --corpus runs/multi_turn")
    whole = corpus if (corpus / "index.json").exists() else corpus / "corpus"
    try:
        train(whole, CHECKPOINTS / "speaker", out, hours, resume, seed)
    except ReaderError as e:
        raise typer.BadParameter(str(e)) from None


if __name__ == "__main__":
    typer.run(main)
