"""One corpus through every loader a trainer may use. Imports nothing of this project, and each loader only when asked.

``python tests/loaders.py CORPUS [loader …]`` prints the table of docs/format.md: loader, version, what was compared.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

Loaded = dict[str, tuple[dict[str, Any], dict[str, str]]]  # key → its JSON, and a digest of each picture's pixels
ABBREVIATIONS = {"multi_turn": "mtg", "conflict": "iic", "alignment": "iia"}


def pixels(picture: Image.Image | bytes) -> str:
    """A digest of size and RGB values."""
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
    return f"{image.size} {hashlib.sha256(image.convert('RGB').tobytes()).hexdigest()}"


def parts(corpus: Path) -> list[tuple[str, str]]:
    """The (subset, split) pairs the corpus has."""
    found = [(s, p) for s in ABBREVIATIONS for p in ("train", "validation")]
    return [(s, p) for s, p in found if shards(corpus, s, p)]


def shards(corpus: Path, subset: str, split: str) -> list[str]:
    return sorted(map(str, (corpus / subset).glob(f"{ABBREVIATIONS[subset]}-{split}-*.tar")))


def by_hand(corpus: Path, subset: str, split: str) -> Loaded:
    """What every loader must give: from the tars' bytes, with the standard library and Pillow."""
    members: dict[str, dict[str, bytes]] = {}
    for shard in shards(corpus, subset, split):
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                members.setdefault(key, {})[suffix] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return {key: _sample(json.loads(found.pop("json")), found) for key, found in members.items()}


