"""calibration: asks the judge about steps and pictures of known truth, in the same way as about the policy's.

Half of the cases are right. Most of these are unfinished, since the worst error of a judge is to call an unfinished
step wrong. The other cases have one planted fault, the kinds taking turns. The truth is the critique of
`schemas.scenes.inspection`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from PIL import Image
from pydantic import Field

from underpaint.schemas.corpus.picture import encode_picture
from underpaint.schemas.markup import BLANK
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Critique, Side
from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.inspection import inspect_picture, inspect_text
from underpaint.schemas.scenes.scene import PLACE, SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.schemas.scenes.wordings import WORDINGS
from underpaint.stages.answers.answer import CritiqueError
from underpaint.stages.common.critique_formats import read_as_critique
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.roles import Renderer
from underpaint.stages.common.rows import SampleRow
from underpaint.stages.common.stage import Context, Outcome, Stage, Tables, outcome
from underpaint.stages.common.templating import Template
from underpaint.stages.judgement.canaries import judge_watched
from underpaint.stages.judgement.panel import Judged, JudgedColumns, JudgeParams, Question
from underpaint.stages.judgement.text_checks import CRITIQUE
from underpaint.stages.plan import NoPlan, PlanParams, plan
from underpaint.stages.planning import planted_faults as faults
from underpaint.stages.planning.compose import CATEGORIES, TooFewWords, compose
from underpaint.stages.planning.detour import PlannedStep
from underpaint.stages.planning.order import told_from

UNFINISHED = 0.7  # the share of right cases that are unfinished
TRIES = 60  # how many scenes are drawn for a case until one has room for its fault


class CalibrationRow(SampleRow, JudgedColumns):
    """One case of known truth. Its `sample` counts cases, not prompts of the stream."""

    side: str
    fault: str  # the kind that was planted; "" where the case is right
    incomplete: bool  # parts of the prompt are still to come
    truth: str  # the critique that is right
    prompt: str
    so_far: str
    instruction: str
    description: str
    picture: bytes  # empty on the text side
    own_verdicts: list[str]  # of each answer, before observations are weighed; "" where it does not parse


class CalibrationParams(JudgeParams):
    """How the judge is asked about cases of known truth: as `stages.critique` asks it, where not given here."""

    capacity: int = Field(default=4, ge=2, le=10, description="how many objects a scene holds at most")


@dataclass(frozen=True)
class Case:
    """What the judge is shown, and the truth. `fault` is what was planted, None where the step is right."""

    side: Side
    fault: FaultKind | None
    incomplete: bool  # parts of the prompt are still to come after this step
    truth: Critique
    variables: dict[str, str]
    picture: Image.Image | None = None
    before: Image.Image | None = None  # of the scene that the step begins with; None is the blank canvas


def run(context: Context[CalibrationParams], inputs: Tables) -> Outcome:
    """Make and judge one case per sample and side; without a renderer in the recipe, of the text side only."""
    renderer = context.models.get("renderer")
    ledger, judged = Ledger(), list[CalibrationRow]()
    for side in Side if renderer else (Side.TEXT,):
        asked, questions = [], []
        own = replace(context, vocabulary=renderer.vocabulary) if renderer and side is Side.PICTURE else context
        kinds = possible(faults.PLANTERS[side], own.vocabulary)
        for sample in range(context.lot.start, context.lot.start + context.lot.size):
            ledger.enter()
            fault = kinds[sample // 2 % len(kinds)] if sample % 2 else None
            rng = context.random_for(sample, side.value)
            case = make_case(side, fault, rng, own.vocabulary, context.params.capacity, renderer)
            if case is None:
                ledger.reject(f"no scene with room for a {fault.value if fault else 'step'} ({side.value} side)")
                continue
            asked.append((sample, case))
            questions.append(Question(Unit(sample), side, case.variables, case.picture, before=case.before))
        answers = judge_watched(own, questions, context.params, ledger)
        for (sample, case), found in zip(asked, answers, strict=True):
            if isinstance(found, Failure):
                ledger.fail(found)
                continue
            ledger.keep()
            judged.append(_row(sample, case, found))
    judged.sort(key=lambda r: (r["sample"], r["side"]))
    return outcome(CalibrationRow, judged, ledger)


def possible(planters: Mapping[FaultKind, Sequence[faults.Planter]], vocabulary: Vocabulary) -> list[FaultKind]:
    """The kinds of fault that a vocabulary has words for."""
    missing = {
        FaultKind.WRONG_ATTRIBUTE: not any(len(v) > 1 for k, v in vocabulary.attributes.items() if k != PLACE),
        FaultKind.WRONG_RELATION: not vocabulary.relations,
        FaultKind.WRONG_BACKGROUND: len(vocabulary.backgrounds) < 2,
    }
    return [kind for kind in planters if not missing.get(kind)]


def make_case(
    side: Side,
    fault: FaultKind | None,
    rng: random.Random,
    vocabulary: Vocabulary,
    capacity: int,
    renderer: Renderer | None = None,
) -> Case | None:
    """A step of a random plan, with this fault or none; None where no scene has room for it.

    `renderer` (`stages.models.drawn.DrawnPainter`) draws the pictures of the picture side.
    """
    additive = PlanParams(detour_share=0)
    unfinished = fault is None and rng.random() < UNFINISHED
    for _ in range(TRIES):
        try:
            scene = compose(rng, rng.choice(list(CATEGORIES)), vocabulary, capacity)
            steps = plan(scene, rng, vocabulary, additive)
        except (NoPlan, TooFewWords):
            continue
        steps = [s for s in steps if s.scene.objects]
        if unfinished:
            steps = [s for s in steps if _unfinished(s, scene)]
        if not steps:
            continue
        step = rng.choice(steps)
        shown: SceneGraph | None = step.scene
        if fault is not None:
            shown = rng.choice(faults.PLANTERS[side][fault])(step.scene, rng, vocabulary)
        if shown is None:
            continue
        wording = rng.randrange(max(map(len, WORDINGS)))
        if side is Side.TEXT or renderer is None:
            case: Case | None = _text_case(step, shown, scene, wording, vocabulary)
        else:
            case = _picture_case(step, shown, scene, wording, vocabulary, renderer)
        if case is None:
            continue
        found = {f.kind for f in case.truth.findings}
        if fault in found if fault else not found:
            return replace(case, fault=fault)
    return None


def _text_case(step: PlannedStep, told: SceneGraph, prompt: SceneGraph, wording: int, words: Vocabulary) -> Case:
    """A case whose texts describe the scene `told` instead of the step's own."""
    edit = step.edit
    if edit.op is Op.PAINT:
        edit = Edit(op=Op.PAINT, scene=told)
    elif told != step.scene:
        edit = Edit(op=Op.ADD, node=told.objects[-1], relations=told_from(told.objects[-1], told))
    truth = inspect_text(prompt, step.before, edit, told, words)
    asked = {
        "prompt": describe(prompt, words),
        "so_far": _told(step.before, words),
        "instruction": instruct(step.before, edit, words, wording),
        "description": describe(told, words),
    }
    return Case(Side.TEXT, None, _unfinished(step, prompt), truth, asked)


