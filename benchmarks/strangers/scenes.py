"""The real prompts of the try, what each shows, and how the strangers word a scene: so that truth is always known."""

from __future__ import annotations

import csv
import functools
import re
from pathlib import Path

import yaml

from underpaint.schemas.scenes.grammar import describe, read
from underpaint.schemas.scenes.scene import Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
LISTS = ROOT.parent / "shared" / "data" / "prompts"  # not part of the project; its README says what and whose they are
RELATION = re.compile(r"(\d+) (.+) (\d+)")


@functools.cache
def prompts() -> dict[str, SceneGraph]:
    """The scene of every prompt, by its words."""
    found = {}
    for file, entries in yaml.safe_load((Path(__file__).parent / "scenes.yaml").read_text("utf-8")).items():
        lines = (LISTS / file).read_text("utf-8").split("\n")
        for number, parts in entries.items():
            line = lines[number - 1]
            text = next(csv.reader([line], delimiter="\t"))[0] if file.endswith(".tsv") else line
            found[" ".join(text.split())] = _scene(parts)
    return found


def _scene(parts: list[str]) -> SceneGraph:
    objects: list[SceneObject] = []
    relations, background = [], ""
    for part in parts:
        if match := RELATION.fullmatch(part):
            relations.append(Relation(subject=f"o{match[1]}", predicate=match[2], object=f"o{match[3]}"))
        elif part.startswith("on "):
            background = part.removeprefix("on ")
        else:
            objects.append(_object(f"o{len(objects)}", part.split()))
    return SceneGraph(objects=tuple(objects), relations=tuple(relations), background=background)


def _object(id: str, words: list[str]) -> SceneObject:
    count = int(words.pop(0)) if words[0].isdigit() else 1
    attributes = dict(w.split("=") for w in words if "=" in w)
    return SceneObject(id=id, noun=" ".join(w for w in words if "=" not in w), attributes=attributes, count=count)


@functools.cache
def vocabulary() -> Vocabulary:
    """All words that the prompts need; the strangers know them, the recipe does not."""
    words = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))
    for scene in prompts().values():
        words = words.with_words_of(scene)
    return words


# How the strangers word a scene, so that no grammar of ours reads it: what they add says nothing of what is there.
OPENINGS = ("The canvas now shows ", "What can be seen is ", "By this point the picture holds ")
CLOSINGS = (
    " Soft morning light lies over it.",
    " The brush is broad and the mood is calm.",
    " It has the grain of old film.",
)


MOODS = (
    "A faint haze softens the far edge of the scene.",
    "The light falls low and warm from one side.",
    "The colours are muted, as in an old print.",
    "The mood is quiet and a little solemn.",
    "The strokes are loose where the eye seldom rests.",
    "Everything is drawn with a patient hand.",
)
MANNERS = (", with soft edges", ", in muted light", ", drawn with patience")  # how an instruction is carried out


def worded(scene: SceneGraph, seed: int) -> str:
    """A scene in a stranger's words."""
    told = describe(scene, vocabulary())
    return OPENINGS[seed % 3] + told[:1].lower() + told[1:] + CLOSINGS[seed // 3 % 3]


def plain(instruction: str) -> str:
    """An instruction without a stranger's manner of saying it."""
    for manner in MANNERS:
        instruction = instruction.replace(manner, "")
    return instruction


def understood(text: str) -> SceneGraph:
    """The scene of a text of ours or of a stranger's. Raises GrammarError."""
    told = text.strip()
    for mood in MOODS:
        told = told.replace(f" {mood}", "")
    for opening in OPENINGS:
        told = told.removeprefix(opening)
    for closing in CLOSINGS:
        told = told.removesuffix(closing)
    return read(told[:1].upper() + told[1:], vocabulary())
