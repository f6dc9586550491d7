"""prompts: makes scene graphs and prompts, composed in given shares of GenEval's categories or from a list."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from underpaint.schemas import tables
from underpaint.schemas.scenes.compare import look
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.common.stage import Context, Failure, Ledger, Outcome, Params, Stage, Weights, outcome
from underpaint.stages.planning.compose import CATEGORIES, categorise, compose
from underpaint.stages.planning.layout import NoLayout, lay_out
from underpaint.stages.prompting.enriching import TASK as ENRICH
from underpaint.stages.prompting.enriching import Departs, Enriched, Enrichment, enrich_prompts
from underpaint.stages.prompting.parsing import TASK as PARSE
from underpaint.stages.prompting.parsing import Parsed, SceneError, parse_prompts
from underpaint.stages.prompting.prompt_source import PromptSource, SourceError, open_prompts, read_stream

# Mostly compositions: the paper's samples have 3.51 pictures on average, and one object is seldom worth four steps.
SHARES = {**dict.fromkeys(CATEGORIES, 1.0), "composition": 9.0}


class PromptParams(Params):
    """`shares` are relative weights of the categories; `capacity` is the largest number of objects in a picture.

    `attributes` are given to every object ("always"), or only where the category asks for them, as in GenEval.
    `source` is the user's own list, used instead of composed prompts. With `enrich` the writer makes prompts long.
    """

    shares: Weights[str] = Field(default_factory=lambda: dict(SHARES))
    capacity: int = Field(default=4, ge=2, le=10)
    attributes: Literal["always", "asked"] = "always"
    source: PromptSource | None = None
    enrich: Enrichment | None = None

    @field_validator("shares")
    @classmethod
    def _known(cls, shares: dict[str, float]) -> dict[str, float]:
        for category in shares:
            if category not in CATEGORIES:
                raise ValueError(f"unknown category {category!r}; there are {', '.join(CATEGORIES)}")
        return shares

    def identity(self) -> dict[str, Any]:
        """The parameters; the user's list counts by its content."""
        named = self.model_dump(mode="json")
        if self.source is not None:
            named["source"]["path"] = self.source.digest()
        return named

    def problem(self) -> str:
        """Why the user's list cannot be read; "" where it can, or where there is none."""
        try:
            if self.source is not None:
                open_prompts(self.source)
        except SourceError as e:
            return f"source.{e.field}: {e}"
        return ""

    def unused_tasks(self) -> frozenset[str]:
        """Parsing and enriching prompts, where the parameters do not ask for it."""
        parses = self.source is not None and self.source.reader == "writer"
        return frozenset([*([] if parses else [PARSE]), *([] if self.enrich else [ENRICH])])

    def length(self) -> int | None:
        """The number of prompts in the user's list, repeats included; None for composed prompts, which never end."""
        return None if self.source is None else len(open_prompts(self.source)) * self.source.repeat


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Make the prompts of a lot, drop those whose scene cannot be painted in steps, and enrich the rest if asked to."""
    params: PromptParams = context.params
    ledger = Ledger()
    rows = _composed(context, ledger) if params.source is None else _own(context, params.source, ledger)
    rows = [row for row in rows if _fits(row, context, ledger, own=params.source is not None)]
    if params.enrich is not None:
        rows = _enriched(context, rows, ledger)
    ledger.keep(len(rows))
    for row in rows:
        row["scene"] = row["scene"].model_dump_json()
    return outcome(tables.PROMPTS, rows, ledger)


def _row(sample: int, category: str, prompt: str, scene: SceneGraph, origin: str, template: str = "") -> dict[str, Any]:
    templates = [template] if template else []
    return {
        "sample": sample, "category": category, "prompt": prompt, "short": prompt, "scene": scene, "origin": origin,
        "templates": templates,
    }  # fmt: skip


def _composed(context: Context, ledger: Ledger) -> list[dict[str, Any]]:
    """One composed prompt per sample of the lot. A scene that has no layout is drawn again, e.g. three in a column."""
    params: PromptParams = context.params
    rows = []
    for sample in range(context.lot.start, context.lot.start + context.lot.size):
        ledger.enter()
        rng = context.random_for(sample)
        category = rng.choices(list(params.shares), list(params.shares.values()))[0]
        for _ in range(20):
            scene = compose(rng, category, context.vocabulary, params.capacity, params.attributes)
            if _laid_out(scene, rng, context):
                break
        rows.append(_row(sample, category, describe(scene, context.vocabulary), scene, "composed"))
    return rows


def _own(context: Context, source: PromptSource, ledger: Ledger) -> list[dict[str, Any]]:
    """The lot's slice of the user's list; empty where the list has ended."""
    texts: dict[int, str] = {}
    for sample, text in enumerate(read_stream(source, context.lot.start, context.lot.size), context.lot.start):
        ledger.enter()
        if isinstance(text, str):
            texts[sample] = text
        else:
            ledger.fail(Failure.of(f"sample {sample}: a bad row of {source.path}", text))
    rows = []
    for sample, found in sorted(parse_prompts(context, texts).items()):
        if isinstance(found, Parsed):
            row = _row(sample, categorise(found.scene), texts[sample], found.scene, found.origin, found.template)
            rows.append(row)
        else:
            ledger.fail(found)
    return rows


def _fits(row: dict[str, Any], context: Context, ledger: Ledger, own: bool) -> bool:
    """Whether a row's scene can be painted in steps. If not, count why; a user's own prompt goes to quarantine."""
    looks = list(map(look, row["scene"].objects))
    why = ""
    if len(set(looks)) < len(looks):
        why = "two objects that look alike; no instruction can tell them apart"
    elif not _laid_out(row["scene"], context.random_for(row["sample"], "layout"), context):
        why = "no layout on which all relations hold"
    if why and own:
        ledger.fail(Failure.of(f"sample {row['sample']}: {row['prompt']}", SceneError(why), row["prompt"]))
    elif why:
        ledger.reject(why)
    return not why


def _laid_out(scene: SceneGraph, rng: random.Random, context: Context) -> bool:
    try:
        lay_out(scene, rng, context.vocabulary)
    except NoLayout:
        return False
    return True


def _enriched(context: Context, rows: list[dict[str, Any]], ledger: Ledger) -> list[dict[str, Any]]:
    found = enrich_prompts(context, {r["sample"]: (r["prompt"], r["scene"]) for r in rows})
    kept = []
    for row in rows:
        made = found[row["sample"]]
        if isinstance(made, Enriched):
            kept.append({**row, "prompt": made.text, "templates": [*row["templates"], made.template]})
        elif isinstance(made, Departs):
            ledger.reject(made.reason)
        else:
            ledger.fail(made)
    return kept


STAGE = Stage(
    "prompts", "prompts", (), tables.PROMPTS, PromptParams, run, roles=("writer",), tasks=(PARSE, ENRICH),
)  # fmt: skip
