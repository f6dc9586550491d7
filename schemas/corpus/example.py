"""One sample as a shard holds it: its pictures as bytes, its JSON decoded, and both as types when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from PIL import Image
from pydantic import BaseModel
from pydantic_core import from_json

from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.corpus.sample import Picture, Sample, SampleError, Score, Segment
from underpaint.schemas.corpus.webdataset import decode

Model = TypeVar("Model", bound=BaseModel)
_FIELDS: dict[type[BaseModel], set[str]] = {m: set(m.model_fields) for m in (Sample, Segment, Picture, Score)}


class Position(NamedTuple):
    """Where a reader is: `given` samples of the block that begins at `sample` of the epoch's shard `shard`."""

    epoch: int = 0
    shard: int = 0  # in this reader's order of the epoch
    sample: int = 0  # in that shard
    given: int = 0


class Example:
    """What a reader gives. `sample` and the pictures' pixels are made on first use."""

    __slots__ = ("_sample", "fields", "key", "pictures", "position", "shard")

    def __init__(self, key: str, shard: str, members: Mapping[str, bytes], position: Position, verify: bool) -> None:
        """`members` by suffix ("img0.webp", "json"). Raises SampleError naming key and field.

        Without `verify` only that the JSON is there and parses is checked.
        """
        self.key, self.shard, self.position = key, shard, position
        self.pictures: dict[str, bytes] = {name: data for name, data in members.items() if name != "json"}
        self._sample: Sample | None = None
        if verify:
            self._sample, _ = decode({f"{key}.{name}": data for name, data in members.items()})
        try:
            self.fields: dict[str, Any] = from_json(members["json"], allow_inf_nan=False)
        except KeyError:
            raise SampleError(key, "json", f"is missing in {shard}: the sample has pictures only") from None
        except ValueError as e:
            raise SampleError(key, "json", f"does not parse, in {shard}: {e}") from None

    @property
    def sample(self) -> Sample:
        """The typed sample."""
        if self._sample is None:
            self._sample = trusted(self.fields)
        return self._sample

    def picture(self, name: str) -> Image.Image:
        """The pixels of "img0.webp": RGB, as stored. Raises PictureError, KeyError."""
        return decode_picture(self.pictures[name])

    def parts(self) -> Iterator[tuple[Segment, str | Image.Image]]:
        """Every segment with its text or its pixels."""
        for segment in self.sample.segments:
            yield segment, segment.text if segment.type == "text" else self.picture(segment.image)


def trusted(fields: Mapping[str, Any]) -> Sample:
    """The typed sample of a JSON that is known to be right, six times as fast as checking it.

    Equal to what validation gives; on a JSON that breaks the format, anything may come out.
    """
    images = [{**p, "scores": tuple(_bare(Score, s) for s in p["scores"])} for p in fields["images"]]
    typed = {
        **fields,
        "schema_": fields["schema"],
        "segments": tuple(_bare(Segment, s) for s in fields["segments"]),
        "images": tuple(_bare(Picture, p) for p in images),
    }
    del typed["schema"]
    return _bare(Sample, typed)


def _bare(model: type[Model], fields: dict[str, Any]) -> Model:
    """As unpickling does; pydantic's `model_construct` looks for defaults and aliases and takes four times as long."""
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", fields)
    object.__setattr__(made, "__pydantic_fields_set__", _FIELDS[model])
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made
