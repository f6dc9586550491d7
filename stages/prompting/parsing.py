"""Turns prompts that people wrote into scene graphs: by the grammar where it can, else by asking the writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from underpaint.schemas.markup import check_plain
from underpaint.schemas.scenes.grammar import GrammarError, enumerate_words
from underpaint.schemas.scenes.mentions import find_mentions
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import PLACE, PLACES, SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.reading import AnswerError, Said
from underpaint.stages.answers.scene import read_scene
from underpaint.stages.common.asking import request_for
from underpaint.stages.common.ledger import Failure, Unit
from underpaint.stages.common.roles import answer_of, each
from underpaint.stages.common.stage import Context
from underpaint.stages.prompting.prompt_source import PromptSource

PARSE_PROMPT = "parse_prompt"


class SceneError(AnswerError):
    """A scene graph that cannot be used; the message says which part is wrong."""


@dataclass(frozen=True)
class Parsed:
    """The scene graph of a prompt, and who read it."""

    scene: SceneGraph
    origin: str  # "grammar" or "writer"
    template: str = ""  # its digest, where the writer was asked


def parse_scene(answer: str | Said) -> SceneGraph:
    """The scene graph in a writer's answer, which has an object at least. Raises AnswerError."""
    scene = read_scene(answer).value
    if not scene.objects:
        raise SceneError("objects: there is none; a prompt that shows nothing countable has no steps")
    return scene


def check_words(scene: SceneGraph, vocabulary: Vocabulary) -> SceneGraph:
    """Return the scene unchanged. Raises SceneError naming a word that the vocabulary lacks."""
    for node in scene.objects:
        if node.noun not in vocabulary.nouns:
            raise SceneError(f"the vocabulary has no noun {node.noun!r}; add it there, or allow open_words")
        for kind, value in node.attributes.items():
            if value not in vocabulary.attributes.get(kind, ()):
                raise SceneError(f"the vocabulary has no {kind} {value!r}; add it there, or allow open_words")
    for r in scene.relations:
        if r.predicate not in vocabulary.relations:
            raise SceneError(f"the vocabulary has no relation {r.predicate!r}; add it there, or allow open_words")
    if scene.background and scene.background not in vocabulary.backgrounds:
        raise SceneError(f"the vocabulary has no background {scene.background!r}; add it there, or allow open_words")
    return scene


def check_against(prompt: str, scene: SceneGraph, vocabulary: Vocabulary) -> SceneGraph:
    """Return the scene unchanged. Raises SceneError if it lacks an object that the prompt names, or on a bad place."""
    for mention in find_mentions(prompt, vocabulary).objects:
        if not any(mention.fits(node) for node in scene.objects):
            said = enumerate_words([*(v for _, v in mention.attributes), mention.noun])
            raise SceneError(f"the prompt names {said}, the scene does not")
    for node in scene.objects:
        if PLACE in node.attributes and node.attributes[PLACE] not in PLACES:
            raise SceneError(f"unknown place {node.attributes[PLACE]!r}; there are {', '.join(PLACES)}")
    return scene


def parse_prompts(
    context: Context[Any], source: PromptSource, prompts: Mapping[int, str]
) -> dict[int, Parsed | Failure]:
    """The scene of every prompt, by sample, or the failure of the last reader that tried."""
    found: dict[int, Parsed | Failure] = {}
    left: dict[int, tuple[str, Exception]] = {}
    for sample, prompt in prompts.items():
        try:
            check_plain(prompt)
            found[sample] = Parsed(read_prompt(prompt, context.vocabulary), "grammar")
        except (GrammarError, ValidationError) as e:
            left[sample] = prompt, e
        except ValueError as e:  # a control token: no sample may hold it
            found[sample] = Failure.of(_unit(sample, prompt), e, prompt)
    if source.reader == "grammar":
        return found | {s: Failure.of(_unit(s, prompt), e, prompt) for s, (prompt, e) in left.items()}
    return found | _ask(context, source, {s: prompt for s, (prompt, _) in left.items()})


def _ask(context: Context[Any], source: PromptSource, prompts: Mapping[int, str]) -> dict[int, Parsed | Failure]:
    known = known_words(context.vocabulary)
    templates = {s: context.pick_template(PARSE_PROMPT, Unit(s)) for s in prompts}
    requests = []
    for sample, prompt in prompts.items():
        variables = {"prompt": prompt, **known}
        requests.append(request_for(templates[sample], variables, context.seed_for(sample, PARSE_PROMPT)))
    answers = each(context.models["writer"].ask, requests) if requests else []
    found: dict[int, Parsed | Failure] = {}
    for (sample, prompt), request, answer in zip(prompts.items(), requests, answers, strict=True):
        try:
            if isinstance(answer, Exception):
                raise answer
            scene = check_against(prompt, parse_scene(answer_of(answer)), context.vocabulary)
            if not source.open_words:
                check_words(scene, context.vocabulary)
            found[sample] = Parsed(scene, "writer", templates[sample].digest)
        except Exception as e:
            said = "" if isinstance(answer, Exception) else answer_of(answer).text
            found[sample] = Failure.of(_unit(sample, prompt), e, request.text, said, asked=[request])
    return found


def _unit(sample: int, prompt: str) -> Unit:
    return Unit(sample, detail=prompt)


def known_words(vocabulary: Vocabulary) -> dict[str, str]:
    """The variables of a `parse_prompt` template that describe the vocabulary."""
    kinds = (f"{kind}: {', '.join(values)}" for kind, values in vocabulary.attributes.items())
    return {
        "nouns": ", ".join(vocabulary.nouns),
        "attributes": "; ".join(kinds),
        "relations": ", ".join(vocabulary.relations),
        "backgrounds": ", ".join(vocabulary.backgrounds) or "none",
    }
