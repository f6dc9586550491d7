"""croissant.json describes the corpus to dataset search engines, in MLCommons' Croissant 1.0.

Its records are the manifest's plain columns. The shards are only listed with their digests: Croissant cannot express
that a sample is several members of a tar, one of which is a JSON that gives their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from underpaint.schemas.corpus.fields import field_rows
from underpaint.schemas.corpus.sample import Sample

CROISSANT, MANIFEST = "croissant.json", "manifest.parquet"
POSITION = (("shard", str, "path of the shard in the corpus"), ("position", int, "of the sample in its shard, from 0"))
_TYPES: dict[type, str] = {str: "sc:Text", int: "sc:Integer", float: "sc:Float", bool: "sc:Boolean"}
_OWN_TERMS = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format",
    "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
# The specification prescribes this context word for word: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
JSON_LD_CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{term: f"cr:{term}" for term in _OWN_TERMS},
}  # fmt: skip


@dataclass(frozen=True)
class ListedFile:
    """A file of the corpus; `path` is relative to the corpus folder."""

    path: str
    bytes: int
    sha256: str


def croissant(name: str, description: str, license: str, shards: Iterable[ListedFile], manifest: str) -> dict[str, Any]:
    """The whole document; `manifest` is the SHA-256 of manifest.parquet."""
    return {
        "@context": JSON_LD_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        **({"license": license} if license else {}),
        "distribution": distribution(shards, manifest),
        "recordSet": record_set(),
    }


def distribution(shards: Iterable[ListedFile], manifest: str) -> list[dict[str, Any]]:
    """The files: the manifest and every shard."""
    listed = [_file(MANIFEST, "application/x-parquet", manifest)]
    return listed + [_file(s.path, "application/x-tar", s.sha256) | {"contentSize": f"{s.bytes} B"} for s in shards]


def record_set() -> list[dict[str, Any]]:
    """The records: one per sample, with one field for each column that holds a plain value."""
    plain = [(r.name, r.scalar, r.meaning) for r in field_rows(Sample) if r.scalar is not None and r.name != "extra"]
    fields = [
        {
            "@type": "cr:Field", "@id": f"samples/{name}", "name": name, "description": meaning,
            "dataType": _TYPES[kind],
            "source": {"fileObject": {"@id": MANIFEST}, "extract": {"column": name}},
        }
        for name, kind, meaning in (*POSITION, *plain)
    ]  # fmt: skip
    return [{"@type": "cr:RecordSet", "@id": "samples", "name": "samples", "field": fields}]


def _file(path: str, format: str, sha256: str) -> dict[str, Any]:
    named = {"@type": "cr:FileObject", "@id": path, "name": path, "contentUrl": path}
    return named | {"encodingFormat": format, "sha256": sha256}
