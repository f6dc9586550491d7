"""Assembles a whole sample from its reference: texts, pictures, verdicts and provenance, read from the store.

`docs/format.md` says what is a target and what is context: the prompt and flawed drafts never carry loss.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from underpaint.pipeline.common.installation import code_commit
from underpaint.pipeline.engine.graph import YIELDS, Node, canonical
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.recipe.benchmark_lists import list_digest
from underpaint.pipeline.recipe.quotas import cell_name
from underpaint.pipeline.recipe.recipe import Recipe, named_models
from underpaint.pipeline.selection.reference import Reference
from underpaint.schemas.corpus.picture import decode_picture, encode_picture
from underpaint.schemas.corpus.sample import OpName, Sample, Score, Segment
from underpaint.schemas.corpus.sample_builder import NewPicture, build_sample, image_segment, text_segment
from underpaint.schemas.corpus.subsets import ALIGNMENT, CONFLICT, MULTI_TURN
from underpaint.schemas.markup import plan_text, refine_text
from underpaint.schemas.scenes.critique import Critique
from underpaint.schemas.scenes.edit import Op, read_instruction
from underpaint.schemas.scenes.grammar import GrammarError
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.alignment import AlignmentRow
from underpaint.stages.all_stages import BRANCHES
from underpaint.stages.check import CheckRow
from underpaint.stages.common.rows import PictureColumns, StepRow
from underpaint.stages.conflict import ConflictRow
from underpaint.stages.draft import DraftRow
from underpaint.stages.judgement.entailment import read_scene
from underpaint.stages.judgement.panel import JudgedColumns
from underpaint.stages.plan import PlanRow
from underpaint.stages.prompts import PromptRow
from underpaint.stages.repair import RepairRow
from underpaint.stages.rollout import RolloutRow
from underpaint.stages.score import ScoreRow

Row = TypeVar("Row")
Built = tuple[Sample, list[bytes]]
STORED_AS = "webp-lossless"
GRAMMAR = "grammar"  # named as the author of texts that no model wrote
PAINTERS = ("painter", "sketcher")  # the roles that paint shipped pictures


class StepPicture(StepRow, PictureColumns):
    """A picture, and the step that it belongs to."""


class JudgedStep(StepRow, JudgedColumns):
    """A step, and what the judge said of it."""


class Assembler:
    """Makes samples from references; it reads only the rows of the sample that it is asked for."""

    def __init__(self, recipe: Recipe, nodes: Mapping[str, Node], store: Store) -> None:
        self.recipe, self.nodes, self.store = recipe, nodes, store
        self.commit = code_commit()
        self.config = config_sha256(recipe, nodes)
        self.read: dict[str, tuple[int, list[Any]]] = {}  # by stage, the last sample read and its rows
        self.names = model_names(recipe) | {GRAMMAR: (GRAMMAR, "")}
        templates = (t for found in recipe.all_templates().values() for t in found if t.model)
        self.asked = {t.id: _named(recipe, t.model) for t in templates}  # by template, who is asked in the role's place
        self.settings = {role: _settings(recipe, role) for role in PAINTERS}  # cached: it reads checkpoints
        self.words = recipe.words()
        self.checked: set[tuple[str, int]] = set()  # (stage, lot) of tables whose digest was checked

    def __call__(self, reference: Reference) -> Built:
        """The sample and its pictures. Raises SampleError where it is not valid, StoreError where a table changed."""
        make = {MULTI_TURN: self._multi_turn, CONFLICT: self._conflict, ALIGNMENT: self._alignment}
        return make[reference.kind.subset](reference)

    def _rows(self, stage: str, row: type[Row], reference: Reference, **where: int) -> list[Row]:
        """The sample's rows of a stage's table, `row` being their class, where these columns have these values."""
        sample, found = self.read.get(stage, (-1, []))
        if sample != reference.sample:
            lot = reference.sample // self.recipe.lot_size
            if (stage, lot) not in self.checked:
                self.store.check(self.nodes[stage], lot)
                self.checked.add((stage, lot))
            found = self.store.table(self.nodes[stage], lot, samples=[reference.sample]).to_pylist()
            self.read[stage] = reference.sample, found
        return [r for r in found if all(r[k] == v for k, v in where.items())]

    def _prompt(self, reference: Reference) -> tuple[PromptRow, Segment]:
        row = self._rows("prompts", PromptRow, reference)[0]
        return row, text_segment("prompt", 0, row["prompt"], loss=0)

    def _scored(
        self, stage: str, reference: Reference, step: int, names: tuple[str, ...], attempt: int = 0
    ) -> list[Score]:
        model, revision = self.names["scorer"]
        return [
            Score(name=f"clip_{r['name']}", model=model, revision=revision, value=float(r["value"]))
            for r in self._rows(stage, ScoreRow, reference, rollout=reference.rollout, step=step, attempt=attempt)
            if r["name"] in names
        ]

    def _judge(self, row: JudgedColumns) -> tuple[str, str]:
        return self.asked.get(row["template"], self.names["judge"])

    def _sureness(self, row: JudgedColumns) -> list[Score]:
        """How sure the judge was: the share of its answers and, where it gave probabilities, what they say."""
        graded = [] if row["graded"] is None else [self._of_judge(row, "judge_graded", row["graded"])]
        return [self._of_judge(row, "judge_agreement", row["agreement"]), *graded]

    def _of_judge(self, row: JudgedColumns, name: str, value: float) -> Score:
        model, revision = self._judge(row)
        return Score(name=name, model=model, revision=revision, value=float(value))

    def _picture(self, row: PictureColumns, origin: str, scores: list[Score], method: str = "") -> NewPicture:
        painter = painted_by(origin, method)
        model, revision = self.names[painter]
        data, encoding = row["picture"], self.recipe.shards.encoding
        if encoding != STORED_AS:
            data = encode_picture(decode_picture(data), encoding)
        return NewPicture(data, origin, model, revision, row["seed"], self.settings[painter], scores)  # type: ignore[arg-type]

    def _sketch(self, number: int, row: StepPicture, origin: str, method: str = "") -> Segment:
        """A picture segment. The policy's own drafts are context; pictures of the painter are targets."""
        model, revision = self.names[painted_by(origin, method)]
        stage, loss = "repaint" if origin == "correction" else "sketch", int(origin != "self_sample")
        return image_segment(stage, row["step"], number, loss=loss, model=model, revision=revision, seed=row["seed"])  # type: ignore[arg-type]

    def _plan(self, row: RolloutRow, loss: int, verdict: str = "") -> Segment:
        """The plan segment of a step that the policy wrote."""
        model, revision = self.asked.get(row["template"], self.names["writer"])
        text = plan_text(row["instruction"], row["description"])
        op = read_op(row["instruction"], row["so_far"], self.words)
        return text_segment(
            "plan", row["step"], text, loss=loss, op=op, verdict=verdict, model=model,  # type: ignore[arg-type]
            revision=revision, seed=row["writer_seed"],
        )  # fmt: skip

    def _said(self, stage: str, row: JudgedStep, text: str, verdict: str = "") -> Segment:
        step, by = row["step"], row["decided_by"]
        model, revision = self._judge(row) if by == "judge" else self.names[by]
        return text_segment(stage, step, text, loss=1, verdict=verdict, model=model, revision=revision)  # type: ignore[arg-type]

    def _multi_turn(self, reference: Reference) -> Built:
        prompt, first = self._prompt(reference)
        plan, drafts = self._rows("plan", PlanRow, reference), self._rows("draft", DraftRow, reference)
        checks = {r["step"]: r for r in self._rows("check", CheckRow, reference)}
        segments, pictures = [first], []
        for number, (step, draft) in enumerate(zip(plan, drafts, strict=True)):
            text = plan_text(step["instruction"], step["description"])
            model, revision = self.names[step["author"]]
            op = op_name(step["op"])
            segments.append(text_segment("plan", step["step"], text, loss=1, op=op, model=model, revision=revision))
            origin = "edit" if number else "t2i"
            segments.append(self._sketch(number, draft, origin))
            scores = self._scored("score_drafts", reference, step["step"], ("picture_text", "neighbour"))
            pictures.append(self._picture(draft, origin, [*scores, *self._sureness(checks[step["step"]])]))
        detour = next((s["detour"] for s in plan if s["detour"]), "")
        said = [words for check in checks.values() for words in check["checks"]]
        extra = {"scene": json.loads(prompt["scene"]), "detour": detour, **({"checks": said} if said else {})}
        if plan[0]["templates"]:
            extra["plan_templates"] = plan[0]["templates"]
        return self._build(reference, True, segments, pictures, None, extra)

    def _history(self, reference: Reference) -> tuple[list[RolloutRow], list[Segment], list[NewPicture]]:
        """The rollout's rows up to the judged step, and segments and pictures of the steps before it, as context."""
        rollout = self._rows("rollout", RolloutRow, reference, rollout=reference.rollout)
        steps = [r for r in rollout if r["step"] <= reference.step]
        segments, pictures = [], []
        for number, row in enumerate(steps[:-1]):
            segments += [self._plan(row, 0), self._sketch(number, row, "self_sample")]
            pictures.append(self._picture(row, "self_sample", []))
        return steps, segments, pictures

    def _conflict(self, reference: Reference) -> Built:
        prompt, first = self._prompt(reference)
        row = self._rows("conflict", ConflictRow, reference, rollout=reference.rollout, step=reference.step)[0]
        critique = Critique.model_validate_json(row["critique"])
        steps, before, pictures = self._history(reference)
        segments = [first, *before, self._plan(steps[-1], 0)]
        segments.append(self._said("inspect", row, critique.analysis, critique.verdict.value))
        if row["polarity"] == "negative":
            segments.append(self._said("refine", row, refine_text(critique.correction)))
        return self._build(reference, False, segments, pictures, row, self._judged(prompt, row))

    def _alignment(self, reference: Reference) -> Built:
        prompt, first = self._prompt(reference)
        row = self._rows("alignment", AlignmentRow, reference, rollout=reference.rollout, step=reference.step)[0]
        critique = Critique.model_validate_json(row["critique"])
        step = self._rows("rollout", RolloutRow, reference, rollout=reference.rollout, step=reference.step)[0]
        segments = [first, self._plan(step, 0), self._sketch(0, step, "self_sample")]
        scores = self._scored("score_alignment", reference, reference.step, ("picture_text",))
        pictures = [self._picture(step, "self_sample", [*scores, *self._sureness(row)])]
        segments.append(self._said("inspect", row, critique.analysis, critique.verdict.value))
        if row["polarity"] == "negative":
            segments.append(self._said("refine", row, refine_text(critique.correction)))
            where = {"rollout": reference.rollout, "step": reference.step, "attempt": row["tries"]}
            repair = self._rows("repair", RepairRow, reference, **where)[0]
            segments.append(self._sketch(1, repair, "correction", repair["method"]))
            names = ("picture_text", "margin", "neighbour")
            better = self._scored("score_alignment", reference, reference.step, names, row["tries"])
            better.append(self._of_judge(row, "judge_agreement", repair["agreement"]))  # in the words of the critique
            pictures.append(self._picture(repair, "correction", better, repair["method"]))
        extra = {**self._judged(prompt, row), "tries": row["tries"], "repair": row["repair"]}
        return self._build(reference, False, segments, pictures, row, extra)

    def _judged(self, prompt: PromptRow, row: JudgedColumns) -> dict[str, Any]:
        critique = json.loads(row["critique"])
        said = {"critique": critique, "answers": row["answers"]}
        said |= {"bends": row["bends"]} if row["bends"] else {}
        said |= {"arbiter": row["arbiter"]} if row["arbiter"] else {}
        said |= {"checks": row["checks"]} if row["checks"] else {}
        return {"scene": json.loads(prompt["scene"]), **said}

    def _build(
        self, reference: Reference, complete: bool, segments: list[Segment], pictures: list[NewPicture],
        judged: JudgedColumns | None, extra: dict[str, Any],
    ) -> Built:  # fmt: skip
        template = (judged["template"], judged["template_sha256"]) if judged else ("", "")
        sample = build_sample(
            id=reference.id, subset=reference.subset, split=reference.split,  # type: ignore[arg-type]
            polarity=reference.kind.polarity, complete=complete, category=reference.category, group=reference.group,
            parent=_trajectory(reference), segments=segments, pictures=pictures, template=template[0],
            template_sha256=template[1], pipeline_commit=self.commit,
            config_sha256=self.config, extra={**extra, "checked_by": reference.checked_by},
        )  # fmt: skip
        return sample, [p.data for p in pictures]


