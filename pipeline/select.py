"""Selection: which of the accepted candidates make the corpus. Thresholds on stored values; no model is loaded.

Accepted candidates are taken in stream order until each quota is met, so the corpus does not depend on how many
lots were run beyond what it needed, nor on who ran them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.graph import YIELDS, Node
from pipeline.quotas import PAPER, Quota
from pipeline.recipe import Recipe, Select
from pipeline.store import Store
from schemas.sample import sample_id
from schemas.scene import SceneGraph
from stages.seeds import derive_seed

SUBSETS = {"multi_turn": ("multi_turn", "none")} | {
    f"{subset}_{polarity}": (subset, polarity)
    for subset in ("conflict", "alignment")
    for polarity in ("positive", "negative")
}


@dataclass(frozen=True)
class Reference:
    """One accepted candidate, without its texts and pictures. `name` is its quota, `group` its scene's key."""

    name: str
    sample: int
    rollout: int
    step: int
    category: str
    group: str
    pictures: int  # how many the sample holds
    id: str = ""
    split: str = ""

    @property
    def subset(self) -> str:
        return SUBSETS[self.name][0]


@dataclass
class Selection:
    """The corpus by reference, in its final order, and how the candidates fared."""

    chosen: list[Reference] = field(default_factory=list)
    accepted: Quota = field(default_factory=lambda: dict.fromkeys(PAPER, 0))
    rejected: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def met(self, quota: Quota) -> bool:
        return all(self.accepted[n] >= quota[n] for n in quota)


def select(recipe: Recipe, nodes: Mapping[str, Node], store: Store, lots: Mapping[str, int]) -> Selection:
    """Go through the first `lots[branch]` lots of each branch. Candidates beyond a quota count as "over quota"."""
    quota, selection = recipe.quotas.numbers(), Selection()
    taken: Quota = dict.fromkeys(PAPER, 0)
    numbers: Counter[str] = Counter()
    seen: set[tuple[str, ...]] = set()
    for branch, candidates in (("painted", _painted), ("sampled", _sampled)):
        for lot in range(lots[branch]):
            for reference, words, reason in candidates(recipe.select, nodes, store, lot):
                if not reason and words in seen:
                    reason = "a duplicate"
                if reason:
                    selection.rejected[reference.name][reason] += 1
                    continue
                seen.add(words)
                selection.accepted[reference.name] += 1
                if taken[reference.name] >= quota[reference.name]:
                    selection.rejected[reference.name]["over quota"] += 1
                    continue
                taken[reference.name] += 1
                selection.chosen.append(_placed(reference, numbers[reference.subset], recipe))
                numbers[reference.subset] += 1
    selection.chosen.sort(key=lambda r: derive_seed(recipe.seed, "order", r.id))
    return selection


def _placed(reference: Reference, number: int, recipe: Recipe) -> Reference:
    """With its id, and its split: all samples of one scene fall into the same."""
    chance = derive_seed(recipe.seed, "split", reference.group) / 2**63
    split = "validation" if chance < recipe.select.validation_share else "train"
    id = sample_id(reference.subset, number)  # type: ignore[arg-type]
    return Reference(**{**reference.__dict__, "id": id, "split": split})


Candidate = tuple[Reference, tuple[str, ...], str]  # with the words that make it a duplicate, and why not


def _prompts(nodes: Mapping[str, Node], store: Store, lot: int) -> dict[int, tuple[str, str]]:
    """Category and scene key of every sample of a lot."""
    rows = store.table(nodes["prompts"], lot).to_pylist()
    return {r["sample"]: (r["category"], SceneGraph.model_validate_json(r["scene"]).key()) for r in rows}


def _scores(node: Node, store: Store, lot: int) -> dict[tuple[int, int, int], dict[str, float]]:
    found: dict[tuple[int, int, int], dict[str, float]] = defaultdict(dict)
    for r in store.table(node, lot).to_pylist():
        found[r["sample"], r["rollout"], r["step"]][r["name"]] = r["value"]
    return found


