"""What a build has done so far: ledgers and quotas, the output of `underpaint status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from underpaint.pipeline.engine.category_yields import category_lines
from underpaint.pipeline.engine.graph import stage_lots
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.recipe.quotas import by_kind
from underpaint.pipeline.selection.decisions import load_decisions
from underpaint.pipeline.selection.judge_figures import canary_figures, figure_lines, people_figures, template_figures
from underpaint.pipeline.selection.select import Selection, select
from underpaint.stages.all_stages import BRANCHES
from underpaint.stages.common.ledger import balances


def status(run: Run, selection: Selection | None = None) -> dict[str, Any]:
    """Ledgers summed by stage, quotas and how far they are met, the judge's figures, benchmark prompts by comparison.

    Also the folder of the quarantine, "" where nothing failed.
    """
    lots = run.state().get("lots") or dict.fromkeys(BRANCHES, 0)
    stages, by_stage = [], {}
    for name, number in stage_lots(lots).items():
        node = run.nodes[name]
        manifests = [run.store.manifest(node, i) for i in range(number) if run.store.is_done(node, i)]
        by_stage[name] = manifests
        ledgers = [m["ledger"] for m in manifests]
        summed: dict[str, Any] = {part: sum(x[part] for x in ledgers) for part in ("entered", "kept")}
        summed |= {part: _summed(x[part] for x in ledgers) for part in ("rejected", "failed")}
        summed["categories"] = _summed(m["categories"] for m in manifests)
        lots_known = {"lots": len(ledgers), "of": number, "balanced": balances(summed) and all(map(balances, ledgers))}
        adopted = sum("adopted" in m for m in manifests)
        stages.append({"stage": name, "unit": node.stage.unit, **lots_known, "adopted": adopted, **summed})
    found, benchmarks = {}, run.recipe.benchmarks()
    if all(s["lots"] == s["of"] for s in stages):
        found = quota_status(run, selection or select(run.recipe, run.nodes, run.store, lots, benchmarks=benchmarks))
    quarantine = str(run.root / "quarantine") if any(s["failed"] for s in stages) else ""
    decisions = load_decisions(run.root)
    known = run.candidates().table(run.lots_done()).select(["kind", "content"]).to_pylist() if decisions else []
    judge = {
        "templates": template_figures(by_stage), "canaries": canary_figures(by_stage),
        "people": people_figures(decisions, known),
    }  # fmt: skip
    return {
        "stages": stages, "balanced": all(s["balanced"] for s in stages), "quotas": found, "judge": judge,
        "quarantine": quarantine, "benchmarks": benchmarks.summary(),
    }  # fmt: skip


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()))


def quota_status(run: Run, selection: Selection) -> dict[str, Any]:
    """By kind: its quota, the numbers chosen, accepted and refused, and who checked the chosen ones' texts.

    Also by category, if categories have quotas.
    """
    cells, seen = run.recipe.quotas.cells(), by_kind(selection.seen)
    chosen = Counter((r.name, "") for r in selection.chosen) + Counter((r.name, r.category) for r in selection.chosen)
    found: dict[str, Any] = {}
    for kind, wanted in by_kind(cells).items():
        counts = {"quota": wanted, "chosen": chosen[kind, ""], "accepted": selection.accepted[kind]}
        found[kind] = {**counts, "candidates": seen[kind], "rejected": dict(selection.rejected.get(kind, {}))}
        checked = Counter(r.checked_by for r in selection.chosen if r.name == kind)
        found[kind]["checked_by"] = dict(sorted(checked.items()))
        categories = {c: n for (k, c), n in cells.items() if k == kind and c}
        if categories:
            found[kind]["categories"] = {
                c: {"quota": n, "chosen": chosen[kind, c], "accepted": selection.cells.get((kind, c), 0)}
                for c, n in categories.items()
            }
    return found


def quota_lines(quotas: dict[str, Any]) -> list[str]:
    """`quota_status` as text."""
    lines = ["subset                      quota    chosen  accepted  dropped by the selection"]
    for name, q in quotas.items():
        why = ", ".join(f"{n} {reason}" for reason, n in sorted(q["rejected"].items()))
        lines.append(f"{name:<25}{q['quota']:>8}{q['chosen']:>10}{q['accepted']:>10}  {why}")
        if set(q["checked_by"]) - {"grammar"}:
            lines.append("  texts checked by: " + ", ".join(f"{by} {n}" for by, n in q["checked_by"].items()))
        for category, c in q.get("categories", {}).items():
            lines.append(f"  {category:<23}{c['quota']:>8}{c['chosen']:>10}{c['accepted']:>10}")
    return lines


def funnel_lines(found: dict[str, Any]) -> list[str]:
    """`status` as text: one line per stage, per reason for which something was dropped, and per quota."""
    lines = ["", "stage              lots   entered      kept  rejected    failed  unit"]
    for s in found["stages"]:
        rejected, failed = sum(s["rejected"].values()), sum(s["failed"].values())
        mark = "" if s["balanced"] else "  DOES NOT BALANCE"
        lots = f"{s['lots']}" if s["lots"] == s["of"] else f"{s['lots']}/{s['of']}"
        lines.append(
            f"{s['stage']:<18}{lots:>5}{s['entered']:>10}{s['kept']:>10}{rejected:>10}{failed:>10}  {s['unit']}{mark}"
        )
        lines += [f"{'':<18}{n} rejected: {reason}" for reason, n in sorted(s["rejected"].items())]
        lines += [f"{'':<18}{n} failed: {error}" for error, n in sorted(s["failed"].items())]
    if taken := ", ".join(f"{s['adopted']} of {s['stage']}" for s in found["stages"] if s["adopted"]):
        lines += ["", f"lots taken over from before an upgrade (`underpaint adopt`): {taken}"]
    lines += category_lines(found["stages"])
    lines += figure_lines(found["judge"])
    if found["quotas"]:
        lines += ["", *quota_lines(found["quotas"])]
    if found["benchmarks"]:
        lines += ["", found["benchmarks"]]
    if found["quarantine"]:
        lines += ["", f"quarantine (request, answer and traceback of every failed row): {found['quarantine']}"]
    return lines