def _picture_case(
    step: PlannedStep, shown: SceneGraph, prompt: SceneGraph, wording: int, words: Vocabulary, renderer: Renderer
) -> Case | None:
    """A case with the step's texts and a picture of the scene `shown`; None where the scene fits in no picture."""
    try:
        picture = renderer.render(shown)
        before = renderer.render(step.before) if step.before != SceneGraph() else None
    except ValueError:
        return None
    seen, background = renderer.read(picture)
    truth = inspect_picture(seen, background, step.scene, words)
    asked = {
        "prompt": describe(prompt, words),
        "so_far": _told(step.before, words),
        "instruction": instruct(step.before, step.edit, words, wording),
        "description": describe(step.scene, words),
    }
    return Case(Side.PICTURE, None, _unfinished(step, prompt), truth, asked, picture, before)


def _told(before: SceneGraph, words: Vocabulary) -> str:
    return describe(before, words) if before != SceneGraph() else BLANK


def _unfinished(step: PlannedStep, prompt: SceneGraph) -> bool:
    return len(step.scene.objects) < len(prompt.objects)


def _row(sample: int, case: Case, found: Judged) -> CalibrationRow:
    said = case.variables
    return {
        "sample": sample,
        "side": case.side.value,
        "fault": case.fault.value if case.fault else "",
        "incomplete": case.incomplete,
        "truth": case.truth.to_json(),
        "prompt": said["prompt"],
        "so_far": said["so_far"],
        "instruction": said["instruction"],
        "description": said["description"],
        "picture": encode_picture(case.picture) if case.picture else b"",
        **found.row(),
        "own_verdicts": [_own_verdict(found.template, answer) for answer in found.answers],
    }


def _own_verdict(template: Template, answer: str) -> str:
    try:
        return read_as_critique(template, answer).value.verdict.value
    except CritiqueError:
        return ""


STAGE = Stage(
    "calibration", "cases", ("calibrated",), (), CalibrationRow, CalibrationParams, run,
    roles=("judge", "arbiter", "renderer"), tasks=("critique_text", "critique_picture", CRITIQUE),
    asks_like="critique", key=(),
)  # fmt: skip
