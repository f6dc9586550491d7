"""Stops a build whose models have gone bad, lot by lot: answers that cannot be read, canaries that are not seen.

A lot's manifest says what became of the questions (`stages.common.figures`, `stages.judgement.canaries`). After every
lot the last one, two, four, … lots of the stage are held against the recipe's `calibration.floor`. They break it where
a model that is just good enough would do as badly less than once in 10,000 times, so no build stops by chance, and a
judge that never answers in the right form is stopped after some ten answers. Canaries are also held against the lots
before: a server that begins to answer for the wrong picture is far from any floor at first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import bdtr

from underpaint.pipeline.common.errors import BuildError
from underpaint.pipeline.engine.graph import Node, descendants
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.recipe.recipe import Recipe
from underpaint.schemas.interval import Share
from underpaint.stages.common.figures import AnswerCounts, total
from underpaint.stages.judgement.canaries import NAMED_BY

CHANCE = 1e-4  # how improbable it must be that a model which is just good enough does as badly
EDITED = "one word changed"
COUNTED = 0.2  # the least share of answers that count, of those that are asked for; below it the judge is of no use


@dataclass(frozen=True)
class Bad:
    """Lots in which a share is too low."""

    lots: Sequence[int]
    now: Share
    before: Share  # of the lots before these
    least: float


def improbable(found: Share, least: float) -> bool:
    """Whether so few hits come up less often than CHANCE where each case is a hit with the probability `least`."""
    return bool(bdtr(found.hits, found.n, least) < CHANCE)


def too_low(lots: Sequence[int], shares: Sequence[Share], least: float, drift: bool = False) -> Bad | None:
    """The first of the last 1, 2, 4, … and all lots whose share is below `least` beyond chance; None where none is.

    With `drift` the share must not fall below that of the lots before these either (the lower end of its interval).
    Lots just before these that are too low as well, if not beyond chance by themselves, are named with them.
    """
    for last in sorted({min(2**i, len(lots)) for i in range(len(lots).bit_length() + 1)}):
        now, before = _sum(shares[-last:]), _sum(shares[:-last])
        wanted = max(least, before.interval[0]) if drift else least
        if improbable(now, wanted):
            while last < len(lots) and shares[-last - 1].value < wanted:
                last += 1
            return Bad(lots[-last:], _sum(shares[-last:]), _sum(shares[:-last]), wanted)
    return None


def _sum(shares: Sequence[Share]) -> Share:
    return Share(sum(s.hits for s in shares), sum(s.n for s in shares))


class Watch:
    """Is told of every lot of a build, and raises BuildError where a model has gone bad; `off` makes it look away."""

    def __init__(self, recipe: Recipe, nodes: Mapping[str, Node], store: Store, off: bool = False) -> None:
        self.floor, self.nodes, self.store, self.off = recipe.calibration.floor, nodes, store, off
        self._seen: set[tuple[str, int]] = set()
        self._lots: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._shares: defaultdict[tuple[str, ...], list[Share]] = defaultdict(list)

    def lot(self, node: Node, lot: int, made: Mapping[str, Any] | None = None) -> None:
        """A lot is done; `made` is its manifest, where it is at hand.

        Raises BuildError with what was said where its stage's models are not good enough.
        """
        if self.off or (node.name, lot) in self._seen:
            return
        self._seen.add((node.name, lot))
        manifest = made or self.store.manifest(node, lot)
        for template, said in manifest.get("heard", {}).items():
            heard = total([said])
            given = heard.answers - heard.failed.total()
            read = given - heard.unread.total()
            unread = self._add(node, lot, ("read", template), Share(read, given), 1 - self.floor.unread)
            used = Share(read - heard.unsound, given)
            if bad := unread or self._add(node, lot, ("used", template), used, COUNTED):
                last = total([self.store.manifest(node, n)["heard"][template] for n in bad.lots])
                why = f"; the recipe allows a share of {self.floor.unread:.2f} (field calibration.floor.unread)"
                raise BuildError(
                    _unusable(node, template, bad.lots, last) + (why if unread else "") + _remedy(node, last)
                )
        for group, share in grouped(manifest.get("canaries", {})).items():
            least = self.floor.edits if group.endswith(EDITED) else self.floor.canaries
            if bad := self._add(node, lot, ("canaries", group), share, least, drift=True):
                self._forget(node, bad.lots)
                raise BuildError(_blind(node, group, bad))

    def _add(
        self, node: Node, lot: int, name: tuple[str, str], share: Share, least: float, drift: bool = False
    ) -> Bad | None:
        key = (node.name, *name)
        self._lots[key].append(lot)
        self._shares[key].append(share)
        return too_low(self._lots[key], self._shares[key], least, drift)

    def _forget(self, node: Node, lots: Sequence[int]) -> None:
        """Mark lots whose judge cannot be trusted, and what was made from them, as not done."""
        for lot in lots:
            for name in reversed([node.name, *descendants(self.nodes, node.name)]):
                self.store.undo(self.nodes[name], lot)
            self.store.journal(node, lot).unlink(missing_ok=True)  # a server's answers are asked for anew


def grouped(canaries: Mapping[str, Mapping[str, int]]) -> dict[str, Share]:
    """The share of right answers to canaries, by kind; all changed words of a side are one kind."""
    found: dict[str, Share] = {}
    for kind, n in canaries.items():
        side, _, what = kind.partition(", ")
        group = f"{side}, {EDITED}" if what in NAMED_BY else kind
        found[group] = _sum([found.get(group, Share(0, 0)), Share(n["right"], n["asked"])])
    return found


def examples(heard: AnswerCounts) -> list[str]:
    """Up to three answers that could not be read, each with the reason."""
    return [f"{why}: {words!r}" if words else why for why, words in heard.examples]


def _unusable(node: Node, template: str, lots: Sequence[int], heard: AnswerCounts) -> str:
    reasons = ", ".join(f"{n} {reason}" for reason, n in heard.unread.most_common())
    unread = f"{heard.unread.total()} could not be read" + (f" ({reasons})" if reasons else "")
    unsound = f", {heard.unsound} do not follow from what they observed" if heard.unsound else ""
    given = heard.answers - heard.failed.total()
    return f"{node.name}, {_named(lots)}: of {given} answers to the template {template} {unread}{unsound}"


def _remedy(node: Node, heard: AnswerCounts) -> str:
    return "\n  ".join(["", *examples(heard)]) + (
        "\nchange the template (`underpaint templates test`) or the model; if a server was ill for a while, run"
        f" `underpaint retry --stage {node.name}`; or build on all the same: --ship-anyway"
    )


def _blind(node: Node, group: str, bad: Bad) -> str:
    before = f"; {bad.before} in the lots before" if bad.before.n else ""
    field = f"calibration.floor.{'edits' if group.endswith(EDITED) else 'canaries'}"
    return (
        f"{node.name}, {_named(bad.lots)}: the judge answers questions of known truth wrongly ({group}): {bad.now} are"
        f" right{before}; {bad.least:.2f} is the least that counts as good (field {field}, or what it did before)\nit"
        " has changed, or its server answers for other pictures than it is shown; these lots are made again by the next"
        " build, everything before is kept"
    )


def _named(lots: Sequence[int]) -> str:
    return f"lot {lots[0]}" if len(lots) == 1 else f"lots {', '.join(map(str, sorted(lots)))}"
