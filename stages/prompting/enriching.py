"""Turns short prompts into long ones by asking the writer; a text that departs from the scene graph is dropped.

The paper's prompts average 152.8 tokens; a grammar's sentence has about fifteen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from underpaint.schemas.scenes.grammar import GrammarError, describe
from underpaint.schemas.scenes.mentions import disagreements
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.text import read_text
from underpaint.stages.common.asking import request_for
from underpaint.stages.common.ledger import Failure, Unit
from underpaint.stages.common.roles import answer_of, each
from underpaint.stages.common.stage import Context

ENRICH_PROMPT = "enrich_prompt"
DROPS = "the long prompt drops what the scene has"
ADDS = "the long prompt adds what the scene has not"
CONTRADICTS = "the long prompt contradicts the scene"


class Enrichment(BaseModel):
    """Short prompts made long by the writer; the scene graph stays the truth."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    words: int = Field(default=115, ge=20, le=400, description="asked for; 115 English words are about 150 tokens")
    attempts: int = Field(
        default=3, ge=1, le=10, description="how often the writer is asked for a text that says what the scene holds"
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="of the writer")


@dataclass(frozen=True)
class Enriched:
    """A long prompt that says the same as its scene graph."""

    text: str
    template: str  # its digest


@dataclass(frozen=True)
class Departs:
    """The attempts all departed from the scene graph; `reason` says how the last one did."""

    reason: str


def departure(text: str, scene: SceneGraph, vocabulary: Vocabulary) -> str:
    """How a long text departs from its scene: DROPS, ADDS or CONTRADICTS; "" where it says the same and no more."""
    try:
        return "" if read_prompt(text, vocabulary).key() == scene.key() else CONTRADICTS
    except GrammarError:
        kinds = {d.split()[0] for d in disagreements(text, scene, vocabulary)}
    if len(kinds) == 2:
        return CONTRADICTS
    return DROPS if "drops" in kinds else ADDS if kinds else ""


def enrich_prompts(
    context: Context[Any], settings: Enrichment, prompts: Mapping[int, tuple[str, SceneGraph]]
) -> dict[int, Enriched | Departs | Failure]:
    """The long wording of each prompt, by sample. Each attempt asks for all that are left, to keep batches full."""
    found: dict[int, Enriched | Departs | Failure] = {}
    left = dict(prompts)
    for attempt in range(settings.attempts):
        left = {s: p for s, p in left.items() if not isinstance(found.get(s), Enriched)}
        found |= _ask(context, settings, left, attempt)
    return found


def _ask(
    context: Context[Any], settings: Enrichment, prompts: Mapping[int, tuple[str, SceneGraph]], attempt: int
) -> dict[int, Enriched | Departs | Failure]:
    templates = {s: context.pick_template(ENRICH_PROMPT, Unit(s)) for s in prompts}
    requests = []
    for sample, (prompt, scene) in prompts.items():
        facts = describe(scene, context.vocabulary)
        variables = {"prompt": prompt, "facts": facts, "words": str(settings.words)}
        seed = context.seed_for(sample, ENRICH_PROMPT, attempt)
        requests.append(request_for(templates[sample], variables, seed, temperature=settings.temperature))
    answers = each(context.models["writer"].ask, requests) if requests else []
    found: dict[int, Enriched | Departs | Failure] = {}
    for (sample, (_, scene)), request, answer in zip(prompts.items(), requests, answers, strict=True):
        try:
            if isinstance(answer, Exception):
                raise answer
            text = read_text(answer_of(answer)).value
        except Exception as e:
            said = "" if isinstance(answer, Exception) else answer_of(answer).text
            found[sample] = Failure.of(Unit(sample, detail="long prompt"), e, request.text, said, asked=[request])
            continue
        reason = departure(text, scene, context.vocabulary)
        found[sample] = Departs(reason) if reason else Enriched(text, templates[sample].digest)
    return found
