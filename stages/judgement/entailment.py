"""Checks whether a critique follows from its own observations, for judges that see better than they compare.

Where the grammar can read the texts, the critique that follows from the judge's observations is computed. With
`observations: require`, an answer that says something else does not count; the words of those that count stay the
judge's. With `conclude`, the computed critique replaces the judge's, where only the verdict is of use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
from underpaint.stages.answers.reading import CritiqueError


def read_scene(text: str, vocabulary: Vocabulary) -> SceneGraph:
    """The scene of a description; an empty one for the blank canvas. Raises GrammarError."""
    return SceneGraph() if text == BLANK else read(text, vocabulary)


def carried_out(so_far: str, instruction: str, vocabulary: Vocabulary) -> tuple[SceneGraph, SceneGraph]:
    """The scene before a step, and the one that its instruction leads to. Raises GrammarError, KeyError."""
    before = read_scene(so_far, vocabulary)
    return before, apply(before, read_instruction(instruction, before, vocabulary))


def refuse_unpainted(critique: Critique, side: Side, variables: Mapping[str, str], vocabulary: Vocabulary) -> None:
    """Check the paper's rule "not painted yet is not wrong". Raises CritiqueError where a critique breaks it.

    A missing object is never a fault of a step's text. It is a fault of its picture only if the description names it.
    """
    described = {m.noun for m in find_mentions(variables.get("description", ""), vocabulary).objects}
    for missing in (f for f in critique.findings if f.kind in MISSING):
        if side is Side.TEXT:
            raise CritiqueError(f"findings: {missing.kind} is no fault of a text: not painted yet is not wrong")
        named = [m.noun for m in find_mentions(missing.detail, vocabulary).objects]
        if early := [noun for noun in named if noun not in described]:
            why = f"the description names no {early[0]}, and not painted yet is not wrong"
            raise CritiqueError(f"findings: {missing.detail!r} is no fault of the picture: {why}")


def weigh_observations(
    how: str, side: Side, variables: Mapping[str, str], vocabulary: Vocabulary, critique: Critique
) -> Critique:
    """The critique that counts; `how` is a value of JudgeParams.observations.

    "require" raises CritiqueError where the critique does not follow from its observations; if the grammar cannot read
    the texts, the critique counts unchecked. "conclude" returns the critique that follows, and raises CritiqueError if
    the grammar cannot read the texts. "ignore" and "require" also raise as `refuse_unpainted`.
    """
    if how != "conclude":
        refuse_unpainted(critique, side, variables, vocabulary)
    if how == "ignore":
        return critique
    try:
        entailed = _entailed(critique, side, variables, vocabulary)
    except (GrammarError, KeyError) as e:
        if how == "conclude":
            raise CritiqueError(f"nothing can be concluded: {e}") from None
        return critique
    if how == "conclude":
        return entailed
    if critique.verdict is not entailed.verdict:
        raise CritiqueError(f"verdict: says {critique.verdict}, its observations entail {entailed.verdict}")
    if set(critique.findings) != set(entailed.findings):
        entails = "; ".join(f.detail for f in entailed.findings) or "nothing"
        raise CritiqueError(f"findings: its observations entail {entails}")
    if side is Side.TEXT and set(critique.observed) != set(entailed.observed):
        raise CritiqueError("observed: the description says something else")
    if side is Side.TEXT and critique.verdict is Verdict.CONFLICT:
        _check_correction(critique, variables, vocabulary)
    return critique


def _entailed(critique: Critique, side: Side, variables: Mapping[str, str], vocabulary: Vocabulary) -> Critique:
    """The critique that follows from a critique's observations. Raises GrammarError, KeyError."""
    described = read(variables["description"], vocabulary)
    if side is Side.PICTURE:
        return inspect_picture(*_observed(critique, vocabulary), described, vocabulary)
    prompt, before = read(variables["prompt"], vocabulary), read_scene(variables["so_far"], vocabulary)
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


def mends_all(critique: Critique, description: str, vocabulary: Vocabulary) -> bool:
    """Whether a picture's correction alone leads from what is seen to all that the description says.

    Where the grammar cannot read it, the answer is whether the critique names exactly one fault.
    """
    try:
        described, (seen, background) = read(description, vocabulary), _observed(critique, vocabulary)
    except GrammarError:
        return len(critique.findings) == 1
    one_by_one = SceneGraph(objects=tuple(seen), background=background)
    for scene in (observed_scene(seen, background), one_by_one):
        try:
            after = apply(scene, read_instruction(critique.correction, scene, vocabulary))
        except (GrammarError, KeyError):
            continue
        if all(o.count == 1 for o in after.objects):  # equal objects may be one node of the description
            after = observed_scene(list(after.objects), background)
        return not picture_faults(after, described)
    return len(critique.findings) == 1


def _check_correction(critique: Critique, variables: Mapping[str, str], vocabulary: Vocabulary) -> None:
    """Raises CritiqueError if the correction is no instruction, or if its scene contradicts the prompt."""
    prompt = read(variables["prompt"], vocabulary)
    try:
        _, mended = carried_out(variables["so_far"], critique.correction, vocabulary)
    except (GrammarError, KeyError) as e:
        raise CritiqueError(f"correction: {e}") from None
    if faults := compare(mended, prompt).faults:
        raise CritiqueError(f"correction: leads to another fault ({faults[0].kind.value})")
