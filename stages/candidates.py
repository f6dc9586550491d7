"""candidates: one row per sample that could be shipped, with all that the selection needs to decide, but no picture.

There are two such stages, one at the end of each branch. The selection, `select --dry-run` and the report read only
these tables.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TypedDict

from underpaint.schemas.corpus.subsets import ALIGNMENT, CONFLICT, MULTI_TURN
from underpaint.schemas.scenes.critique import Verdict
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.alignment import AlignmentRow
from underpaint.stages.check import CheckRow
from underpaint.stages.common.checkers import weakest
from underpaint.stages.common.ledger import Ledger
from underpaint.stages.common.rows import Float32, Int16, RolloutStepRow, key_of, rows, step_of
from underpaint.stages.common.seeds import derive_seed
from underpaint.stages.common.stage import Context, Outcome, Params, Stage, Tables, outcome
from underpaint.stages.conflict import ConflictRow
from underpaint.stages.draft import DraftRow
from underpaint.stages.judgement.panel import JudgedColumns, settled_agreement
from underpaint.stages.plan import PlanRow
from underpaint.stages.prompts import PromptRow
from underpaint.stages.rollout import RolloutRow
from underpaint.stages.score import ScoreRow

UNJUDGED, REJECTED = "a picture without a verdict", "a picture that the judge rejects"


class PromptColumns(TypedDict):
    """What a candidate's prompt asks for."""

    category: str
    prompt: str
    short: str  # the prompt before it was enriched
    scene: str  # the scene's key


class Scores(TypedDict):
    """Cosines, None where there is nothing to compare: the worst of a trajectory's pictures, a correction's own."""

    picture_text: Float32 | None
    neighbour: Float32 | None
    margin: Float32 | None


class CandidateRow(RolloutStepRow, PromptColumns, Scores):
    """One sample that could be shipped. `rollout` and `step` are 0 for a whole trajectory."""

    kind: str  # subset and polarity
    pictures: Int16
    content: int  # equal for duplicates
    fault: str  # why it cannot be shipped whatever the thresholds are; "" where it can
    checked_by: str  # who checked what its texts say, by the worst of its parts: grammar, model or nobody
    agreement: Float32
    detour: str
    repair: str
    tries: Int16
    findings: list[str]  # kinds of fault that the critique names


class CandidatesParams(Params):
    """No parameters: thresholds, quotas and benchmark lists are applied by the selection."""


def run_painted(context: Context[CandidatesParams], inputs: Tables) -> Outcome:
    """Make one candidate of every trajectory; its scores and agreement are those of its worst picture."""
    about, scores = _about(inputs), _scores(rows(inputs["score_drafts"], ScoreRow))
    verdicts = inputs["check"].select(["sample", "step", "verdict", "agreement", "decided_by", "checked_by"])
    checks = {(r["sample"], r["step"]): r for r in rows(verdicts, CheckRow)}
    pictures: dict[int, list[bytes]] = defaultdict(list)
    for draft in rows(inputs["draft"], DraftRow):
        pictures[draft["sample"]].append(draft["picture"])
    detours: dict[int, str] = {}
    planned: dict[int, list[str]] = defaultdict(list)
    for step in rows(inputs["plan"].select(["sample", "detour", "checked_by"]), PlanRow):
        detours[step["sample"]] = detours.get(step["sample"]) or step["detour"]
        planned[step["sample"]].append(step["checked_by"])
    found: list[CandidateRow] = []
    for sample, painted in sorted(pictures.items()):  # one whose painter failed is in the ledger of the drafts
        steps = range(1, len(painted) + 1)
        judged = [checks[sample, n] for n in steps if (sample, n) in checks]
        wrong = any(v["verdict"] == Verdict.CONFLICT.value for v in judged)
        measured = [scores.get((sample, 0, n, 0), {}) for n in steps]
        found.append(
            {
                "sample": sample, "rollout": 0, "step": 0, **about[sample],
                "kind": MULTI_TURN.name,
                "pictures": len(painted),
                "content": _content(MULTI_TURN.name, about[sample]["scene"], painted[-1]),
                "fault": REJECTED if wrong else UNJUDGED if len(judged) < len(painted) else "",
                "checked_by": weakest(*planned[sample], *(v["checked_by"] for v in judged)),
                "agreement": min(map(settled_agreement, judged), default=0.0),
                "picture_text": _worst("picture_text", measured),
                "neighbour": _worst("neighbour", measured),
                "margin": None,
                "detour": detours[sample],
                "repair": "", "tries": 0, "findings": [],
            }
        )  # fmt: skip
    return _outcome(found)


