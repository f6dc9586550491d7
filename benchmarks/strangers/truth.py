"""Holds every shipped sample against the truth, which is known here: what a person who reads them would look for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.strangers.painter import shown
from benchmarks.strangers.scenes import plain, understood, vocabulary
from underpaint.schemas.corpus.example import Example
from underpaint.schemas.corpus.reader import Reader
from underpaint.schemas.markup import parse_plan, parse_refine
from underpaint.schemas.scenes.compare import compare
from underpaint.schemas.scenes.edit import apply, read_instruction
from underpaint.schemas.scenes.scene import SceneGraph


def wrong_samples(corpus: Path) -> tuple[int, list[str]]:
    """(number of samples, what is wrong with each that is)."""
    examples = list(Reader(sorted(map(str, corpus.glob("**/*.tar")))))
    return len(examples), [f"{e.sample.id}: {why}" for e in examples for why in _faults(e)]


def _faults(e: Example) -> Iterator[str]:
    prompt, before, described, negative = understood(e.sample.prompt), SceneGraph(), SceneGraph(), False
    for segment in e.sample.segments:
        if segment.stage == "plan":
            instruction, description = parse_plan(segment.text)
            before, described = described, understood(description)
            done = apply(before, read_instruction(plain(instruction), before, vocabulary())) if _from_start(e) else None
            if done is not None and done.without("place").key() != described.without("place").key():
                yield f"step {segment.step}: {instruction!r} does not lead to {description!r}"
        elif segment.stage == "sketch" and segment.loss and shown(e.picture(segment.image)) != description:
            yield f"step {segment.step}: the picture shows {shown(e.picture(segment.image))!r}"
        elif segment.stage == "inspect":
            negative = segment.verdict == "conflict"
            if e.sample.subset == "conflict" and negative != bool(compare(described, prompt).faults):
                yield f"the verdict {segment.verdict} on {description!r}"
            if e.sample.subset == "alignment":
                drawn = understood(shown(e.picture(e.sample.images[0].name)))
                if negative == (drawn.key() == described.key()):
                    yield f"the verdict {segment.verdict} on a picture of {shown(e.picture(e.sample.images[0].name))!r}"
        elif segment.stage == "refine" and e.sample.subset == "conflict":
            mended = apply(before, read_instruction(plain(parse_refine(segment.text)), before, vocabulary()))
            if compare(mended, prompt).faults:
                yield f"the correction {segment.text!r} contradicts the prompt"
        elif segment.stage == "repaint" and shown(e.picture(segment.image)) != description:
            yield f"the corrected picture shows {shown(e.picture(segment.image))!r}"
    if e.sample.subset == "multi_turn" and described.without("place").key() != prompt.key():
        yield f"it ends in {description!r}"


def _from_start(e: Example) -> bool:
    """Whether the sample has all steps, so that what each begins with is known."""
    return e.sample.subset != "alignment"
