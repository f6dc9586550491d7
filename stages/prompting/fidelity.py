"""Holds texts to scene graphs: what a writer says at length must be what the graph says, and bring in nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from underpaint.schemas.scenes.edit import Edit, Op
from underpaint.schemas.scenes.grammar import GrammarError
from underpaint.schemas.scenes.mentions import disagreements
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import PLACE, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import ContentError
from underpaint.stages.prompting.foreign_objects import foreign_objects
from underpaint.stages.prompting.unseen import unseen

DROPS, ADDS, CONTRADICTS = "drops what the scene has", "adds what the scene has not", "contradicts the scene"
FOREIGN = "brings in things that are foreign to the scene"
UNSEEN = "speaks of what no picture shows"
# How things stand to each other in any vocabulary; what is merely near ("next to") is no new relation.
STANDING = ("between", "inside", "in", "on", "on top of", "behind", "in front of", "under", "underneath", "beneath")


class Departure(ContentError):
    """A text that departs from its scene; `reason` is one of the kinds above, the message says where."""

    def __init__(self, what: str, kind: str, clauses: Iterable[str]) -> None:
        super().__init__(f"{what} {kind}: it {'; it '.join(clauses)}", kind)


def departures(text: str, scene: SceneGraph, vocabulary: Vocabulary) -> list[str]:
    """Where a text drops what its scene has ("drops …"), or adds what it has not ("adds …"), a clause each.

    Also where it adds one of `STANDING` of two of the scene's things, whether the vocabulary has it or not.
    """
    try:
        if read_prompt(text, vocabulary).key() == scene.key():
            return []
    except GrammarError:
        pass
    standing = vocabulary.model_copy(update={"relations": tuple(dict.fromkeys((*vocabulary.relations, *STANDING)))})
    return disagreements(text, scene, standing)


def kind_of(clauses: Iterable[str]) -> str:
    """DROPS, ADDS or CONTRADICTS, by the clauses of a departure; "" where there is none."""
    kinds = {clause.split()[0] for clause in clauses}
    return CONTRADICTS if len(kinds) > 1 else DROPS if "drops" in kinds else ADDS if kinds else ""


def hold(
    text: str, scene: SceneGraph, vocabulary: Vocabulary, own: str, *, what: str = "the long prompt",
    indirect: bool = False,
) -> str:  # fmt: skip
    """Return the text unchanged. Raises Departure where it departs from the scene.

    `own` are further words whose things it may name, e.g. those of the short prompt. An indirect text ("the national
    animal of Australia") need not name what the scene has, but must not name anything else.
    """
    found = [c for c in departures(text, scene, vocabulary) if not (indirect and c.startswith("drops"))]
    if found:
        raise Departure(what, kind_of(found), found)
    refuse_foreign(text, f"{own} {named_in(scene)}", what)
    if said := unseen(text, f"{own} {named_in(scene)}"):
        raise Departure(what, UNSEEN, [f"says {phrase!r}" for phrase in dict.fromkeys(said)])
    return text


def hold_instruction(text: str, before: SceneGraph, edit: Edit, after: SceneGraph, vocabulary: Vocabulary) -> str:
    """Return a step's instruction unchanged. Raises Departure where it does not ask for the edit of `before`.

    It must name what changes; all else that it names must stand there before the step or after it.
    """
    what, known = "the instruction", vocabulary.with_words_of(before).with_words_of(after)
    needed, there = _needed(before, edit)
    named = [c for node in there for c in _drops(text, SceneGraph(objects=(node,)), known)]
    found = [c for c in _drops(text, needed, known) if c not in named]
    for node in there:  # of what is there already the number need not be said: "the black cars"
        once = SceneGraph(objects=(node.model_copy(update={"count": 1}),))
        found += [c for c in _drops(text, once, known) if _drops(text, SceneGraph(objects=(node,)), known)]
    if edit.op is Op.MODIFY and edit.node is not None:
        old = before.node(edit.target).attributes
        values = [value for kind, value in edit.node.attributes.items() if old.get(kind) != value]
        found += [f"drops {v}" for v in values if _bare(v) not in f" {' '.join(_words(text))} "]
    found += [c for c in disagreements(text, _both(before, after), known) if c.startswith("adds")]
    if found:
        raise Departure(what, kind_of(found), found)
    return text


def refuse_foreign(text: str, own: str, what: str) -> None:
    """Raises Departure where a text brings in things that are in none of `own`'s words."""
    if found := foreign_objects(text, own):
        raise Departure(what, FOREIGN, [f"names {phrase!r}" for phrase in dict.fromkeys(found)])


def named_in(*scenes: SceneGraph) -> str:
    """The words of a scene's things, with which a text may name them."""
    return " ".join(
        " ".join([*(o.noun for o in s.objects), *(v for o in s.objects for v in o.attributes.values()), s.background])
        for s in scenes
    )


def _needed(before: SceneGraph, edit: Edit) -> tuple[SceneGraph, list[SceneObject]]:
    """(what an instruction must name, as a scene; the nodes of it that are there already)."""
    if edit.op is Op.PAINT and edit.scene is not None:
        return edit.scene.model_copy(update={"relations": ()}), []  # places, or the description, tell them
    if edit.op is Op.ADD and edit.node is not None:
        told = edit.relations[:1]
        anchors = [before.node(r.object).without(PLACE) for r in told]
        return SceneGraph(objects=(edit.node, *anchors), relations=told), anchors
    if edit.op is Op.MODIFY:
        return SceneGraph(), []  # "the green car" or just "the car"; the new value is looked for by itself
    target = before.node(edit.target).without(PLACE)
    new = edit.node.model_copy(update={"id": f"new {target.id}"}).without(PLACE) if edit.node is not None else None
    return SceneGraph(objects=(target, new) if new is not None else (target,)), [target]


def _drops(text: str, scene: SceneGraph, vocabulary: Vocabulary) -> list[str]:
    return [clause for clause in disagreements(text, scene, vocabulary) if clause.startswith("drops")]


def _both(before: SceneGraph, after: SceneGraph) -> SceneGraph:
    """All that stands there before a step or after it, as one scene."""
    old = {o.id: f"before {o.id}" for o in before.objects}
    objects = tuple(o.model_copy(update={"id": old[o.id]}) for o in before.objects)
    relations = tuple(
        r.model_copy(update={"subject": old[r.subject], "object": old[r.object]}) for r in before.relations
    )
    background = after.background or before.background
    return SceneGraph(
        objects=(*after.objects, *objects), relations=(*after.relations, *relations), background=background
    )


def _bare(value: str) -> str:
    """A value's words between blanks; "at the top left" is also said "to the top left"."""
    return f" {value.split(' ', 1)[1] if value.startswith(('at ', 'on ', 'in ')) else value} "


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())
