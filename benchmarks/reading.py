"""Compares the typed reader with bare webdataset, in samples per second, in one run.

    python -m benchmarks.reading runs/miniature/corpus

Each way reads every train shard of the corpus, with pictures as encoded bytes. The ways take turns, so that other load
on the machine affects all of them alike. Rates are medians; ratios are medians of the ratios of each turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import webdataset as wds

from underpaint.schemas.corpus.reader import Reader

BASELINES = {"reader": "webdataset", "reader, shuffled": "webdataset, shuffled", "reader, typed": "webdataset"}


def bare(shards: list[str], shuffle: int = 0) -> Iterator[Any]:
    """The segments of all samples, read with webdataset alone."""
    for raw in wds.WebDataset(shards, shardshuffle=False).shuffle(shuffle):
        yield json.loads(raw["json"])["segments"]


def ways(shards: list[str]) -> dict[str, Callable[[], Iterator[Any]]]:
    """The ways to read that are compared, by name."""
    return {
        "webdataset": lambda: bare(shards),
        "reader": lambda: (e.fields["segments"] for e in Reader(shards, seed=None)),
        "reader, typed": lambda: (e.sample.segments for e in Reader(shards, seed=None)),
        "reader, verified": lambda: (e.sample.segments for e in Reader(shards, seed=None, verify=True)),
        "webdataset, shuffled": lambda: bare(shards, 64),
        "reader, shuffled": lambda: (e.fields["segments"] for e in Reader(shards, seed=0, shuffle=64)),
    }


def rate(way: Callable[[], Iterator[Any]], passes: int) -> float:
    """Samples per second over `passes` passes."""
    begin, samples = time.perf_counter(), 0
    for _ in range(passes):
        samples += sum(1 for _ in way())
    return samples / (time.perf_counter() - begin)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--repeats", type=int, default=9, help="turns of every way")
    parser.add_argument("--passes", type=int, default=4, help="readings of the whole corpus in a turn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    shards = sorted(map(str, Path(options.corpus).glob("*/*-train-*.tar")))
    rates: dict[str, list[float]] = {name: [] for name in ways(shards)}
    for _ in range(options.repeats):
        for name, way in ways(shards).items():
            rates[name].append(rate(way, options.passes))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    ratios = {
        name: statistics.median(mine / other for mine, other in zip(rates[name], rates[base], strict=True))
        for name, base in BASELINES.items()
    }
    if options.json:
        print(json.dumps({"samples_per_second": medians, "ratio_to_webdataset": ratios}, indent=1))
        return
    for name, median in medians.items():
        spread = f"{min(rates[name]):.0f} to {max(rates[name]):.0f}"
        beside = f", {ratios[name]:.2f} of {BASELINES[name]}" if name in ratios else ""
        print(f"{name:21} {median:7.0f} samples a second ({spread}){beside}")


if __name__ == "__main__":
    main()
