"""Turns an object that is not as asked into the wanted one; the corrections of both sides use it."""

from __future__ import annotations

from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.scene import PLACE, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary


def like(node: SceneObject, wanted: SceneObject) -> SceneObject:
    """The wanted object with the node's id; it keeps the node's place if both counts are equal and it has none."""
    place = {PLACE: node.attributes[PLACE]} if PLACE in node.attributes and node.count == wanted.count else {}
    return wanted.model_copy(update={"id": node.id, "attributes": {**place, **wanted.attributes}})


def turned(old: SceneObject, wanted: SceneObject, scene: SceneGraph, vocabulary: Vocabulary) -> str:
    """The instruction that turns `old` into `wanted`: MODIFY where one attribute differs, else SWAP."""
    new = like(old, wanted)
    differing = [k for k, v in new.attributes.items() if old.attributes.get(k) != v]
    modified = old.noun == new.noun and old.count == new.count and len(differing) == 1
    return instruct(scene, Edit(op=Op.MODIFY if modified else Op.SWAP, target=old.id, node=new), vocabulary)
