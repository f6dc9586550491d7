"""Checks whether a critique follows from its own observations, for judges that see better than they compare.

Where the grammar can read the texts, the critique that follows from the judge's observations is computed. With
`observations: require`, an answer that says something else does not count; the words of those that count stay the
judge's. With `conclude`, the computed critique replaces the judge's, where only the verdict is of use. What the grammar
cannot read is said, so that a model can check it (`stages.judgement.weighing`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from underpaint.schemas.markup import BLANK
from underpaint.schemas.scenes.compare import MISSING, compare
from underpaint.schemas.scenes.critique import Critique, Side, Verdict
from underpaint.schemas.scenes.edit import apply, read_instruction
from underpaint.schemas.scenes.grammar import GrammarError, read, read_object
from underpaint.schemas.scenes.inspection import (
    inspect_picture,
    inspect_text,
    observed_scene,
    picture_faults,
    seen_items,
)
from underpaint.schemas.scenes.mentions import find_mentions
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import CritiqueError


def read_scene(text: str, vocabulary: Vocabulary) -> SceneGraph:
    """The scene of a description; an empty one for the blank canvas. Raises GrammarError."""
    return SceneGraph() if text == BLANK else read(text, vocabulary)


def carried_out(so_far: str, instruction: str, vocabulary: Vocabulary) -> tuple[SceneGraph, SceneGraph]:
    """The scene before a step, and the one that its instruction leads to. Raises GrammarError, KeyError."""
    before = read_scene(so_far, vocabulary)
    return before, apply(before, read_instruction(instruction, before, vocabulary))


@dataclass(frozen=True)
class Weighed:
    """The critique that counts. `unread` is why the grammar could not check it, "" where it could."""

    critique: Critique
    unread: str = ""


def words_for(vocabulary: Vocabulary, scene: SceneGraph | None) -> Vocabulary:
    """The vocabulary, with the words of a scene added where it lacks any: a prompt may know more than the recipe."""
    return vocabulary if scene is None else vocabulary.with_words_of(scene)


def refuse_unpainted(critique: Critique, side: Side, variables: Mapping[str, str], vocabulary: Vocabulary) -> str:
    """Check the paper's rule "not painted yet is not wrong". Raises CritiqueError where a critique breaks it.

    A missing object is never a fault of a step's text. It is a fault of its picture only if the description names it.
    Returns why the grammar cannot tell, "" where it can.
    """
    described = {m.noun for m in find_mentions(variables.get("description", ""), vocabulary).objects}
    for missing in (f for f in critique.findings if f.kind in MISSING):
        if side is Side.TEXT:
            raise CritiqueError(f"findings: {missing.kind} is no fault of a text: not painted yet is not wrong")
        try:
            noun = _missing_noun(missing.detail, vocabulary)
            if noun not in described:
                read(variables["description"], vocabulary)
        except GrammarError as e:
            return str(e)
        if noun not in described:
            why = f"the description names no {noun}, and not painted yet is not wrong"
            raise CritiqueError(f"findings: {missing.detail!r} is no fault of the picture: {why}")
    return ""


def _missing_noun(detail: str, vocabulary: Vocabulary) -> str:
    """The noun of what is missing, of "the dog is missing; a cat is there instead" the dog. Raises GrammarError."""
    said = re.match(r"(.+?) (?:is|are) missing\b(?=[.,;:]|$)", detail.strip())
    if said is None:
        raise GrammarError(f"{detail!r} does not say plainly what is missing")
    return read_object(said[1][:1].lower() + said[1][1:], vocabulary, "o0").noun


def weigh_observations(
    how: str, side: Side, variables: Mapping[str, str], vocabulary: Vocabulary, critique: Critique,
    scene: SceneGraph | None = None,
) -> Weighed:  # fmt: skip
    """The critique that counts; `how` is a value of JudgeParams.observations, `scene` the prompt's, where it is known.

    "require" raises CritiqueError where the critique does not follow from its observations. "conclude" returns the
    critique that follows. Both return the judge's own as unread where the grammar cannot read the texts. Without a
    scene the prompt's text is read. What does not conclude raises as `refuse_unpainted`, too.
    """
    unread = "" if how == "conclude" else refuse_unpainted(critique, side, variables, vocabulary)
    if how == "ignore":
        return Weighed(critique, unread)
    try:
        prompt = scene or (read(variables["prompt"], vocabulary) if side is Side.TEXT else SceneGraph())
        entailed = _entailed(critique, side, variables, prompt, vocabulary)
    except (GrammarError, KeyError) as e:
        refuse_unpainted(critique, side, variables, vocabulary)
        return Weighed(critique, str(e))
    if how == "conclude":
        return Weighed(entailed)
    if critique.verdict is not entailed.verdict:
        raise CritiqueError(f"verdict: says {critique.verdict}, its observations entail {entailed.verdict}")
    if set(critique.findings) != set(entailed.findings):
        entails = "; ".join(f.detail for f in entailed.findings) or "nothing"
        raise CritiqueError(f"findings: its observations entail {entails}")
    if side is Side.TEXT and set(critique.observed) != set(entailed.observed):
        raise CritiqueError("observed: the description says something else")
    if side is Side.TEXT and critique.verdict is Verdict.CONFLICT:
        _check_correction(critique, variables, prompt, vocabulary)
    return Weighed(critique)


def _entailed(
    critique: Critique, side: Side, variables: Mapping[str, str], prompt: SceneGraph, vocabulary: Vocabulary
) -> Critique:
    """The critique that follows from a critique's observations. Raises GrammarError, KeyError."""
    described = read(variables["description"], vocabulary)
    if side is Side.PICTURE:
        return inspect_picture(*_observed(critique, vocabulary), described, vocabulary)
    before = read_scene(variables["so_far"], vocabulary)
    edit = read_instruction(variables["instruction"], before, vocabulary)
    return inspect_text(prompt, before, edit, described, vocabulary)


