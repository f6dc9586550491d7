"""conflict: makes instruction–intermediate conflict samples: does this step's text contradict the prompt?

Positive: it does not, and the critique says why. Negative: it does; the critique says what is wrong and corrects it.
Where the grammar can read the texts, unfit ones are dropped. A positive is unfit if the prompt cannot be met after the
step, or if instruction and description disagree. A negative is unfit if its correction contradicts the prompt, or if
the prompt cannot be met after it.
"""

from __future__ import annotations

from underpaint.schemas.scenes.compare import compare
from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.schemas.scenes.grammar import GrammarError, read
from underpaint.schemas.scenes.inspection import DEAD_END, why_stuck
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.rows import RolloutStepRow, key_of, rows, step_of
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, outcome
from underpaint.stages.critique import CritiqueRow
from underpaint.stages.judgement.entailment import carried_out
from underpaint.stages.judgement.panel import JudgedColumns, judged_columns
from underpaint.stages.judgement.step_consistency import disagreement, takes_away
from underpaint.stages.prompts import PromptRow
from underpaint.stages.rollout import RolloutRow


class ConflictRow(RolloutStepRow, JudgedColumns):
    """One step whose words are judged."""

    polarity: str


class ConflictParams(Params):
    """No parameters: the threshold on agreement is applied by the selection."""


def unfit_positive(step: RolloutRow, prompt: SceneGraph, vocabulary: Vocabulary) -> str:
    """Why a step judged right should not become a positive; "" where it may."""
    if why := disagreement(step["so_far"], step["instruction"], step["description"], vocabulary):
        return why
    if takes_away(step["so_far"], step["instruction"], prompt, vocabulary):
        return "the step takes away what is wanted"
    try:
        return why_stuck(read(step["description"], vocabulary), prompt, vocabulary)
    except GrammarError:
        return ""


def unfit_correction(step: RolloutRow, correction: str, prompt: SceneGraph, vocabulary: Vocabulary) -> str:
    """Why a correction should not be learnt; "" where it may be."""
    if not correction:
        return "the judge gave no correction"
    if correction.strip() == step["instruction"].strip():
        return "the correction repeats the instruction"
    if correction == DEAD_END:
        return "no correction leads on"
    try:
        _, mended = carried_out(step["so_far"], correction, vocabulary)
    except (GrammarError, KeyError):
        return ""
    if compare(mended, prompt).faults:
        return "the correction contradicts the prompt"
    return f"after the correction {why}" if (why := why_stuck(mended, prompt, vocabulary)) else ""


def run(context: Context[ConflictParams], inputs: Tables) -> Outcome:
    """The text side of the critiques that teach what is right."""
    ledger, fit = Ledger(), list[ConflictRow]()
    steps = {key_of(r): r for r in rows(inputs["rollout"].drop_columns(["picture"]), RolloutRow)}
    scenes = {r["sample"]: SceneGraph.model_validate_json(r["scene"]) for r in rows(inputs["prompts"], PromptRow)}
    for row in rows(inputs["critique"], CritiqueRow):
        if row["side"] != Side.TEXT.value:
            continue
        ledger.enter()
        critique = Critique.model_validate_json(row["critique"])
        negative = critique.verdict is Verdict.CONFLICT
        step, prompt, words = steps[key_of(row)], scenes[row["sample"]], context.vocabulary
        why = (
            unfit_correction(step, critique.correction, prompt, words)
            if negative
            else unfit_positive(step, prompt, words)
        )
        if why:
            ledger.reject(why)
            continue
        ledger.keep()
        polarity = "negative" if negative else "positive"
        fit.append({**step_of(row), **judged_columns(row), "polarity": polarity})
    return outcome(ConflictRow, fit, ledger)


STAGE = Stage(
    "conflict", "text critiques", ("sampled",), ("prompts", "rollout", "critique"), ConflictRow, ConflictParams, run
)
