"""The dataset class that a trainer registers in BAGEL's or NeMo AutoModel's DATASET_REGISTRY (docs/training.md).

    from data.dataset_info import DATASET_INFO, DATASET_REGISTRY      # BAGEL's, before PackedDataset is made
    from underpaint.pipeline.training.bagel import register
    register(DATASET_REGISTRY, DATASET_INFO, "runs/miniature/corpus")

Both packers pass in tokenizer, transforms and rank, and expect an endless lazy generator of packable items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from underpaint.pipeline.training.sequence import PICTURE_FOLLOWS, STOP, TEXT_FOLLOWS, Item, Policy, sequences
from underpaint.schemas.corpus.example import Example, Position
from underpaint.schemas.corpus.reader import Reader, ReaderError, shards_of
from underpaint.schemas.corpus.sample import SampleError, SplitName, SubsetName
from underpaint.schemas.corpus.subsets import SUBSETS
from underpaint.schemas.markup import CONTROL_TOKEN

GROUP = "underpaint_{}"


class TrajectoryDataset(IterableDataset[dict[str, Any]]):
    """The train samples of one subset as BAGEL's items: sequence_plan, text_ids_list, image_tensor_list, …

    `transform` and `vit_transform` take a PIL picture and give a float tensor (3, H, W) in [-1, 1] with sides that are
    multiples of their `stride`. Every sample is checked when it is read (fields, digests). A broken one is an error
    that names its key and field, since nobody would notice a skipped one.
    """

    def __init__(
        self, dataset_name: str, tokenizer: Any, transform: Any, vit_transform: Any, data_dir_list: Sequence[str],
        num_used_data: Sequence[int] | None = None, local_rank: int = 0, world_size: int = 1, num_workers: int = 0,
        data_status: Mapping[int, Sequence[int]] | Sequence[Any] | None = None, *,
        split: SplitName = "train", shuffle: int = 0, policy: Mapping[str, bool] | None = None,
    ) -> None:  # fmt: skip
        """`data_dir_list`: folders of shards, e.g. `<corpus>/multi_turn`; `num_used_data`: shards to use of each.

        `data_status`: for each worker the `data_indexes` of its last item. `policy`: fields of
        `pipeline.training.sequence.Policy`. Raises ReaderError where a rank or worker gets no shard, ValueError on an
        unknown field of the policy and on a tokenizer without the control tokens.
        """
        super().__init__()
        self.dataset_name, self.tokenizer = dataset_name, tokenizer
        self.transform, self.vit_transform = transform, vit_transform
        self.rank = (local_rank, world_size)
        self.shuffle, self.seed = shuffle, 42  # BAGEL's own default, until set_epoch
        self.policy = _policy(policy or {})
        self.tokens = {token: _token_id(tokenizer, token) for token in (TEXT_FOLLOWS, PICTURE_FOLLOWS, STOP)}
        self.shards = _used_shards(data_dir_list, num_used_data, split)
        readers = world_size * max(1, num_workers)
        if len(self.shards) < readers:
            message = f"{len(self.shards)} shards for {world_size} ranks with {max(1, num_workers)} workers"
            raise ReaderError(f"{dataset_name}: {message}; use fewer workers or build more (field shards)")
        self.data_status = _status(data_status)

    def set_epoch(self, seed: int = 42) -> None:
        """Set the seed of the order, equal on all ranks; call it once, before the iteration."""
        self.seed = seed

    def state_dict(self) -> dict[str, Any]:
        """The position of the last item given, by worker."""
        return {"data_status": {worker: list(place) for worker, place in self.data_status.items()}}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Go on after the positions of a `state_dict`; None or {} begins anew."""
        self.data_status = _status((state or {}).get("data_status"))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # This must be a generator: BAGEL calls iter() before its workers fork, so the worker is known only at next().
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        reader = Reader(
            self.shards, seed=self.seed, shuffle=self.shuffle, repeat=True, verify=True,
            rank=self.rank, worker=(worker, workers),
        )  # fmt: skip
        first = 0
        if worker in self.data_status:
            epoch, shard, sample, given, piece = self.data_status[worker]
            # Read the last sample again, since some of its pieces may not have been given yet.
            reader.position, first = Position(epoch, shard, sample, given - 1), piece + 1
        for example in reader:
            pieces = sequences(example.sample, self.policy)
            for number in range(first, len(pieces)):
                place = [*example.position, number]
                item = self._item(example, pieces[number])
                self.data_status[worker] = place
                yield item | {
                    "data_indexes": {"data_indexes": place, "worker_id": worker, "dataset_name": self.dataset_name}
                }
            first = 0

    def _item(self, example: Example, items: Sequence[Item]) -> dict[str, Any]:
        """One of BAGEL's items. Its lists are new ones, since the packers empty them."""
        texts: list[list[int]] = []
        pictures: list[Tensor] = []
        made: dict[tuple[str, bool], Tensor] = {}  # a picture's target and clean copy share one tensor
        tokens = 0
        for item in items:
            if item.kind == "text":
                texts.append(self._encode(example.key, item.content))
                tokens += len(texts[-1])
                continue
            transform = self.vit_transform if item.kind == "vit_image" else self.transform
            key = item.content, item.kind == "vit_image"
            if key not in made:
                made[key] = transform(example.picture(item.content))
            pictures.append(made[key])
            height, width = made[key].shape[1:]
            tokens += height * width // transform.stride**2
        plan = [self._plan(item) for item in items]
        return {
            "sequence_plan": plan, "text_ids_list": texts, "image_tensor_list": pictures, "num_tokens": tokens
        }  # fmt: skip

    def _plan(self, item: Item) -> dict[str, Any]:
        return {
            "type": item.kind,
            "enable_cfg": int(item.cfg),
            "loss": int(item.loss),
            "special_token_loss": int(bool(item.label)),
            "special_token_label": self.tokens[item.label] if item.label else None,
        }

    def _encode(self, key: str, text: str) -> list[int]:
        if found := CONTROL_TOKEN.search(text):
            raise SampleError(key, "segments", f"a text holds the control token {found[0]!r}")
        return list(self.tokenizer.encode(text, add_special_tokens=False))


