"""One step's edit of a scene (paint, add, modify, swap, remove), written as a sentence and read back from it.

``Paint a red car at the top left on a sand background.``  ``Add two green fish at the bottom.``
``Make the green car red.``  ``Move the red car to the top left.``  ``Replace the cup with a blue fish.``
``Remove the blue fish.``
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from underpaint.schemas.scenes.grammar import (
    GrammarError,
    article,
    definite,
    describe_objects,
    find,
    indefinite,
    is_verb,
    read,
    read_object,
    split_background,
    with_style,
)
from underpaint.schemas.scenes.scene import PLACE, PLACES, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary, folded
from underpaint.schemas.scenes.wordings import own_wording, reword


class Op(StrEnum):
    """`PAINT` starts from the blank canvas; the others change a picture that is there."""

    PAINT = "paint"
    ADD = "add"
    MODIFY = "modify"
    SWAP = "swap"
    REMOVE = "remove"


class Edit(BaseModel):
    """What one step changes.

    PAINT   `scene` is the whole first picture
    ADD     `node` is added; each of `relations` links it to a node of the scene
    MODIFY  the node `target` becomes `node` (same noun, other attributes)
    SWAP    `node` replaces the node `target` and takes its place
    REMOVE  the node `target` is removed
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    op: Op
    scene: SceneGraph | None = None
    node: SceneObject | None = None
    target: str = ""
    relations: tuple[Relation, ...] = ()


def apply(graph: SceneGraph, edit: Edit) -> SceneGraph:
    """The scene after the edit. Raises KeyError where `target` is not in the scene."""
    if edit.op is Op.PAINT:
        assert edit.scene is not None
        return edit.scene
    if edit.op is Op.REMOVE:
        graph.node(edit.target)
        return graph.restrict(o.id for o in graph.objects if o.id != edit.target)
    assert edit.node is not None
    if edit.op is Op.ADD:
        return SceneGraph(
            objects=(*graph.objects, edit.node),
            relations=(*graph.relations, *edit.relations),
            background=graph.background,
            style=graph.style,
        )
    old = graph.node(edit.target)
    node = edit.node
    if PLACE in old.attributes and PLACE not in node.attributes:
        node = node.with_attribute(PLACE, old.attributes[PLACE])
    return graph.replace_node(node.model_copy(update={"id": old.id}))


def instruct(graph: SceneGraph, edit: Edit, vocabulary: Vocabulary, wording: int = 0) -> str:
    """The instruction sentence for an edit of `graph` (the scene before it), in one of several wordings."""
    return reword(_instruct(graph, edit, vocabulary), wording)


def _instruct(graph: SceneGraph, edit: Edit, vocabulary: Vocabulary) -> str:
    if edit.op is Op.PAINT:
        assert edit.scene is not None
        return f"Paint {describe_objects(edit.scene, vocabulary)}.{with_style(edit.scene.style)}"
    if edit.op is Op.REMOVE:
        return f"Remove {definite(graph.node(edit.target), vocabulary)}."
    assert edit.node is not None
    if edit.op is Op.ADD:
        words = f"Add {indefinite(edit.node, vocabulary)}"
        anchor = next((r for r in edit.relations if r.subject == edit.node.id), None)
        if anchor is not None:
            how = f"that {anchor.predicate}" if is_verb(anchor.predicate) else anchor.predicate
            words += f", {how} {definite(graph.node(anchor.object), vocabulary)}"
        return words + "."
    old = graph.node(edit.target)
    if edit.op is Op.MODIFY:
        if edit.node.attributes.get(PLACE, old.attributes.get(PLACE)) != old.attributes.get(PLACE):
            return f"Move {definite(old, vocabulary)} {_towards(edit.node.attributes[PLACE])}."
        new = [v for k, v in edit.node.attributes.items() if k != PLACE and old.attributes.get(k) != v]
        return f"Make {definite(old, vocabulary)} {' '.join(new)}."
    return f"Replace {definite(old, vocabulary)} with {indefinite(edit.node, vocabulary, place=False)}."


