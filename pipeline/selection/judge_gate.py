"""Measures the judge by its answers in the calibration stage, and stops a build whose judge is below the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from underpaint.pipeline.common.errors import BuildError
from underpaint.pipeline.engine.graph import Node
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.recipe.recipe import Recipe
from underpaint.pipeline.selection.judge_figures import figure_lines, template_figures
from underpaint.pipeline.selection.judge_watch import examples
from underpaint.schemas.corpus.subsets import SUBSETS, kinds_of
from underpaint.schemas.interval import Share
from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.stages.calibration import CalibrationRow
from underpaint.stages.common.figures import total
from underpaint.stages.common.rows import rows

FIGURES = {
    "precision": "of the cases called wrong, those that are",
    "recall": "of the wrong cases, those called wrong",
    "incomplete_accepted": "of the right but unfinished cases, those not called wrong",
    "complete_accepted": "of the right and finished cases, those not called wrong",
    "own_verdicts": "of the judge's single answers, those right by themselves, before observations are weighed",
    "answered": "of all cases, those with an answer that counts",
}
SPOKEN = {"own_verdicts": "share of right single answers", "answered": "share of cases with an answer that counts"}


@dataclass(frozen=True)
class KindFigures:
    """The judge on one kind of fault.

    `caught`: of the cases with this fault, those called wrong. `recall`: of these cases, those in which the judge named
    this kind. `precision`: of the cases in which the judge named it, those that have it.
    """

    caught: Share
    recall: Share
    precision: Share


@dataclass(frozen=True)
class SideFigures:
    """The judge on one side. Cases without an answer that counts are only in the share `answered`.

    `aside` counts conflicts whose findings are all of a template's own kinds; scene graphs cannot check these.
    """

    precision: Share
    recall: Share
    incomplete_accepted: Share
    complete_accepted: Share
    own_verdicts: Share  # of all single answers, those with the right verdict before observations are checked
    answered: Share  # of all cases, including those put aside
    kinds: Mapping[str, KindFigures]
    unanswered: int
    aside: int = 0

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain JSON values."""
        shares = {n: s.to_dict() for n, s in vars(self).items() if isinstance(s, Share)}
        kinds = {kind: {n: s.to_dict() for n, s in vars(found).items()} for kind, found in self.kinds.items()}
        return {**shares, "kinds": kinds, "unanswered": self.unanswered, "aside": self.aside}


def read_calibration(recipe: Recipe, nodes: Mapping[str, Node], store: Store) -> dict[Side, SideFigures]:
    """The figures by side, from the lots that are done; empty where there are none."""
    node, cases, failed = nodes["calibration"], list[CalibrationRow](), {side: 0 for side in Side}
    for lot in range(recipe.calibration.lots(recipe.lot_size)):
        if not store.is_done(node, lot):
            continue
        columns = ["side", "fault", "incomplete", "truth", "verdict", "critique", "own_verdicts"]
        cases += rows(store.table(node, lot, columns), CalibrationRow)
        for failure in store.failures(node, lot):
            failed[Side(failure["side"])] += 1
    by_side = {side: [r for r in cases if r["side"] == side.value] for side in Side}
    return {s: side_figures(found, failed[s]) for s, found in by_side.items() if found or failed[s]}


def side_figures(cases: Sequence[CalibrationRow], unanswered: int = 0) -> SideFigures:
    """The figures of one side, from its cases and the number of those without an answer that counts."""
    known = [r for r in cases if not beyond(_kinds(r["critique"]))]
    answered = Share(len(cases), len(cases) + unanswered)
    aside, cases = len(cases) - len(known), known
    wrong = [r for r in cases if r["fault"]]
    right = [r for r in cases if not r["fault"]]
    named = [(_kinds(r["truth"]), _kinds(r["critique"]), r) for r in cases]
    kinds = {}
    for kind in sorted({k for truth, _, _ in named for k in truth}):
        there = [(found, r) for truth, found, r in named if kind in truth]
        kinds[kind] = KindFigures(
            caught=_share(_called_wrong(r) for _, r in there),
            recall=_share(kind in found for found, _ in there),
            precision=_share(kind in truth for truth, found, _ in named if kind in found),
        )
    return SideFigures(
        precision=_share(bool(r["fault"]) for r in cases if _called_wrong(r)),
        recall=_share(_called_wrong(r) for r in wrong),
        incomplete_accepted=_share(not _called_wrong(r) for r in right if r["incomplete"]),
        complete_accepted=_share(not _called_wrong(r) for r in right if not r["incomplete"]),
        own_verdicts=_share(
            (own == Verdict.CONFLICT.value) == bool(r["fault"]) and own != ""
            for r in cases
            for own in r["own_verdicts"]
        ),
        answered=answered,
        kinds=kinds,
        unanswered=unanswered,
        aside=aside,
    )


