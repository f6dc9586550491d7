"""The text side's correction: the instruction that the step should have had."""

from __future__ import annotations

from itertools import permutations

from schemas.compare import Difference, Kind, compare
from schemas.edit import Edit, Op, instruct
from schemas.inspection.wording import looks_alike
from schemas.scene import CORNERS, PLACE, PLACES, SceneGraph, SceneObject, lies_within, overlap
from schemas.vocabulary import Vocabulary

DEAD_END = "Leave the picture as it is: what is missing has no place left."  # no one instruction leads on


def correct_text(
    prompt: SceneGraph, before: SceneGraph, edit: Edit, faults: list[Difference], vocabulary: Vocabulary
) -> str:
    """The instruction the step should have had: its object as the prompt wants it, on a place that fits."""
    if edit.op is Op.PAINT:
        assert edit.scene is not None
        scene = edit.scene.model_copy(update={"background": prompt.background or edit.scene.background})
        nodes = [_mended(o, prompt, faults, SceneGraph(), edit.scene) for o in scene.objects]
        scene = SceneGraph(objects=tuple(n for n in nodes if n is not None), background=scene.background)
        return instruct(SceneGraph(), Edit(op=Op.PAINT, scene=_rearranged(scene, prompt)), vocabulary)
    if edit.node is None:
        return instruct(before, edit, vocabulary)
    node = _mended(edit.node, prompt, faults, before, before)
    if node is None:
        return "Leave the picture as it is."
    if not _fits(node, prompt, before):
        return _make_room(node, prompt, before, vocabulary)
    return instruct(before, Edit(op=Op.ADD, node=node), vocabulary)


def _rearranged(scene: SceneGraph, prompt: SceneGraph) -> SceneGraph:
    """The scene with its single objects on corners on which the prompt's relations hold, where these do not."""
    if all(_fits(o, prompt, scene) for o in scene.objects):
        return scene
    singles = [o for o in scene.objects if o.count == 1]
    sides = [PLACES.get(o.attributes.get(PLACE, ""), (None, None)) for o in scene.objects if o.count > 1]
    free = [c for c in CORNERS if not any(lies_within(PLACES[c], side) for side in sides if side != (None, None))]
    for places in permutations(free, len(singles)):
        trial = scene
        for node, place in zip(singles, places, strict=True):
            trial = trial.replace_node(node.with_attribute(PLACE, place))
        if all(_fits(o, prompt, trial) for o in trial.objects):
            return trial
    return scene


def _make_room(node: SceneObject, prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """Where what stands there leaves the node no place: the one move after which there is one."""
    for other in before.objects:
        rest = before.model_copy(update={"objects": tuple(o for o in before.objects if o.id != other.id)})
        for place in CORNERS:
            if other.count > 1 or place == other.attributes.get(PLACE):
                continue
            moved = other.with_attribute(PLACE, place)
            scene = before.replace_node(moved)
            if _fits(moved, prompt, rest) and _fits(_fitting_place(node, prompt, scene), prompt, scene):
                return instruct(before, Edit(op=Op.MODIFY, target=other.id, node=moved), vocabulary)
    return DEAD_END


def _fits(node: SceneObject, prompt: SceneGraph, others: SceneGraph) -> bool:
    """Whether the node stands on a place of its own, and no relation is wrong with it there."""
    rest = [o for o in others.objects if o.id != node.id]
    if any(overlap(node, o) for o in rest):
        return False
    trial = SceneGraph(objects=(*rest, node.model_copy(update={"id": "joining"})), background=others.background)
    return not any(d.kind is Kind.WRONG_RELATION for d in compare(trial, prompt).differences)


def _mended(
    node: SceneObject, prompt: SceneGraph, faults: list[Difference], before: SceneGraph, others: SceneGraph
) -> SceneObject | None:
    """The node with its faults undone; the first object still missing in place of an unwanted one."""
    mine = [d for d in faults if d.subject and d.subject.noun == node.noun and looks_alike(d.subject, node)]
    for fault in mine:
        if fault.kind is Kind.WRONG_ATTRIBUTE:
            node = node.with_attribute(fault.attribute, fault.expected)
        elif fault.kind is Kind.WRONG_COUNT:
            node = node.without(PLACE).model_copy(update={"count": int(fault.expected)})
        elif fault.kind is Kind.UNWANTED_OBJECT:
            missing = [d.subject for d in compare(before, prompt).differences if d.kind is Kind.MISSING_OBJECT]
            if not missing or missing[0] is None:
                return None
            fits = PLACE in node.attributes and missing[0].count == node.count
            place = {PLACE: node.attributes[PLACE]} if fits else {}
            node = missing[0].model_copy(update={"id": node.id, "attributes": {**missing[0].attributes, **place}})
    return node if _fits(node, prompt, others) else _fitting_place(node, prompt, others)


def _fitting_place(node: SceneObject, prompt: SceneGraph, others: SceneGraph) -> SceneObject:
    """The first free corner on which the prompt's relations hold; the node as it is where there is none."""
    for place in CORNERS if node.count == 1 else ():
        moved = node.with_attribute(PLACE, place)
        if _fits(moved, prompt, others):
            return moved
    return node
