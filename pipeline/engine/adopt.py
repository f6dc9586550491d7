"""Upgrades keep what is made: old lots are taken over where only code changed, and a sample of them comes out equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from underpaint.pipeline.engine.graph import Node
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.engine.runner import Pool
from underpaint.pipeline.engine.staleness import only_code_changed
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

    A stage whose upstream tables are not taken over stays stale. Raises what the lots that were made anew raised.
    """
    taken: dict[str, set[str]] = {}  # by stage, the fingerprints whose lots are ours now
    found = []
    for name, node in run.nodes.items():
        taken[name] = {node.fingerprint}
        former = next((f for f in run.store.others(node) if _may_stand(node, f, taken)), None)
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
            taken[name].add(former.fingerprint)
            for lot in lots:
                run.store.adopt(node, former, lot, compared)
        found.append(Adoption(name, former.fingerprint, [] if differs else lots, compared, differs))
    return found


def _may_stand(node: Node, former: Node, taken: dict[str, set[str]]) -> bool:
    inputs = node.stage.inputs
    same = all(former.upstream.get(above) in taken[above] for above in inputs) and len(former.upstream) == len(inputs)
    return same and only_code_changed(node, former)


def _open_lots(run: Run, node: Node, former: Node) -> list[int]:
    """The former lots that are not made anew yet, and whose input tables are there."""
    here = set(run.store.done(node))
    inputs = [set(run.store.done(run.nodes[above])) for above in node.stage.inputs]
    return [lot for lot in run.store.done(former) if lot not in here and all(lot in done for done in inputs)]


def adoption_lines(found: Sequence[Adoption]) -> list[str]:
    """`adopt` as text."""
    lines = []
    for a in found:
        done = f"{len(a.lots)} lots taken over from {a.former}, {len(a.compared)} of them made anew and equal"
        bad = "; ".join(f"lot {lot} {how}" for lot, how in a.differs.items())
        lines.append(f"{a.stage:<16} " + (f"none taken over from {a.former}: {bad}" if a.differs else done))
    return lines or ["nothing to take over: no stage has old lots that differ in code alone"]
