"""Writes a sample as members of a tar and reads it back: pictures first, the JSON last, named by the sample's id."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from underpaint.schemas.corpus.picture import picture_sha256
from underpaint.schemas.corpus.sample import Sample, SampleError, first_fault
from underpaint.schemas.corpus.subsets import ABBREVIATION

# A dot in the key would merge samples: readers take all before the first dot for the key.
MEMBER = re.compile(rf"((?:{ABBREVIATION})-\d{{8}})\.(img[0-4]\.(?:webp|jpg)|json)")


def encode(sample: Sample, pictures: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """(member name, bytes) in the order of the tar. Raises SampleError where pictures and sample disagree."""
    if len(pictures) != sample.n_images:
        raise SampleError(sample.id, "images", f"names {sample.n_images} pictures, {len(pictures)} are given")
    _check_pictures(sample, pictures)
    members = [(f"{sample.id}.{p.name}", data) for p, data in zip(sample.images, pictures, strict=True)]
    return [*members, (f"{sample.id}.json", sample.to_json_bytes())]


def decode(members: Mapping[str, bytes]) -> tuple[Sample, list[bytes]]:
    """The sample and its pictures from the members of one key, by full name ("mtg-00000001.img0.webp").

    Raises SampleError naming key and field where names, JSON, or the size or digest of a picture are wrong.
    """
    key, parts = next(iter(members), "").partition(".")[0], {}
    for name, data in members.items():
        own, suffix = split_member(name)
        parts[suffix] = data
        if own != key:
            raise SampleError(own, "member", f"{name!r} is not of sample {key!r}")
    if "json" not in parts:
        raise SampleError(key, "json", "is missing: the sample has pictures only")
    sample = decode_json(key, parts.pop("json"))
    names = [p.name for p in sample.images]
    for name in names:
        if name not in parts:
            raise SampleError(key, "images", f"{name} is named, but there is no such member")
    for name in parts:
        if name not in names:
            raise SampleError(key, "images", f"member {name} is not named")
    pictures = [parts[name] for name in names]
    _check_pictures(sample, pictures)
    return sample, pictures


def decode_json(key: str, data: bytes) -> Sample:
    """The sample of a JSON member. Raises SampleError naming the field."""
    load_json(key, data)
    try:
        sample = Sample.model_validate_json(data)
    except ValidationError as e:
        raise SampleError(key, *first_fault(e)) from None
    if sample.id != key:
        raise SampleError(key, "id", f"is {sample.id!r}, but the member's key is {key!r}")
    return sample


def load_json(key: str, data: bytes) -> dict[str, Any]:
    """The decoded JSON object. Raises SampleError on NaN and on duplicate keys, which most parsers let pass."""

    def refuse(constant: str) -> None:
        raise ValueError(f"holds {constant}, which is not JSON")

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(found)
        if len(fields) != len(found):
            names = [name for name, _ in found]
            raise ValueError(f"has a key twice: {sorted({n for n in names if names.count(n) > 1})}")
        return fields

    try:
        fields = json.loads(data, parse_constant=refuse, object_pairs_hook=pairs)
    except ValueError as e:  # includes broken UTF-8 and broken JSON
        raise SampleError(key, "json", f"does not parse: {e}") from None
    if not isinstance(fields, dict):
        raise SampleError(key, "json", f"is a {type(fields).__name__}, not an object")
    return fields


def split_member(name: str) -> tuple[str, str]:
    """ "mtg-00000001.img0.webp" → ("mtg-00000001", "img0.webp"). Raises SampleError on any other shape."""
    match = MEMBER.fullmatch(name)
    if match is None:
        message = f"{name!r} is not <abbreviation>-<8 digits>.imgN.webp, .imgN.jpg or .json"
        raise SampleError(name.partition(".")[0], "member", message)
    return match[1], match[2]


def _check_pictures(sample: Sample, pictures: Sequence[bytes]) -> None:
    for i, (picture, data) in enumerate(zip(sample.images, pictures, strict=True)):
        if len(data) != picture.bytes:
            raise SampleError(sample.id, f"images.{i}.bytes", f"is {picture.bytes}, the member has {len(data)}")
        digest = picture_sha256(data)
        if digest != picture.sha256:
            message = f"is {picture.sha256}, the bytes of {picture.name} give {digest}"
            raise SampleError(sample.id, f"images.{i}.sha256", message)
