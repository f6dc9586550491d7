"""Inspects the text side: judges a step's instruction and description against the prompt."""

from __future__ import annotations

from underpaint.schemas.scenes.compare import STYLE, Difference, FaultKind, SceneFit, compare, match
from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.schemas.scenes.edit import Edit, Op, apply
from underpaint.schemas.scenes.grammar import definite, enumerate_words, indefinite
from underpaint.schemas.scenes.inspection.text_correction import correct_text
from underpaint.schemas.scenes.inspection.weighing import (
    AS_ASKED,
    NOT_SO,
    TO_COME,
    as_asked,
    background_weighed,
    how_asked,
    relations_weighed,
)
from underpaint.schemas.scenes.inspection.wording import agreement, another, conflict
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary


def inspect_text(
    prompt: SceneGraph, before: SceneGraph, edit: Edit, described: SceneGraph, vocabulary: Vocabulary
) -> Critique:
    """Judge a step's instruction (an edit of the scene `before`) and description against the prompt."""
    stated, done = compare(described, prompt), apply(before, edit)
    faults = list(stated.faults) or list(compare(done, prompt).faults)
    seen = text_observations(prompt, done, edit, described, vocabulary)
    if not faults:
        if stated.fit is SceneFit.SATISFIES:
            names = [indefinite(o, vocabulary) for o in described.objects]
            return agreement(seen, names, "The step completes what the prompt asks for", Verdict.CONSISTENT)
        missing = [d for d in stated.differences if d.kind is FaultKind.MISSING_OBJECT] or list(stated.differences)
        left = list(dict.fromkeys(_to_come(d, vocabulary) for d in missing))
        what = "The step agrees with the prompt, and " + enumerate_words(left) + (" is" if len(left) == 1 else " are")
        return agreement(seen, [], what + " still to come", Verdict.INCOMPLETE)
    correction = correct_text(prompt, before, edit, vocabulary)
    return conflict(seen, faults, "The step contradicts the prompt", correction, vocabulary)


def _to_come(d: Difference, vocabulary: Vocabulary) -> str:
    """What is still to come: an object, or a detail where no object is missing."""
    if d.attribute == STYLE:
        return f"the style {d.expected}"
    if d.attribute == "background":
        return f"the {d.expected} background"
    if d.wanted and d.other:
        return f"where {definite(d.wanted, vocabulary)} stands"
    assert d.subject
    if d.attribute:
        return f"the {d.attribute} of {definite(d.subject, vocabulary)}"
    return indefinite(d.subject, vocabulary)


def text_observations(
    prompt: SceneGraph, done: SceneGraph, edit: Edit, described: SceneGraph, vocabulary: Vocabulary
) -> list[str]:
    """Everything the two texts name, each item compared with the prompt; the verdict follows from these items.

    ``step: a blue car: asked is a red car``  ``two cups: as asked``  ``the car is above the cups: not so``
    ``a fish: still to come``. `done` is the scene that the instruction leads to.
    """
    told = dict(_weighed(done, prompt, vocabulary))
    said = [text for _, text in _weighed(described, prompt, vocabulary)]
    if edit.op is Op.PAINT:
        seen = [f"step: {text}" for text in told.values() if text not in said]
    else:
        named = done.objects[-1].id if edit.op is Op.ADD else edit.target
        seen = [f"step: {told[named]}"] if named in told else []
    seen += said
    holding = relations_weighed(described, prompt, vocabulary)
    broken = [text for text, holds in relations_weighed(done, prompt, vocabulary) if not holds]
    seen += [f"step: {text}{NOT_SO}" for text in broken if (text, True) in holding]  # the instruction alone is wrong
    seen += [f"{text}{AS_ASKED if holds else NOT_SO}" for text, holds in holding]
    present = {theirs.id for _, theirs in match(described.objects, prompt.objects) if theirs is not None}
    return seen + [f"{indefinite(o, vocabulary)}{TO_COME}" for o in prompt.objects if o.id not in present]


def _weighed(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """(id, item) of every node, the item saying whether the prompt wants it so; the background last, with id ""."""
    found = []
    unwanted = {d.subject.id: d.stated for d in compare(scene, prompt).faults if d.subject and not d.wanted}
    for mine, theirs in match(scene.objects, prompt.objects):
        words = another(mine, vocabulary, place=True) if unwanted.get(mine.id) else indefinite(mine, vocabulary)
        right = theirs is not None and as_asked(mine, theirs)
        found.append((mine.id, words + how_asked(theirs, right, vocabulary)))
    return found + [("", text) for text in background_weighed(scene, prompt)]
