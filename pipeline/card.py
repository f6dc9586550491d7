"""The dataset card: README.md with the configs and features that the Hugging Face hub and `datasets` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from schemas.fields import huggingface_features
from schemas.sample import SCHEMA
from schemas.sample_rules import ABBREVIATIONS

if TYPE_CHECKING:
    from pipeline.corpus import CorpusInfo

SUBSETS = ("multi_turn", "conflict", "alignment")
_TEACHES = {
    "multi_turn": "Plan and Sketch: whole trajectories from a prompt to a picture",
    "conflict": "Inspect, text side: does this step's text contradict the prompt?",
    "alignment": "Inspect and Refine, picture side: does this draft show what the step asked?",
}
_BODY = """# {title}

{summary}

Samples are [`{schema}`](SCHEMA.json): an ordered list of text and picture segments, each of them context (`loss` 0)
or target (`loss` 1). `docs/format.md` of the project explains every field.

| subset | samples | teaches |
| --- | --- | --- |
{table}

Polarity: {polarity}. Splits: {split}. No prompt family is in two splits.

```python
import io, json
import webdataset as wds
from PIL import Image

for s in wds.WebDataset("{shard}", shardshuffle=False):
    sample = json.loads(s["json"])
    for part in sample["segments"]:
        content = part["text"] or Image.open(io.BytesIO(s[part["image"]]))
        print("target" if part["loss"] else "context", part["stage"], content)
```

With `datasets>=2.21`: `load_dataset("<this repository>", "{config}", split="{first_split}")`.
Check a download with `sha256sum -c SHA256SUMS`.

Recipe `{recipe}`, pipeline commit `{commit}`.
"""


def card_text(
    parts: Sequence[tuple[str, str]], suffix: str, totals: Mapping[str, Mapping[str, int]], info: CorpusInfo
) -> str:
    """README.md for a corpus with these (subset, split) pairs, whose pictures end in `suffix`."""
    subsets = [s for s in SUBSETS if any(subset == s for subset, _ in parts)]
    splits = {s: [p for p in ("train", "validation") if (s, p) in parts] for s in subsets}
    first, first_split = subsets[0], splits[subsets[0]][0]
    front: dict[str, Any] = {
        "pretty_name": info.title or info.name,
        **({"license": info.license} if info.license else {}),
        "task_categories": ["text-to-image"],
        "configs": [_config(s, splits[s], default=s == first) for s in subsets],
        "dataset_info": [{"config_name": s, "features": huggingface_features(suffix)} for s in subsets],
    }
    body = _BODY.format(
        title=info.title or info.name,
        summary=info.summary or "A corpus for process-driven image generation: plan, sketch, inspect, refine.",
        schema=SCHEMA,
        table="\n".join(f"| {s} | {totals['subset'][s]:,} | {_TEACHES[s]} |" for s in subsets),
        polarity=", ".join(f"{n:,} {name}" for name, n in totals["polarity"].items()),
        split=", ".join(f"{n:,} {name}" for name, n in totals["split"].items()),
        shard=f"{first}/{ABBREVIATIONS[first]}-{first_split}-000000.tar",
        config=first,
        first_split=first_split,
        recipe=info.recipe_sha256,
        commit=info.pipeline_commit,
    )
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{body}"


def _config(subset: str, splits: Sequence[str], default: bool) -> dict[str, Any]:
    # The glob ends in .tar: index files of other readers lie beside the shards and are no tars.
    files = [{"split": s, "path": f"{subset}/{ABBREVIATIONS[subset]}-{s}-*.tar"} for s in splits]
    return {"config_name": subset, **({"default": True} if default else {}), "data_files": files}
