"""Checks that a step's instruction and description agree; if not, nobody knows what its draft should show."""

from __future__ import annotations

from collections import Counter

from underpaint.schemas.scenes.compare import Difference, FaultKind, compare, look
from underpaint.schemas.scenes.grammar import GrammarError, read
from underpaint.schemas.scenes.scene import PLACE, SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.judgement.entailment import carried_out


def disagreement(so_far: str, instruction: str, description: str, vocabulary: Vocabulary) -> str | None:
    """How instruction and description disagree; "" where they agree, None where the grammar cannot read them."""
    try:
        described, (_, done) = read(description, vocabulary), carried_out(so_far, instruction, vocabulary)
    except (GrammarError, KeyError):
        return None
    if compare(described.model_copy(update={"relations": ()}), described).faults:
        return "the description contradicts itself"
    both = (*compare(described, done).differences, *compare(done, described).differences)
    if _looks(done) == _looks(described):  # the same two red cars may be one node in one scene, two in the other
        both = tuple(d for d in both if _tells(d))
    return "instruction and description disagree" if any(d.kind is not FaultKind.MISSING_DETAIL for d in both) else ""


def _looks(scene: SceneGraph) -> Counter[object]:
    counts: Counter[object] = Counter()
    for node in scene.objects:
        counts[look(node)] += node.count
    return counts


def _tells(d: Difference) -> bool:
    """Whether a difference is real although both scenes have equally many objects of every look."""
    if d.kind is FaultKind.WRONG_ATTRIBUTE and d.attribute == PLACE and d.subject and d.wanted:
        return d.subject.count == d.wanted.count == 1
    return d.kind in (FaultKind.WRONG_BACKGROUND, FaultKind.WRONG_RELATION)


def takes_away(so_far: str, instruction: str, prompt: SceneGraph, vocabulary: Vocabulary) -> bool | None:
    """Whether the step removes an object that the prompt wants. None where the grammar cannot read it."""
    try:
        before, done = carried_out(so_far, instruction, vocabulary)
    except (GrammarError, KeyError):
        return None
    missing = {o.id for o in compare(before, prompt).missing}
    return any(o.id not in missing for o in compare(done, prompt).missing)
