"""The text side's correction: the instruction that the step should have had."""

from __future__ import annotations

from itertools import permutations

from schemas.compare import Kind, compare, match
from schemas.edit import Edit, Op, apply, instruct
from schemas.inspection.reach import why_stuck
from schemas.scene import CORNERS, PLACE, PLACES, SceneGraph, SceneObject
from schemas.vocabulary import Vocabulary

DEAD_END = "Leave the picture as it is: what is missing has no place left."  # no one instruction leads on
SIDES = tuple(place for place, at in PLACES.items() if at.count(None) == 1)


def correct_text(prompt: SceneGraph, before: SceneGraph, edit: Edit, vocabulary: Vocabulary) -> str:
    """The instruction the step should have had: its object as the prompt wants it, on a place that leads on."""
    if edit.op is Op.PAINT:
        assert edit.scene is not None
        scene = _painted(edit.scene, prompt, vocabulary)
        return instruct(SceneGraph(), Edit(op=Op.PAINT, scene=scene), vocabulary)
    if edit.node is None:
        return instruct(before, edit, vocabulary)
    if edit.op is Op.ADD:
        done = before.model_copy(update={"objects": (*before.objects, edit.node)})
        theirs = _partner(done, edit.node.id, prompt)
        if theirs is None:
            return _next(edit.node, prompt, before, vocabulary)
        return _added(_like(edit.node, theirs), prompt, before, vocabulary)
    old, wanted = before.node(edit.target), _partner(before, edit.target, prompt)
    if wanted and _as_asked(old, wanted):
        return _next(edit.node, prompt, before, vocabulary)
    wanted = wanted or _partner(apply(before, edit), edit.target, prompt) or next(iter(_missing(before, prompt)), None)
    if wanted is None:
        return instruct(before, Edit(op=Op.REMOVE, target=old.id), vocabulary)
    return _turned(old, wanted, before, vocabulary)


def _partner(scene: SceneGraph, id: str, prompt: SceneGraph) -> SceneObject | None:
    """What the prompt has of a node; None where it wants no such thing."""
    return next(theirs for mine, theirs in match(scene.objects, prompt.objects) if mine.id == id)


def _as_asked(node: SceneObject, wanted: SceneObject) -> bool:
    return node.count == wanted.count and all(node.attributes.get(k, v) == v for k, v in wanted.attributes.items())


def _like(node: SceneObject, wanted: SceneObject) -> SceneObject:
    """What is wanted, where the node stands if it takes as much room."""
    place = {PLACE: node.attributes[PLACE]} if PLACE in node.attributes and node.count == wanted.count else {}
    return wanted.model_copy(update={"id": node.id, "attributes": {**place, **wanted.attributes}})


def _turned(old: SceneObject, wanted: SceneObject, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """What is there becomes what is wanted in its place."""
    new = _like(old, wanted)
    other = [k for k, v in new.attributes.items() if old.attributes.get(k) != v]
    modified = old.noun == new.noun and old.count == new.count and len(other) == 1
    edit = Edit(op=Op.MODIFY if modified else Op.SWAP, target=old.id, node=new)
    return instruct(before, edit, vocabulary)


def _next(node: SceneObject, prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """The first object still missing, in place of one that nobody wants."""
    missing = _missing(before, prompt)
    if not missing:
        return "Leave the picture as it is."
    return _added(_like(node, missing[0]), prompt, before, vocabulary)


def _missing(scene: SceneGraph, prompt: SceneGraph) -> list[SceneObject]:
    found = compare(scene, prompt).differences
    return [d.subject for d in found if d.kind is Kind.MISSING_OBJECT and d.subject]


def _added(node: SceneObject, prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """The node joins, on its place or the first from which the prompt can be met; or room is made for it."""
    node = node.model_copy(update={"id": "joining"})
    for place in (node.attributes.get(PLACE, ""), *(CORNERS if node.count == 1 else SIDES if node.count == 2 else ())):
        moved = node.with_attribute(PLACE, place) if place else node
        if _leads_on(before.model_copy(update={"objects": (*before.objects, moved)}), prompt, vocabulary):
            return instruct(before, Edit(op=Op.ADD, node=moved), vocabulary)
    return _make_room(prompt, before, vocabulary)


def _leads_on(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> bool:
    return not compare(scene, prompt).faults and not why_stuck(scene, prompt, vocabulary)


def _make_room(prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """Where what stands there leaves no way on: the one move after which there is one."""
    for other in before.objects:
        for place in CORNERS if other.count == 1 else ():
            moved = other.with_attribute(PLACE, place)
            if place != other.attributes.get(PLACE) and _leads_on(before.replace_node(moved), prompt, vocabulary):
                return instruct(before, Edit(op=Op.MODIFY, target=other.id, node=moved), vocabulary)
    return DEAD_END


def _painted(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> SceneGraph:
    """The first picture with its objects as the prompt has them, on places from which the rest of it can be met.

    One that nobody wants gives way to the first object that is not there yet.
    """
    pairs = match(scene.objects, prompt.objects)
    taken = {theirs.id for _, theirs in pairs if theirs}
    left = [o for o in prompt.objects if o.id not in taken]
    nodes = []
    for mine, theirs in pairs:
        wanted = theirs or (left.pop(0) if left else None)
        if wanted:
            nodes.append(_like(mine, wanted))
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
