"""One sample as a reader gives it: pictures as bytes, the JSON decoded; typed sample and pixels on demand."""

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
    """Where a reader is: it has given `given` samples of the block that begins at `sample` of shard number `shard`."""

    epoch: int = 0
    shard: int = 0  # in this reader's order of the epoch
    sample: int = 0  # in that shard
    given: int = 0


class Example:
    """One sample as a reader gives it. The typed `sample` is made on first use, pixels at each call."""

    __slots__ = ("_sample", "fields", "key", "pictures", "position", "shard")

    def __init__(self, key: str, shard: str, members: Mapping[str, bytes], position: Position, verify: bool) -> None:
        """`members` by suffix ("img0.webp", "json"). Raises SampleError naming key and field.

        Without `verify` it is only checked that the JSON is there and parses.
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
        """The picture with this name ("img0.webp"), decoded to RGB. Raises KeyError, or PictureError on bad bytes."""
        return decode_picture(self.pictures[name])

    def parts(self) -> Iterator[tuple[Segment, str | Image.Image]]:
        """(segment, its text or its decoded picture) for every segment, in order."""
        for segment in self.sample.segments:
            yield segment, segment.text if segment.type == "text" else self.picture(segment.image)


def trusted(fields: Mapping[str, Any]) -> Sample:
    """The typed sample of a JSON that is known to be right, made without checks and so six times as fast.

    It equals what validation gives. A JSON that breaks the format gives an undefined result.
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
    """A model without validation, made as unpickling makes it: four times as fast as pydantic's `model_construct`."""
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", fields)
    object.__setattr__(made, "__pydantic_fields_set__", _FIELDS[model])
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made
