"""The sample of the corpus, `underpaint/1`: the content of one JSON member of a shard.

From the names, types and descriptions here, `schemas.corpus.fields` derives the JSON Schema, the declared features of
the dataset card, the manifest's columns and the tables of docs/format.md.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from underpaint.schemas.corpus.picture import SIDE_MULTIPLE, Encoding
from underpaint.schemas.corpus.sample_rules import FieldError, check_sample, check_segment
from underpaint.schemas.corpus.subsets import ABBREVIATION, SUBSETS, Polarity

SCHEMA = "underpaint/1"
MAX_PICTURES = 5  # one digit, so that sorted members keep their order

if TYPE_CHECKING:
    SubsetName = str
else:
    SubsetName = Literal[tuple(SUBSETS)]
SplitName = Literal["train", "validation"]
SegmentStage = Literal["prompt", "plan", "sketch", "inspect", "refine", "repaint"]
OpName = Literal["", "add", "modify", "swap", "remove"]
VerdictName = Literal["", "consistent", "conflict", "incomplete"]
Origin = Literal["t2i", "edit", "self_sample", "correction"]


def _real_float(value: Any) -> Any:
    # Some readers infer a column's type from its first value: after a 1 they would read 0.5 as 0.
    if type(value) is not float:
        raise ValueError(f"is {value!r}; write a float, with its decimal point")
    return value


def _real_int(value: Any) -> Any:
    if type(value) is not int:
        raise ValueError(f"is {value!r}; write 0 or 1")
    return value


def _json_object(value: Any) -> Any:
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except json.JSONDecodeError as e:
            raise ValueError(f"holds no JSON: {e.msg} at character {e.pos}") from None
        if not isinstance(inner, dict):
            raise ValueError(f"holds JSON of type {type(inner).__name__}; write an object, '{{}}' if there is nothing")
    return value


Seed = Annotated[int, Field(ge=0, lt=2**63)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PictureSide = Annotated[int, Field(gt=0, multiple_of=SIDE_MULTIPLE)]
CodeVersion = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9][0-9a-z.]*\+sha256\.[0-9a-f]{64})$")]
Filled = Annotated[str, Field(min_length=1)]
JsonObject = Annotated[str, BeforeValidator(_json_object)]


class Strict(BaseModel):
    """Frozen, no unknown key, no coercion, every key required: what is read is what was written."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(Strict):
    """One measurement of one picture. "Not measured" is the absence of a row."""

    name: Filled = Field(description="what was measured, e.g. `clip_description`, `judge_agreement`, `judge_graded`")
    model: str = Field(description="the model that measured")
    revision: str = Field(description="its revision")
    value: Annotated[float, BeforeValidator(_real_float)] = Field(description="the measurement, finite")


class Picture(Strict):
    """One picture member beside the JSON."""

    name: Annotated[str, Field(pattern=r"^img[0-4]\.(webp|jpg)$")] = Field(
        description="member suffix, `img0.webp` … in order of appearance"
    )
    sha256: Sha256 = Field(description="of the member's bytes")
    width: PictureSide = Field(description="pixels, a multiple of 16")
    height: PictureSide = Field(description="pixels, a multiple of 16")
    bytes: Annotated[int, Field(gt=0)] = Field(description="size of the member")
    encoding: Encoding = Field(description="how the file was made; always RGB, 8 bit, no metadata")
    origin: Origin = Field(
        description="from text alone, as an edit of the picture before, by the policy itself, or as a repair"
    )
    model: Filled = Field(description="who painted it")
    revision: str = Field(description="the painter's revision: a commit or the digest of its checkpoint")
    seed: Seed = Field(description="the painter's seed")
    params: JsonObject = Field(description="JSON object: steps, guidance, scheduler, …")
    scores: tuple[Score, ...] = Field(description="measurements of this picture")


class Segment(Strict):
    """A text or a picture, as target or as context. Made by `text_segment`, `image_segment`."""

    type: Literal["text", "image"] = Field(description="which of `text` and `image` holds the content")
    role: Literal["user", "assistant"] = Field(description="`user` for the prompt, else `assistant`")
    stage: SegmentStage = Field(description="the stage of the cycle it belongs to")
    step: Annotated[int, Field(ge=0)] = Field(description="0 for the prompt, then the cycle it belongs to, from 1")
    text: str = Field(description="the text with its markup; empty for pictures")
    image: Annotated[str, Field(pattern=r"^(img[0-4]\.(webp|jpg))?$")] = Field(
        description="the picture's name in `images`; empty for texts"
    )
    loss: Annotated[Literal[0, 1], BeforeValidator(_real_int)] = Field(
        description="1: the content and the control token that announces it are targets; 0: context only"
    )
    op: OpName = Field(description="on plans: what the step does to the picture")
    verdict: VerdictName = Field(
        description="on inspects: `incomplete` is right so far, parts are to come; only `conflict` is a fault"
    )
    model: str = Field(description="who wrote or painted it; empty for the prompt")
    revision: str = Field(description="its revision")
    seed: Seed = Field(description="its seed, 0 if none was used")

    @model_validator(mode="after")
    def _consistent(self) -> Segment:
        check_segment(self)
        return self


