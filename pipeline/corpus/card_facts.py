"""Gathers what the dataset card says beyond the index: the models, and the sizes, counts and scores of pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from underpaint.pipeline.recipe.recipe import Recipe


@dataclass(frozen=True)
class ModelNote:
    """A model of the recipe; `name` and `revision` are those in the samples."""

    roles: str
    name: str
    revision: str
    source: str
    license: str


def model_notes(recipe: Recipe, names: dict[str, tuple[str, str]]) -> tuple[ModelNote, ...]:
    """One note per model, with all its roles; `names` has (name, revision) by role, as in the samples."""
    roles: dict[tuple[str, str], list[str]] = defaultdict(list)
    for role, named in names.items():
        roles[named].append(role)
    return tuple(
        ModelNote(", ".join(played), name, revision, _source(recipe.models[name]), recipe.models[name].license)
        for (name, revision), played in roles.items()
    )


def _source(model: Any) -> str:
    """ "black-forest-labs/FLUX.1-Kontext-dev at 0123abc", or the digest of a checkpoint that has no public name."""
    identity = model.identity()
    checkpoint = identity.get("checkpoint")
    if not checkpoint:
        inner = ", ".join(f"{k} {identity[k]}" for k in ("world", "factory", "model", "url") if identity.get(k))
        return f"`{model.kind}`: {inner}"
    if checkpoint != model.checkpoint:  # a folder, identified by its files
        return f"`{model.kind}` checkpoint, SHA-256 `{checkpoint}`"
    pinned = identity.get("revision") or identity.get("pretrained")
    return f"{checkpoint}{f' at `{pinned}`' if pinned else ''}"


def manifest_facts(manifest: Path) -> dict[str, Any]:
    """The sizes of pictures and the pictures per sample, in words, and the spread of every score, as rows of a table.

    They are the card's `sizes`, `counts` and `scores`. The manifest is read one row group at a time.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    counts: Counter[int] = Counter()
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    file = pq.ParquetFile(manifest)
    for group in range(file.num_row_groups):
        for row in file.read_row_group(group, columns=["subset", "images"]).to_pylist():
            counts[len(row["images"])] += 1
            for picture in row["images"]:
                sizes[picture["width"], picture["height"]] += 1
                for score in picture["scores"]:
                    values[score["name"], row["subset"]].append(score["value"])
    return {
        "sizes": ", ".join(f"{w}×{h}" for (w, h), _ in sizes.most_common(4)) or "none",
        "counts": ", ".join(f"{n} in {samples:,}" for n, samples in sorted(counts.items())),
        "scores": [
            {"name": n, "subset": s, "pictures": len(v), "mean": float(np.mean(v)), "low": float(np.quantile(v, 0.05))}
            for (n, s), v in sorted(values.items())
        ],
    }
