"""Builds a whole sample from segments and pictures; the only place that fills in the derived fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from underpaint.schemas.corpus.picture import SUFFIXES, PictureError, picture_sha256, probe_picture
from underpaint.schemas.corpus.sample import (
    SCHEMA,
    OpName,
    Origin,
    Sample,
    SampleError,
    Score,
    Segment,
    SegmentStage,
    SplitName,
    SubsetName,
    VerdictName,
    canonical_json,
    content_sha256,
    first_fault,
)
from underpaint.schemas.corpus.subsets import Polarity


@dataclass(frozen=True)
class NewPicture:
    """A picture before it is part of a sample: the file's bytes and where they come from."""

    data: bytes
    origin: Origin
    model: str
    revision: str
    seed: int
    params: Mapping[str, Any] = field(default_factory=dict)
    scores: Sequence[Score] = ()


def text_segment(
    stage: SegmentStage, step: int, text: str, *, loss: Literal[0, 1], op: OpName = "", verdict: VerdictName = "",
    model: str = "", revision: str = "", seed: int = 0,
) -> Segment:  # fmt: skip
    """A text segment; plans and refines are given with their markup. Raises ValidationError naming the field."""
    return Segment(
        type="text", role="user" if stage == "prompt" else "assistant", stage=stage, step=step, text=text,
        image="", loss=loss, op=op, verdict=verdict, model=model, revision=revision, seed=seed,
    )  # fmt: skip


def image_segment(
    stage: SegmentStage, step: int, number: int, *, loss: Literal[0, 1], model: str = "", revision: str = "",
    seed: int = 0,
) -> Segment:  # fmt: skip
    """The segment of picture `number` (from 0, in order of appearance). Raises ValidationError naming the field."""
    return Segment(
        type="image", role="assistant", stage=stage, step=step, text="", image=f"img{number}.webp",
        loss=loss, op="", verdict="", model=model, revision=revision, seed=seed,
    )  # fmt: skip


def build_sample(
    *, id: str, subset: SubsetName, split: SplitName, polarity: Polarity, complete: bool,
    category: str, group: str, parent: str, segments: Sequence[Segment], pictures: Sequence[NewPicture],
    template: str = "", template_sha256: str = "", pipeline_commit: str, config_sha256: str,
    extra: Mapping[str, Any] | None = None,
) -> Sample:  # fmt: skip
    """A whole sample; prompt, counts, digests, sizes and the pictures' names are derived.

    Raises SampleError naming the sample and the field.
    """
    images = [_picture(id, i, p) for i, p in enumerate(pictures)]
    suffixed = {f"img{i}": image["name"] for i, image in enumerate(images)}
    parts = [s.model_dump() for s in segments]
    for part in parts:  # `image_segment` cannot know how the picture was encoded
        part["image"] = suffixed.get(part["image"].partition(".")[0], part["image"])
    fields: dict[str, Any] = {
        "schema": SCHEMA, "id": id, "subset": subset, "split": split, "polarity": polarity,
        "complete": complete, "category": category, "group": group, "parent": parent,
        "prompt": parts[0]["text"] if parts else "", "n_images": len(images),
        "n_steps": len({s.step for s in segments[1:]}), "template": template,
        "template_sha256": template_sha256, "pipeline_commit": pipeline_commit, "config_sha256": config_sha256,
        "extra": _json_text(id, "extra", extra or {}), "segments": parts, "images": images,
    }  # fmt: skip
    try:
        fields["content_sha256"] = content_sha256(fields)
        return Sample.model_validate_json(canonical_json(fields))
    except ValidationError as e:
        raise SampleError(id, *first_fault(e)) from None
    except (TypeError, ValueError) as e:
        raise SampleError(id, "the whole", f"is no JSON: {e}") from None


def _picture(key: str, number: int, new: NewPicture) -> dict[str, Any]:
    at = f"images.{number}"
    try:
        facts = probe_picture(new.data)
    except PictureError as e:
        raise SampleError(key, at, str(e)) from None
    if not facts.encoding:
        raise SampleError(key, f"{at}.encoding", "is not one of ours; write it with encode_picture")
    return {
        "name": f"img{number}.{SUFFIXES[facts.encoding]}",
        "sha256": picture_sha256(new.data),
        "width": facts.width,
        "height": facts.height,
        "bytes": len(new.data),
        "encoding": facts.encoding,
        "origin": new.origin,
        "model": new.model,
        "revision": new.revision,
        "seed": new.seed,
        "params": _json_text(key, f"{at}.params", new.params),
        "scores": [score.model_dump() for score in new.scores],
    }


def _json_text(key: str, field: str, value: Mapping[str, Any]) -> str:
    try:
        return canonical_json(dict(value)).decode()
    except (TypeError, ValueError) as e:
        raise SampleError(key, field, f"is no JSON: {e}") from None
