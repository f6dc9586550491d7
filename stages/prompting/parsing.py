"""Turns prompts that people wrote into scene graphs: by the grammar where it can, else by asking the writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from underpaint.schemas.markup import check_plain
from underpaint.schemas.scenes.grammar import GrammarError, describe, read
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import PLACE, PLACES, SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary, folded
from underpaint.stages.answers.answer import ContentError, Read, Said
from underpaint.stages.answers.scene import read_scene, scene_schema
from underpaint.stages.common.asking import ask_and_read, job_for, request_for
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.roles import Answer
from underpaint.stages.common.stage import Context
from underpaint.stages.prompting.faithfulness import departures
from underpaint.stages.prompting.prompt_source import PromptSource
from underpaint.stages.prompting.understanding import understood_in

PARSE_PROMPT = "parse_prompt"


class SceneError(ContentError):
    """A scene graph that cannot be used; the message says which part is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "the scene does not fit the prompt or the vocabulary")


@dataclass(frozen=True)
class Parsed:
    """The scene graph of a prompt, and who read it or gave it."""

    scene: SceneGraph
    origin: str  # "grammar", "writer" or "user"
    template: str = ""  # its digest, where the writer was asked
    understood: str = ""  # the writer's sentence, where the list is indirect


def parse_scene(answer: str | Said) -> Read[SceneGraph]:
    """The scene graph in a writer's answer, which has an object at least. Raises AnswerError."""
    found = read_scene(answer)
    if not found.value.objects:
        raise SceneError("objects: there is none; a prompt that shows nothing countable has no steps")
    return found


def spelt(scene: SceneGraph, vocabulary: Vocabulary) -> SceneGraph:
    """The scene in the vocabulary's spelling: "TV" is its "tv", "Red" its "red", two "dogs" are two of its "dog"."""
    backgrounds = {folded(b): b for b in vocabulary.backgrounds}
    predicates = {folded(p): p for p in vocabulary.relations}
    nodes = []
    for node in scene.objects:
        noun = vocabulary.forms.get(folded(node.noun), node.noun)
        if folded(noun) != folded(node.noun) == folded(vocabulary.plural(noun)) and node.count == 1:
            noun = node.noun  # one "people" is no person
        known = {kind: vocabulary.values.get(folded(value), (kind, value)) for kind, value in node.attributes.items()}
        attributes = {kind: value if k == kind else node.attributes[kind] for kind, (k, value) in known.items()}
        nodes.append(node.model_copy(update={"noun": noun, "attributes": attributes}))
    relations = [
        r.model_copy(update={"predicate": predicates.get(folded(r.predicate), r.predicate)}) for r in scene.relations
    ]
    background = backgrounds.get(folded(scene.background), scene.background)
    return scene.model_copy(
        update={"objects": tuple(nodes), "relations": tuple(relations), "background": background}
    )  # fmt: skip


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


def check_against(prompt: str, scene: SceneGraph, vocabulary: Vocabulary, indirect: bool = False) -> SceneGraph:
    """The scene in the vocabulary's spelling. Raises SceneError naming where it departs from the prompt.

    `indirect` as in `departures`. A scene whose own description cannot be read back is refused too: no step of it could
    be checked.
    """
    scene = spelt(scene, vocabulary)
    for node in scene.objects:
        if PLACE in node.attributes and node.attributes[PLACE] not in PLACES:
            raise SceneError(f"unknown place {node.attributes[PLACE]!r}; there are {', '.join(PLACES)}")
    if clauses := departures(prompt, scene, vocabulary, indirect):
        raise SceneError("; ".join(clauses))
    words, text = vocabulary.with_words_of(scene), describe(scene, vocabulary)
    try:
        known = read(text, words).key() == scene.key()
    except GrammarError as e:
        raise SceneError(f"the scene's description {text!r} cannot be read back: {e}") from None
    if not known:
        raise SceneError(f"the scene's description {text!r} is read as another scene")
    return scene


def parse_prompts(
    context: Context[Any], source: PromptSource, prompts: Mapping[int, str], ledger: Ledger
) -> dict[int, Parsed | Failure]:
    """The scene of every prompt, by sample, or the failure of the last reader that tried.

    The ledger counts the writer's answers.
    """
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
    return found | _ask(context, source, {s: prompt for s, (prompt, _) in left.items()}, ledger)


def _ask(
    context: Context[Any], source: PromptSource, prompts: Mapping[int, str], ledger: Ledger
) -> dict[int, Parsed | Failure]:
    """Ask the writer; one whose graph departs from the prompt is told so, and asked once more."""
    jobs, templates = [], {s: context.pick_template(PARSE_PROMPT, Unit(s)) for s in prompts}
    known = known_words(context.vocabulary)
    for sample, prompt in prompts.items():
        template, variables = templates[sample], {"prompt": prompt, **known}
        seed = context.seed_for(sample, PARSE_PROMPT)
        request = request_for(template, variables, seed, schema=scene_schema())
        read = partial(_read, prompt, context.vocabulary, source)
        jobs.append(job_for(context.speaker(template), template, request, read))
    found: dict[int, Parsed | Failure] = {}
    for (sample, prompt), said in zip(prompts.items(), ask_and_read(jobs), strict=True):
        ledger.heard[templates[sample].id].hear([said])
        if said.value is None:
            error = said.error or SceneError("no answer")
            asked, words = said.requests, said.text if said.answers else ""
            found[sample] = Failure.of(_unit(sample, prompt), error, asked[0].text, words, asked=asked)
        else:
            scene, understood = said.value
            found[sample] = Parsed(scene, "writer", templates[sample].digest, understood)
    return found


def _read(prompt: str, vocabulary: Vocabulary, source: PromptSource, answer: Answer) -> Read[tuple[SceneGraph, str]]:
    """(scene graph, what was understood) of an answer. Raises AnswerError."""
    found = parse_scene(answer)
    scene = check_against(prompt, found.value, vocabulary, source.indirect)
    if not source.open_words:
        check_words(scene, vocabulary)
    return Read.of((scene, understood_in(answer, scene, vocabulary) if source.indirect else ""), found.bends)


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
