"""Reads shards: webdataset underneath, typed samples out, and four numbers resume exactly where it stopped.

    reader = Reader(shards_of("runs/miniature/corpus", "multi_turn"), seed=7, shuffle=64)
    for example in reader:
        for segment, content in example.parts():
            ...

Neither torch nor Ray is needed. A torch DataLoader takes it as ``webdataset.DataPipeline(reader.__iter__)`` with
``batch_size=None``: workers and ranks then share the shards among them.
"""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from underpaint.schemas.corpus.example import Example, Position
from underpaint.schemas.corpus.sample import SplitName, SubsetName
from underpaint.schemas.corpus.subsets import SUBSETS

STATE_VERSION = 1


class ReaderError(ValueError):
    """Shards that cannot be read as asked; the message says what to do."""


def shards_of(corpus: str | Path, subset: SubsetName, split: SplitName = "train") -> list[str]:
    """The shards of a published corpus, in order. Raises ReaderError where there are none."""
    folder = Path(corpus) / subset
    found = sorted(str(p) for p in folder.glob(f"{SUBSETS[subset].abbreviation}-{split}-*.tar"))
    if not found:
        raise ReaderError(f"{folder}: no {split} shards; give the folder that holds index.json")
    return found


class Reader:
    """Gives every sample of the shards once per epoch, in an order that follows from `seed`, `shuffle` and the shards.

    Each epoch shuffles the shards; then blocks of `shuffle` samples are read and each block is shuffled. At most one
    block is held in memory, as encoded bytes. `seed=None` keeps the order of the files.

    Each rank and worker takes every n-th shard, so no shard is left out, but some may get one shard more than others.
    Where ranks must stay in step, use `repeat`, or a number of shards that is a multiple of ranks × workers. Unless
    given, rank and worker are found when the iteration begins (RANK and WORLD_SIZE or torch.distributed; torch's
    worker info).
    """

    def __init__(
        self, shards: Sequence[str], *, seed: int | None = 0, shuffle: int = 0, repeat: bool = False,
        verify: bool = False, rank: tuple[int, int] | None = None, worker: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """`shards`: paths, or whatever URL webdataset opens. `rank`, `worker`: (number, how many).

        `verify` checks every sample's fields, rules and digests as it is read. Raises ReaderError.
        """
        if isinstance(shards, str) or not shards:
            raise ReaderError("give a list of at least one shard; `shards_of(corpus, subset)` makes one")
        if shuffle > 1 and seed is None:
            raise ReaderError(f"shuffle is {shuffle}, but seed is None; give a seed, or shuffle=0 for the files' order")
        self.shards, self.seed, self.shuffle = list(shards), seed, shuffle
        self.repeat, self.verify = repeat, verify
        self.rank, self.worker = rank, worker
        self.position = Position()

    def state_dict(self) -> dict[str, Any]:
        """The position after the last sample given, as a small dict fit for JSON. It holds for this rank and worker."""
        return {**self._identity(), "position": list(self.position)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration start there. Raises ReaderError where the state is of other shards or settings."""
        for name, mine in self._identity().items():
            if state.get(name) != mine:
                message = f"{name} was {state.get(name)!r} when the state was saved and is {mine!r} now"
                raise ReaderError(f"cannot resume: {message}; use the same, or begin anew")
        self.position = Position(*state["position"])

    def _identity(self) -> dict[str, Any]:
        rank, worker = self._share()
        settings = {"seed": self.seed, "shuffle": self.shuffle, "shards": len(self.shards)}
        return {"version": STATE_VERSION, **settings, "rank": list(rank), "worker": list(worker)}

    def _share(self) -> tuple[tuple[int, int], tuple[int, int]]:
        if self.rank is not None and self.worker is not None:
            return self.rank, self.worker
        from webdataset.utils import pytorch_worker_info  # webdataset imports torch where there is one

        rank, ranks, worker, workers = pytorch_worker_info()
        return self.rank or (rank, ranks), self.worker or (worker, workers)

    def __iter__(self) -> Iterator[Example]:
        """Iterate from `position` on: after a whole epoch the next one; after a `break` or a load the next sample.

        Raises ReaderError, SampleError.
        """
        (rank, ranks), (worker, workers) = self._share()
        mine, readers = rank * workers + worker, ranks * workers
        if len(self.shards) < readers:
            message = f"{len(self.shards)} shards for {ranks} ranks with {workers} workers leave some without any"
            raise ReaderError(f"{message}; use fewer workers, or build more shards (field shards)")
        while True:
            begin = self.position
            yield from self._epoch(mine, readers)
            if self.position == begin == Position(begin.epoch):
                raise ReaderError(f"{self.shards[0]} and the other shards of this reader hold no sample")
            self.position = Position(begin.epoch + 1)
            if not self.repeat:
                return

    def _epoch(self, mine: int, readers: int) -> Iterator[Example]:
        epoch = self.position.epoch
        order = list(self.shards)
        if self.seed is not None:
            random.Random(f"{self.seed}-{epoch}").shuffle(order)
        for block in self._blocks(order[mine::readers]):
            _, shard, sample, given = self.position
            if self.seed is not None:
                random.Random(f"{self.seed}-{epoch}-{mine}-{shard}-{sample}").shuffle(block)
            for url, raw in block[given:]:
                given += 1
                self.position = Position(epoch, shard, sample, given)
                members = {name: data for name, data in raw.items() if not name.startswith("__")}
                yield Example(raw["__key__"], url, members, self.position, self.verify)

    def _blocks(self, shards: list[str]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        """The epoch's samples from `position` on, in blocks; sets `position` to the beginning of each."""
        size = max(1, self.shuffle)
        block: list[tuple[str, dict[str, Any]]] = []
        begin = self.position
        for number, url in enumerate(shards[begin.shard :], begin.shard):
            first = begin.sample if number == begin.shard else 0
            for place, raw in enumerate(_read(url)):
                if place < first:
                    continue
                if not block and (number, place) != begin[1:3]:
                    begin = Position(begin.epoch, number, place)
                block.append((url, raw))
                if len(block) == size:
                    self.position = begin
                    yield block
                    block = []
        if block:
            self.position = begin
            yield block


def _read(url: str) -> Iterator[dict[str, Any]]:
    from webdataset.tariterators import tarfile_samples

    try:
        yield from tarfile_samples([{"url": url}])
    except (OSError, tarfile.TarError) as e:
        raise ReaderError(f"{url}: does not read as a shard: {e}; `underpaint verify` names what is broken") from e
