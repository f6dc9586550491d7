"""Train the miniature checkpoints: ``python -m miniature.train painter --hours 1 --resume``."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

CHECKPOINTS = Path(__file__).parent / "checkpoints"


class Part(StrEnum):
    """In the order they build on each other: the painter needs the autoencoder and the wording encoder."""

    autoencoder = "autoencoder"
    wording = "wording"
    painter = "painter"
    speaker = "speaker"
    scorer = "scorer"
    reader = "reader"


def main(
    part: Part,
    hours: Annotated[float, typer.Option(help="How long to train.")] = 1.0,
    resume: Annotated[bool, typer.Option(help="Go on from runs/train/<part>.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the checkpoints.")] = CHECKPOINTS,
    seed: int = 0,
    threads: int = 2,
) -> None:
    """Train one part for a while, log its learning curve and write its checkpoint (safetensors)."""
    import torch

    import stages.models.torchvision_compat  # noqa: F401  (before anything imports torchvision)

    torch.set_num_threads(threads)
    import_module(f"miniature.trainers.{part.value}").train(out / part.value, hours, resume, seed)


if __name__ == "__main__":
    typer.run(main)
