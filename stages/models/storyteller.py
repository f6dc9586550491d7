"""The symbolic writer's answers about prompts and plans: reads prompts into scene graphs, words graphs at length."""

from __future__ import annotations

import json
from itertools import accumulate
from random import Random

from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import GrammarError, capital, definite, describe, read
from underpaint.schemas.scenes.mentions import find_mentions, gather
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.planning.order import paint_order, part, told_from

# Sentences about one object; {0} is "the red car", {1} "is" or "are". None names an object, a colour or a place.
OF_AN_OBJECT = (
    "{0} {1} drawn with a firm and even outline, so that nobody has to look twice",
    "{0} {1} given time: first the large shape, then the folds and edges, then the last fine strokes",
    "Soft light falls across {0}, and a faint shadow lies close beneath",
    "{0} {1} seen from the front, calm and complete, with nothing cut off by the frame",
    "There is a quiet weight to {0}, as if nothing had moved for a long while",
    "The surface of {0} shows the grain of the paper and the pull of the brush",
)  # fmt: skip
OF_THE_WHOLE = (
    "The whole is painted in the plain manner of an illustration for children, with clear shapes and calm edges",
    "The air is still and the mood is gentle, like that of an early morning before anyone has spoken",
    "Nothing else is in the picture, and the empty room between the shapes is left empty on purpose",
    "The strokes are patient and visible, and the light is even from one side to the other",
    "Everything stands apart from everything else, so that each shape can be named at a glance",
    "It is a picture to be looked at slowly, from near and from far, and it looks the same from both",
)


def prompt_scene(prompt: str, vocabulary: Vocabulary) -> SceneGraph:
    """The scene that a prompt asks for, read by the grammar where it can, else all it names. Raises GrammarError."""
    try:
        return read_prompt(prompt, vocabulary)
    except GrammarError:
        return gather(prompt, vocabulary)


def described_scene(description: str, vocabulary: Vocabulary) -> SceneGraph:
    """The scene of a description, short or long. Raises GrammarError where it names nothing."""
    try:
        return read(description, vocabulary)
    except GrammarError:
        said = find_mentions(description, vocabulary)
        if said.backgrounds and not said.objects:
            return SceneGraph(background=said.backgrounds[0])
        return gather(description, vocabulary)


def retell(prompt: str, steps: str, vocabulary: Vocabulary) -> str:
    """The steps (a JSON list) with all that the long prompt says of what is painted by then, as the answer's JSON.

    An instruction gets what is said of the object that it adds, the first one what is said of the whole.
    """
    told, before = [], set[str]()
    details = [f"{sentence}." for sentence in prompt.removesuffix(".").split(". ")[1:]]
    for step in json.loads(steps):
        scene = described_scene(step["description"], vocabulary)
        true = [d for d in details if d not in step["description"] and _fits(d, scene, vocabulary)]
        new = [d for d in true if d not in before and (not before or find_mentions(d, vocabulary).objects)]
        before |= {*true}
        told.append(
            {
                "instruction": " ".join([step["instruction"], *new[:2]]),
                "description": " ".join([step["description"], *true]),
            }
        )
    return json.dumps({"steps": told})


def _fits(sentence: str, scene: SceneGraph, vocabulary: Vocabulary) -> bool:
    """Whether all that a sentence names is in the scene."""
    return all(any(m.fits(node) for node in scene.objects) for m in find_mentions(sentence, vocabulary).objects)


def plan_whole(facts: str, most: int, rng: Random, vocabulary: Vocabulary) -> str:
    """A plan of at most `most` steps for the facts, an object a step, as the answer's JSON."""
    goal = read(facts, vocabulary)
    order = [node.id for node in paint_order(goal, rng, vocabulary)]
    first = max(1, len(order) - most + 1)
    steps, before = list[dict[str, str]](), SceneGraph()
    for scene in (part(goal, order[:number]) for number in range(first, len(order) + 1)):
        new = scene.objects[-1]
        edit = Edit(op=Op.ADD, node=new, relations=told_from(new, scene)) if steps else Edit(op=Op.PAINT, scene=scene)
        words = instruct(before, edit, vocabulary)
        steps.append({"instruction": words, "description": describe(scene, vocabulary)})
        before = scene
    return json.dumps({"steps": steps})


def tell(facts: str, words: int, rng: Random, vocabulary: Vocabulary) -> str:
    """A text of about `words` words: the facts, then in turn one sentence about each object and one about the whole."""
    scene = read(facts, vocabulary)
    sentences = [describe(scene, vocabulary).removesuffix(".")]
    of_objects, of_wholes = (rng.sample(s, len(s)) for s in (OF_AN_OBJECT, OF_THE_WHOLE))
    for turn, of_the_whole in enumerate(of_wholes):
        for i, node in enumerate(scene.objects):
            be = "is" if node.count == 1 else "are"
            said = of_objects[(turn + i) % len(of_objects)]  # of every object something else
            sentences.append(capital(said.format(definite(node, vocabulary), be)))
        sentences.append(of_the_whole)
    lengths = accumulate(len(s.split()) for s in sentences)
    needed = next((i for i, length in enumerate(lengths, 1) if length >= words), len(sentences))
    return ". ".join(sentences[:needed]) + "."
