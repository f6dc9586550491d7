"""The symbolic model: plans, judges and scores by comparing scene graphs. It needs the grammar and a drawn world.

As a judge it is always right; as a writer it plants a fault in a share `fault_rate` of its steps. Its critiques of
such faults are the paper's "symbolic correction" baseline.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib import import_module
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from underpaint.schemas.markup import DONE, plan_text
from underpaint.schemas.scenes.compare import compare, match
from underpaint.schemas.scenes.edit import Edit, Op, apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import GrammarError, describe, read
from underpaint.schemas.scenes.inspection import inspect_picture, inspect_text, observed_scene
from underpaint.schemas.scenes.scene import PLACE, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.seeds import derive_random
from underpaint.stages.judgement.entailment import read_scene
from underpaint.stages.models.drawn import plant_fault
from underpaint.stages.models.storyteller import prompt_scene, tell
from underpaint.stages.planning.layout import NoLayout, lay_out
from underpaint.stages.planning.order import told_from


class SymbolicWriter:
    """Plans a step, reads a prompt, makes one long. `world` is a module with ``vocabulary()``."""

    def __init__(self, world: Any, fault_rate: float) -> None:
        self.world, self.fault_rate = world, fault_rate

    def answer(self, request: AskRequest) -> str:
        """Raises schemas.scenes.grammar.GrammarError where a text is not the grammar's."""
        words: Vocabulary = self.world.vocabulary()
        said = request.context
        if request.task == "parse_prompt":
            return prompt_scene(said["prompt"], words).model_dump_json()
        if request.task == "enrich_prompt":
            return tell(said["facts"], int(said["words"]), derive_random("symbolic", request.seed), words)
        return self._write(request, words)

    def _write(self, request: AskRequest, words: Vocabulary) -> str:
        """The next step: adds one of the missing objects, on a place that leaves room for the others."""
        prompt = prompt_scene(request.context["prompt"], words)
        before = read_scene(request.context["so_far"], words)
        rng = derive_random("symbolic", request.seed)
        missing = compare(before, prompt).missing
        if not missing:
            return DONE
        goal = _laid_out_around(before, prompt, rng, words)
        if goal is None:  # one of its own faults takes up the room for a missing object
            return DONE
        node = rng.choice([goal.node(o.id) for o in missing])
        scene = _step_scene(before, node, prompt)
        if rng.random() < self.fault_rate:
            faulty = plant_fault(scene, rng, words)
            if len(faulty.objects) == len(scene.objects):
                scene = faulty
        edit = Edit(op=Op.PAINT, scene=scene)
        if before.objects:
            edit = Edit(op=Op.ADD, node=scene.objects[-1], relations=told_from(scene.objects[-1], scene))
        return plan_text(instruct(before, edit, words), describe(scene, words))


class SymbolicJudge:
    """Compares scene graphs. `world` also has ``read_picture(picture) -> (objects one by one, background)``."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def answer(self, request: AskRequest) -> str:
        """Raises schemas.scenes.grammar.GrammarError where a text is not the grammar's, so at every second check."""
        words: Vocabulary = self.world.vocabulary()
        said = request.context
        if request.task.startswith("check_"):
            raise GrammarError(f"{request.task}: the symbolic judge, too, reads the grammar's texts alone")
        if request.task == "critique_picture":
            instances, background = self.world.read_picture(request.picture)
            return inspect_picture(instances, background, read(said["description"], words), words).to_json()
        before = read_scene(said["so_far"], words)
        edit = read_instruction(said["instruction"], before, words)
        described = read(said["description"], words)
        return inspect_text(prompt_scene(said["prompt"], words), before, edit, described, words).to_json()


class SymbolicScorer:
    """Counts what is seen or said. `world` is as for `SymbolicJudge`."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors (N, D) that count what is seen, by noun and attributes, place and background apart."""
        scenes = (observed_scene(*self.world.read_picture(p)) for p in pictures)
        return self._embed([_contents(scene) for scene in scenes])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (N, D) of descriptions, in the space of the pictures. Raises GrammarError."""
        return self._embed([_contents(read(t, self.world.vocabulary())) for t in texts])

    def _embed(self, scenes: list[dict[str, float]]) -> np.ndarray:
        words: Vocabulary = self.world.vocabulary()
        values = [value for kind, all in words.attributes.items() if kind != PLACE for value in all]
        looks = [f"{value} {noun}" for noun in words.nouns for value in values]
        axes = [*looks, *words.nouns, *words.backgrounds]
        vectors = np.array([[scene.get(axis, 0.0) for axis in axes] for scene in scenes], np.float32)
        vectors = vectors.reshape(len(scenes), len(axes))
        unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        return unit


class Asked:
    """Who answers what. It names neither of the two, so that an edit of one stales no answer of the other."""

    writer: Any
    judge: Any
    grammar_only = True  # it answers no question in other words than the grammar's

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        """One answer per request, in order. Raises GrammarError where the grammar cannot read a text."""
        judged = ("critique_", "check_")
        return [(self.judge if r.task.startswith(judged) else self.writer).answer(r) for r in requests]


class Symbolic(SymbolicScorer, Asked):
    """All three in one. Each has a class of its own, so that editing one role's code stales no other role's answers."""

    def __init__(self, world: str, *, fault_rate: float = 0.0) -> None:
        super().__init__(import_module(world))
        self.writer, self.judge = SymbolicWriter(self.world, fault_rate), SymbolicJudge(self.world)


def _contents(scene: SceneGraph) -> dict[str, float]:
    """The counts that a vector holds, by noun, by attribute and noun ("red car"), and by background."""
    found: dict[str, float] = {scene.background: 1.0}
    for node in scene.objects:
        for look in (node.noun, *(f"{v} {node.noun}" for k, v in node.attributes.items() if k != PLACE)):
            found[look] = found.get(look, 0.0) + node.count
    return found


def _laid_out_around(before: SceneGraph, prompt: SceneGraph, rng: Random, words: Vocabulary) -> SceneGraph | None:
    """The prompt's scene with places for all objects, painted ones keeping theirs; None where there is no room.

    Where the relations cannot all hold, they are dropped.
    """
    fixed: dict[str, str] = {}
    others: list[SceneObject] = []  # painted objects that the prompt does not ask for; they take up room, too
    for mine, theirs in match(before.objects, prompt.objects):
        if theirs is None:
            others.append(mine.model_copy(update={"id": f"other {mine.id}"}))
        elif PLACE in mine.attributes:
            fixed[theirs.id] = mine.attributes[PLACE]
    nodes = [o.with_attribute(PLACE, fixed[o.id]) if o.id in fixed else o for o in prompt.objects]
    for relations in (prompt.relations, ()):
        with contextlib.suppress(NoLayout):
            whole = prompt.model_copy(update={"objects": (*nodes, *others), "relations": relations})
            return lay_out(whole, rng, words)
    return None


def _step_scene(before: SceneGraph, node: SceneObject, prompt: SceneGraph) -> SceneGraph:
    """The scene after the step, with the prompt's relations among the objects painted by then."""
    new = node.model_copy(update={"id": f"o{len(before.objects)}"})
    scene = apply(before, Edit(op=Op.ADD, node=new))
    ids = {theirs.id: mine.id for mine, theirs in match(scene.objects, prompt.objects) if theirs is not None}
    relations = tuple(
        Relation(subject=ids[r.subject], predicate=r.predicate, object=ids[r.object])
        for r in prompt.relations
        if r.subject in ids and r.object in ids
    )
    return scene.model_copy(update={"relations": relations, "background": prompt.background})
