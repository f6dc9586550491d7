"""candidates: one row per sample that could be shipped, with all that the selection needs to decide, but no picture.

There are two such stages, one at the end of each branch. The selection, `select --dry-run` and the report read only
these tables.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from underpaint.schemas import tables
from underpaint.schemas.scenes.critique import Judgement
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.common.seeds import derive_seed
from underpaint.stages.common.stage import Context, Ledger, Outcome, Params, Stage, outcome

Row = dict[str, Any]
Key = tuple[int, int, int]  # sample, rollout, step
SCORES = ("picture_text", "neighbour", "margin")
UNJUDGED, REJECTED = "a picture without a verdict", "a picture that the judge rejects"


class CandidatesParams(Params):
    """No parameters: thresholds, quotas and benchmark lists are applied by the selection."""


def run_painted(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Make one candidate of every trajectory; its scores and agreement are those of its worst picture."""
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
    for sample, painted in sorted(pictures.items()):  # failed trajectories are counted by the stage draft
        steps = range(1, len(painted) + 1)
        judged = [checks[sample, step] for step in steps if (sample, step) in checks]
        wrong = any(v["verdict"] == Judgement.CONFLICT.value for v in judged)
        measured = [scores.get((sample, 0, step, 0), {}) for step in steps]
        worst = {n: min((m[n] for m in measured if n in m), default=None) for n in ("picture_text", "neighbour")}
        own = {
            "kind": "multi_turn",
            "pictures": len(painted),
            "content": _content("multi_turn", about[sample]["scene"], painted[-1]),
            "fault": REJECTED if wrong else UNJUDGED if len(judged) < len(painted) else "",
            "agreement": min(map(_agreement, judged), default=0.0),
            "margin": None,
            "detour": detours[sample],
        }
        rows.append({"sample": sample, "rollout": 0, "step": 0, **_NO_REPAIR, **about[sample], **worst, **own})
    return _outcome(rows)


def run_sampled(context: Context, inputs: Mapping[str, pa.Table]) -> Outcome:
    """Make candidates of the judged rollout steps: conflict samples of texts, alignment samples of drafts."""
    about, scores = _about(inputs["prompts"]), _scores(inputs["score_alignment"])
    steps = {_key(r): r for r in inputs["rollout"].to_pylist()}
    rows = []
    for row in inputs["conflict"].to_pylist():
        step, scene = steps[_key(row)], about[row["sample"]]["scene"]
        own = {
            "kind": f"conflict_{row['polarity']}",
            "pictures": row["step"] - 1,
            "content": _content("conflict", scene, *(step[k] for k in ("so_far", "instruction", "description"))),
            "agreement": _agreement(row),
        }
        rows.append({**_judged(row), **about[row["sample"]], **dict.fromkeys(SCORES), **own})
    for row in inputs["alignment"].to_pylist():
        negative, scene = row["polarity"] == "negative", about[row["sample"]]["scene"]
        measured = scores.get((*_key(row), row["tries"]), {})
        own = {
            "kind": f"alignment_{row['polarity']}",
            "pictures": 2 if negative else 1,
            "content": _content("alignment", scene, steps[_key(row)]["picture"]),
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
    """The judge's agreement; 1 where an arbiter decided, since its decision is final."""
    return 1.0 if row["decided_by"] == "arbiter" else float(row["agreement"])


def _about(prompts: pa.Table) -> dict[int, Row]:
    """Category, prompt, short prompt and scene key of every sample of the lot."""
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
    """A number that is equal for duplicates: samples of one subset with the same scene and the same `what`.

    `what` is the last picture of a trajectory, the judged draft, or the judged texts.
    """
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
