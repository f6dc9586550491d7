"""Reads a corpus with webdataset alone: ``python examples/read_shards.py runs/miniature/corpus``.

Prints one sample of each kind, part by part, and how many there are. docs/format.md says what every field means.
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import webdataset as wds
from PIL import Image


def samples(corpus: Path, split: str) -> Iterator[tuple[dict[str, Any], dict[str, Image.Image]]]:
    """Every sample of a split: its fields, and its pictures by name (RGB)."""
    shards = sorted(str(shard) for shard in corpus.glob(f"*/*-{split}-*.tar"))
    for raw in wds.WebDataset(shards, shardshuffle=False):
        fields = json.loads(raw["json"])
        names = [picture["name"] for picture in fields["images"]]
        yield fields, {name: Image.open(io.BytesIO(raw[name])).convert("RGB") for name in names}


def lines(fields: dict[str, Any], pictures: dict[str, Image.Image]) -> Iterator[str]:
    """The sample's parts in their order: a target is what a model learns to make, the rest is context."""
    for part in fields["segments"]:
        content = part["text"] or "a picture of {} x {} pixels".format(*pictures[part["image"]].size)
        yield f"  {'target ' if part['loss'] else 'context'} {part['stage']:<8} {content}"


def main(corpus: Path) -> None:
    """Print what every kind of sample in a corpus holds."""
    counts: Counter[str] = Counter()
    for split in ("train", "validation"):
        for fields, pictures in samples(corpus, split):
            kind = fields["subset"] if fields["polarity"] == "none" else f"{fields['subset']}, {fields['polarity']}"
            if not counts[f"{kind}: train"]:
                print(f"{kind}: {fields['id']}", *lines(fields, pictures), sep="\n")
            counts[f"{kind}: {split}"] += 1
    for kind, number in sorted(counts.items()):
        print(f"{number:>6} {kind}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
