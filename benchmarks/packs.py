"""Packs our samples with the trainers' own code, and reports what is packed, what is dropped, and which checks hold.

    python -m benchmarks.packs runs/miniature/corpus --bagel ../Bagel
    python -m benchmarks.packs runs/miniature/corpus --automodel ../Automodel --settings bagel

It needs a checkout of ByteDance-Seed/Bagel or NVIDIA-NeMo/Automodel, and runs on CPU without weights. It exits with 1
if a check fails, or if `pipeline.training.packing`, which `underpaint inspect-pack` uses, predicts other packs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.pack_checks import CHECKS, control_labels, target_texts
from benchmarks.run_checks import run_checks
from benchmarks.trainers import Setup, load, tokenizer_of
from underpaint.pipeline.training.bagel import TrajectoryDataset, register
from underpaint.pipeline.training.packing import (
    BAGEL_DEFAULTS,
    DROPOUT,
    RECOMMENDED,
    Group,
    Packable,
    Packing,
    PackingOutcome,
    simulate,
)
from underpaint.pipeline.training.sequence import Item
from underpaint.schemas.corpus.example import Example
from underpaint.schemas.corpus.subsets import SUBSETS

SEED = 42
SMALL = Packing(1500, 2600, 2200, prefer_buffer_before=1000, max_buffer_size=3)  # for pictures of a few pixels
SETTINGS = {"recommended": RECOMMENDED, "bagel": BAGEL_DEFAULTS, "small": SMALL}
Drawn = dict[str, list[tuple[tuple[int, ...], Packable]]]  # by group: place and sample, in the order handed over


def counting(drawn: Drawn) -> type[TrajectoryDataset]:
    """The dataset class, extended to record in `drawn` what it gives."""

    class Counting(TrajectoryDataset):
        def __iter__(self) -> Iterator[dict[str, Any]]:
            for item in super().__iter__():
                drawn.setdefault(self.dataset_name, []).append(
                    (tuple(item["data_indexes"]["data_indexes"]), item["packable"])
                )
                yield item

        def _item(self, example: Example, items: Sequence[Item]) -> dict[str, Any]:
            made = super()._item(example, items)
            texts, pictures = iter(made["text_ids_list"]), iter(made["image_tensor_list"])
            sizes = []
            for item in items:
                if item.kind == "text":
                    tokens = len(next(texts))
                else:
                    stride = (self.vit_transform if item.kind == "vit_image" else self.transform).stride
                    tokens = next(pictures)[0].numel() // stride**2
                sizes.append((tokens + 2, DROPOUT[item.kind] if item.cfg else 0.0))
            kind = f"{example.sample.subset} {example.sample.polarity}".removesuffix(" none")
            return {**made, "packable": Packable(kind, tuple(sizes))}

    return Counting


@dataclass
class Run:
    """What the real packer did, and what our simulation predicted."""

    outcome: PackingOutcome
    predicted: PackingOutcome
    labels: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    texts: int = 0


def yaml_groups(corpus: Path, px: int, vit: int, policy: dict[str, bool]) -> dict[str, dict[str, Any]]:
    """The groups of the trainer's YAML: every subset, weighted by its samples; trajectories are in every pack."""
    counts: Counter[str] = Counter()
    for shard in json.loads((corpus / "index.json").read_text())["shards"]:
        counts[shard["subset"]] += shard["samples"] if shard["split"] == "train" else 0
    return {
        f"underpaint_{subset}": {
            "dataset_names": [subset],
            "image_transform_args": {"image_stride": 16, "max_image_size": px, "min_image_size": px},
            "vit_image_transform_args": {"image_stride": 14, "max_image_size": vit, "min_image_size": vit},
            "is_mandatory": SUBSETS[subset].whole_trajectory,
            "weight": count,
            "policy": policy,
        }
        for subset, count in sorted(counts.items())
        if count
    }