def register(
    registry: MutableMapping[str, Any], info: MutableMapping[str, Any], corpus: str | Path,
    subsets: Sequence[SubsetName] = (),
) -> dict[str, dict[str, dict[str, str]]]:  # fmt: skip
    """Add the groups `underpaint_multi_turn`, … to a trainer's registry and its table of paths.

    Without `subsets` all that the corpus has. Returns what was added to `info`: NeMo AutoModel takes the same as
    `dataset_info` in its YAML. Raises ReaderError where the corpus has no such subset.
    """
    added: dict[str, dict[str, dict[str, str]]] = {}
    for subset in subsets or [s for s in SUBSETS if (Path(corpus) / s).is_dir()] or SUBSETS:
        folder = Path(shards_of(corpus, subset)[0]).parent
        registry[GROUP.format(subset)] = TrajectoryDataset
        added[GROUP.format(subset)] = {subset: {"data_dir": str(folder)}}
    info.update(added)
    return added


def _policy(given: Mapping[str, bool]) -> Policy:
    known = Policy.__dataclass_fields__
    for name in given:
        if name not in known:
            raise ValueError(f"policy has no field {name!r}; it has {', '.join(known)}")
    return Policy(**given)


def _token_id(tokenizer: Any, token: str) -> int:
    number = tokenizer.convert_tokens_to_ids(token)
    if number is None or number == getattr(tokenizer, "unk_token_id", None):
        raise ValueError(f"the tokenizer does not know {token!r}; pass it through BAGEL's add_special_tokens first")
    return int(number)


def _used_shards(folders: Sequence[str], used: Sequence[int] | None, split: str) -> list[str]:
    shards: list[str] = []
    for i, folder in enumerate(folders):
        found = sorted(str(p) for p in Path(folder).glob(f"*-{split}-*.tar"))
        if not found:
            raise ReaderError(f"{folder}: no {split} shards; give a subset's folder, e.g. <corpus>/multi_turn")
        shards += found[: used[i]] if used else found
    return shards


def _status(status: Mapping[int, Sequence[int]] | Sequence[Any] | None) -> dict[int, list[int]]:
    """Positions by worker, from a dict, or from NeMo's list with None for workers that gave nothing yet."""
    pairs = status.items() if isinstance(status, Mapping) else enumerate(status or [])
    return {int(worker): list(place) for worker, place in pairs if place is not None}