def _sample(fields: dict[str, Any], members: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    return fields, {name: pixels(data) for name, data in members.items() if name.startswith("img") and data is not None}


def webdataset(corpus: Path, subset: str, split: str) -> Loaded:
    import webdataset as wds

    source = wds.WebDataset(shards(corpus, subset, split), shardshuffle=False).decode("pilrgb")
    return {row["__key__"]: _sample(row["json"], row) for row in source}


def wids(corpus: Path, subset: str, split: str) -> Loaded:
    import wids

    def parse(row: dict[str, Any]) -> dict[str, Any]:  # its own decoder leaves .webp as it is
        return {k: v.read() if hasattr(v, "read") else v for k, v in row.items()}

    index = str(corpus / subset / f"{ABBREVIATIONS[subset]}-{split}.wids.json")
    with tempfile.TemporaryDirectory() as cache:
        rows = wids.ShardListDataset(index, cache_dir=cache, keep=True, transformations=[parse])
        read = [rows[i] for i in reversed(range(len(rows)))]  # by number, in any order
    return {
        row["__key__"]: _sample(json.loads(row[".json"]), {k.removeprefix("."): v for k, v in row.items()})
        for row in read
    }


def _datasets(corpus: Path, subset: str, split: str, card: bool, streaming: bool) -> Loaded:
    from datasets import load_dataset

    with tempfile.TemporaryDirectory() as cache:
        where: dict[str, Any] = {"split": split, "streaming": streaming, "cache_dir": cache}
        if card:
            rows = load_dataset(str(corpus), subset, **where)
        else:
            rows = load_dataset("webdataset", data_files={split: shards(corpus, subset, split)}, **where)
        return {row["__key__"]: _sample(row["json"], row) for row in rows}


def datasets_card(corpus: Path, subset: str, split: str) -> Loaded:
    return _datasets(corpus, subset, split, card=True, streaming=False)


def datasets_card_streaming(corpus: Path, subset: str, split: str) -> Loaded:
    return _datasets(corpus, subset, split, card=True, streaming=True)


def datasets_bare(corpus: Path, subset: str, split: str) -> Loaded:
    return _datasets(corpus, subset, split, card=False, streaming=False)


def datasets_bare_streaming(corpus: Path, subset: str, split: str) -> Loaded:
    return _datasets(corpus, subset, split, card=False, streaming=True)


def energon(corpus: Path, subset: str, split: str) -> Loaded:
    """As its documentation says: `energon prepare` beside the shards (here: copies), crude samples, a cooker."""
    from megatron.energon.tools.prepare import command

    with tempfile.TemporaryDirectory() as folder:
        copies = Path(folder) / subset
        shutil.copytree(corpus / subset, copies, ignore=shutil.ignore_patterns(".nv-meta", "*.idx"))
        patterns = [f"train:.*-{split}-.*\\.tar"]  # the part is called train, whatever we call it
        options = ["--non-interactive", "--split-parts", *patterns, "--sample-type", "CrudeWebdataset", str(copies)]
        with redirect_stdout(io.StringIO()):
            command.main(options, standalone_mode=False)
        return energon_folder(copies, "train")


def energon_folder(path: Path, part: str) -> Loaded:
    """A prepared folder or a metadataset, once through."""
    from megatron import energon

    @energon.stateless
    def cook(raw: dict[str, Any]) -> dict[str, Any]:
        pictures = {name: data for name, data in raw.items() if name.startswith("img")}
        return {**energon.basic_sample_keys(raw), "sample": raw["json"], "pictures": pictures}

    class Encoder(energon.DefaultTaskEncoder):  # type: ignore[misc]
        cookers = (energon.Cooker(cook),)
        decoder = energon.SampleDecoder(image_decode="pilrgb")

        def batch(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
            return samples[0]

    one = energon.WorkerConfig(rank=0, world_size=1, num_workers=0)
    rows = energon.get_val_dataset(path, split_part=part, worker_config=one, batch_size=1, task_encoder=Encoder())
    read = list(energon.get_loader(rows))
    return {row["__key__"].rpartition("/")[2]: _sample(row["sample"], row["pictures"]) for row in read}


def guessable(corpus: Path, subset: str, split: str) -> bool:
    """Whether the first five samples show every column: only then can files without their card be read."""
    with tarfile.open(shards(corpus, subset, split)[0]) as tar:
        names = tar.getnames()
    keys = list(dict.fromkeys(name.partition(".")[0] for name in names))[:5]
    most = max(len(members) for _, members in by_hand(corpus, subset, split).values())
    return all(sum(name.startswith(f"{key}.img") for name in names) == most for key in keys)


LOADERS: dict[str, tuple[str, Callable[[Path, str, str], Loaded]]] = {
    "webdataset": ("webdataset", webdataset),
    "wids": ("wids", wids),
    "datasets, card, arrow": ("datasets", datasets_card),
    "datasets, card, streaming": ("datasets", datasets_card_streaming),
    "datasets, bare files, arrow": ("datasets", datasets_bare),
    "datasets, bare files, streaming": ("datasets", datasets_bare_streaming),
    "Megatron-Energon": ("megatron-energon", energon),
}


def main(corpus: Path, names: list[str]) -> int:
    """Print one row a loader; the exit code is 1 where one gave something else than the tars hold."""
    print("| loader | version | read | keys | texts | pixels |\n| --- | --- | --- | --- | --- | --- |")
    wrong = 0
    for name, (package, load) in LOADERS.items():
        if names and package not in names:
            continue
        count, same = 0, [True, True, True]
        for subset, split in parts(corpus):
            if "bare" in name and not guessable(corpus, subset, split):
                continue
            wanted, found = by_hand(corpus, subset, split), load(corpus, subset, split)
            count += len(wanted)
            same[0] &= wanted.keys() == found.keys()
            same[1] &= all(found.get(k, ({}, {}))[0] == v[0] for k, v in wanted.items())
            same[2] &= all(found.get(k, ({}, {}))[1] == v[1] for k, v in wanted.items())
        wrong += not (count and all(same))
        verdicts = " | ".join("equal" if s else "DIFFERENT" for s in same)
        print(f"| {name} | {version(package)} | {count} samples | {verdicts} |", flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python tests/loaders.py CORPUS [webdataset|wids|datasets|megatron-energon …]")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