def run(setup: Setup, packs: int) -> Run:
    """Make packs with the trainer's code and check each; then simulate the same packs."""
    drawn: Drawn = {}
    trainer, groups, packing = setup.trainer, setup.groups, setup.packing
    trainer.registry.update(dict.fromkeys(groups, counting(drawn)))
    iterator: Any = trainer.packs(setup.packer(), SEED)
    tokens = trainer.special_tokens(setup.tokenizer)
    out, found = PackingOutcome(), Run(PackingOutcome(), PackingOutcome())
    used: set[tuple[str, tuple[int, ...]]] = set()
    for pack in itertools.islice(iterator, packs):
        out.lengths.append(pack["sequence_length"])
        used |= {(i["dataset_name"], tuple(i["data_indexes"])) for i in pack["batch_data_indexes"]}
        found.labels += control_labels(pack, tokens)
        found.texts += len(target_texts(pack, tokens))
        for check in CHECKS:
            try:
                check(pack, tokens)
            except AssertionError:
                found.failed[check.__name__] += 1
    places = {(name, place): sample for name, group in drawn.items() for place, sample in group}
    waiting = [s["packable"] for s in iterator.gi_frame.f_locals["buffer"]]
    out.drawn = Counter(s.kind for s in places.values())
    out.trained = Counter(places[p].kind for p in used)
    out.waiting = Counter(s.kind for s in waiting)
    limit = packing.max_num_tokens_per_sample
    out.too_long = Counter(s.kind for p, s in places.items() if p not in used and s.length >= limit)
    out.lost = out.drawn - out.trained - out.waiting - out.too_long
    found.outcome = out
    model = [Group([s for _, s in drawn[n]], g["weight"], g["is_mandatory"], shuffle=False) for n, g in groups.items()]
    found.predicted = simulate(model, packing, packs, SEED)
    return found


def main() -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--bagel", type=Path, help="a checkout of ByteDance-Seed/Bagel")
    which.add_argument("--automodel", type=Path, help="a checkout of NVIDIA-NeMo/Automodel")
    parser.add_argument("--settings", choices=SETTINGS, default="recommended")
    parser.add_argument("--expected", type=int, help="expected_num_tokens, instead of the settings' own")
    parser.add_argument("--px", type=int, default=512, help="side at which the VAE sees pictures")
    parser.add_argument("--vit", type=int, default=518, help="side at which the ViT sees them")
    parser.add_argument("--packs", type=int, default=20)
    parser.add_argument("--tokenizer", type=Path, help="a folder with tokenizer.json; one token a byte unless given")
    parser.add_argument("--nested", action="store_true", help="masks for each sample instead of flex attention")
    parser.add_argument("--per-step", action="store_true", help="one sequence a step instead of a trajectory")
    options = parser.parse_args()
    trainer = load("bagel", options.bagel) if options.bagel else load("automodel", options.automodel)
    groups = yaml_groups(options.corpus, options.px, options.vit, {"per_step": options.per_step})
    info: dict[str, Any] = {}
    register(trainer.registry, info, options.corpus)
    trainer.info.update(info)
    tokenizer, packing = tokenizer_of(options.tokenizer), SETTINGS[options.settings]
    packing = replace(packing, expected_num_tokens=options.expected or packing.expected_num_tokens)
    setup = Setup(trainer, groups, info, tokenizer, packing, SEED, use_flex=not options.nested)
    begin = time.perf_counter()
    found = run(setup, options.packs)
    seconds = time.perf_counter() - begin
    trainer.registry.update(dict.fromkeys(groups, TrajectoryDataset))
    checks = {c.__name__: not found.failed[c.__name__] for c in CHECKS}
    checks |= {c.__name__: c(setup) for c in run_checks(trainer.name)}
    real = found.outcome
    predicted = found.predicted.lengths, found.predicted.by_kind()
    checks["simulation_gives_these_packs"] = predicted == (real.lengths, real.by_kind())
    report = {
        "trainer": trainer.name, "packs": len(real.lengths), "samples": real.by_kind(),
        "fill": sum(real.lengths) / len(real.lengths) / packing.max_num_tokens,
        "control_labels": dict(sorted(found.labels.items())), "target_texts": found.texts,
        "checks": {name: "held" if held else "failed" for name, held in checks.items()},
        "seconds": round(seconds, 1),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
