"""Selects the candidates that make the corpus, by thresholds on stored values; no model is loaded.

Accepted candidates are taken in stream order until each quota is met. So the corpus does not depend on the machines
that ran the lots, nor on how many lots were run beyond the need (unless a threshold is a quantile).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from underpaint.pipeline.engine.candidate_tables import Candidates
from underpaint.pipeline.engine.graph import YIELDS, Node
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.recipe.benchmark_lists import Benchmarks, Hit
from underpaint.pipeline.recipe.quotas import Quota, QuotaCells, by_kind, cell_name, of_kinds
from underpaint.pipeline.recipe.recipe import Recipe
from underpaint.pipeline.selection.decisions import Decisions, load_decisions
from underpaint.pipeline.selection.pool import OVER, open_pool
from underpaint.pipeline.selection.reference import Reference
from underpaint.schemas.corpus.sample import sample_id
from underpaint.schemas.corpus.subsets import SAMPLE_KINDS
from underpaint.stages.common.seeds import derive_seed


@dataclass
class Selection:
    """References to the chosen samples in the corpus' final order, and what became of all candidates."""

    chosen: list[Reference] = field(default_factory=list)
    cells: QuotaCells = field(default_factory=dict)  # accepted candidates by kind and category, chosen or over quota
    recent: QuotaCells = field(default_factory=dict)  # accepted candidates from the second half of each branch's lots
    seen: QuotaCells = field(default_factory=dict)  # all candidates, accepted or not
    rejected: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by kind
    contaminated: dict[str, Hit] = field(default_factory=dict)  # prompts that are also in a benchmark

    @property
    def accepted(self) -> Quota:
        """Accepted candidates by kind."""
        return by_kind(self.cells)

    def met(self, quota: QuotaCells) -> bool:
        """Whether every cell has as many accepted candidates as its quota."""
        return all(self.cells.get(cell, 0) >= number for cell, number in quota.items())


def select(
    recipe: Recipe, nodes: Mapping[str, Node], store: Store, lots: Mapping[str, int],
    candidates: Candidates | None = None, benchmarks: Benchmarks | None = None, decisions: Decisions | None = None,
) -> Selection:  # fmt: skip
    """Select from the candidates of the first `lots[branch]` lots of each branch.

    `candidates`, `benchmarks` and `decisions` are read from the store and the recipe unless given.
    """
    table = (candidates or Candidates(nodes, store)).table(lots)
    quota = recipe.quotas.cells()
    said = load_decisions(store.root) if decisions is None else decisions
    pool, contaminated = open_pool(table, benchmarks or recipe.benchmarks(), said)
    selection = Selection(contaminated=contaminated)
    pool.refuse_by(recipe.select)
    cells = pool.cells(quota)
    fine = pool.accepted()
    for cell, members in cells.items():
        selection.seen[cell] = int(members.sum())
        selection.cells[cell] = int((members & fine).sum())
        recent = pool.lots >= lots[SAMPLE_KINDS[cell[0]].subset.branch] // 2
        selection.recent[cell] = int((members & fine & recent).sum())
    chosen = np.zeros(len(fine), bool)
    for cell, number in quota.items():
        chosen[np.flatnonzero(cells[cell] & fine)[:number]] = True
    pool.refuse(fine & ~chosen, OVER)
    selection.rejected.update(pool.counts())
    selection.chosen = _placed(table, np.flatnonzero(chosen), recipe)
    return selection


def _placed(table: pa.Table, rows: np.ndarray, recipe: Recipe) -> list[Reference]:
    """The references of chosen rows, with ids in stream order and splits, sorted into the corpus' shuffled order."""
    numbers: Counter[str] = Counter()
    placed = []
    columns = {"kind": "name", "scene": "group"} | {
        c: c for c in ("sample", "rollout", "step", "category", "pictures", "checked_by")
    }
    for row in table.select(list(columns)).take(rows).to_pylist():
        fields = {columns[c]: value for c, value in row.items()}
        subset = SAMPLE_KINDS[fields["name"]].subset.name
        id = sample_id(subset, numbers[subset])
        numbers[subset] += 1
        placed.append(Reference(**fields, id=id, split=_split(fields["group"], recipe)))
    return sorted(placed, key=lambda r: derive_seed(recipe.seed, "order", r.id))


def _split(group: str, recipe: Recipe) -> str:
    """The split of a group, drawn with the recipe's seed; all samples of one scene get the same."""
    chance = derive_seed(recipe.seed, "split", group) / 2**63
    return "validation" if chance < recipe.select.validation_share else "train"


def short_of(selection: Selection, quota: QuotaCells, lots: Mapping[str, int]) -> list[str]:
    """A sentence for every quota that is not met, with its yield so far and why other candidates were refused."""
    found = []
    for branch, kinds in YIELDS.items():
        for cell, number in of_kinds(quota, kinds).items():
            have = selection.cells.get(cell, 0)
            if have >= number:
                continue
            line = f"{cell_name(cell)}: {have} of {number} after {lots[branch]} lots"
            line += f" ({have / max(1, lots[branch]):.2f} a lot, of {selection.seen.get(cell, 0)} candidates)"
            reasons = {r: n for r, n in selection.rejected.get(cell[0], {}).items() if r != OVER}
            of = f" of all {cell[0]}" if cell[1] and reasons else ""
            line += f"; refused{of}: " if reasons else ""
            found.append(line + ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())))
    return found
