"""conflict: makes instruction–intermediate conflict samples: does this step's text contradict the prompt?

Positive: it does not, and the critique says why. Negative: it does; the critique says what is wrong and corrects it.
Unfit ones are dropped. A positive is unfit if instruction and description disagree, if it takes away what the prompt
wants, or if the prompt cannot be met after it. A negative is unfit if its correction contradicts the prompt, or if the
prompt cannot be met after it. Where the grammar cannot read the texts, a model is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from underpaint.schemas.scenes.compare import compare
from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.schemas.scenes.grammar import GrammarError, read
from underpaint.schemas.scenes.inspection import DEAD_END, LEAVE, why_stuck
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.rows import RolloutStepRow, key_of, rows, step_of
from underpaint.stages.common.stage import Context, Outcome, Stage, Tables, outcome
from underpaint.stages.critique import CritiqueRow
from underpaint.stages.judgement.entailment import carried_out, read_scene, words_for
from underpaint.stages.judgement.panel import JudgedColumns, also_checked
from underpaint.stages.judgement.step_consistency import takes_away
from underpaint.stages.judgement.text_checks import (
    AGREEMENT,
    CORRECTION,
    KEEPS,
    REACH,
    Check,
    SecondCheckParams,
    about_prompt,
    agreement_check,
    settle,
    wanted_scene,
)
from underpaint.stages.prompts import PromptRow
from underpaint.stages.rollout import RolloutRow


class ConflictRow(RolloutStepRow, JudgedColumns):
    """One step whose words are judged."""

    polarity: str


class ConflictParams(SecondCheckParams):
    """Who checks the texts; the threshold on agreement is applied by the selection."""


@dataclass(frozen=True)
class Told:
    """A step's texts, with all that they are checked against. `wanted` is the prompt's scene, None where unknown."""

    step: RolloutRow
    prompt: str
    wanted: SceneGraph | None
    words: Vocabulary

    @property
    def unit(self) -> Unit:
        """The step's name."""
        return Unit(*key_of(self.step))

    @property
    def variables(self) -> dict[str, str]:
        """What a model is told of prompt and step."""
        said = {"so_far": self.step["so_far"], "instruction": self.step["instruction"]}
        return {**about_prompt(self.prompt, self.wanted, self.words), **said}


def positive_checks(told: Told) -> list[Check]:
    """What a step that was judged right must hold to become a positive."""
    step, told_all = told.step, {**told.variables, "description": told.step["description"]}
    agrees = agreement_check(told.unit, step["so_far"], step["instruction"], step["description"], told.words)
    takes, stuck = "the step takes away what is wanted", "the prompt cannot be met after the step"
    return [
        agrees,
        Check(told.unit, KEEPS, told_all, _takes_away(told, takes), takes),
        Check(told.unit, REACH, told_all, _stuck(told), stuck),
    ]


def correction_checks(told: Told, critique: Critique) -> list[Check]:
    """What a correction must hold to be learnt."""
    faults = "\n".join(f"- {f.detail}" for f in critique.findings)
    variables = {**told.variables, "findings": faults, "correction": critique.correction}
    found = _unfit(told, critique.correction)
    return [Check(told.unit, CORRECTION, variables, found, "the correction does not lead on")]


def _takes_away(told: Told, why: str) -> str | None:
    if told.wanted is None:
        return None
    taken = takes_away(told.step["so_far"], told.step["instruction"], told.wanted, told.words)
    return None if taken is None else why if taken else ""


def _stuck(told: Told) -> str | None:
    """Why the prompt cannot be met after the step; None where the grammar cannot read it."""
    if told.wanted is None:
        return None
    try:
        return why_stuck(read(told.step["description"], told.words), told.wanted, told.words)
    except GrammarError:
        return None


def _unfit(told: Told, correction: str) -> str | None:
    """Why a correction should not be learnt; "" where it may be, None where the grammar cannot read it."""
    if not correction:
        return "no correction"
    if correction.strip() == told.step["instruction"].strip():
        return "the correction repeats the instruction"
    if correction == DEAD_END:
        return "no correction leads on"
    if told.wanted is None:
        return None
    so_far = told.step["so_far"]
    try:
        mended = read_scene(so_far, told.words)
        if correction != LEAVE:
            _, mended = carried_out(so_far, correction, told.words)
    except (GrammarError, KeyError):
        return None
    if compare(mended, told.wanted).faults:
        return "the correction contradicts the prompt"
    return f"after the correction {why}" if (why := why_stuck(mended, told.wanted, told.words)) else ""


def run(context: Context[ConflictParams], inputs: Tables) -> Outcome:
    """The text side of the critiques that teach what is right."""
    ledger, fit = Ledger(), list[ConflictRow]()
    steps = {key_of(r): r for r in rows(inputs["rollout"].drop_columns(["picture"]), RolloutRow)}
    prompts = {r["sample"]: r for r in rows(inputs["prompts"], PromptRow)}
    scenes = {sample: wanted_scene(prompt["scene"]) for sample, prompt in prompts.items()}
    texts = [row for row in rows(inputs["critique"], CritiqueRow) if row["side"] == Side.TEXT.value]
    ledger.enter(len(texts))
    checks: list[Sequence[Check]] = []
    for row in texts:
        critique, prompt = Critique.model_validate_json(row["critique"]), prompts[row["sample"]]
        wanted = scenes[row["sample"]]
        told = Told(steps[key_of(row)], prompt["prompt"], wanted, words_for(context.vocabulary, wanted))
        negative = critique.verdict is Verdict.CONFLICT
        checks.append(correction_checks(told, critique) if negative else positive_checks(told))
    for row, checked in zip(texts, settle(context, checks, context.params.second_check, ledger), strict=True):
        if isinstance(checked, Failure):
            ledger.fail(checked)
        elif checked.why:
            ledger.reject(checked.why)
        else:
            ledger.keep()
            polarity = "negative" if row["verdict"] == Verdict.CONFLICT.value else "positive"
            fit.append({**step_of(row), **also_checked(row, checked), "polarity": polarity})
    return outcome(ConflictRow, fit, ledger)


STAGE = Stage(
    "conflict", "text critiques", ("sampled",), ("prompts", "rollout", "critique"), ConflictRow, ConflictParams, run,
    roles=("judge",), tasks=(AGREEMENT, KEEPS, REACH, CORRECTION),
)  # fmt: skip
