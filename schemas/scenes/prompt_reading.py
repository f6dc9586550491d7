"""Reads prompts as people write them into scene graphs, where their sentences are simple enough.

``a photo of a bird left of a couch``  ``Two red cars and a dog``  ``picture of 3 buses.``  ``A red colored car.``
``There are some TVs at sunset``  ``an oil painting of a dog next to a cat, in the style of Vincent van Gogh``
"""

from __future__ import annotations

import re

from underpaint.schemas.scenes.grammar import (
    GrammarError,
    known_background,
    read,
    read_object,
    split_background,
    split_relation,
    split_sentences,
    split_style,
)
from underpaint.schemas.scenes.scene import Relation, SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary

_THERE_IS = re.compile(r"there (?:is|are) ", re.IGNORECASE)
_MADE_AS = re.compile(
    r"(?:an? |the )?((?:[\w-]+ ){0,2})(photo|photograph|picture|image|drawing|painting|illustration|sketch|watercolou?r"
    r"|cartoon|etching|woodcut|mosaic) of ",
    re.IGNORECASE,
)
_PLAIN = ("photo", "photograph", "picture", "image")  # alone they say nothing of the style
# The words that may stand before "painting" and the like: they say how a picture is made, and nothing of what it shows.
_MANNERS = {
    "abstract", "acrylic", "anime", "black-and-white", "cartoon", "charcoal", "color", "colour", "cubist", "digital",
    "impressionist", "ink", "monochrome", "oil", "pastel", "pencil", "photorealistic", "pixel", "realistic",
    "surrealist", "vector", "vintage", "watercolor", "watercolour",
}  # fmt: skip
_AT_THE_END = re.compile(r",? (in the style of [^,.]+|at (?:sunset|sunrise|night|dusk|dawn|noon))$", re.IGNORECASE)


def read_prompt(prompt: str, vocabulary: Vocabulary) -> SceneGraph:
    """The graph of a prompt. Raises GrammarError quoting the part that is not understood."""
    text, style = split_style(" ".join(prompt.split()))
    try:
        return read(text, vocabulary).model_copy(update={"style": style})
    except GrammarError:
        words, manner = plain_words(text, vocabulary)
    try:
        scene = read(words + ".", vocabulary)
    except GrammarError:
        sentences = split_sentences(words, vocabulary)
        related = _read_related(sentences[0], vocabulary) if len(sentences) == 1 else None
        if related is None:
            raise
        scene = related
    return scene.model_copy(update={"style": ", ".join(filter(None, [manner, style]))})


def plain_words(prompt: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """(the prompt without lead-in and last full stop, its style).

    "a photo of" says nothing; "an oil painting of", "at sunset" and "in the style of …" are style. "left of" becomes
    "to the left of", "a red colored car" "a red car".
    """
    words, styles = prompt.rstrip(".! "), []
    words = _THERE_IS.sub("", words, count=1) if _THERE_IS.match(words) else words
    if (made := _MADE_AS.match(words)) and _MANNERS.issuperset(made[1].lower().split()):
        words = words[made.end() :]
        styles += [made[1] + made[2]] if made[1] or made[2].lower() not in _PLAIN else []
    while end := _AT_THE_END.search(words):
        words = words[: end.start()]
        styles.append(end[1])
    words = re.sub(r"(?:\b(?:to|on|at) the )?\b(left|right) of\b", r"to the \1 of", words, flags=re.IGNORECASE)
    if "on top of" in vocabulary.relations:
        words = re.sub(r"\bon the top of\b", "on top of", words, flags=re.IGNORECASE)
    known = re.compile(r"\b([\w-]+)[ -]colou?red\b", re.IGNORECASE)
    return known.sub(lambda m: m[1] if vocabulary.kind_of(m[1]) == "colour" else m[0], words), ", ".join(styles)


def _read_related(words: str, vocabulary: Vocabulary) -> SceneGraph | None:
    """Read "a bird to the left of a couch": two objects and their relation. None for any other form."""
    words, background = split_background(words)
    for predicate, sides in split_relation(words, vocabulary):
        try:
            subject, object = (read_object(side, vocabulary, f"o{i}") for i, side in enumerate(sides))
        except GrammarError:
            continue
        relation = Relation(subject=subject.id, predicate=predicate, object=object.id)
        where = known_background(background, vocabulary)
        return SceneGraph(objects=(subject, object), relations=(relation,), background=where)
    return None
