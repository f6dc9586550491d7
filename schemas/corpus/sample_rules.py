"""The rules of `underpaint/1` that types cannot express, such as which stages a subset has and what may carry loss.

Source: the paper's four stages, and the meaning of `loss` in docs/format.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from underpaint.schemas.corpus.subsets import SAMPLE_KINDS, SUBSETS, kinds_of
from underpaint.schemas.markup import MarkupError, check_plain, parse_plan, parse_refine

if TYPE_CHECKING:
    from underpaint.schemas.corpus.sample import Sample, Segment

PICTURE_STAGES = ("sketch", "repaint")


class FieldError(ValueError):
    """A broken rule; `field` names where, `message` says what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


def check_segment(s: Segment) -> None:
    """Raises FieldError where the fields of a segment do not go together."""
    expected = "image" if s.stage in PICTURE_STAGES else "text"
    if s.type != expected:
        raise FieldError("type", f"is {s.type!r}, but stage {s.stage!r} is {expected!r}")
    if (s.role == "user") != (s.stage == "prompt"):
        raise FieldError("role", f"is {s.role!r} in stage {s.stage!r}; the prompt alone is the user's")
    if (s.step == 0) != (s.stage == "prompt"):
        raise FieldError("step", f"is {s.step} in stage {s.stage!r}; the prompt has 0, the others count from 1")
    if s.type == "image":
        if s.text:
            raise FieldError("text", "must be empty in a picture segment")
        if not s.image:
            raise FieldError("image", "is empty; name the picture, e.g. 'img0.webp'")
    elif s.image:
        raise FieldError("image", "must be empty in a text segment")
    else:
        _check_text(s)
    if s.stage == "prompt" and s.loss:
        raise FieldError("loss", "is 1 on the prompt; the prompt is context and never a target")
    if s.op and s.stage != "plan":
        raise FieldError("op", f"is {s.op!r} in stage {s.stage!r}; only plans have an op")
    if (s.verdict != "") != (s.stage == "inspect"):
        raise FieldError("verdict", f"is {s.verdict!r} in stage {s.stage!r}; inspects have one, no other stage does")


def _check_text(s: Segment) -> None:
    check = {"plan": parse_plan, "refine": parse_refine}.get(s.stage, check_plain)
    try:
        check(s.text)
    except MarkupError as e:
        raise FieldError("text", str(e)) from None


def check_sample(sample: Sample) -> None:
    """Raises FieldError where the sample's parts contradict each other."""
    _check_head(sample)
    _check_sequence(sample)
    _check_pictures(sample)
    _check_kind(sample)


def _check_head(s: Sample) -> None:
    if s.id[:3] != (begin := SUBSETS[s.subset].abbreviation):
        raise FieldError("id", f"{s.id!r} does not begin with {begin!r}, as {s.subset} does")
    if (s.template == "") != (s.template_sha256 == ""):
        raise FieldError("template_sha256", "must be given with `template`, and empty without")


def _check_sequence(s: Sample) -> None:
    if s.segments[0].stage != "prompt":
        raise FieldError("segments.0.stage", f"is {s.segments[0].stage!r}; the first segment is the prompt")
    if s.prompt != s.segments[0].text:
        raise FieldError("prompt", "differs from segments[0].text")
    step = 0
    for i, segment in enumerate(s.segments[1:], 1):
        if segment.stage == "prompt":
            raise FieldError(f"segments.{i}.stage", "is a second prompt")
        if segment.step < step:
            raise FieldError(f"segments.{i}.step", f"is {segment.step} after {step}; steps do not go back")
        step = segment.step
    steps = len({segment.step for segment in s.segments[1:]})
    if s.n_steps != steps:
        raise FieldError("n_steps", f"is {s.n_steps}, but the segments have {steps} steps")
    last = s.segments[-1]
    if s.complete and last.type != "image":
        raise FieldError("complete", f"is true after a {last.stage!r}; a trajectory ends with a picture")


def _check_pictures(s: Sample) -> None:
    if s.n_images != len(s.images):
        raise FieldError("n_images", f"is {s.n_images}, but there are {len(s.images)} images")
    for i, picture in enumerate(s.images):
        suffix = "webp" if picture.encoding == "webp-lossless" else "jpg"
        if picture.name != f"img{i}.{suffix}":
            raise FieldError(f"images.{i}.name", f"is {picture.name!r} instead of 'img{i}.{suffix}'")
    shown = [segment.image for segment in s.segments if segment.type == "image"]
    names = [picture.name for picture in s.images]
    if list(dict.fromkeys(shown)) != names:
        raise FieldError("images", f"are {names}, but the segments show {shown}: every picture once, in this order")


def _check_kind(s: Sample) -> None:
    """Polarity, order and loss of the segments, as the subset declares them (`schemas.corpus.subsets`)."""
    kind = SAMPLE_KINDS.get(SUBSETS[s.subset].kind(s.polarity))
    if kind is None:
        known = " or ".join(repr(SAMPLE_KINDS[k].polarity) for k in kinds_of(s.subset))
        raise FieldError("polarity", f"is {s.polarity!r}; in {s.subset} it is {known}")
    verdicts = [segment.verdict for segment in s.segments if segment.stage == "inspect"]
    if verdicts and s.polarity != "none" and (verdicts[-1] == "conflict") != (s.polarity == "negative"):
        raise FieldError("polarity", f"is {s.polarity!r}, but the last verdict is {verdicts[-1]!r}")
    stages = " ".join(segment.stage for segment in s.segments)
    if not re.fullmatch(kind.order, stages):
        raise FieldError("segments", f"are {stages!r}; those of {kind.name} match {kind.order!r}")
    for i, segment in enumerate(s.segments):
        target = segment.stage not in kind.subset.context
        if segment.loss != target:
            role = "a target" if target else "context"
            message = f"is {segment.loss} on a {segment.stage}, which is {role} in {s.subset}"
            raise FieldError(f"segments.{i}.loss", message)
