"""Derives docs, JSON Schema, declared features and Arrow columns from the fields of the sample's models."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from underpaint.schemas.corpus.sample import MAX_PICTURES, Picture, Sample, Score, Segment

MODELS: tuple[type[BaseModel], ...] = (Sample, Segment, Picture, Score)
_SCALARS = {str: "string", int: "int64", float: "float64", bool: "bool"}  # as pyarrow and `datasets` name them


@dataclass(frozen=True)
class FieldRow:
    """One field: `scalar` is its Python type, or None where `items` is the model that it lists."""

    name: str
    scalar: type | None
    items: type[BaseModel] | None
    choices: tuple[Any, ...]
    meaning: str

    @property
    def type_name(self) -> str:
        """The type as the docs word it: "string", "list of Segment", "`train` or `validation`"."""
        if self.items is not None:
            return f"list of {self.items.__name__}"
        if self.choices:
            words = [f"`{c}`" if c != "" else "empty" for c in self.choices]
            return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        return self.dtype

    @property
    def dtype(self) -> str:
        """The name that pyarrow and `datasets` have for the scalar, e.g. "int64"."""
        assert self.scalar is not None
        return _SCALARS[self.scalar]


def field_rows(model: type[BaseModel]) -> Iterator[FieldRow]:
    """The model's fields in their order."""
    for name, info in model.model_fields.items():
        scalar, items, choices = _kind(info.annotation)
        yield FieldRow(info.alias or name, scalar, items, choices, info.description or "")


def _kind(annotation: Any) -> tuple[type | None, type[BaseModel] | None, tuple[Any, ...]]:
    if isinstance(annotation, types.GenericAlias):  # tuple[Segment, ...]
        return None, get_args(annotation)[0], ()
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return type(choices[0]), None, choices
    return annotation, None, ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a sample (draft 2020-12)."""
    schema = Sample.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "underpaint/1"}


def markdown_tables() -> str:
    """The field tables of docs/format.md, one per model."""
    parts = []
    for model in MODELS:
        lines = [f"#### {model.__name__}", "", "| field | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{r.name}` | {r.type_name} | {r.meaning} |" for r in field_rows(model)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def huggingface_features(suffix: str = "webp") -> list[dict[str, Any]]:
    """The `features` of a dataset card: what a shard's row holds for `datasets`.

    All five pictures are declared, since `datasets` would silently drop one that the first five samples lack.
    """
    pictures = [{"name": f"img{i}.{suffix}", "dtype": "image"} for i in range(MAX_PICTURES)]
    names = [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
    return [{"name": "json", "struct": _features(Sample)}, *pictures, *names]


def _features(model: type[BaseModel]) -> list[dict[str, Any]]:
    return [
        {"name": r.name, **({"dtype": r.dtype} if r.items is None else {"list": _features(r.items)})}
        for r in field_rows(model)
    ]
