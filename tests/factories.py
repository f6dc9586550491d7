"""Tiny valid samples of every kind, with the segment order and loss flags of docs/format.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from underpaint.pipeline.corpus.card import CorpusInfo
from underpaint.pipeline.corpus.corpus_files import begin_corpus, finish_corpus
from underpaint.pipeline.corpus.shard import Load, Ref, plan_shards, write_shard
from underpaint.schemas.corpus.picture import encode_picture
from underpaint.schemas.corpus.sample import Sample, Score, Segment, SubsetName, sample_id
from underpaint.schemas.corpus.sample_builder import NewPicture, build_sample, image_segment, text_segment
from underpaint.schemas.markup import plan_text, refine_text

COMMIT = "0" * 40
RECIPE = "1" * 64
INFO = CorpusInfo("tiny", RECIPE, COMMIT)
SHARDS = {(s, p): 2 for s in ("multi_turn", "conflict", "alignment") for p in ("train", "validation")}
FIRST = "multi_turn/mtg-train-000000.tar"
PROMPT = "A red car, two green fish and a cup on a sand background."


@lru_cache(maxsize=512)
def picture(number: int, encoding: Literal["webp-lossless", "jpeg95_444"] = "webp-lossless") -> bytes:
    """A 16x16 picture that no other number has."""
    image = Image.new("RGB", (16, 16), (number % 256, number // 256 % 256, 90))
    image.putpixel((number % 16, 3), (255, 255, 255))
    return encode_picture(image, encoding)


def new_picture(number: int, origin: Any = "edit", **more: Any) -> NewPicture:
    scores = [Score(name="clip_description", model="tiny-clip", revision="r0", value=0.25)]
    return NewPicture(picture(number, **more), origin, "tiny-painter", "r1", number, {"steps": 4}, scores)


def prompt(text: str = PROMPT) -> Segment:
    return text_segment("prompt", 0, text, loss=0)


def plan(step: int, loss: Literal[0, 1]) -> Segment:
    text = plan_text(f"Add thing {step}.", f"A scene with {step} things.")
    return text_segment("plan", step, text, loss=loss, op="add", model="tiny-writer", revision="r2", seed=step)


def multi_turn(number: int = 0, pictures: int = 3, split: Any = "train", **more: Any) -> tuple[Sample, list[bytes]]:
    segments = [prompt()]
    for step in range(1, pictures + 1):
        segments += [plan(step, 1), image_segment("sketch", step, step - 1, loss=1, model="tiny-painter")]
    drafts = [new_picture(10 * number + i, "edit" if i else "t2i") for i in range(pictures)]
    return _sample("multi_turn", number, "none", segments, drafts, split=split, complete=True, **more)


def conflict(number: int = 0, negative: bool = True, split: Any = "train", **more: Any) -> tuple[Sample, list[bytes]]:
    """The text of step 2 is examined; step 1 is history."""
    history = [prompt(), plan(1, 0), image_segment("sketch", 1, 0, loss=0, model="tiny-painter")]
    segments = [*history, plan(2, 0), *_inspection(2, negative)]
    drafts = [new_picture(10 * number, "self_sample")]
    return _sample("conflict", number, _polarity(negative), segments, drafts, split=split, **more)


def alignment(number: int = 0, negative: bool = True, split: Any = "train", **more: Any) -> tuple[Sample, list[bytes]]:
    """The draft of step 1 is examined, and repainted where it is flawed."""
    segments = [prompt(), plan(1, 0), image_segment("sketch", 1, 0, loss=0, model="tiny-painter")]
    segments += _inspection(1, negative)
    drafts = [new_picture(10 * number, "self_sample")]
    if negative:
        segments.append(image_segment("repaint", 1, 1, loss=1, model="tiny-painter"))
        drafts.append(new_picture(10 * number + 1, "correction"))
    return _sample("alignment", number, _polarity(negative), segments, drafts, split=split, **more)


def _inspection(step: int, negative: bool) -> list[Segment]:
    if not negative:
        text = "Right so far; a cup is still to come."
        return [text_segment("inspect", step, text, loss=1, verdict="incomplete", model="tiny-judge")]
    wrong = text_segment("inspect", step, "The car is blue, not red.", loss=1, verdict="conflict", model="tiny-judge")
    return [wrong, text_segment("refine", step, refine_text("Make the car red."), loss=1, model="tiny-judge")]


def _polarity(negative: bool) -> Literal["positive", "negative"]:
    return "negative" if negative else "positive"


def _sample(
    subset: SubsetName, number: int, polarity: Any, segments: Sequence[Segment], pictures: Sequence[NewPicture],
    **more: Any,
) -> tuple[Sample, list[bytes]]:  # fmt: skip
    judged: dict[str, Any] = {} if polarity == "none" else {"template": "judge-a", "template_sha256": "2" * 64}
    settings: dict[str, Any] = {
        "complete": False, "category": "counting", "group": f"g{number}-{more.get('split')}", "parent": "", "extra": {},
        "pipeline_commit": COMMIT, "config_sha256": RECIPE, **judged, **more,
    }  # fmt: skip
    sample = build_sample(
        id=sample_id(subset, number), subset=subset, polarity=polarity, segments=segments, pictures=pictures, **settings
    )
    return sample, [p.data for p in pictures]


SAMPLES_OF_ALL_KINDS = (
    multi_turn,
    lambda n, **m: conflict(n, True, **m),
    lambda n, **m: conflict(n, False, **m),
    lambda n, **m: alignment(n, True, **m),
    lambda n, **m: alignment(n, False, **m),
)


def corpus(size: int = 8) -> list[tuple[Sample, list[bytes]]]:
    """`size` samples a kind for training and two a kind for validation; the trajectories have 1 to 5 pictures."""
    samples = []
    for split, first, count in (("train", 0, size), ("validation", 10_000, 2)):
        for i in range(count):
            n = first + 2 * i
            samples += [multi_turn(n, 1 + i % 5, split), multi_turn(n + 1, 3, split)]
            samples += [conflict(n, True, split), conflict(n + 1, False, split)]
            samples += [alignment(n, True, split), alignment(n + 1, False, split)]
    return samples


def refs(samples: Iterable[tuple[Sample, list[bytes]]]) -> list[Ref]:
    return [Ref(s.id, s.subset, s.split, s.n_images, payload=(s, p)) for s, p in samples]


def load(asked: Sequence[Ref]) -> Iterable[tuple[Sample, Sequence[bytes]]]:
    return (ref.payload for ref in asked)


def write_corpus(
    out: Path, refs: Iterable[Ref], load: Load, shards: Mapping[tuple[str, str], int], info: CorpusInfo
) -> None:
    staging = begin_corpus(out)
    finish_corpus(staging, out, [write_shard(staging, plan, load) for plan in plan_shards(refs, shards)], info)


def write_tiny_corpus(out: Path, samples: Iterable[tuple[Sample, list[bytes]]] | None = None) -> Path:
    write_corpus(out, refs(corpus() if samples is None else samples), load, SHARDS, INFO)
    return out
