"""check: lets the judge look at every draft of a plan. A trajectory is shipped only if all of its pictures pass.

The paper filters its multi-turn subset for quality with a language model; here the picture-side critique does it.
"""

from __future__ import annotations

from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.schemas.markup import BLANK
from underpaint.schemas.scenes.critique import Side
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.rows import StepRow, rows
from underpaint.stages.common.stage import Context, Outcome, Stage, Tables, outcome
from underpaint.stages.draft import DraftRow
from underpaint.stages.judgement.canaries import WatchedParams, judge_watched
from underpaint.stages.judgement.panel import JudgedColumns, Question, shows
from underpaint.stages.judgement.text_checks import CRITIQUE, wanted_scene
from underpaint.stages.plan import PlanRow
from underpaint.stages.prompts import PromptRow


class CheckRow(StepRow, JudgedColumns):
    """What the judge said of the picture of one step of a plan."""


class CheckParams(WatchedParams):
    """How the judge is asked about each picture."""


def run(context: Context[CheckParams], inputs: Tables) -> Outcome:
    """A judgement of every draft."""
    ledger, judged = Ledger(), list[CheckRow]()
    prompts = {r["sample"]: r for r in rows(inputs["prompts"], PromptRow)}
    scenes = {sample: wanted_scene(prompt["scene"]) for sample, prompt in prompts.items()}
    plan = {(r["sample"], r["step"]): r for r in rows(inputs["plan"], PlanRow)}
    drafts = {(r["sample"], r["step"]): r["picture"] for r in rows(inputs["draft"], DraftRow)}
    asked, questions = [], []
    for (sample, number), drawn in drafts.items():
        ledger.enter()
        step, unit, prompt = plan[sample, number], Unit(sample, step=number), prompts[sample]
        earlier = drafts.get((sample, number - 1)) if shows(context, "before") else None
        try:
            picture, before = decode_picture(drawn), decode_picture(earlier) if earlier else None
        except PictureError as e:
            ledger.fail(Failure.of(unit, e, side=Side.PICTURE.value))
            continue
        asked.append(step)
        variables = {
            "prompt": prompt["prompt"],
            "so_far": plan[sample, number - 1]["description"] if number > 1 else BLANK,
            "instruction": step["instruction"],
            "description": step["description"],
        }
        questions.append(Question(unit, Side.PICTURE, variables, picture, before=before, scene=scenes[sample]))
    found = judge_watched(context, questions, context.params, ledger, context.params.canaries)
    for step, result in zip(asked, found, strict=True):
        if isinstance(result, Failure):
            ledger.fail(result)
            continue
        ledger.keep()
        judged.append({"sample": step["sample"], "step": step["step"], **result.row()})
    return outcome(CheckRow, judged, ledger)


STAGE = Stage(
    "check", "pictures", ("painted",), ("prompts", "plan", "draft"), CheckRow, CheckParams, run,
    roles=("judge", "arbiter"), tasks=("critique_picture", CRITIQUE), key=(),
)  # fmt: skip
