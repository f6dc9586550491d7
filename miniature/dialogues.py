"""Makes the dialogues that the speaker learns from: requests from the real templates, and right answers.

The tasks are three: to write the next step, to judge a step's text, and to judge a step's picture.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from PIL import Image

from underpaint.miniature.additive_steps import AdditiveStep, random_step
from underpaint.miniature.edits import other_object, random_edit
from underpaint.miniature.scenes import PAIRS
from underpaint.miniature.world import CELLS, cell_labels, free_cells, render, vocabulary
from underpaint.schemas.markup import BLANK, DONE
from underpaint.schemas.scenes.compare import FaultKind, compare
from underpaint.schemas.scenes.critique import Critique
from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.inspection import inspect_picture, inspect_text, observed_scene
from underpaint.schemas.scenes.scene import PLACE, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.wordings import reword
from underpaint.stages.common.templating import Template, load_templates

TEXT_FAULTS = ("colour", "noun", "count", "place", "again", "background")
PICTURE_FAULTS = ("colour", "noun", "missing", "extra", "moved", "exchanged", "undone", "background")


@dataclass(frozen=True)
class Dialogue:
    """One request with its answer. `fault` is the planted fault, "" where there is none."""

    task: str
    request: str
    answer: str
    context: dict[str, str]
    prompt: SceneGraph
    fault: str = ""
    critique: Critique | None = None
    picture: Image.Image | None = None
    shown: SceneGraph = field(default_factory=SceneGraph)  # what the picture shows, one node per filled cell


@lru_cache
def templates() -> dict[str, list[Template]]:
    """The words that the miniatures are taught, by task."""
    return load_templates([Path(__file__).parent / "templates"])


# ---- the writer ---------------------------------------------------------------------------------------


def write_dialogue(rng: random.Random) -> Dialogue:
    """A writer's dialogue: a random step, or "done" where nothing is missing."""
    step = random_step(rng, done=True)
    context = _context(step)
    answer = DONE
    if step.edit is not None:
        instruction, description = _words(step.before, step.edit, step.after)
        answer = f"<ins>{instruction}</ins><des>{description}</des>"
    return Dialogue("write", _request("write", rng, context), answer, context, step.prompt.without(PLACE))


def _context(step: AdditiveStep) -> dict[str, str]:
    so_far = BLANK if step.before is None else describe(step.before, vocabulary())
    return {"prompt": describe(step.prompt.without(PLACE), vocabulary()), "so_far": so_far}


def _words(before: SceneGraph | None, edit: Edit, after: SceneGraph) -> tuple[str, str]:
    return instruct(before or SceneGraph(), edit, vocabulary()), describe(after, vocabulary())


def _request(task: str, rng: random.Random, context: dict[str, str]) -> str:
    return rng.choice(templates()[task]).render(**context)


# ---- the text side ------------------------------------------------------------------------------------


def text_dialogue(rng: random.Random, fault: str | None = None) -> Dialogue:
    """A text judge's dialogue. `fault` is one of TEXT_FAULTS, "" for a right step (half of those that None draws)."""
    if fault is None:
        fault = "" if rng.random() < 0.5 else rng.choices(TEXT_FAULTS, (3, 3, 2.5, 4, 1.5, 1))[0]
    while True:
        step = random_step(rng, done=fault in ("noun", "again"), several=0.4)
        if fault == "" and rng.random() < 0.5 and step.after == step.prompt:
            continue  # so that most right steps are incomplete, as they usually are
        wrong = (step, step.after) if fault == "" else _faulty_text(rng, step, fault)
        if wrong is None:
            continue
        told, described = wrong
        assert told.edit is not None
        prompt, before = step.prompt.without(PLACE), step.before or SceneGraph()
        critique = inspect_text(prompt, before, told.edit, described, vocabulary())
        if bool(critique.findings) == bool(fault):
            break
    instruction, description = _words(step.before, told.edit, described)
    if rng.random() < 0.3:
        instruction = reword(instruction, rng.randrange(3))
    context = _context(step) | {"instruction": instruction, "description": description}
    request = _request("critique_text", rng, context)
    return Dialogue("critique_text", request, critique.to_json(), context, prompt, fault, critique)


def _faulty_text(rng: random.Random, step: AdditiveStep, fault: str) -> tuple[AdditiveStep, SceneGraph] | None:
    """The step with a fault, and the scene of its description; None where this fault is impossible in this step."""
    if fault == "background":
        if step.before is not None:
            return None
        back = rng.choice([b for b in vocabulary().backgrounds if b != step.prompt.background])
        scene = step.after.model_copy(update={"background": back})
        return replace(step, edit=Edit(op=Op.PAINT, scene=scene)), scene
    right = _new_node(step)
    if fault == "place" and step.before is None and len(step.after.objects) > 1:
        return _exchanged(rng, step)
    node = _faulty_node(rng, step, right, fault)
    if node is None:
        return None
    if fault in ("colour", "noun", "count") and rng.random() < 0.1:
        node = _faulty_node(rng, step, node, rng.choice(("colour", "noun"))) or node
    wrong = _with_node(rng, step, node, false_places=fault == "place")
    part = rng.random()
    if right is None or part > 0.16 or fault == "place":
        return wrong, wrong.after
    return (wrong, step.after) if part > 0.08 else (step, wrong.after)  # only one of the two texts is wrong


