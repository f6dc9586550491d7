"""Exports the corpus for Megatron-Energon: the same shards, with Energon's own index beside them.

Energon writes into the folder that it reads, so the shards are linked into new folders; the corpus stays as it is.
docs/format.md shows the cooker that turns Energon's crude samples into ours.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from underpaint.pipeline.common.atomic import link
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.exports.folder import fresh_folder
from underpaint.pipeline.corpus.index import Index, corpus_index
from underpaint.schemas.corpus.subsets import SUBSETS

PARTS = {"train": "train", "val": "validation"}  # Energon's word and ours
WORKERS = 4  # processes that index shards


def export(corpus: Path, out: Path) -> dict[str, int]:
    """Write a folder per subset, with its shards and `.nv-meta`, and metadataset.yaml to blend them. Returns counts.

    Raises UserError where Energon is not installed, `corpus` is none, or `out` exists.
    """
    try:
        from megatron.energon.flavors.webdataset.prepare import WebdatasetPreparator
    except ImportError:
        raise UserError("megatron-energon is not installed; pip install 'underpaint[energon]'") from None
    index = corpus_index(corpus)
    with fresh_folder(out) as folder:
        for subset in SUBSETS:
            shards = [PurePosixPath(entry.path) for entry in index.shards if entry.subset == subset]
            if not shards:
                continue
            (folder / subset).mkdir()
            for shard in shards:
                link(corpus / shard, folder / shard)
            patterns = [(part, f".*-{split}-.*\\.tar") for part, split in PARTS.items()]
            with redirect_stdout(io.StringIO()):  # it prints every step
                WebdatasetPreparator.prepare_dataset(
                    folder / subset, [s.name for s in shards], split_parts_patterns=patterns, workers=WORKERS
                )
            crude = {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}
            (folder / subset / ".nv-meta" / "dataset.yaml").write_text(yaml.safe_dump(crude, sort_keys=False))
        (folder / "metadataset.yaml").write_text(yaml.safe_dump(_blend(index), sort_keys=False))
    return {"samples": index.samples, "files": len(index.shards)}


def _blend(index: Index) -> dict[str, Any]:
    """Training draws from subsets in proportion to their samples; `subset` tells a cooker where a sample came from."""
    splits: dict[str, Any] = {}
    for part, split in PARTS.items():
        blend = []
        for subset in SUBSETS:
            weight = sum(e.samples for e in index.shards if (e.subset, e.split) == (subset, split))
            if weight:
                blend.append({"weight": weight, "path": f"./{subset}", "subflavors": {"subset": subset}})
        if blend:
            splits[part] = {"blend": blend}
    return {"__module__": "megatron.energon", "__class__": "MetadatasetV2", "splits": splits}