def _called_wrong(row: CalibrationRow) -> bool:
    return bool(row["verdict"] == Verdict.CONFLICT.value)


def beyond(kinds: set[str]) -> bool:
    """Whether there are findings and all are of a template's own kinds, which scene graphs do not know."""
    return bool(kinds) and not kinds & set(FaultKind)


def _kinds(critique: str) -> set[str]:
    return {str(f.kind) for f in Critique.model_validate_json(critique).findings}


def _share(outcomes: Any) -> Share:
    found = list(outcomes)
    return Share(sum(found), len(found))


def shortfalls(recipe: Recipe, found: Mapping[Side, SideFigures]) -> list[str]:
    """A sentence for every figure below the recipe's floor on a side that a wanted subset depends on."""
    wanted = recipe.quotas.numbers()
    asked = [s for s in SUBSETS.values() if any(wanted[kind] for kind in kinds_of(s.name))]
    short = []
    for side in Side:
        subsets = [s.name for s in asked if s.judged == side.value]
        for name, least in recipe.calibration.floor.of(side) if subsets else ():
            share: Share = getattr(found[side], name) if side in found else Share(0, 0)
            if side in found and not found[side].answered.hits:
                mute = f"none of the {found[side].unanswered} cases on the {side.value} side got an answer that counts"
                short.append(f"{' and '.join(subsets)}: {mute}")
                break  # one sentence for all figures of the side
            if not share.value >= least:  # nan (no cases) counts as below the floor
                field, spoken = f"calibration.floor.{side.value}.{name}", SPOKEN.get(name, name.replace("_", " "))
                short.append(
                    f"{' and '.join(subsets)}: the judge's {spoken} on the {side.value} side"
                    f" is {share}, the recipe asks for {least:.2f} (field {field})"
                )
    return short


def check_floor(recipe: Recipe, nodes: Mapping[str, Node], store: Store, ship_anyway: bool = False) -> None:
    """Raises BuildError where the judge is below the recipe's floor, unless option or recipe say to ship anyway."""
    short = shortfalls(recipe, read_calibration(recipe, nodes, store))
    if short and not (ship_anyway or recipe.calibration.ship_anyway):
        raise BuildError(
            "the judge is not as good as the recipe asks:\n  "
            + "\n  ".join(short)
            + "\n".join(_by_template(recipe, nodes["calibration"], store))
            + "\nname another judge or template, lower the floor, set the subset's quotas to 0,"
            " or ship it all the same: --ship-anyway, or calibration.ship_anyway in the recipe"
        )


def _by_template(recipe: Recipe, node: Node, store: Store) -> list[str]:
    """How the answers to each template were understood, and up to three that were not."""
    lots = [n for n in range(recipe.calibration.lots(recipe.lot_size)) if store.is_done(node, n)]
    manifests = [store.manifest(node, lot) for lot in lots]
    rows = template_figures({node.name: manifests})
    unread = total([heard for m in manifests for heard in m.get("heard", {}).values()])
    return [*figure_lines({"templates": rows, "canaries": [], "people": {}}), *examples(unread)]


def calibration_lines(found: Mapping[Side, SideFigures]) -> list[str]:
    """The figures as text, each a share with its 95% interval and the number of cases."""
    lines = []
    for side, f in found.items():
        lines += ["", f"the judge on the {side.value} side (95% intervals)"]
        lines += [f"  {n.replace('_', ' '):<30}{s}" for n, s in vars(f).items() if isinstance(s, Share)]
        lines += [f"  {'without a usable answer':<30}{f.unanswered} cases"] if f.unanswered else []
        lines += [f"  {'of kinds of its own':<30}{f.aside} cases, put aside"] if f.aside else []
        lines += ["", f"  {'fault':<18}{'called wrong':<26}{'named':<26}{'rightly named':<26}"]
        for kind, k in f.kinds.items():
            shares = (f"{s!s:<26}" for s in (k.caught, k.recall, k.precision))
            lines.append(f"  {kind.replace('_', ' '):<18}" + "".join(shares))
    return lines
