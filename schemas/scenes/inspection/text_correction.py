"""The text side's correction: the instruction that the step should have had."""

from __future__ import annotations

from itertools import permutations

from underpaint.schemas.scenes.compare import compare, match
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct
from underpaint.schemas.scenes.inspection.reach import why_stuck
from underpaint.schemas.scenes.inspection.turning import like, turned
from underpaint.schemas.scenes.inspection.weighing import as_asked
from underpaint.schemas.scenes.scene import CORNERS, PLACE, PLACES, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

LEAVE = "Leave the picture as it is."  # where nothing is missing
DEAD_END = "Leave the picture as it is: what is missing has no place left."  # where no single instruction helps
EDGES = tuple(place for place, at in PLACES.items() if at.count(None) == 1)


def correct_text(prompt: SceneGraph, before: SceneGraph, edit: Edit, vocabulary: Vocabulary) -> str:
    """The instruction the step should have had.

    It makes the object as the prompt wants it, on a place from which the rest of the prompt can still be met.
    """
    if edit.op is Op.PAINT:
        assert edit.scene is not None
        scene = _painted(edit.scene, prompt, vocabulary)
        return instruct(SceneGraph(), Edit(op=Op.PAINT, scene=scene), vocabulary)
    if edit.node is None:
        return instruct(before, edit, vocabulary)
    if edit.op is Op.ADD:
        theirs = _partner(apply(before, edit), edit.node.id, prompt)
        if theirs is None:
            return _next(edit.node, prompt, before, vocabulary)
        return _added(like(edit.node, theirs), prompt, before, vocabulary)
    old, wanted = before.node(edit.target), _partner(before, edit.target, prompt)
    if wanted and as_asked(old, wanted):
        return _next(edit.node, prompt, before, vocabulary)
    wanted = wanted or _partner(apply(before, edit), edit.target, prompt)
    wanted = wanted or next(iter(compare(before, prompt).missing), None)
    if wanted is None:
        return instruct(before, Edit(op=Op.REMOVE, target=old.id), vocabulary)
    return turned(old, wanted, before, vocabulary)


def _partner(scene: SceneGraph, id: str, prompt: SceneGraph) -> SceneObject | None:
    """The prompt's counterpart of a node; None where the prompt wants no such object."""
    return next(theirs for mine, theirs in match(scene.objects, prompt.objects) if mine.id == id)


def _next(node: SceneObject, prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """The instruction to add the first missing object instead of the unwanted `node`."""
    missing = compare(before, prompt).missing
    if not missing:
        return LEAVE
    return _added(like(node, missing[0]), prompt, before, vocabulary)


def _added(node: SceneObject, prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """The instruction to add the node on its own place, or on the first from which the prompt can still be met.

    Where there is none, the instruction moves another object to make room.
    """
    node = node.model_copy(update={"id": "joining"})
    for place in (node.attributes.get(PLACE, ""), *(CORNERS if node.count == 1 else EDGES if node.count == 2 else ())):
        edit = Edit(op=Op.ADD, node=node.with_attribute(PLACE, place) if place else node)
        if _leads_on(apply(before, edit), prompt, vocabulary):
            return instruct(before, edit, vocabulary)
    return _make_room(prompt, before, vocabulary)


def _leads_on(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> bool:
    return not compare(scene, prompt).faults and not why_stuck(scene, prompt, vocabulary)


def _make_room(prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """The instruction to move one object so that the prompt can be met again; DEAD_END where no move does."""
    for other in before.objects:
        for place in CORNERS if other.count == 1 else ():
            moved = other.with_attribute(PLACE, place)
            if place != other.attributes.get(PLACE) and _leads_on(before.replace_node(moved), prompt, vocabulary):
                return instruct(before, Edit(op=Op.MODIFY, target=other.id, node=moved), vocabulary)
    return DEAD_END


def _painted(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> SceneGraph:
    """The first picture, its objects as the prompt wants them, on places from which the rest can still be met.

    The first object that is not there yet replaces an unwanted one.
    """
    pairs = match(scene.objects, prompt.objects)
    taken = {theirs.id for _, theirs in pairs if theirs}
    left = [o for o in prompt.objects if o.id not in taken]
    nodes = []
    for mine, theirs in pairs:
        wanted = theirs or (left.pop(0) if left else None)
        if wanted:
            nodes.append(like(mine, wanted))
    whole = SceneGraph(objects=tuple(nodes), background=prompt.background or scene.background)
    if _leads_on(whole, prompt, vocabulary):
        return whole
    singles = [o for o in nodes if o.count == 1]
    for places in permutations(CORNERS, len(singles)):
        trial = whole
        for node, place in zip(singles, places, strict=True):
            trial = trial.replace_node(node.with_attribute(PLACE, place))
        if _leads_on(trial, prompt, vocabulary):
            return trial
    return whole
