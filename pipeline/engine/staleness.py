"""Explains what a build would make anew, and why: the output of `underpaint plan`."""

from __future__ import annotations

from typing import Any

from underpaint.pipeline.engine.graph import BRANCHES, Node, stage_lots
from underpaint.pipeline.engine.run_folder import Run


def explain_plan(run: Run) -> list[dict[str, Any]]:
    """For every stage: how many of the last build's lots are kept, how many are stale, and what changed since.

    Before the first build both are 0, since only its first round finds out how many lots are needed.
    """
    lots = stage_lots(run.state().get("lots") or dict.fromkeys(BRANCHES, 0))
    found = []
    for name, node in run.nodes.items():
        kept = sum(run.store.is_done(node, i) for i in range(lots[name]))
        stale = lots[name] - kept
        found.append({"stage": name, "kept": kept, "stale": stale, "because": _because(run, node) if stale else []})
    return found


def _because(run: Run, node: Node) -> list[str]:
    """What differs from the newest other fingerprint of the stage, with the upstream stages that changed."""
    former = next(run.store.other_fingerprints(node), None)
    if former is None:
        return ["never made"]
    own = [f"{part} changed" for part, digest in node.parts.items() if part in former and former[part] != digest]
    own += [f"{part} is new" for part in node.parts if part not in former]
    own += [f"{part} is gone" for part in former if part not in node.parts]
    above = [f"follows {name}" for name in node.stage.inputs if _changed(run, run.nodes[name])]
    return own + above or ["not finished"]


def _changed(run: Run, node: Node) -> bool:
    return not run.store.done(node) and next(run.store.other_fingerprints(node), None) is not None


def plan_lines(stages: list[dict[str, Any]]) -> list[str]:
    """`explain_plan` as text."""
    if not any(s["kept"] or s["stale"] for s in stages):
        return ["nothing is made yet; the first round learns from its yields how many lots it takes"]
    lines = []
    for s in stages:
        why = f" ({', '.join(s['because'])})" if s["because"] else ""
        lines.append(f"{s['stage']:<16} {s['kept']:>6} lots kept {s['stale']:>6} stale{why}")
    return lines
