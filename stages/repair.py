"""repair: finds a better picture for every flawed draft. Each try is judged; the first that the judge accepts is kept.

Every try is stored, accepted or not, since the report shows the share repaired at the first, second and third try. If
the judge gave no verdict on a draft's last try, the draft counts as failed and goes to quarantine, not as rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field

from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.checkers import weakest
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.painting import Painted, paint_best, variants
from underpaint.stages.common.roles import PaintRequest
from underpaint.stages.common.rows import Float32, Int16, Key, RolloutStepRow, key_of, rows, step_of
from underpaint.stages.common.stage import Context, Outcome, Stage, Tables, outcome
from underpaint.stages.critique import CritiqueRow
from underpaint.stages.judgement.canaries import judge_watched
from underpaint.stages.judgement.entailment import mends_all, words_for
from underpaint.stages.judgement.panel import Judged, JudgeParams, Question, settled_agreement, shows
from underpaint.stages.judgement.text_checks import CRITIQUE, MENDING, Check, Checked, settle, wanted_scene
from underpaint.stages.prompts import PromptRow
from underpaint.stages.rollout import RolloutRow

NO_CORRECTION = "no correction"  # some judges only say that a draft is wrong


class RepairRow(RolloutStepRow, Painted):
    """One try at repairing a flawed draft, accepted or not."""

    attempt: Int16  # from 1
    method: str  # sibling, edit (of the flawed draft) or repaint (of the step)
    accepted: bool
    verdict: str  # the judge's of this picture; "" where it gave none
    agreement: Float32  # 1 where an arbiter decided
    checked_by: str  # who checked the verdict, and of a picture that mends all, that the correction does
    checks: list[str]  # what models said of it; see JudgedColumns


class RepairParams(JudgeParams):
    """How many tries of each kind a flawed draft gets, in this order, until the judge accepts a picture.

    A sibling and a repaint show all that the description says, so they are no picture for a correction that mends less.
    """

    siblings: int = Field(
        default=1, ge=0, le=8,
        description="drafts of other rollouts of the prompt whose step has the same words and which the judge accepted",
    )  # fmt: skip
    edits: int = Field(default=2, ge=0, le=8, description="the flawed draft, edited as the critique's correction says")
    repaints: int = Field(default=1, ge=0, le=8, description="the step anew, from the picture before it")
    drafts: int = Field(
        default=1, ge=1, le=16,
        description="pictures painted a try; the one nearest to the description by CLIP is judged",
    )  # fmt: skip

    def roles(self) -> tuple[str, ...]:
        """The scorer, where it must choose among several pictures of a try."""
        return ("scorer",) if self.drafts > 1 else ()


@dataclass
class Flawed:
    """A draft under repair."""

    step: RolloutRow
    prompt: str
    before: bytes | None  # the picture before it
    correction: str
    template: str  # id of the template with which the fault was found; the tries are judged with it, too
    scene: SceneGraph | None  # what the prompt asks for, where that is known
    mends_all: bool  # whether the correction leads to all that the description says
    mending: Checked  # who says so
    siblings: list[RolloutRow]  # drafts of other rollouts, the most agreed upon first
    tries: list[RepairRow] = field(default_factory=list)
    failed: bool = False
    unjudged: Failure | None = None  # why the last try has no verdict; None if it has one

    @property
    def key(self) -> Key:
        """(sample, rollout, step) of the draft."""
        return key_of(self.step)

    @property
    def unit(self) -> Unit:
        """The name of the next try, e.g. "sample 12, rollout 0, step 2, repair 1"."""
        return Unit(*self.key, detail=f"repair {len(self.tries) + 1}")

    def can(self, method: str) -> bool:
        """Whether a method ("sibling", "edit" or "repaint") can be tried on this draft."""
        if not self.correction:
            return False  # no sample is made of it
        return method == "edit" or (self.mends_all and (method != "sibling" or bool(self.siblings)))

    @property
    def repaired(self) -> bool:
        """Whether the last try was accepted."""
        return bool(self.tries) and bool(self.tries[-1]["accepted"])


def run(context: Context[RepairParams], inputs: Tables) -> Outcome:
    """Tries of one method for all flawed drafts together, then of the next, until each is repaired or none is left."""
    params, ledger = context.params, Ledger()
    flawed = _flawed(context, inputs, ledger)
    for method in ["sibling"] * params.siblings + ["edit"] * params.edits + ["repaint"] * params.repaints:
        going = [f for f in flawed if not f.repaired and not f.failed and f.can(method)]
        pictures: Sequence[Painted | Exception]
        if method == "sibling":
            chosen = [f.siblings.pop(0) for f in going]
            pictures = [Painted(picture=row["picture"], seed=row["seed"], scores=[]) for row in chosen]
        else:
            pictures = paint_best(context, [_request(context, f, method) for f in going], params.drafts)
        _judge(context, going, pictures, method, ledger)
    for f in flawed:
        if f.repaired:
            ledger.keep()
        elif f.unjudged:
            ledger.fail(f.unjudged)
        elif not f.failed:
            ledger.reject("no try was accepted" if f.tries else "nothing to try" if f.correction else NO_CORRECTION)
    return outcome(RepairRow, [row for f in flawed for row in f.tries], ledger)


def _flawed(context: Context[RepairParams], inputs: Tables, ledger: Ledger) -> list[Flawed]:
    """Every draft that the judge calls wrong, with all that the tries need."""
    prompts = {r["sample"]: r for r in rows(inputs["prompts"], PromptRow)}
    steps = {key_of(r): r for r in rows(inputs["rollout"], RolloutRow)}
    wrong: list[tuple[CritiqueRow, Critique]] = []
    right: dict[tuple[int, str, str], list[tuple[float, RolloutRow]]] = {}
    for row in rows(inputs["critique"], CritiqueRow):
        if row["side"] != Side.PICTURE.value:
            continue
        step = steps[key_of(row)]
        if row["verdict"] == Verdict.CONFLICT.value:
            wrong.append((row, Critique.model_validate_json(row["critique"])))
        else:
            right.setdefault(_words(step), []).append((row["agreement"], step))
    ledger.enter(len(wrong))
    scenes = {sample: wanted_scene(prompt["scene"]) for sample, prompt in prompts.items()}
    checks = []
    for row, critique in wrong:
        words = words_for(context.vocabulary, scenes[row["sample"]])
        checks.append([_mending(steps[key_of(row)], critique, words)])
    settled = settle(context, checks, context.params.second_check, ledger)
    found = []
    for (row, critique), checked in zip(wrong, settled, strict=True):
        if isinstance(checked, Failure):
            ledger.fail(checked)
            continue
        sample, rollout, number = key_of(row)
        step, before = steps[sample, rollout, number], steps.get((sample, rollout, number - 1))
        same = sorted(right.get(_words(step), []), key=lambda s: -s[0])  # stable: the earliest rollout on a tie
        siblings = [other for _, other in same if other["rollout"] != rollout]
        # Where nobody can tell, a correction of one fault is taken to mend it.
        alone = len(critique.findings) == 1 if checked.checked_by == "nobody" else not checked.why
        earlier, prompt = before and before["picture"], prompts[sample]
        scene = scenes[sample]
        found.append(
            Flawed(
                step, prompt["prompt"], earlier, critique.correction, row["template"], scene, alone, checked, siblings
            )
        )
    return found


def _mending(step: RolloutRow, critique: Critique, words: Vocabulary) -> Check:
    """Whether the critique's correction alone leads to all that the description says."""
    alone = mends_all(critique, step["description"], words) if critique.correction else False
    variables = {
        "description": step["description"], "correction": critique.correction,
        "observed": "\n".join(f"- {item}" for item in critique.observed),
        "findings": "\n".join(f"- {f.detail}" for f in critique.findings),
    }  # fmt: skip
    less = "the correction mends less"
    return Check(Unit(*key_of(step)), MENDING, variables, None if alone is None else "" if alone else less, less)


