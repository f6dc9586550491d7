"""Says what a prompt that takes knowledge was understood to ask for: "The national animal of Australia is a kangaroo."

The prompt stays as it is and the scene graph is explicit, so the first step of the plan is where the two meet.
"""

from __future__ import annotations

from underpaint.schemas.scenes.grammar import GrammarError, describe
from underpaint.schemas.scenes.mentions import disagreements, gather
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import ContentError, Said, words_of
from underpaint.stages.answers.objects import find_object
from underpaint.stages.answers.text import read_text

UNDERSTOOD = "understood"  # the field of a writer's scene graph that holds the sentence


def understanding(scene: SceneGraph, vocabulary: Vocabulary) -> str:
    """The grammar's sentence: "The prompt asks for a kangaroo." """
    words = describe(scene.model_copy(update={"relations": ()}), vocabulary)
    return f"The prompt asks for {words[0].lower()}{words[1:]}"


def understood_in(answer: str | Said, scene: SceneGraph, vocabulary: Vocabulary) -> str:
    """The writer's own sentence beside its scene graph, "" where it gave none.

    Raises AnswerError where it is no plain text, or names other things than the graph, or none of its.
    """
    found, _, _ = find_object(words_of(answer)[0], "objects", {"objects": "objects"})
    said = found.get(UNDERSTOOD) or ""
    if not said:
        return ""
    text = read_text(str(said)).value
    known = vocabulary.with_words_of(scene)
    try:
        gather(text, known)
    except GrammarError as e:
        raise ContentError(f"{UNDERSTOOD}: {e}", "understood otherwise") from None
    if more := [c for c in disagreements(text, scene, known) if c.startswith("adds")]:
        why = f"{UNDERSTOOD}: {text!r} is not what the graph says: it {'; it '.join(more)}"
        raise ContentError(why, "understood otherwise")
    return text
