"""What the demo draws keeps its words: keys, descriptions, instructions and readings, held by digests of their text.

The digests were taken before the grammar learnt the names of the open world. One that changes means that every corpus
built so far would be built anew.
"""

from __future__ import annotations

import hashlib
import random

import pytest
import yaml
from conftest import ROOT

from underpaint.miniature.edits import random_edit
from underpaint.miniature.scenes import random_scene
from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.edit import apply, instruct, read_instruction
from underpaint.schemas.scenes.grammar import GrammarError, describe, read
from underpaint.schemas.scenes.inspection import inspect_text
from underpaint.schemas.scenes.mentions import disagreements, gather
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.schemas.scenes.wordings import reword, wordings
from underpaint.stages.planning.compose import CATEGORIES, compose

WORDS = vocabulary()
COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _told(scene: SceneGraph, words: Vocabulary) -> list[str]:
    text = describe(scene, words)
    read_back = (read(text, words), read_prompt(text, words), gather(text, words))
    found = str(disagreements(text, scene, words))
    return [scene.key(), scene.model_dump_json(), text, *(g.key() for g in read_back), found]


@pytest.mark.parametrize(("name", "digest"), [("miniature", "7767a6f0b60db8c2"), ("coco", "9b9522fadfedcd0c")])
def test_composed_scenes_keep_their_words(name: str, digest: str) -> None:
    words, attributes = (WORDS, "always") if name == "miniature" else (COCO, "asked")
    lines = [_digest([str(words.identity())])]
    for category in CATEGORIES:
        for seed in range(30):
            scene = compose(random.Random(f"{category} {seed}"), category, words, 6, attributes)
            lines += _told(scene, words)
    assert _digest(lines) == digest


def test_drawn_scenes_keep_their_words() -> None:
    lines: list[str] = []
    for seed in range(150):
        lines += _told(random_scene(random.Random(seed)), WORDS)
    assert _digest(lines) == "446cf186a4dbf924"


def test_edits_keep_their_words() -> None:
    lines: list[str] = []
    for seed in range(200):
        case = random_edit(random.Random(seed))
        before = case.before or SceneGraph()
        own = instruct(before, case.edit, WORDS)
        lines += [case.instruction, own, str(wordings(own)), *(reword(own, i) for i in range(wordings(own)))]
        try:
            edit = read_instruction(case.instruction, before, WORDS)
        except GrammarError as e:
            lines.append(str(e))
            continue
        prompt = random_scene(random.Random(seed + 1))
        lines += [edit.model_dump_json(), apply(before, edit).key()]
        lines.append(inspect_text(prompt, before, edit, apply(before, edit), WORDS).model_dump_json())
    assert _digest(lines) == "0b2bd3d027d8b73a"