class Sample(Strict):
    """One training sample. Raises ValidationError; `first_fault` says at which field."""

    schema_: Literal["underpaint/1"] = Field(alias="schema", description="version of this format")
    id: Annotated[str, Field(pattern=rf"^({ABBREVIATION})-\d{{8}}$")] = Field(
        description="the key of its members, unique in the corpus; it begins with the subset's abbreviation"
    )
    subset: SubsetName = Field(description="which task it teaches")
    split: SplitName = Field(description="all samples of one `group` are in one split")
    polarity: Polarity = Field(description="`positive`: what is inspected is right; `none` where nothing is inspected")
    complete: bool = Field(description="the trajectory ends after the last segment, so the stop label may follow")
    category: Filled = Field(description="kind of prompt, e.g. `counting`")
    group: Filled = Field(description="family of prompts; the unit of splitting and of decontamination")
    parent: str = Field(description="the trajectory it was taken from; empty if none")
    prompt: Filled = Field(description="copy of `segments[0].text`")
    n_images: Annotated[int, Field(ge=0, le=MAX_PICTURES)] = Field(description="length of `images`")
    n_steps: Annotated[int, Field(ge=1)] = Field(
        description="number of different steps in `segments`, the prompt aside"
    )
    template: str = Field(description="id of the critique template; empty if none")
    template_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = Field(
        description="digest of that template; empty if none"
    )
    pipeline_commit: CodeVersion = Field(
        description="commit of the code that made it, or its release and digest: `0.1.0+sha256.…`"
    )
    config_sha256: Sha256 = Field(description="digest of the recipe that made it")
    extra: JsonObject = Field(
        description="JSON object for anything irregular: scene graph, the critique (a template's further answer fields"
        " are its `extra`), raw answers of the judge and the kinds of what was bent to read them (`bends`), …"
    )
    content_sha256: Sha256 = Field(
        description="of this JSON without this field: sorted keys, no blanks, UTF-8; pictures by their `sha256`"
    )
    segments: Annotated[tuple[Segment, ...], Field(min_length=2)] = Field(description="the sequence, in order")
    images: Annotated[tuple[Picture, ...], Field(max_length=MAX_PICTURES)] = Field(
        description="the pictures, in order of appearance"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Sample:
        check_sample(self)
        digest = content_sha256(self.to_dict())
        if digest != self.content_sha256:
            raise FieldError("content_sha256", f"is {self.content_sha256}, but the content gives {digest}")
        return self

    def to_dict(self) -> dict[str, Any]:
        """The sample as plain JSON values, with "schema" as the name of its first field."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json_bytes(self) -> bytes:
        """Canonical UTF-8 JSON: sorted keys, no blanks, no NaN."""
        return canonical_json(self.to_dict())


def canonical_json(value: Any) -> bytes:
    """JSON in UTF-8 with sorted keys and without blanks. Raises ValueError on NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_sha256(fields: dict[str, Any]) -> str:
    """The digest of a sample's content, from its fields as read from JSON."""
    return hashlib.sha256(canonical_json({k: v for k, v in fields.items() if k != "content_sha256"})).hexdigest()


def sample_id(subset: SubsetName, number: int) -> str:
    """("conflict", 12) → "iic-00000012". Raises ValueError outside eight digits."""
    if not 0 <= number < 10**8:
        raise ValueError(f"sample number {number} does not fit the eight digits of an id")
    return f"{SUBSETS[subset].abbreviation}-{number:08d}"


class SampleError(ValueError):
    """A sample that breaks the format: which one, at which field, and what to do."""

    def __init__(self, key: str, field: str, message: str) -> None:
        super().__init__(f"{key}: {field}: {message}")
        self.key, self.field, self.message = key, field, message

    def __reduce__(self) -> tuple[type[SampleError], tuple[str, str, str]]:
        return SampleError, (self.key, self.field, self.message)  # so that it can be pickled between processes


def first_fault(error: ValidationError) -> tuple[str, str]:
    """(field, message) of the first error, e.g. ("segments.2.loss", "is 1 on a plan, …")."""
    fault = error.errors(include_url=False)[0]
    path = [str(part) for part in fault["loc"]]
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, FieldError):
        return ".".join([*path, cause.field]), cause.message
    if fault["type"] == "missing":
        message = "is missing; every field is always there"
    elif fault["type"] == "extra_forbidden":
        message = f"is no field of {SCHEMA}; irregular things go into `extra`"
    elif cause is not None:
        message = str(cause)
    else:
        message = f"{fault['msg']}, got {str(fault['input'])[:80]!r}"
    return ".".join(path), message
