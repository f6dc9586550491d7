"""Draws random edits of the drawn world: (scene before, instruction, scene after), for the painter and its judges."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from underpaint.miniature.scenes import HeldOut, is_held_out, random_scene
from underpaint.miniature.world import CELLS, cell_layout, free_cells, vocabulary
from underpaint.schemas.scenes.compare import placed
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct
from underpaint.schemas.scenes.grammar import definite
from underpaint.schemas.scenes.scene import INVERSE, PLACE, SPATIAL, SceneGraph, SceneObject
from underpaint.schemas.scenes.wordings import reword
from underpaint.stages.planning.order import told_from

# How often each kind is drawn. "first" paints one node on the blank canvas, "paint" a whole scene, "empty" a background
# alone; "one" changes one of several equal objects; "background" and "relate" occur only as corrections.
EDIT_SHARES = {
    "first": 0.06, "paint": 0.2, "empty": 0.02, "add": 0.16, "modify": 0.16, "swap": 0.2, "remove": 0.12,
    "move": 0.04, "one": 0.06, "background": 0.02, "relate": 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class EditCase:
    """One edit with its scenes and its instruction; `kind` is one of EDIT_SHARES."""

    kind: str
    before: SceneGraph | None  # None is the blank canvas
    after: SceneGraph
    edit: Edit
    instruction: str


def random_edit(rng: random.Random, kind: str | None = None) -> EditCase:
    """An edit of a random scene, in a random wording. Both scenes have places, and objects not edited keep theirs."""
    if kind is None:
        kind = rng.choices(list(EDIT_SHARES), list(EDIT_SHARES.values()))[0]
    while True:
        case = _draw(rng, kind)
        held_out = kind == "empty" or is_held_out(case.after) == isinstance(rng, HeldOut)
        if held_out and _stays(case):
            return replace(case, instruction=reword(case.instruction, rng.randrange(6)))


def _stays(case: EditCase) -> bool:
    """Whether all objects not edited stay in their cells, since objects without a place may be moved by others."""
    if case.before is None:
        return True
    old, new = cell_layout(case.before), cell_layout(case.after)
    edited = {case.edit.target} | ({case.edit.node.id} if case.edit.node else set())
    return all(new[id] == cells for id, cells in old.items() if id in new and id not in edited)


def _draw(rng: random.Random, kind: str) -> EditCase:
    words = vocabulary()
    if kind in ("first", "paint", "empty"):
        scene = random_scene(rng, counts=rng.choice([(1,), (1,), (1,), (2,), (3,), (4,)]) if kind == "first" else None)
        if kind == "empty":
            scene = SceneGraph(background=scene.background)
        edit = Edit(op=Op.PAINT, scene=scene)
        return EditCase(kind, None, scene, edit, instruct(SceneGraph(), edit, words))
    scene = random_scene(rng)
    if kind in ("move", "one", "background", "relate"):
        makers = {"move": _move, "one": _one_of_several, "background": _background, "relate": _relate}
        return makers[kind](rng, scene)
    node = rng.choice(scene.objects)
    before, edit = _change(rng, kind, node, scene)
    if kind == "add" and rng.random() < 0.6:
        edit = edit.model_copy(update={"relations": told_from(node, scene)[:1]})
    return EditCase(kind, before, apply(before, edit), edit, instruct(before, edit, words))


def _change(rng: random.Random, kind: str, node: SceneObject, scene: SceneGraph) -> tuple[SceneGraph, Edit]:
    """(scene before, edit) of a change of one node of `scene`, which is the scene after where the node is added."""
    if kind == "add":
        return scene.restrict(o.id for o in scene.objects if o.id != node.id), Edit(op=Op.ADD, node=node)
    if kind == "remove":
        return scene, Edit(op=Op.REMOVE, target=node.id)
    new = other_object(rng, node, scene, keep_noun=kind == "modify")
    return scene, Edit(op=Op.MODIFY if kind == "modify" else Op.SWAP, target=node.id, node=new)


def _move(rng: random.Random, scene: SceneGraph) -> EditCase:
    """Move a single object to a free cell; relations are dropped, since the move may break them."""
    free = [CELLS[cell] for cell in CELLS if cell in free_cells(scene)]
    singles = [o for o in scene.objects if o.count == 1]
    if not free or not singles:
        return _draw(rng, "move")
    before = scene.model_copy(update={"relations": ()})
    node = rng.choice(singles)
    edit = Edit(op=Op.MODIFY, target=node.id, node=node.with_attribute(PLACE, rng.choice(free)))
    return EditCase("move", before, apply(before, edit), edit, instruct(before, edit, vocabulary()))


def _background(rng: random.Random, before: SceneGraph) -> EditCase:
    back = rng.choice([b for b in vocabulary().backgrounds if b != before.background])
    after = before.model_copy(update={"background": back})
    return EditCase("background", before, after, Edit(op=Op.PAINT, scene=after), f"Change the background to {back}.")


def _relate(rng: random.Random, scene: SceneGraph) -> EditCase:
    """Move a single object to the first free cell on which a drawn relation to another one holds."""
    scene = scene.model_copy(update={"relations": ()})
    free = free_cells(scene)
    singles = [o for o in scene.objects if o.count == 1]
    if len(singles) < 2 or not free:
        return _draw(rng, "relate")
    node, other = rng.sample(singles, 2)
    predicate = rng.choice(SPATIAL)
    for cell, place in CELLS.items():
        moved = node.with_attribute(PLACE, place)
        ends = (moved, other) if predicate not in INVERSE else (other, moved)
        if cell in free and placed(*ends, INVERSE.get(predicate, predicate)):
            edit = Edit(op=Op.MODIFY, target=node.id, node=moved)
            words = vocabulary()
            text = f"Move {definite(node, words)} so that it is {predicate} {definite(other, words)}."
            return EditCase("relate", scene, apply(scene, edit), edit, text)
    return _draw(rng, "relate")


def _one_of_several(rng: random.Random, _: SceneGraph) -> EditCase:
    """Add, remove, recolour or replace one of several equal objects, named by its place."""
    scene = random_scene(rng, counts=rng.choice([(2,), (2, 1), (3,), (3, 1), (2, 2)]), relations=False)
    several = next(o for o in scene.objects if o.count > 1)
    cells = cell_layout(scene)[several.id]
    apart = [
        several.with_attribute(PLACE, CELLS[c]).model_copy(update={"count": 1, "id": f"{several.id}x{i}"})
        for i, c in enumerate(cells)
    ]
    scene = scene.model_copy(
        update={"objects": (*(o for o in scene.objects if o.id != several.id), *apart), "relations": ()}
    )
    one = rng.choice(apart)
    action = rng.choice(["add", "remove", "modify", "swap"])
    before, edit = _change(rng, action, one, scene)
    text = instruct(before, edit, vocabulary())
    if action != "add":
        words = definite(one, vocabulary())
        text = text.replace(words, f"{words} {one.attributes[PLACE]}", 1)
    return EditCase("one", before, apply(before, edit), edit, text)


def other_object(rng: random.Random, node: SceneObject, scene: SceneGraph, keep_noun: bool) -> SceneObject:
    """A node that differs from `node` in colour (and noun, unless kept) and looks like no other in the scene."""
    words = vocabulary()
    looks = {(o.noun, o.attributes.get("colour")) for o in scene.objects}
    while True:
        noun = node.noun if keep_noun else rng.choice([n for n in words.nouns if n != node.noun])
        colour = rng.choice(words.attributes["colour"])
        if (noun, colour) not in looks:
            place = {PLACE: node.attributes[PLACE]} if PLACE in node.attributes else {}
            return SceneObject(id=node.id, noun=noun, attributes={"colour": colour, **place}, count=node.count)