def run_sampled(context: Context[CandidatesParams], inputs: Tables) -> Outcome:
    """Make candidates of the judged rollout steps: conflict samples of texts, alignment samples of drafts."""
    about, scores = _about(inputs), _scores(rows(inputs["score_alignment"], ScoreRow))
    steps = {key_of(r): r for r in rows(inputs["rollout"], RolloutRow)}
    found: list[CandidateRow] = []
    for row in rows(inputs["conflict"], ConflictRow):
        step, prompt = steps[key_of(row)], about[row["sample"]]
        words = step["so_far"], step["instruction"], step["description"]
        found.append(
            {
                **step_of(row), **prompt,
                "kind": CONFLICT.kind(row["polarity"]),
                "pictures": row["step"] - 1,
                "content": _content(CONFLICT.name, prompt["scene"], *words),
                "fault": "", "checked_by": row["checked_by"], "detour": "",
                "agreement": settled_agreement(row),
                "picture_text": None, "neighbour": None, "margin": None,
                "repair": "", "tries": 0, "findings": _findings(row),
            }
        )  # fmt: skip
    for aligned in rows(inputs["alignment"], AlignmentRow):
        key, prompt = key_of(aligned), about[aligned["sample"]]
        measured = scores.get((*key, aligned["tries"]), {})
        found.append(
            {
                **step_of(aligned), **prompt,
                "kind": ALIGNMENT.kind(aligned["polarity"]),
                "pictures": 2 if aligned["polarity"] == "negative" else 1,
                "content": _content(ALIGNMENT.name, prompt["scene"], steps[key]["picture"]),
                "fault": "", "checked_by": aligned["checked_by"], "detour": "",
                "agreement": min(settled_agreement(aligned), aligned["repair_agreement"]),
                "picture_text": measured.get("picture_text"),
                "neighbour": measured.get("neighbour"),
                "margin": measured.get("margin"),
                "repair": aligned["repair"], "tries": aligned["tries"], "findings": _findings(aligned),
            }
        )  # fmt: skip
    return _outcome(found)


def _worst(name: str, measured: Sequence[dict[str, float]]) -> float | None:
    return min((scores[name] for scores in measured if name in scores), default=None)


def _findings(row: JudgedColumns) -> list[str]:
    return [f["kind"] for f in json.loads(row["critique"])["findings"]]


def _about(inputs: Tables) -> dict[int, PromptColumns]:
    """What every prompt of the lot asks for, by sample."""
    return {
        r["sample"]: {
            "category": r["category"],
            "prompt": r["prompt"],
            "short": r["short"],
            "scene": SceneGraph.model_validate_json(r["scene"]).key(),
        }
        for r in rows(inputs["prompts"], PromptRow)
    }


def _scores(table: Sequence[ScoreRow]) -> dict[tuple[int, int, int, int], dict[str, float]]:
    """By (sample, rollout, step, attempt) and name."""
    found: dict[tuple[int, int, int, int], dict[str, float]] = defaultdict(dict)
    for r in table:
        found[*key_of(r), r["attempt"]][r["name"]] = r["value"]
    return found


def _content(subset: str, scene: str, *what: str | bytes) -> int:
    """A number that is equal for duplicates: samples of one subset with the same scene and the same `what`.

    `what` is the last picture of a trajectory, the judged draft, or the judged texts.
    """
    return derive_seed(subset, scene, *(hashlib.sha256(w).hexdigest() if isinstance(w, bytes) else w for w in what))


def _outcome(found: list[CandidateRow]) -> Outcome:
    ledger = Ledger()
    ledger.enter(len(found))
    ledger.keep(len(found))
    return outcome(CandidateRow, found, ledger)


PAINTED = Stage(
    "candidates_painted", "candidates", ("painted",), ("prompts", "plan", "draft", "check", "score_drafts"),
    CandidateRow, CandidatesParams, run_painted, key=(),
)  # fmt: skip
SAMPLED = Stage(
    "candidates_sampled", "candidates", ("sampled",),
    ("prompts", "rollout", "conflict", "alignment", "score_alignment"), CandidateRow, CandidatesParams, run_sampled,
    key=(),
)  # fmt: skip
