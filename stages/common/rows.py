"""Typed rows: a table's columns are declared once, as a TypedDict, from which its Arrow schema follows.

One row's identity is (sample, rollout, step), as far as it has them: `sample` is the index in the stream, `rollout`
counts the policy's attempts at a prompt from 0, `step` counts from 1. Every table begins with `sample`. Scene graphs
are the JSON of `schemas.scenes.scene.SceneGraph`, critiques that of `schemas.scenes.critique.Critique`. Pictures are
encoded files (lossless WebP), RGB, stored once: in the table of the stage that painted them.
"""

from __future__ import annotations

from types import NoneType
from typing import Annotated, Any, TypedDict, TypeVar, cast, get_args, get_type_hints

import pyarrow as pa

Int16 = Annotated[int, pa.int16()]
Float32 = Annotated[float, pa.float32()]
Floats32 = Annotated[list[float], pa.list_(pa.float32())]
TYPES: dict[Any, pa.DataType] = {
    int: pa.int64(), str: pa.string(), bytes: pa.binary(), bool: pa.bool_(), list[str]: pa.list_(pa.string()),
}  # fmt: skip


class SampleRow(TypedDict):
    """A row about one sample of the stream."""

    sample: int


class StepRow(SampleRow):
    """A row about one step of a plan."""

    step: Int16


class RolloutStepRow(SampleRow):
    """A row about one step of one rollout."""

    rollout: Int16
    step: Int16


class PictureColumns(TypedDict):
    """A picture that was painted."""

    picture: bytes
    seed: int


Row = TypeVar("Row")
Key = tuple[int, int, int]  # sample, rollout, step


def schema_of(row: type) -> pa.Schema:
    """The Arrow schema of a row's class: its columns in order, nullable where None is allowed.

    Raises KeyError for a column whose type is neither in `TYPES` nor annotated with an Arrow type.
    """
    return pa.schema([_field(name, hint) for name, hint in get_type_hints(row, include_extras=True).items()])


def _field(name: str, hint: Any) -> pa.Field:
    kinds = get_args(hint)
    nullable = NoneType in kinds
    if nullable:
        hint = kinds[0]
    stated = next((x for x in getattr(hint, "__metadata__", ()) if isinstance(x, pa.DataType)), None)
    return pa.field(name, stated or TYPES[hint], nullable=nullable)


def rows(table: pa.Table, row: type[Row]) -> list[Row]:
    """A table's rows under their type. A table read with some columns only has no others, whatever the type says."""
    return cast(list[Row], table.to_pylist())


def step_of(row: RolloutStepRow) -> RolloutStepRow:
    """The columns that say which step of which rollout a row is about, and no others."""
    return {"sample": row["sample"], "rollout": row["rollout"], "step": row["step"]}


def key_of(row: RolloutStepRow) -> Key:
    """(sample, rollout, step), to look a row up by."""
    return row["sample"], row["rollout"], row["step"]