def painted_by(origin: str, method: str = "") -> str:
    """The role that painted a picture. A repair by a sibling is a draft of another rollout, so the sketcher's."""
    return "sketcher" if origin == "self_sample" or method == "sibling" else "painter"


def read_op(instruction: str, so_far: str, vocabulary: Vocabulary) -> OpName:
    """The op of a step that the policy wrote; "" where the grammar cannot read it."""
    try:
        return op_name(read_instruction(instruction, read_scene(so_far, vocabulary), vocabulary).op)
    except (GrammarError, LookupError):
        return ""


def op_name(op: str) -> OpName:
    """The name of an op in samples, where the first picture counts as adding to a blank canvas."""
    return "add" if op == Op.PAINT else Op(op).value  # type: ignore[return-value]


def _settings(recipe: Recipe, role: str) -> dict[str, Any]:
    """A model's identity without its checkpoint, which the sample's `revision` already covers."""
    return {k: v for k, v in recipe.model_for(role).identity().items() if k != "checkpoint"}


def _trajectory(reference: Reference) -> str:
    if reference.kind.subset.whole_trajectory:
        return ""
    return f"sample-{reference.sample}-rollout-{reference.rollout}-step-{reference.step}"


def model_names(recipe: Recipe) -> dict[str, tuple[str, str]]:
    """By role, (name, revision) of its model in samples: the recipe's name, and the digest of the model's identity."""
    found = {role: _named(recipe, name) for role, name in recipe.cast(type(recipe.roles).model_fields).items()}
    for name, role in named_models(recipe.all_templates()):
        found[f"{role} of templates that name {name}"] = _named(recipe, name)
    return found


def _named(recipe: Recipe, name: str) -> tuple[str, str]:
    identity = canonical(recipe.models[name].identity())
    return name, hashlib.sha256(identity.encode()).hexdigest()[:16]


def config_sha256(recipe: Recipe, nodes: Mapping[str, Node]) -> str:
    """The digest of all that defines the corpus: stages, quotas, thresholds, benchmark lists and shards."""
    rest = {k: getattr(recipe, k).model_dump(mode="json") for k in ("select", "shards")}
    quotas = {cell_name(cell): n for cell, n in recipe.quotas.cells().items()}
    lists = [list_digest(Path(p)) for p in recipe.decontaminate.lists]
    rest |= {"quotas": quotas, "decontaminate": {"lists": lists, "words": recipe.decontaminate.words}}
    stages = {name: nodes[name].fingerprint for branch in YIELDS for name in BRANCHES[branch]}
    whole = {"stages": stages, **rest}
    return hashlib.sha256(canonical(whole).encode()).hexdigest()
