"""What is there becomes what is wanted in its place: how both sides correct an object that is not as asked."""

from __future__ import annotations

from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.scene import PLACE, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary


def like(node: SceneObject, wanted: SceneObject) -> SceneObject:
    """What is wanted, where the node stands if it takes as much room."""
    place = {PLACE: node.attributes[PLACE]} if PLACE in node.attributes and node.count == wanted.count else {}
    return wanted.model_copy(update={"id": node.id, "attributes": {**place, **wanted.attributes}})


def turned(old: SceneObject, wanted: SceneObject, scene: SceneGraph, vocabulary: Vocabulary) -> str:
    """The instruction: one word of its look where that is all that differs, else another object for it."""
    new = like(old, wanted)
    differing = [k for k, v in new.attributes.items() if old.attributes.get(k) != v]
    modified = old.noun == new.noun and old.count == new.count and len(differing) == 1
    return instruct(scene, Edit(op=Op.MODIFY if modified else Op.SWAP, target=old.id, node=new), vocabulary)