def _exchanged(rng: random.Random, step: AdditiveStep) -> tuple[AdditiveStep, SceneGraph] | None:
    """A first step of several nodes in which two are exchanged and no relation is told; None where there are no two."""
    singles = [o for o in step.after.objects if o.count == 1 and PLACE in o.attributes]
    if len(singles) < 2:
        return None
    a, b = rng.sample(singles, 2)
    after = step.after.replace_node(a.with_attribute(PLACE, b.attributes[PLACE]))
    after = after.replace_node(b.with_attribute(PLACE, a.attributes[PLACE])).model_copy(update={"relations": ()})
    return replace(step, edit=Edit(op=Op.PAINT, scene=after), after=after), after


def _new_node(step: AdditiveStep) -> SceneObject | None:
    if step.edit is None:
        return None
    if step.edit.op is Op.ADD:
        return step.edit.node
    return step.after.objects[0] if step.after.objects else None


def _faulty_node(rng: random.Random, step: AdditiveStep, right: SceneObject | None, fault: str) -> SceneObject | None:
    before = step.before or SceneGraph()
    free = free_cells(before)
    if fault == "again" or right is None:  # an object that is there already, or an unwanted one
        known = rng.choice(step.prompt.objects)
        if fault == "again" and not before.objects:
            return None
        node = rng.choice(before.objects) if fault == "again" else other_object(rng, known, step.prompt, False)
        return _stand(rng, node.model_copy(update={"id": "new", "count": 1}), free)
    if fault == "colour":
        return other_object(rng, right, step.after, keep_noun=True)
    if fault == "noun":
        return other_object(rng, right, step.prompt, keep_noun=False)
    if fault == "count":
        count = rng.choice([c for c in (1, 2, 3) if c != right.count])
        return _stand(rng, right.model_copy(update={"count": count}), free)
    if step.before is None and len(step.after.objects) > 1:
        return None  # see _exchanged
    false = []
    for cell in sorted(free) if right.count == 1 else []:
        moved = right.with_attribute(PLACE, CELLS[cell])
        after = step.after.model_copy(update={"relations": ()}).replace_node(moved)
        if any(d.kind is FaultKind.WRONG_RELATION for d in compare(after, step.prompt.without(PLACE)).faults):
            false.append(moved)
    return rng.choice(false) if false else None


def _stand(rng: random.Random, node: SceneObject, free: set[tuple[int, int]]) -> SceneObject:
    """The node on as many free cells as it counts; without a place where there are too few."""
    node = node.without(PLACE)
    if node.count == 1 and free:
        return node.with_attribute(PLACE, CELLS[rng.choice(sorted(free))])
    rows = [p for p, cells in PAIRS.items() if free.issuperset(cells)]
    return node.with_attribute(PLACE, rng.choice(rows)) if node.count == 2 and rows else node


def _with_node(rng: random.Random, step: AdditiveStep, node: SceneObject, false_places: bool) -> AdditiveStep:
    """The step with another node instead of its own. With `false_places`, relations may be dropped or reversed."""
    before = step.before or SceneGraph()
    relations = step.after.relations
    told = step.edit.relations if step.edit else ()
    if false_places:
        mine = [r for r in relations if node.id in (r.subject, r.object)]
        mode = rng.random()
        if mode < 0.5:
            relations, told = tuple(r for r in relations if r not in mine), ()
        if mode < 0.2:
            flipped = [Relation(subject=r.object, predicate=r.predicate, object=r.subject) for r in mine]
            relations = (*relations, *flipped)
            told = tuple(r for f in flipped[:1] if (r := f.told_from(node.id)))
    if step.before is None and any(o.id == node.id for o in step.after.objects):
        objects = tuple(node if o.id == node.id else o for o in step.after.objects)
    else:
        objects = (*before.objects, node)
    ids = {o.id for o in objects}
    relations = tuple(r for r in relations if {r.subject, r.object} <= ids)
    told = tuple(r for r in told if {r.subject, r.object} <= ids)
    after = SceneGraph(objects=objects, relations=relations, background=step.prompt.background)
    paint = Edit(op=Op.PAINT, scene=after.model_copy(update={"relations": ()}))
    edit = paint if step.before is None else Edit(op=Op.ADD, node=node, relations=told)
    return replace(step, edit=edit, after=after)


# ---- the picture side ---------------------------------------------------------------------------------

Contents = list[tuple[str, str] | None]  # of the four cells, in reading order


