"""Explains what a build would make anew, and why: the output of `underpaint plan`."""

from __future__ import annotations

from typing import Any

from underpaint.pipeline.engine.graph import CODE, Node, stage_lots
from underpaint.pipeline.engine.run_folder import Run
from underpaint.stages.all_stages import BRANCHES


def explain_plan(run: Run) -> list[dict[str, Any]]:
    """For every stage: lots kept and stale of those the last build had, what changed since, and whether only code did.

    Before the first build both are 0, since only its first round finds out how many lots are needed.
    """
    lots = stage_lots(run.state().get("lots") or dict.fromkeys(BRANCHES, 0))
    found: list[dict[str, Any]] = []
    code_only: dict[str, bool] = {}
    for name, node in run.nodes.items():
        kept = sum(run.store.is_done(node, i) for i in range(lots[name]))
        stale, former = lots[name] - kept, next(run.store.others(node), None)
        upstream = all(code_only[above] for above in node.stage.inputs)
        code_only[name] = not stale or (former is not None and only_code_changed(node, former) and upstream)
        why = _because(run, node, former) if stale else []
        found.append(
            {"stage": name, "kept": kept, "stale": stale, "because": why, "code_only": bool(stale and code_only[name])}
        )
    return found


def _because(run: Run, node: Node, former: Node | None) -> list[str]:
    """What differs from the newest other fingerprint of the stage, with the upstream stages that changed."""
    if former is None:
        return ["never made"]
    own = []
    for part in _changed_parts(node, former):
        how = "is gone" if part not in node.parts else "is new" if part not in former.parts else "changed"
        own.append(f"{part} {how}{_where(part, node, former)}")
    above = [f"follows {name}" for name in node.stage.inputs if _changed(run, run.nodes[name])]
    return own + above or ["not finished"]


def _changed_parts(node: Node, former: Node) -> list[str]:
    parts = [*node.parts, *(p for p in former.parts if p not in node.parts)]
    return [p for p in parts if node.parts.get(p) != former.parts.get(p)]


def only_code_changed(node: Node, former: Node) -> bool:
    """Whether two fingerprints of a stage differ in nothing but code, upstream stages aside."""
    return all(part.startswith(CODE) for part in _changed_parts(node, former))


def _where(part: str, node: Node, former: Node) -> str:
    """For code, the modules that are not what they were."""
    now, then = node.modules.get(part, {}), former.modules.get(part, {})
    names = [m.removeprefix("underpaint.") for m in sorted({*now, *then}) if now.get(m) != then.get(m)]
    return f" in {', '.join(names)}" if names and then else ""


def _changed(run: Run, node: Node) -> bool:
    return not run.store.done(node) and next(run.store.others(node), None) is not None


def plan_lines(stages: list[dict[str, Any]]) -> list[str]:
    """`explain_plan` as text."""
    if not any(s["kept"] or s["stale"] for s in stages):
        return ["nothing is made yet; the first round learns from its yields how many lots it takes"]
    lines = []
    for s in stages:
        why = f" ({', '.join(s['because'])})" if s["because"] else ""
        lines.append(f"{s['stage']:<18} {s['kept']:>6} lots kept {s['stale']:>6} stale{why}")
    if keep := [s["stage"] for s in stages if s["code_only"]]:
        lines.append(f"only code changed for {', '.join(keep)}: `underpaint adopt` may keep their lots")
    return lines
