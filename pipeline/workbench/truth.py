"""Finds the true critique of a stored step, where the grammar can read its texts and a drawn world its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from PIL import Image

from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.selection.judge_gate import beyond
from underpaint.pipeline.workbench.asking import Answered
from underpaint.pipeline.workbench.subjects import Subject
from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.interval import Share
from underpaint.schemas.scenes.compare import SceneFit, compare
from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.schemas.scenes.edit import read_instruction
from underpaint.schemas.scenes.grammar import GrammarError, read
from underpaint.schemas.scenes.inspection import inspect_picture, inspect_text
from underpaint.schemas.scenes.scene import SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.calibration import CalibrationRow
from underpaint.stages.common.ledger import Unit
from underpaint.stages.common.rows import rows
from underpaint.stages.judgement.entailment import read_scene
from underpaint.stages.models.kinds import DrawnConfig


@dataclass(frozen=True)
class Truth:
    """The truth about a step: its right critique. `partial`: the step is right, but the prompt asks for more."""

    critique: Critique
    partial: bool

    @property
    def conflict(self) -> bool:
        """Whether the step has a fault."""
        return self.critique.verdict is Verdict.CONFLICT


@dataclass(frozen=True)
class Calibration:
    """Counts over the steps whose truth is known. An unreadable answer counts as naming no fault.

    `aside` counts conflicts whose findings are all of the template's own kinds: scene graphs cannot check these.
    """

    known: int
    aside: int
    faulty: int  # steps that have a fault
    called: int  # steps that were called wrong
    both: int  # steps that have a fault and were called wrong
    partial: int  # right, but not finished
    partial_called: int

    def lines(self) -> list[str]:
        """The figures as text, each with its interval."""
        return [
            f"precision {Share(self.both, self.called)}",
            f"recall {Share(self.both, self.faulty)}",
            f"unfinished called wrong {Share(self.partial_called, self.partial)}",
            *([f"{self.aside} conflicts aside, of kinds that no scene graph knows"] if self.aside else []),
        ]


def known_truths(run: Run, side: Side, subjects: Sequence[Subject]) -> list[Truth | None]:
    """The truth of every step; None for texts that the grammar cannot read and pictures not by a drawn painter."""
    painter = run.recipe.model_for("sketcher")  # the role that painted the rollouts
    reader = import_module(painter.world).read_picture if isinstance(painter, DrawnConfig) else None
    return [_truth(run, side, subject, reader) for subject in subjects]


def _truth(
    run: Run, side: Side, subject: Subject, reader: Callable[[Image.Image], tuple[list[SceneObject], str]] | None
) -> Truth | None:
    words, said = run.recipe.words(), subject.variables
    try:
        described = read(said["description"], words)
        if side is Side.TEXT:
            before = read_scene(said["so_far"], words)
            edit = read_instruction(said["instruction"], before, words)
            critique = inspect_text(subject.scene, before, edit, described, words)
        elif reader is not None:
            critique = inspect_picture(*reader(decode_picture(subject.draft)), described, words)
        else:
            return None
    except (GrammarError, KeyError):
        return None
    unfinished = compare(described, subject.scene).fit is SceneFit.INCOMPLETE
    return Truth(critique, unfinished and critique.verdict is not Verdict.CONFLICT)


def calibration_cases(run: Run, side: Side, number: int) -> tuple[list[Subject], list[Truth | None], Vocabulary]:
    """Up to `number` stored calibration cases of a side, in order; their truths; and the vocabulary of their texts."""
    node = run.store.newest(run.nodes["calibration"])
    done = run.store.done(node) if node else []
    cases = [r for lot in done for r in rows(run.store.table(node, lot), CalibrationRow)] if node else []
    mine = [r for r in cases if r["side"] == side.value][:number]
    shown = side is Side.PICTURE and bool(mine)
    words = run.recipe.model_for("renderer").load().vocabulary if shown else run.recipe.words()
    subjects, truths = [], list[Truth | None]()
    for row in mine:
        variables = {
            "prompt": row["prompt"], "so_far": row["so_far"], "instruction": row["instruction"],
            "description": row["description"],
        }  # fmt: skip
        unit = Unit(row["sample"], detail="calibration")
        subjects.append(Subject(unit, variables, read(row["prompt"], words), row["picture"], None))
        truths.append(Truth(Critique.model_validate_json(row["truth"]), row["incomplete"] and not row["fault"]))
    return subjects, truths, words


def count_against(answered: Sequence[Answered], truths: Sequence[Truth | None]) -> Calibration:
    """Count how the answers compare with the truths."""
    known = [(a, t) for a, t in zip(answered, truths, strict=True) if t is not None]
    pairs = [(a.verdict == "conflict", t) for a, t in known if not beyond(set(a.kinds))]
    return Calibration(
        known=len(pairs),
        aside=len(known) - len(pairs),
        faulty=sum(t.conflict for _, t in pairs),
        called=sum(called for called, _ in pairs),
        both=sum(called and t.conflict for called, t in pairs),
        partial=sum(t.partial for _, t in pairs),
        partial_called=sum(called and t.partial for called, t in pairs),
    )
