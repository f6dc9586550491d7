"""The columns of the manifest, from the sample's one table of fields (`underpaint.schemas.corpus.fields`)."""

from __future__ import annotations

import pyarrow as pa
from pydantic import BaseModel

from underpaint.schemas.corpus.fields import FieldRow, field_rows


def arrow_fields(model: type[BaseModel]) -> list[pa.Field]:
    """Columns that hold the model's fields, none of them nullable."""
    return [pa.field(r.name, _arrow_type(r), nullable=False) for r in field_rows(model)]


def _arrow_type(r: FieldRow) -> pa.DataType:
    if r.items is not None:
        return pa.list_(pa.field("element", pa.struct(arrow_fields(r.items)), nullable=False))
    return pa.type_for_alias(r.dtype)