def read_instruction(text: str, graph: SceneGraph, vocabulary: Vocabulary) -> Edit:
    """The edit of `graph` that a sentence of `instruct` asks for. Raises GrammarError quoting the unknown part."""
    words = own_wording(text).strip().removesuffix(".")
    fresh = f"o{len(graph.objects)}"
    while any(o.id == fresh for o in graph.objects):
        fresh += "x"
    if words.startswith("Paint "):
        scene = words.removeprefix("Paint ")
        return Edit(op=Op.PAINT, scene=read(scene[:1].upper() + scene[1:] + ".", vocabulary))
    if words.startswith("Remove "):
        return Edit(op=Op.REMOVE, target=find(graph.objects, words.removeprefix("Remove "), vocabulary).id)
    if words.startswith("Add "):
        return _read_add(words.removeprefix("Add "), graph, vocabulary, fresh)
    if words.startswith("Replace ") and " with " in words:
        return _read_swap(words.removeprefix("Replace "), graph, vocabulary)
    if words.startswith("Move "):
        return _read_move(words.removeprefix("Move "), graph, vocabulary)
    if words.startswith("Make "):
        return _read_modify(words.removeprefix("Make "), graph, vocabulary)
    raise GrammarError(f"no known instruction in {text!r}")


def _read_swap(words: str, graph: SceneGraph, vocabulary: Vocabulary) -> Edit:
    parts = words.split(" with ")  # "the doll with hat with a cup"
    wrong: GrammarError | None = None
    for i in range(len(parts) - 1, 0, -1):
        try:
            old = find(graph.objects, " with ".join(parts[:i]), vocabulary)
            return Edit(op=Op.SWAP, target=old.id, node=read_object(" with ".join(parts[i:]), vocabulary, old.id))
        except GrammarError as e:
            wrong = wrong or e
    raise wrong or GrammarError(f"no known instruction in {words!r}")


def _read_add(words: str, graph: SceneGraph, vocabulary: Vocabulary, fresh: str) -> Edit:
    words, background = split_background(words)
    if background:
        raise GrammarError(f"an added object has no background of its own: {article(background)!r}")
    object_words, _, anchor_words = words.partition(", ")
    node = read_object(object_words, vocabulary, fresh)
    if not anchor_words:
        return Edit(op=Op.ADD, node=node)
    for predicate in vocabulary.longest_first:
        how = folded(anchor_words).removeprefix("that ")
        if how.startswith(folded(predicate) + " "):
            anchor = find(graph.objects, how.removeprefix(folded(predicate)), vocabulary)
            relation = Relation(subject=fresh, predicate=predicate, object=anchor.id)
            return Edit(op=Op.ADD, node=node, relations=(relation,))
    raise GrammarError(f"no known relation in {anchor_words!r}")


def _read_modify(words: str, graph: SceneGraph, vocabulary: Vocabulary) -> Edit:
    parts = words.split()
    for first in range(1, len(parts)):  # the longest value first: "light blue" before "blue"
        known = vocabulary.values.get(folded(" ".join(parts[first:])))
        if known is not None:
            old = find(graph.objects, " ".join(parts[:first]), vocabulary)
            return Edit(op=Op.MODIFY, target=old.id, node=old.with_attribute(*known))
    raise GrammarError(f"unknown word {parts[-1]!r} in {words!r}")


def _towards(place: str) -> str:
    """ "at the top left" → "to the top left"."""
    return "to " + place.split(" ", 1)[1]


def _read_move(words: str, graph: SceneGraph, vocabulary: Vocabulary) -> Edit:
    for place in PLACES:
        if words.endswith(" " + _towards(place)):
            old = find(graph.objects, words.removesuffix(" " + _towards(place)), vocabulary)
            return Edit(op=Op.MODIFY, target=old.id, node=old.with_attribute(PLACE, place))
    raise GrammarError(f"no known place in {words!r}")
