"""Trains the independent reader, which tells what is in each cell of a picture and measures the other models.

It is trained only on renders.
"""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from underpaint.miniature.loop import TrainingRun
from underpaint.miniature.scenes import HeldOut, random_scene
from underpaint.miniature.trainers.autoencoder import pixels
from underpaint.miniature.world import cell_labels, render, vocabulary
from underpaint.schemas.scenes.scene import SceneGraph

NOUN_LABELS = [*vocabulary().nouns, "nothing"]
COLOUR_LABELS = [*vocabulary().attributes["colour"], "none"]
BACKGROUND_LABELS = [*vocabulary().backgrounds, "blank"]


class ReaderNet(nn.Module):
    """A small convolutional net that classifies noun and colour of each cell, and the background."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 5, 2, 2), nn.GroupNorm(4, 32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1), nn.GroupNorm(4, 64), nn.ReLU(),
            nn.Conv2d(64, 96, 3, 1, 1), nn.GroupNorm(4, 96), nn.ReLU(),
            nn.Conv2d(96, 128, 3, 2, 1), nn.GroupNorm(4, 128), nn.ReLU(),
        )  # fmt: skip
        self.cell = nn.Conv2d(128, 192, 4, 4)
        self.noun, self.colour = nn.Linear(192, len(NOUN_LABELS)), nn.Linear(192, len(COLOUR_LABELS))
        self.back = nn.Linear(128, len(BACKGROUND_LABELS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, 64, 64) in [-1, 1] → noun logits (N, 4, 9), colour logits (N, 4, 8), background logits (N, 5)."""
        h = self.body(x)
        cells = F.relu(self.cell(h)).flatten(2).transpose(1, 2)
        return self.noun(cells), self.colour(cells), self.back(h.mean((2, 3)))


def labels(graph: SceneGraph) -> list[int]:
    """The right answer for a scene, as nine indices: four nouns, four colours, the background."""
    cells = cell_labels(graph)
    nouns = [NOUN_LABELS.index(c[0] if c else "nothing") for c in cells]
    colours = [COLOUR_LABELS.index(c[1] if c else "none") for c in cells]
    return [*nouns, *colours, BACKGROUND_LABELS.index(graph.background or "blank")]


def _batch(rng: random.Random, n: int) -> tuple[Tensor, Tensor]:
    graphs = [
        random_scene(rng, relations=False) if rng.random() < 0.97 else SceneGraph() for _ in range(n)
    ]  # fmt: skip
    x = torch.stack([pixels(render(g, rng.randrange(1 << 30))) for g in graphs])
    return x, torch.tensor([labels(g) for g in graphs])


def _spoil(x: Tensor) -> Tensor:
    """Pictures with random blur, noise and brightness, since generated pictures are softer than renders."""
    if random.random() < 0.6:
        x = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear") * 0.7 + x * 0.3
    x = x * (1 + 0.1 * torch.randn(len(x), 1, 1, 1)) + 0.06 * torch.randn(len(x), 1, 1, 1)
    return x + torch.rand(len(x), 1, 1, 1) * 0.15 * torch.randn_like(x)


def train(out: Path, hours: float, resume: bool, seed: int) -> None:
    """Train the reader for some hours and write it to `out` in 16 bit."""
    torch.manual_seed(seed)
    model = ReaderNet()
    run = TrainingRun("reader", model, lr=2e-3, hours=hours, resume=resume, ema=0.995)
    rng = random.Random(f"reader/{seed}/{run.step}")
    held_out = _batch(HeldOut("reader/held out"), 1000)

    def evaluate() -> dict[str, float]:
        right = read_pictures(model, held_out[0]) == held_out[1]
        return {
            "cell": float((right[:, :4] & right[:, 4:8]).float().mean()),
            "exact": float(right.all(1).float().mean()),
        }

    while not run.over():
        x, y = _batch(rng, 64)
        noun, colour, back = model(_spoil(x))
        loss = F.cross_entropy(noun.flatten(0, 1), y[:, :4].flatten()) + F.cross_entropy(back, y[:, 8])
        loss = loss + F.cross_entropy(colour.flatten(0, 1), y[:, 4:8].flatten())
        run.update(loss, 64)
        run.report(loss, evaluate, every=200)
    run.finish(evaluate)
    out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.to(torch.float16).contiguous() for k, v in run.average.items()}, out / "model.safetensors")


@lru_cache
def load(folder: Path) -> ReaderNet:
    """The reader of a checkpoint folder, ready to read."""
    model = ReaderNet()
    model.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    return model.eval()


@torch.no_grad()
def read_pictures(model: ReaderNet, x: Tensor) -> Tensor:
    """What the reader sees in pictures (N, 3, 64, 64) in [-1, 1], as indices like those of `labels`, (N, 9)."""
    noun, colour, back = model(x)
    return torch.cat([noun.argmax(2), colour.argmax(2), back.argmax(1, keepdim=True)], 1)
