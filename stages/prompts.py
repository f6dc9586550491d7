"""prompts: makes scene graphs and prompts, composed in given shares of GenEval's categories or from a list."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, field_validator

from underpaint.schemas.scenes.compare import look
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.rows import SampleRow
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, Weights, outcome
from underpaint.stages.planning.compose import CATEGORIES, categorise, compose
from underpaint.stages.planning.layout import NoLayout, lay_out
from underpaint.stages.prompting.attempts import Written, failure_of
from underpaint.stages.prompting.enriching import ENRICH_PROMPT, Enrichment, Short, enrich_prompts
from underpaint.stages.prompting.fidelity import Departure
from underpaint.stages.prompting.own_scenes import take_scenes
from underpaint.stages.prompting.parsing import PARSE_PROMPT, SceneError, parse_prompts
from underpaint.stages.prompting.prompt_files import SourceError
from underpaint.stages.prompting.prompt_source import OwnPrompt, PromptSource, open_prompts, read_stream
from underpaint.stages.prompting.understanding import understanding

# Mostly compositions: the paper's samples have 3.51 pictures on average, and one object is seldom worth four steps.
SHARES = {**dict.fromkeys(CATEGORIES, 1.0), "composition": 9.0}


class PromptRow(SampleRow):
    """A prompt, and the scene that it asks for."""

    category: str
    prompt: str
    scene: str
    short: str  # the prompt before it was enriched
    origin: str  # of the scene: composed, read by the grammar or the writer, or the user's own
    templates: list[str]  # digests of those that the writer was asked with
    indirect: bool  # whether it takes knowledge to hold the prompt against the scene
    understood: str  # what it was understood to ask for, where it is indirect: a sentence


@dataclass(frozen=True)
class NewPrompt:
    """A prompt with its scene, on its way to becoming a row; see `PromptRow`."""

    sample: int
    category: str
    prompt: str
    short: str
    scene: SceneGraph
    origin: str
    templates: tuple[str, ...] = ()
    indirect: bool = False
    understood: str = ""

    def row(self) -> PromptRow:
        """Its row of the stage's table."""
        return {
            "sample": self.sample, "category": self.category, "prompt": self.prompt,
            "scene": self.scene.model_dump_json(), "short": self.short, "origin": self.origin,
            "templates": [*self.templates], "indirect": self.indirect,
            "understood": self.understood,
        }  # fmt: skip


class PromptParams(Params):
    """Where the prompts come from, and what they ask for (docs/prompts.md)."""

    shares: Weights[str] = Field(default=SHARES, description="relative weights of the categories of composed prompts")
    capacity: int = Field(default=4, ge=2, le=10, description="how many objects a picture holds at most")
    attributes: Literal["always", "asked"] = Field(
        default="always", description="given to every object, or only where the category asks for them, as in GenEval"
    )
    source: PromptSource | None = Field(default=None, description="a list of your own in place of composed prompts")
    enrich: Enrichment | None = Field(default=None, description="has the writer make the prompts long")

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
        parses = self.source is not None and self.source.reader == "writer" and not self.source.scene
        return frozenset([*([] if parses else [PARSE_PROMPT]), *([] if self.enrich else [ENRICH_PROMPT])])

    def length(self) -> int | None:
        """The number of prompts in the user's list, repeats included; None for composed prompts, which never end."""
        return None if self.source is None else len(open_prompts(self.source)) * self.source.repeat


def run(context: Context[PromptParams], inputs: Tables) -> Outcome:
    """The lot's prompts whose scenes can be painted in steps, made long where the recipe asks for it."""
    params, ledger = context.params, Ledger()
    found = _composed(context, ledger) if params.source is None else _own(context, params.source, ledger)
    found = [one for one in found if _fits(one, context, ledger, own=params.source is not None)]
    if params.enrich is not None:
        found = _enriched(context, params.enrich, found, ledger)
    ledger.keep(len(found))
    return outcome(PromptRow, [one.row() for one in found], ledger)


def _composed(context: Context[PromptParams], ledger: Ledger) -> list[NewPrompt]:
    """One composed prompt per sample of the lot. A scene that has no layout is drawn again, e.g. three in a column."""
    params, found = context.params, []
    for sample in range(context.lot.start, context.lot.start + context.lot.size):
        ledger.enter()
        rng = context.random_for(sample)
        category = rng.choices(list(params.shares), list(params.shares.values()))[0]
        for _ in range(20):
            scene = compose(rng, category, context.vocabulary, params.capacity, params.attributes)
            if _laid_out(scene, rng, context.vocabulary):
                break
        prompt = describe(scene, context.vocabulary)
        found.append(NewPrompt(sample, category, prompt, prompt, scene, "composed"))
    return found


def _own(context: Context[PromptParams], source: PromptSource, ledger: Ledger) -> list[NewPrompt]:
    """The lot's slice of the user's list; empty where the list has ended."""
    given: dict[int, OwnPrompt] = {}
    for sample, one in enumerate(read_stream(source, context.lot.start, context.lot.size), context.lot.start):
        ledger.enter()
        if isinstance(one, OwnPrompt):
            given[sample] = one
        else:
            ledger.fail(Failure.of(Unit(sample, detail=f"a bad row of {source.path}"), one))
    texts = {sample: one.text for sample, one in given.items() if one.scene is None}
    parsed = parse_prompts(context, source, texts, ledger) | take_scenes(context, source, given)
    found = []
    for sample, made in sorted(parsed.items()):
        if isinstance(made, Failure):
            ledger.fail(made)
            continue
        scene, templates = made.scene, (made.template,) if made.template else ()
        text = given[sample].text or describe(scene, context.vocabulary)
        new = NewPrompt(sample, categorise(scene), text, text, scene, made.origin, templates)
        if source.indirect:
            understood = made.understood or understanding(scene, context.vocabulary)
            new = replace(new, indirect=True, understood=understood)
        found.append(new)
    return found


def _fits(one: NewPrompt, context: Context[PromptParams], ledger: Ledger, own: bool) -> bool:
    """Whether a row's scene can be painted in steps. If not, count why; a user's own prompt goes to quarantine."""
    looks = list(map(look, one.scene.objects))
    why = ""
    if len(set(looks)) < len(looks):
        why = "two objects that look alike; no instruction can tell them apart"
    elif not _laid_out(one.scene, context.random_for(one.sample, "layout"), context.vocabulary):
        why = "no layout on which all relations hold"
    if why and own:
        ledger.fail(Failure.of(Unit(one.sample, detail=one.prompt), SceneError(why), one.prompt))
    elif why:
        ledger.reject(why)
    return not why


def _laid_out(scene: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> bool:
    try:
        lay_out(scene, rng, vocabulary)
    except NoLayout:
        return False
    return True


def _enriched(
    context: Context[PromptParams], settings: Enrichment, short: list[NewPrompt], ledger: Ledger
) -> list[NewPrompt]:
    asked = {one.sample: Short(one.short, one.scene, one.indirect) for one in short}
    found, kept = enrich_prompts(context, settings, asked, ledger), []
    for one in short:
        made = found[one.sample]
        if isinstance(made, Written):
            kept.append(replace(one, prompt=made.value, templates=(*one.templates, made.template.digest)))
        elif isinstance(made.error, Departure):
            ledger.reject(f"the long prompt {made.error.reason}")
        else:
            ledger.fail(failure_of(one.sample, "long prompt", made))
    return kept


STAGE = Stage(
    "prompts", "prompts", ("painted", "sampled"), (), PromptRow, PromptParams, run,
    roles=("writer",), tasks=(PARSE_PROMPT, ENRICH_PROMPT),
)  # fmt: skip
