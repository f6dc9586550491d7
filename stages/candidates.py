"""candidates: a row for every sample that could be shipped, with all that the selection decides on, and no picture.

Two stages, one at the end of each branch. Selection, `select --dry-run` and the report read these tables only.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from underpaint.schemas import tables
from underpaint.schemas.corpus.subsets import ALIGNMENT, CONFLICT, MULTI_TURN
from underpaint.schemas.scenes.critique import Judgement
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.common.seeds import derive_seed
from underpaint.stages.common.stage import Context, Ledger, Outcome, Params, Stage, outcome

Row = dict[str, Any]
Key = tuple[int, int, int]  # sample, rollout, step
SCORES = ("picture_text", "neighbour", "margin")
UNJUDGED, REJECTED = "a picture without a verdict", "a picture that the judge rejects"


class CandidatesParams(Params):
    """Thresholds, quotas and lists to decontaminate against belong to the selection."""


def run_painted(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """A trajectory is one candidate, as good as the worst of its pictures."""
    about, scores = _about(inputs["prompts"]), _scores(inputs["score_drafts"])
    verdicts = inputs["check"].select(["sample", "step", "verdict", "agreement", "decided_by"]).to_pylist()
    checks = {(r["sample"], r["step"]): r for r in verdicts}
    pictures: dict[int, list[bytes]] = defaultdict(list)
    for row in inputs["draft"].to_pylist():
        pictures[row["sample"]].append(row["picture"])
    detours: dict[int, str] = {}
    for row in inputs["plan"].select(["sample", "detour"]).to_pylist():
        detours[row["sample"]] = detours.get(row["sample"]) or row["detour"]
    rows = []
    for sample, painted in sorted(pictures.items()):  # one whose painter failed is in the ledger of the drafts
        steps = range(1, len(painted) + 1)
        judged = [checks[sample, step] for step in steps if (sample, step) in checks]
        wrong = any(v["verdict"] == Judgement.CONFLICT.value for v in judged)
        measured = [scores.get((sample, 0, step, 0), {}) for step in steps]
        worst = {n: min((m[n] for m in measured if n in m), default=None) for n in ("picture_text", "neighbour")}
        own = {
            "kind": MULTI_TURN.name,
            "pictures": len(painted),
            "content": _content(MULTI_TURN.name, about[sample]["scene"], painted[-1]),
            "fault": REJECTED if wrong else UNJUDGED if len(judged) < len(painted) else "",
            "agreement": min(map(_agreement, judged), default=0.0),
            "margin": None,
            "detour": detours[sample],
        }
        rows.append({"sample": sample, "rollout": 0, "step": 0, **_NO_REPAIR, **about[sample], **worst, **own})
    return _outcome(rows)


def run_sampled(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Every judged step of a rollout: as a conflict sample for its words, as an alignment sample for its draft."""
    about, scores = _about(inputs["prompts"]), _scores(inputs["score_alignment"])
    steps = {_key(r): r for r in inputs["rollout"].to_pylist()}
    rows = []
    for row in inputs["conflict"].to_pylist():
        step, scene = steps[_key(row)], about[row["sample"]]["scene"]
        own = {
            "kind": CONFLICT.kind(row["polarity"]),
            "pictures": row["step"] - 1,
            "content": _content(CONFLICT.name, scene, *(step[k] for k in ("so_far", "instruction", "description"))),
            "agreement": _agreement(row),
        }
        rows.append({**_judged(row), **about[row["sample"]], **dict.fromkeys(SCORES), **own})
    for row in inputs["alignment"].to_pylist():
        negative, scene = row["polarity"] == "negative", about[row["sample"]]["scene"]
        measured = scores.get((*_key(row), row["tries"]), {})
        own = {
            "kind": ALIGNMENT.kind(row["polarity"]),
            "pictures": 2 if negative else 1,
            "content": _content(ALIGNMENT.name, scene, steps[_key(row)]["picture"]),
            "agreement": min(_agreement(row), row["repair_agreement"]),
            "tries": row["tries"],
            "repair": row["repair"],
        }
        rows.append({**_judged(row), **about[row["sample"]], **{n: measured.get(n) for n in SCORES}, **own})
    return _outcome(rows)


_NO_REPAIR: Row = {"tries": 0, "repair": "", "findings": []}


def _judged(row: Row) -> Row:
    findings = [f["kind"] for f in json.loads(row["critique"])["findings"]]
    where = {k: row[k] for k in ("sample", "rollout", "step")}
    return {**where, "fault": "", "detour": "", **_NO_REPAIR, "findings": findings}


def _agreement(row: Row) -> float:
    """What an arbiter decided is settled, however far the judge's answers disagreed."""
    return 1.0 if row["decided_by"] == "arbiter" else float(row["agreement"])


def _about(prompts: pa.Table) -> dict[int, Row]:
    """Category, prompt and scene key of every sample of the lot."""
    return {
        r["sample"]: {
            "category": r["category"],
            "prompt": r["prompt"],
            "short": r["short"],
            "scene": SceneGraph.model_validate_json(r["scene"]).key(),
        }
        for r in prompts.to_pylist()
    }


def _scores(table: pa.Table) -> dict[tuple[int, int, int, int], dict[str, float]]:
    found: dict[tuple[int, int, int, int], dict[str, float]] = defaultdict(dict)
    for r in table.to_pylist():
        found[*_key(r), r["attempt"]][r["name"]] = r["value"]
    return found


def _key(row: Row) -> Key:
    return row["sample"], row["rollout"], row["step"]


def _content(subset: str, scene: str, *what: str | bytes) -> int:
    """Equal for two samples of a subset that show the same: the scene's key with the last picture of a trajectory,
    with the draft that is judged, or with the words that are."""
    return derive_seed(subset, scene, *(hashlib.sha256(w).hexdigest() if isinstance(w, bytes) else w for w in what))


def _outcome(rows: list[Row]) -> Outcome:
    ledger = Ledger()
    ledger.enter(len(rows))
    ledger.keep(len(rows))
    return outcome(tables.CANDIDATES, rows, ledger)


PAINTED = Stage(
    "candidates_painted", "candidates", ("prompts", "plan", "draft", "check", "score_drafts"), tables.CANDIDATES,
    CandidatesParams, run_painted, key=(),
)  # fmt: skip
SAMPLED = Stage(
    "candidates_sampled", "candidates", ("prompts", "rollout", "conflict", "alignment", "score_alignment"),
    tables.CANDIDATES, CandidatesParams, run_sampled, key=(),
)  # fmt: skip
