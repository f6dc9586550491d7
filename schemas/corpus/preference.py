"""Turns a negative of the alignment subset into a pair of pictures for preference training, such as DPO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from underpaint.schemas.corpus.sample import Sample
from underpaint.schemas.markup import parse_plan, parse_refine


@dataclass(frozen=True)
class Pair:
    """Two pictures for one text: `chosen` is the corrected picture, `rejected` the flawed draft, as files.

    `prompt` is the description that both were painted for: the scene as it should be after the step. A draft of an
    early step lacks parts of `whole_prompt` without being wrong, so pairs are not judged by `whole_prompt`.
    """

    id: str
    split: str
    prompt: str
    whole_prompt: str
    instruction: str
    analysis: str
    correction: str
    chosen: bytes
    rejected: bytes


def preference_pair(sample: Sample, pictures: Sequence[bytes]) -> Pair | None:
    """The pair, or None where the sample is not a negative of the alignment subset."""
    if (sample.subset, sample.polarity) != ("alignment", "negative"):
        return None
    files = {p.name: data for p, data in zip(sample.images, pictures, strict=True)}
    last = {s.stage: s for s in sample.segments}  # the plan and sketch under inspection are the last of their stage
    instruction, description = parse_plan(last["plan"].text)
    return Pair(
        id=sample.id, split=sample.split, prompt=description, whole_prompt=sample.prompt, instruction=instruction,
        analysis=last["inspect"].text, correction=parse_refine(last["refine"].text),
        chosen=files[last["repaint"].image], rejected=files[last["sketch"].image],
    )  # fmt: skip
