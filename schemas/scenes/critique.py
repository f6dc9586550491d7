"""A critique: what a judge says of one step. The judge's answer is this object as JSON.

Its fields come in the order in which the judge must think: observed, findings, verdict, analysis, correction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from underpaint.schemas.markup import check_plain
from underpaint.schemas.scenes.answer import parse_answer
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
    """Raises ValidationError where the verdict and the rest disagree: a conflict names findings and a correction."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    observed: tuple[str, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    analysis: str = Field(min_length=1)
    correction: str

    @model_validator(mode="after")
    def _consequent(self) -> Critique:
        conflict = self.verdict is Verdict.CONFLICT
        if conflict and not self.findings:
            raise ValueError("verdict 'conflict' without a finding")
        if conflict and not self.correction:
            raise ValueError("verdict 'conflict' without a correction")
        for text in filter(None, (self.analysis, self.correction, *(f.detail for f in self.findings))):
            check_plain(text)  # these texts become segments, which must not hold tags or control tokens
        if not conflict and (self.findings or self.correction):
            raise ValueError(f"verdict {self.verdict.value!r} with findings or a correction")
        return self

    def to_json(self) -> str:
        """The critique as compact JSON, its fields in order."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


class CritiqueError(ValueError):
    """A judge's answer that is no critique; the message names the field that is wrong."""


def critique_schema(kinds: Sequence[str] = ()) -> dict[str, Any]:
    """JSON Schema of a judge's answer whose findings may also be of the given kinds.

    It holds only what a guided decoder can follow: that a conflict has findings and a correction, the parser checks.
    """
    schema = Critique.model_json_schema()
    schema["$defs"].pop(FaultKind.__name__)
    schema["$defs"]["Finding"]["properties"]["kind"] = {"enum": [*FaultKind, *kinds]}
    return schema


def parse_critique(answer: str, kinds: Sequence[str] = ()) -> Critique:
    """The critique in a judge's answer: one JSON object, bare or inside a ``` fence.

    Raises CritiqueError naming the field that is missing or wrong, the place where the JSON breaks, or a finding's kind
    that is neither in `FaultKind` nor in `kinds`.
    """
    critique = parse_answer(answer, Critique, CritiqueError)
    for finding in critique.findings:
        if finding.kind not in (*FaultKind, *kinds):
            raise CritiqueError(f"findings: unknown kind {finding.kind!r}; there are {', '.join([*FaultKind, *kinds])}")
    return critique