def _painted(limits: Select, nodes: Mapping[str, Node], store: Store, lot: int) -> Iterator[Candidate]:
    """A trajectory is accepted where every one of its pictures passed the judge and the scores."""
    prompts, scores = _prompts(nodes, store, lot), _scores(nodes["score_drafts"], store, lot)
    checks = {(r["sample"], r["step"]): r for r in store.table(nodes["check"], lot).to_pylist()}
    steps: dict[int, list[str]] = defaultdict(list)
    for row in store.table(nodes["plan"], lot).to_pylist():
        steps[row["sample"]].append(row["instruction"])
    drawn = set(store.table(nodes["draft"], lot, ["sample"])["sample"].to_pylist())
    for sample, instructions in sorted(steps.items()):
        if sample not in drawn:  # its painter failed: it is in the ledger of the drafts
            continue
        reason = ""
        for step in range(1, len(instructions) + 1):
            check, score = checks.get((sample, step)), scores.get((sample, 0, step), {})
            reason = reason or _fault(limits, check, score)
        category, group = prompts[sample]
        reference = Reference("multi_turn", sample, 0, 0, category, group, len(instructions))
        yield reference, ("multi_turn", group, *instructions), reason


def _fault(limits: Select, check: Mapping[str, object] | None, score: Mapping[str, float]) -> str:
    if check is None:
        return "a picture without a verdict"
    if check["verdict"] == "conflict":
        return "a picture that the judge rejects"
    return _below(limits, check, score)


def _below(limits: Select, judged: Mapping[str, object], score: Mapping[str, float]) -> str:
    """What an arbiter decided is settled, however far the judge's answers disagreed."""
    if judged["decided_by"] == "judge" and float(judged["agreement"]) < limits.min_agreement:  # type: ignore[arg-type]
        return "judge's agreement below the threshold"
    for name, least in (
        ("picture_text", limits.min_picture_text), ("neighbour", limits.min_neighbour), ("margin", limits.min_margin),
    ):  # fmt: skip
        if score.get(name, 2.0) < least:
            return f"{name} below the threshold"
    return ""


def _sampled(limits: Select, nodes: Mapping[str, Node], store: Store, lot: int) -> Iterator[Candidate]:
    prompts, scores = _prompts(nodes, store, lot), _scores(nodes["score_alignment"], store, lot)
    words = ("so_far", "instruction", "description")
    steps = {
        (r["sample"], r["rollout"], r["step"]): tuple(r[w] for w in words)
        for r in store.table(nodes["rollout"], lot, ["sample", "rollout", "step", *words]).to_pylist()
    }
    for row in store.table(nodes["conflict"], lot).to_pylist():
        key = row["sample"], row["rollout"], row["step"]
        category, group = prompts[key[0]]
        reference = Reference(f"conflict_{row['polarity']}", *key, category, group, key[2] - 1)
        yield reference, ("conflict", group, *steps[key]), _below(limits, row, {})
    columns = ["sample", "rollout", "step", "polarity", "agreement", "decided_by"]
    for row in store.table(nodes["alignment"], lot, columns).to_pylist():
        key = row["sample"], row["rollout"], row["step"]
        category, group = prompts[key[0]]
        pictures = 2 if row["polarity"] == "negative" else 1
        reference = Reference(f"alignment_{row['polarity']}", *key, category, group, pictures)
        score = scores.get(key, {})
        if row["polarity"] == "negative":  # a flawed draft's own score is low by nature: its margin counts
            score = {"margin": score["margin"]} if "margin" in score else {}
        yield reference, ("alignment", *map(str, key)), _below(limits, row, score)


def short_of(selection: Selection, quota: Quota, lots: Mapping[str, int]) -> list[str]:
    """A sentence for every quota that is not met, with its yield so far."""
    found = []
    for branch, names in YIELDS.items():
        for name in names:
            if selection.accepted[name] < quota[name]:
                found.append(
                    f"{name}: {selection.accepted[name]} of {quota[name]} after {lots[branch]} lots"
                    f" ({selection.accepted[name] / max(1, lots[branch]):.2f} a lot)"
                )
    return found


def to_json(references: Sequence[Reference]) -> str:
    """The selection as JSON lines, one reference a line."""
    return "".join(json.dumps(r.__dict__, sort_keys=True) + "\n" for r in references)
