"""Plants faults: makes a scene wrong in one known way, to calibrate judges and to let drawn painters err.

Every planter changes the newest (last) object, since a step's faults are there. It returns None where the scene leaves
no room for its fault. Whether the fault contradicts what was asked for, `schemas.scenes.inspection` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from underpaint.schemas.scenes.compare import FaultKind
from underpaint.schemas.scenes.critique import Side
from underpaint.schemas.scenes.grammar import NUMBERS
from underpaint.schemas.scenes.scene import PLACE, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.planning.layout import free_corners, placement

Planter = Callable[[SceneGraph, Random, Vocabulary], SceneGraph | None]


def changeable(node: SceneObject, vocabulary: Vocabulary) -> list[str]:
    """The kinds of the node's attributes, except place, for which the vocabulary has another value."""
    return [k for k in node.attributes if k != PLACE and len(vocabulary.attributes.get(k, ())) > 1]


def other_attribute(node: SceneObject, rng: Random, vocabulary: Vocabulary) -> SceneObject:
    """The node with another value of one attribute. Raises IndexError where no attribute is changeable."""
    kind = rng.choice(changeable(node, vocabulary))
    return node.with_attribute(kind, rng.choice([v for v in vocabulary.attributes[kind] if v != node.attributes[kind]]))


def other_noun(node: SceneObject, rng: Random, vocabulary: Vocabulary) -> SceneObject:
    """The node with another noun. Raises IndexError where the vocabulary has no other."""
    return node.model_copy(update={"noun": rng.choice([n for n in vocabulary.nouns if n != node.noun])})


def wrong_attribute(scene: SceneGraph, rng: Random, vocabulary: Vocabulary) -> SceneGraph | None:
    """Give the newest object another value of one attribute."""
    if not changeable(scene.objects[-1], vocabulary):
        return None
    return scene.replace_node(other_attribute(scene.objects[-1], rng, vocabulary))


def wrong_count(scene: SceneGraph, rng: Random, vocabulary: Vocabulary) -> SceneGraph | None:
    """Make the newest object's count one more or one less.

    An object that stands in a relation is left alone, since relations hold between single objects only; so is one whose
    number is left open.
    """
    node = scene.objects[-1]
    if node.at_least or any(node.id in (r.subject, r.object) for r in scene.relations):
        return None
    count = rng.choice([c for c in (node.count - 1, node.count + 1) if 0 < c < len(NUMBERS)])
    return scene.replace_node(node.without(PLACE).model_copy(update={"count": count}))


def wrong_relation(scene: SceneGraph, rng: Random, vocabulary: Vocabulary) -> SceneGraph | None:
    """Break a relation of the newest object.

    An object with a place is moved to a corner where the relation does not hold, and the relation is dropped. Without
    places the relation's two objects are exchanged.
    """
    node = scene.objects[-1]
    mine = [r for r in scene.relations if node.id in (r.subject, r.object)]
    if not mine:
        return None
    if PLACE not in node.attributes:
        turned = [Relation(subject=r.object, predicate=r.predicate, object=r.subject) for r in mine]
        return scene.model_copy(update={"relations": (*(r for r in scene.relations if r not in mine), *turned)})
    wrong = []
    for corner in free_corners(scene, vocabulary):
        moved = scene.replace_node(node.with_attribute(PLACE, corner))
        kept = tuple(r for r in scene.relations if placement(r, moved) is not False)
        if len(kept) < len(scene.relations):
            wrong.append(moved.model_copy(update={"relations": kept}))
    return rng.choice(wrong) if wrong else None


def wrong_background(scene: SceneGraph, rng: Random, vocabulary: Vocabulary) -> SceneGraph | None:
    """Give the scene another background."""
    others = [b for b in vocabulary.backgrounds if b != scene.background]
    return scene.model_copy(update={"background": rng.choice(others)}) if others and scene.background else None


def unwanted_object(scene: SceneGraph, rng: Random, vocabulary: Vocabulary) -> SceneGraph | None:
    """Give the newest object another noun."""
    return scene.replace_node(other_noun(scene.objects[-1], rng, vocabulary))


def extra_object(scene: SceneGraph, rng: Random, vocabulary: Vocabulary) -> SceneGraph | None:
    """Add one more object on a free corner."""
    corners = free_corners(scene, vocabulary)
    if not corners:
        return None
    more = other_noun(scene.objects[-1], rng, vocabulary).model_copy(update={"id": "extra", "count": 1})
    more = more.with_attribute(PLACE, rng.choice(corners))
    return scene.model_copy(update={"objects": (*scene.objects, more)})


def missing_object(scene: SceneGraph, rng: Random, vocabulary: Vocabulary) -> SceneGraph | None:
    """Remove the newest object."""
    return scene.restrict(o.id for o in scene.objects[:-1])


# What can be wrong with a step's text, and with a draft. A missing part is a fault of drafts only: a draft is judged
# against a description of what should be there by now, a text against a prompt that it need not reach yet.
TEXT: dict[FaultKind, tuple[Planter, ...]] = {
    FaultKind.WRONG_ATTRIBUTE: (wrong_attribute,),
    FaultKind.WRONG_COUNT: (wrong_count,),
    FaultKind.WRONG_RELATION: (wrong_relation,),
    FaultKind.WRONG_BACKGROUND: (wrong_background,),
    FaultKind.UNWANTED_OBJECT: (unwanted_object,),
}
PICTURE: dict[FaultKind, tuple[Planter, ...]] = {
    **TEXT,
    FaultKind.UNWANTED_OBJECT: (unwanted_object, extra_object),
    FaultKind.MISSING_OBJECT: (missing_object,),
}
PLANTERS = {Side.TEXT: TEXT, Side.PICTURE: PICTURE}
