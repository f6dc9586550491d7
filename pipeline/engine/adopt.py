"""Upgrades keep what is made: old lots are taken over where only code changed, and a sample of them comes out equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from underpaint.pipeline.engine.graph import Node
from underpaint.pipeline.engine.ray_pool import Pool
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.engine.what_changed import only_code_changed
from underpaint.pipeline.engine.worker import remake_worker


@dataclass(frozen=True)
class Adoption:
    """What became of one stage's old lots: taken over, or not because of `differs` (lot → how it came out)."""

    stage: str
    former: str  # fingerprint
    lots: Sequence[int]
    compared: Sequence[int]
    differs: dict[int, str]


def adopt(run: Run, actors: Pool, sample: int) -> list[Adoption]:
    """Go through the stages, upstream first: make `sample` of the old lots anew, take all over where these are equal.

    A lot made from other tables than those that are there now stays stale. Raises what the lots made anew raised.
    """
    found = []
    for name, node in run.nodes.items():
        former = next((f for f in run.store.others(node) if only_code_changed(node, f)), None)
        lots = _open_lots(run, node, former) if former else []
        if former is None or not lots:
            continue
        compared = lots[:: -(-len(lots) // sample)]
        arguments = run.recipe, name, str(run.root.resolve()), node.fingerprint, former
        report = actors.run(remake_worker, arguments, compared, gpus=run.gpus(node))
        for error in report.errors.values():
            raise error
        differs = {lot: how for lot, how in sorted(report.results.items()) if how}
        if not differs:
            for lot in lots:
                run.store.adopt(node, former, lot, compared)
        found.append(Adoption(name, former.fingerprint, [] if differs else lots, compared, differs))
    return found


def _open_lots(run: Run, node: Node, former: Node) -> list[int]:
    """The former lots that are not made anew yet, and whose input tables are there, byte for byte."""
    here = set(run.store.done(node))
    return [lot for lot in run.store.done(former) if lot not in here and _same_inputs(run, node, former, lot)]


def _same_inputs(run: Run, node: Node, former: Node, lot: int) -> bool:
    now, then = run.store.inputs(node, lot), run.store.manifest(former, lot).get("inputs")
    return now.keys() == node.upstream.keys() and now == then


def adoption_lines(found: Sequence[Adoption]) -> list[str]:
    """`adopt` as text."""
    lines = []
    for a in found:
        done = f"{len(a.lots)} lots taken over from {a.former}, {len(a.compared)} of them made anew and equal"
        bad = "; ".join(f"lot {lot} {how}" for lot, how in a.differs.items())
        lines.append(f"{a.stage:<18} " + (f"none taken over from {a.former}: {bad}" if a.differs else done))
    return lines or ["nothing to take over: no stage has old lots that differ in code alone"]
