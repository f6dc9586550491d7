"""Writes the dataset card, README.md: front matter for the hub and for `datasets`, text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml

from underpaint.pipeline.corpus.card_facts import ModelNote
from underpaint.pipeline.corpus.figures import Facts
from underpaint.pipeline.corpus.index import Index
from underpaint.pipeline.corpus.repair_figures import Repairs
from underpaint.schemas.corpus.fields import huggingface_features
from underpaint.schemas.corpus.sample import SCHEMA
from underpaint.schemas.corpus.subsets import SUBSETS


@dataclass(frozen=True)
class CorpusInfo:
    """What the dataset card and the index say about the corpus as a whole."""

    name: str  # the dataset's name, e.g. "underpaint-62k"
    recipe_sha256: str
    pipeline_commit: str
    title: str = ""
    summary: str = ""  # Markdown
    license: str = ""  # a hub identifier, e.g. "apache-2.0"
    models: tuple[ModelNote, ...] = ()
    funnel: tuple[dict[str, Any], ...] = ()  # ledgers summed by stage, as `underpaint status` has them
    quotas: dict[str, Any] = field(default_factory=dict)  # by kind, also as `underpaint status` has them
    facts: Facts | None = None  # the report's figures about the shards
    repairs: Repairs | None = None  # the report's figures about all drafts that were judged wrong


def card_text(index: Index, facts: Mapping[str, Any], suffix: str, info: CorpusInfo) -> str:
    """README.md for a corpus whose pictures end in `suffix`; `facts` are those of `card_facts.manifest_facts`."""
    parts = sorted({(e.subset, e.split) for e in index.shards})
    subsets = _subsets(parts)
    splits = _splits(parts, subsets[0])
    front: dict[str, Any] = {
        "pretty_name": info.title or info.name,
        **({"license": info.license} if info.license else {}),
        "task_categories": ["text-to-image"],
        "configs": configs(parts),
        "dataset_info": dataset_info(parts, suffix),
    }
    body = _template().render(
        info=info, schema=SCHEMA, registry=SUBSETS, samples=index.samples, pictures=index.pictures,
        subsets=subsets, splits=splits, shard=f"{subsets[0]}/{SUBSETS[subsets[0]].abbreviation}-{splits[0]}-000000.tar",
        composition=_composition(index), categories=_categories(index), faults=_faults(info), **facts,
    )  # fmt: skip
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{body}\n"


def configs(parts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """One config per subset, from the (subset, split) pairs that have shards; the first is the default."""
    found: list[dict[str, Any]] = []
    for subset in _subsets(parts):
        # The glob ends in .tar: index files of other readers lie beside the shards and are no tars.
        files = [
            {"split": s, "path": f"{subset}/{SUBSETS[subset].abbreviation}-{s}-*.tar"} for s in _splits(parts, subset)
        ]
        found.append({"config_name": subset, **({} if found else {"default": True}), "data_files": files})
    return found


def dataset_info(parts: Sequence[tuple[str, str]], suffix: str) -> list[dict[str, Any]]:
    """The declared features of every config, for pictures that end in `suffix`."""
    return [{"config_name": s, "features": huggingface_features(suffix)} for s in _subsets(parts)]


def _subsets(parts: Sequence[tuple[str, str]]) -> list[str]:
    return [s for s in SUBSETS if any(subset == s for subset, _ in parts)]


def _splits(parts: Sequence[tuple[str, str]], subset: str) -> list[str]:
    return [s for s in ("train", "validation") if (subset, s) in parts]


def _composition(index: Index) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for cell in index.cells:
        counts[cell.subset, cell.polarity, cell.split] += cell.samples
    kinds = sorted({(s, p) for s, p, _ in counts}, key=lambda k: (list(SUBSETS).index(k[0]), k[1]))
    return [
        {"subset": s, "polarity": p, "train": counts[s, p, "train"], "validation": counts[s, p, "validation"]}
        for s, p in kinds
    ]


def _categories(index: Index) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for cell in index.cells:
        found.setdefault(cell.category, Counter())[cell.subset] += cell.samples
    return dict(sorted(found.items()))


def _faults(info: CorpusInfo) -> list[str]:
    findings = info.facts.findings.values() if info.facts else ()
    return sorted({kind for found in findings for kind in found})


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["thousands"] = "{:,}".format
    environment.filters["reasons"] = _reasons
    return environment.get_template("card.md.j2")


def _reasons(counts: Mapping[str, int]) -> str:
    """ "57 over quota, 3 a duplicate"; a bar becomes a slash, since it would end the table's cell."""
    return ", ".join(f"{n:,} {reason}" for reason, n in sorted(counts.items())).replace("|", "/")