def _observed(critique: Critique, vocabulary: Vocabulary) -> tuple[list[SceneObject], str]:
    """(single objects, background) that a critique names as seen; how the judge weighed them is left out."""
    seen, background = [], ""
    for i, item in enumerate(seen_items(critique.observed)):
        name = re.sub(r"^an? ", "", item).removesuffix(" background")
        if item.endswith(" background") and name in vocabulary.backgrounds:
            background = name
        else:
            seen.append(read_object(item, vocabulary, f"i{i}"))
    return seen, background


def mends_all(critique: Critique, description: str, vocabulary: Vocabulary) -> bool | None:
    """Whether a picture's correction alone leads from what is seen to all that the description says.

    None where the grammar cannot read it.
    """
    try:
        described, (seen, background) = read(description, vocabulary), _observed(critique, vocabulary)
    except GrammarError:
        return None
    one_by_one = SceneGraph(objects=tuple(seen), background=background)
    for scene in (observed_scene(seen, background), one_by_one):
        try:
            after = apply(scene, read_instruction(critique.correction, scene, vocabulary))
        except (GrammarError, KeyError):
            continue
        if all(o.count == 1 for o in after.objects):  # equal objects may be one node of the description
            after = observed_scene(list(after.objects), background)
        return not picture_faults(after, described)
    entailed = inspect_picture(seen, background, described, vocabulary)  # some of its corrections are free sentences
    return len(critique.findings) == 1 if critique.correction == entailed.correction else None


def _check_correction(
    critique: Critique, variables: Mapping[str, str], prompt: SceneGraph, vocabulary: Vocabulary
) -> None:
    """Raises CritiqueError if the correction is no instruction, or if its scene contradicts the prompt."""
    try:
        _, mended = carried_out(variables["so_far"], critique.correction, vocabulary)
    except (GrammarError, KeyError) as e:
        raise CritiqueError(f"correction: {e}") from None
    if faults := compare(mended, prompt).faults:
        raise CritiqueError(f"correction: leads to another fault ({faults[0].kind.value})")
