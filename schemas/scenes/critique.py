"""A critique: what a judge says of one step. The judge's answer is this object as JSON.

Its fields come in the order in which the judge must think: observed, findings, verdict, analysis, correction.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from underpaint.schemas.markup import check_plain
from underpaint.schemas.scenes.compare import FaultKind


class Side(StrEnum):
    """What is judged: the step's text against the prompt, or its picture against the step's text."""

    TEXT = "text"
    PICTURE = "picture"


class Verdict(StrEnum):
    """`INCOMPLETE` agrees with the prompt but does not show all of it yet: it is not a fault."""

    CONSISTENT = "consistent"
    INCOMPLETE = "incomplete"
    CONFLICT = "conflict"


class Finding(BaseModel):
    """One fault, in one clause, e.g. ("wrong_attribute", "the car is blue, not red").

    A kind beyond `FaultKind` is one that a template declares, e.g. "wrong_perspective"; no scene graph can check it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Annotated[FaultKind | Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")], Field(union_mode="left_to_right")]
    detail: str = Field(min_length=1)


class Critique(BaseModel):
    """Raises ValidationError where the verdict and the rest disagree: a conflict has findings, and nothing else has.

    `correction` is "" where there is nothing to correct, and for a conflict only where the form of the answers has no
    place for one (a label under free prose). `extra` holds the answer fields that a template adds; an empty one is left
    out of what is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    observed: tuple[str, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    analysis: str = Field(min_length=1)
    correction: str
    extra: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consequent(self) -> Critique:
        conflict = self.verdict is Verdict.CONFLICT
        if conflict and not self.findings:
            raise ValueError("verdict 'conflict' without a finding")
        for text in filter(None, (self.analysis, self.correction, *(f.detail for f in self.findings))):
            check_plain(text)  # these texts become segments, which must not hold tags or control tokens
        if not conflict and (self.findings or self.correction):
            raise ValueError(f"verdict {self.verdict.value!r} with findings or a correction")
        return self

    @model_serializer(mode="wrap")
    def _without_empty_extra(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return written if self.extra else {name: written[name] for name in FIELDS}

    def to_json(self) -> str:
        """The critique as compact JSON, its fields in order."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


FIELDS = tuple(name for name in Critique.model_fields if name != "extra")  # of a judge's answer, in order
