"""A sample whose flawed draft is repainted, as a pair of pictures for preference training (DPO and its kin)."""

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
    """The pair, or None where the sample has no repaint."""
    last = {s.stage: s for s in sample.segments}  # the examined plan and sketch come last of their kind
    if "repaint" not in last:
        return None
    files = {p.name: data for p, data in zip(sample.images, pictures, strict=True)}
    instruction, description = parse_plan(last["plan"].text)
    return Pair(
        id=sample.id, split=sample.split, prompt=description, whole_prompt=sample.prompt, instruction=instruction,
        analysis=last["inspect"].text, correction=parse_refine(last["refine"].text),
        chosen=files[last["repaint"].image], rejected=files[last["sketch"].image],
    )  # fmt: skip