def picture_dialogue(rng: random.Random, fault: str | None = None) -> Dialogue:
    """A picture judge's dialogue. `fault` is one of PICTURE_FAULTS, "" for a right picture; None draws it."""
    if fault is None:
        fault = "" if rng.random() < 0.45 else rng.choices(PICTURE_FAULTS, (5, 4, 3, 2, 2, 1, 3, 1))[0]
    while True:
        before, instruction, wanted = _picture_case(rng)
        cells, back = cell_labels(wanted), wanted.background
        old: Contents = cell_labels(before) if before is not None else [None] * 4
        changed = [i for i in range(4) if cells[i] != old[i]]
        if fault == "undone":
            cells, back = old, before.background if before is not None else rng.choice(["", back])
        elif fault == "background":
            back = rng.choice([b for b in vocabulary().backgrounds if b != back])
        elif fault and not _spoil_cells(rng, cells, changed, fault):
            continue
        if fault and rng.random() < 0.12 and any(cells):
            _spoil_cells(rng, cells, changed, rng.choice(("colour", "noun")))
        shown = one_by_one(cells, back)
        critique = inspect_picture(list(shown.objects), back, wanted, vocabulary())
        if bool(critique.findings) == bool(fault):
            break
    context = {
        "prompt": describe(wanted.without(PLACE), vocabulary()),
        "instruction": instruction,
        "description": describe(wanted, vocabulary()),
    }
    request, picture = _request("critique_picture", rng, context), render(shown, rng.randrange(1 << 30))
    return Dialogue("critique_picture", request, critique.to_json(), context, wanted, fault, critique, picture, shown)


def _picture_case(rng: random.Random) -> tuple[SceneGraph | None, str, SceneGraph]:
    """(scene before, instruction, wanted scene) of an additive step, or of any edit of a detour or correction."""
    if rng.random() < 0.55:
        step = random_step(rng)
        assert step.edit is not None
        return step.before, instruct(step.before or SceneGraph(), step.edit, vocabulary()), step.after
    case = random_edit(rng)
    if case.kind == "one":  # equal objects, single nodes in the edit, are one node of the description
        apart = one_by_one(cell_labels(case.after), case.after.background)
        grouped = observed_scene(list(apart.objects), apart.background)
        return case.before, case.instruction, grouped
    return case.before, case.instruction, case.after


def one_by_one(cells: Contents, back: str) -> SceneGraph:
    """What four cells hold, each a node on its place."""
    objects = [
        SceneObject(id=f"i{i}", noun=look[0], attributes={"colour": look[1], PLACE: place})
        for i, (look, place) in enumerate(zip(cells, CELLS.values(), strict=True))
        if look is not None
    ]
    return SceneGraph(objects=tuple(objects), background=back)


def _spoil_cells(rng: random.Random, cells: Contents, changed: list[int], fault: str) -> bool:
    """Plant the fault in `cells`, mostly where the edit was; False where there is no room for it."""
    full, empty = [i for i in range(4) if cells[i]], [i for i in range(4) if not cells[i]]
    if fault == "extra":
        if not empty:
            return False
        twin = cells[rng.choice(full)] if full and rng.random() < 0.5 else None
        cells[rng.choice(empty)] = twin or (rng.choice(list(vocabulary().nouns)), _colour(rng, ""))
        return True
    if not full or (fault == "moved" and not empty) or (fault == "exchanged" and len(full) < 2):
        return False
    focus = [i for i in changed if cells[i]]
    i = rng.choice(focus if focus and rng.random() < 0.7 else full)
    noun, colour = cells[i] or ("", "")
    if fault == "colour":
        cells[i] = (noun, _colour(rng, colour))
    elif fault == "noun":
        other = rng.choice([n for n in vocabulary().nouns if n != noun])
        cells[i] = (other, _colour(rng, colour) if rng.random() < 0.2 else colour)
    elif fault == "missing":
        cells[i] = None
    else:
        j = rng.choice(empty if fault == "moved" else [x for x in full if x != i])
        cells[i], cells[j] = cells[j], cells[i]
    return True


def _colour(rng: random.Random, but: str) -> str:
    return rng.choice([c for c in vocabulary().attributes["colour"] if c != but])


# ---- wording ------------------------------------------------------------------------------------------

OTHER_WORDS = (
    "please", "the", "now", "exactly", "only", "image", "drawing", "check", "say", "give", "reply", "whether",
)  # fmt: skip


def reworded(rng: random.Random, request: str) -> str:
    """The request with one word of its last line (which says what to do) dropped, replaced or added."""
    *lines, last = request.split("\n")
    words = last.split(" ")
    i = rng.randrange(len(words))
    words[i : i + rng.choice((0, 1, 1))] = rng.choice(([], [rng.choice(OTHER_WORDS)]))
    return "\n".join([*lines, " ".join(words)])


MAKERS: dict[str, Callable[[random.Random], Dialogue]] = {
    "write": write_dialogue, "critique_text": text_dialogue, "critique_picture": picture_dialogue,
}  # fmt: skip
