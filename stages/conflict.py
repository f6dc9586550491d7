"""conflict: instruction–intermediate conflict samples. Does this step's text contradict the prompt?

Positive: it does not, and the critique says why. Negative: it does; the critique analyses and corrects it. A step that
contradicts nothing yet, but after which the prompt cannot be met, is neither.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import combinations

import pyarrow as pa

from schemas import tables
from schemas.compare import match
from schemas.critique import Critique, Judgement, Side
from schemas.grammar import GrammarError, read
from schemas.inspection import DEAD_END
from schemas.scene import PLACE, SceneGraph, overlap
from schemas.vocabulary import Vocabulary
from stages.layout import NoLayout, lay_out
from stages.stage import Context, Ledger, Outcome, Params, Stage, outcome


class ConflictParams(Params):
    """Thresholds (agreement) belong to the selection."""


def stuck(description: str, prompt: SceneGraph, rng: random.Random, vocabulary: Vocabulary) -> str:
    """Why the prompt cannot be met after a step with this description; "" where it can, or where nobody can tell."""
    try:
        described = read(description, vocabulary)
    except GrammarError:
        return ""
    if any(overlap(a, b) or overlap(b, a) for a, b in combinations(described.objects, 2)):
        return "two things in one place"
    place = {
        theirs.id: mine.attributes.get(PLACE) for mine, theirs in match(described.objects, prompt.objects) if theirs
    }
    nodes = tuple(o.with_attribute(PLACE, where) if (where := place.get(o.id)) else o for o in prompt.objects)
    try:
        lay_out(prompt.model_copy(update={"objects": nodes}), rng, vocabulary)
    except NoLayout:
        return "no place is left for what is still to come"
    return ""


def run(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    ledger, rows = Ledger(), []
    steps = {(r["sample"], r["rollout"], r["step"]): r for r in inputs["rollout"].to_pylist()}
    scenes = {r["sample"]: SceneGraph.model_validate_json(r["scene"]) for r in inputs["prompts"].to_pylist()}
    for row in inputs["critique"].to_pylist():
        if row["side"] != Side.TEXT.value:
            continue
        ledger.enter()
        key = row["sample"], row["rollout"], row["step"]
        critique = Critique.model_validate_json(row["critique"])
        negative = critique.verdict is Judgement.CONFLICT
        if negative and critique.correction.strip() == steps[key]["instruction"].strip():
            ledger.reject("the correction repeats the instruction")
            continue
        if negative and critique.correction == DEAD_END:
            ledger.reject("no correction leads on")
            continue
        if not negative:
            step, rng = steps[key], context.random_for(*key)
            if why := stuck(step["description"], scenes[row["sample"]], rng, context.vocabulary):
                ledger.reject(why)
                continue
        ledger.keep()
        kept = {k: row[k] for k in ("sample", "rollout", "step", *tables.CRITIQUE_COLUMNS)}
        rows.append({**kept, "polarity": "negative" if negative else "positive"})
    return outcome(tables.CONFLICT, rows, ledger)


STAGE = Stage("conflict", "text critiques", ("prompts", "rollout", "critique"), tables.CONFLICT, ConflictParams, run)
