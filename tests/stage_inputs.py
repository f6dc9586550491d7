"""What a stage is given, by hand: small tables, models that answer from a list, and how it is run. No Ray, no disk.

All that tests of single stages know of contexts and tables is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from underpaint.schemas.corpus.picture import encode_picture
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.roles import AskRequest, Models, PaintRequest
from underpaint.stages.common.stage import Context, Lot, Outcome, Stage
from underpaint.stages.common.templating import BUILT_IN, load_templates

Row = dict[str, Any]
TORN = b"no picture at all"


def table(stage: str, rows: Sequence[Row]) -> pa.Table:
    """Rows of a stage's table; columns that a test does not care for are empty, false or 0."""
    return filled(STAGES[stage].schema, rows)


def filled(schema: pa.Schema, rows: Sequence[Row]) -> pa.Table:
    unknown = {c for r in rows for c in r} - set(schema.names)
    assert not unknown, f"there is no column {unknown}"
    return pa.Table.from_pylist([{f.name: _empty(f) for f in schema} | r for r in rows], schema)


def _empty(field: pa.Field) -> Any:
    if field.nullable:
        return None
    if pa.types.is_list(field.type):
        return []
    if pa.types.is_binary(field.type):
        return b""
    if field.name == "checked_by":
        return "grammar"
    return "" if pa.types.is_string(field.type) else False if pa.types.is_boolean(field.type) else 0


def run_stage(
    stage: Stage[Any], vocabulary: Vocabulary, inputs: Mapping[str, Sequence[Row]],
    models: Mapping[str, Any] | None = None, **params: Any,
) -> Outcome:  # fmt: skip
    """Run a stage on rows by table; tables that are not given are empty. The ledger balances, or `Outcome` raises."""
    given = {name: table(name, inputs.get(name, ())) for name in stage.inputs}
    if "canaries" in stage.params.model_fields:
        params = {"canaries": 0, **params}  # tests of canaries say so
    settings, templates = stage.params(**params), load_templates([BUILT_IN])
    context = Context(stage.name, 7, Lot(0, 8), settings, vocabulary, Models(**(models or {})), templates)
    made = stage.run(context, given)
    assert made.table.schema.equals(stage.schema)
    return made


def failures(made: Outcome) -> list[str]:
    """The classes of all errors, in order."""
    return [f.error for f in made.ledger.failures]


def scene(text: str, vocabulary: Vocabulary) -> str:
    return json.dumps(read(text, vocabulary).model_dump(mode="json"))


def shade(red: int) -> bytes:
    """The file of a picture that `redness` tells from others."""
    return encode_picture(Image.new("RGB", (16, 16), (red, 0, 0)))


def redness(picture: Image.Image) -> int:
    return int(picture.getpixel((0, 0))[0])  # type: ignore[index]


def critique(verdict: str = "consistent", kind: str = "wrong_count", correction: str = "Add a cup.") -> str:
    """A judge's answer; a conflict has one finding of this kind."""
    against = verdict == "conflict"
    return json.dumps(
        {
            "observed": [],
            "findings": [{"kind": kind, "detail": "so it is"}] if against else [],
            "verdict": verdict,
            "analysis": "Thus.",
            "correction": correction if against else "",
        }
    )


class Scorer:
    """Vectors by the redness of a picture, and by text. Like real ones it embeds no empty batch of pictures."""

    def __init__(self, pictures: Mapping[int, Sequence[float]], texts: Mapping[str, Sequence[float]]) -> None:
        self.pictures, self.texts = pictures, texts

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        assert pictures
        return np.array([self.pictures[redness(p)] for p in pictures], np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.texts[t] for t in texts], np.float32).reshape(len(texts), 2)


class Judge:
    """Answers as the function says; `batches` are the requests of every call."""

    def __init__(self, answer: Callable[[AskRequest], str]) -> None:
        self.answer, self.batches = answer, []  # type: Callable[[AskRequest], str], list[list[AskRequest]]

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        self.batches.append(list(requests))
        return [self.answer(r) for r in requests]


class Painter:
    """Paints the shade that the function says; `asked` are all requests."""

    def __init__(self, shade: Callable[[PaintRequest], int]) -> None:
        self.shade, self.asked = shade, []  # type: Callable[[PaintRequest], int], list[PaintRequest]

    def paint(self, requests: Sequence[PaintRequest]) -> list[Image.Image]:
        self.asked += requests
        return [Image.new("RGB", (16, 16), (self.shade(r), 0, 0)) for r in requests]