def _words(step: RolloutRow) -> tuple[int, str, str]:
    return step["sample"], step["instruction"], step["description"]


def _request(context: Context[RepairParams], f: Flawed, method: str) -> PaintRequest:
    """Edit the flawed draft as the critique says, or paint the step anew from the picture before it."""
    seed = context.seed_for(*f.key, method, len(f.tries))
    if method == "edit":
        return PaintRequest(decode_picture(f.step["picture"]), f.correction, f.step["description"], seed)
    previous = decode_picture(f.before) if f.before else None
    return PaintRequest(previous, f.step["instruction"], f.step["description"], seed)


def _judge(
    context: Context[RepairParams],
    going: Sequence[Flawed],
    pictures: Sequence[Painted | Exception],
    method: str,
    ledger: Ledger,
) -> None:
    """Judge one try of each draft and add its row. A draft whose painter failed gets no more tries."""
    asked: list[tuple[Flawed, Painted]] = []
    questions = []
    for f, painted in zip(going, pictures, strict=True):
        if isinstance(painted, Exception):
            asked_for = _request(context, f, method)
            asked_of_painter = variants(context, asked_for, context.params.drafts)
            ledger.fail(Failure.of(f.unit, painted, asked_for.instruction, asked=asked_of_painter))
            f.failed, f.unjudged = True, None  # one failure a draft
            continue
        asked.append((f, painted))
        variables = {
            "prompt": f.prompt, "so_far": f.step["so_far"], "instruction": f.step["instruction"],
            "description": f.step["description"],
        }  # fmt: skip
        before = decode_picture(f.before) if f.before and shows(context, "before") else None
        picture = decode_picture(painted["picture"])
        questions.append(Question(f.unit, Side.PICTURE, variables, picture, f.template, before, f.scene))
    verdicts = judge_watched(context, questions, context.params, ledger)
    for (f, painted), verdict in zip(asked, verdicts, strict=True):
        said = verdict if isinstance(verdict, Judged) else None  # without an answer that counts, nothing is accepted
        f.unjudged = None if isinstance(verdict, Judged) else verdict
        checks = [said.checked] if said else []
        checks += [f.mending] if method != "edit" else []
        f.tries.append(
            {
                **step_of(f.step),
                "attempt": len(f.tries) + 1,
                "method": method,
                "accepted": said is not None and not said.conflict,
                "verdict": said.critique.verdict.value if said else "",
                "agreement": settled_agreement(said.row()) if said else 0.0,
                "checked_by": weakest(*(c.checked_by for c in checks)),
                "checks": [words for c in checks for words in c.said],
                **painted,
            }
        )


STAGE = Stage(
    "repair", "flawed drafts", ("sampled",), ("prompts", "rollout", "critique"), RepairRow, RepairParams, run,
    roles=("painter", "judge", "arbiter"), tasks=("critique_picture", CRITIQUE, MENDING), key=(),
)  # fmt: skip
