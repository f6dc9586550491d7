"""Measures prompts and plans in tokens and pictures, for the structural recipe with long prompts and reworded steps.

    python -m benchmarks.plan_lengths --words 115 --lots 4 --author grammar

Tokens are those of CLIP's byte-pair encoding without start and end, as open_clip ships it (49,408 words). The paper's
prompts average 152.8 tokens of its own model's tokenizer, its trajectories 3.51 pictures.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

import underpaint.stages.models.torchvision_compat  # noqa: F401  (before open_clip is imported)
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.pipeline.recipe.recipe import load_recipe

RECIPE = Path(__file__).parent.parent / "recipes" / "structural.yaml"


def make_plans(root: Path, words: int, lots: int, author: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows of prompts, rows of plans) of the first lots."""
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe["vocabulary"] = str((RECIPE.parent / recipe["vocabulary"]).resolve())
    recipe["stages"] |= {"prompts": {"enrich": {"words": words}}, "plan": {"author": author, "reword": {}}}
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    loaded = load_recipe(root / "recipe.yaml")
    nodes, store = build_graph(loaded), Store(root / "run")
    made: list[list[dict[str, Any]]] = []
    for name in ("prompts", "plan"):
        work = stage_worker(loaded, name, str(root / "run"), nodes[name].fingerprint)
        for lot in range(lots):
            work(lot)
        made.append([row for lot in range(lots) for row in store.table(nodes[name], lot).to_pylist()])
        print(name, store.manifest(nodes[name], 0)["ledger"])
    return made[0], made[1]


def main() -> None:
    """Print the averages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=115)
    parser.add_argument("--lots", type=int, default=4)
    parser.add_argument("--author", choices=("grammar", "writer"), default="grammar")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prompts, plans = make_plans(Path(folder), asked.words, asked.lots, asked.author)
    from open_clip.tokenizer import SimpleTokenizer  # after torchvision_compat

    encode = SimpleTokenizer().encode
    last = [row for row in plans if row["step"] == row["steps"]]
    for what, texts in {
        "prompt": [row["prompt"] for row in prompts],
        "instruction": [row["instruction"] for row in plans],
        "description": [row["description"] for row in plans],
        "last description": [row["description"] for row in last],
    }.items():
        print(f"{what}: {mean(len(encode(text)) for text in texts):.1f} tokens")
    print(f"{len(plans) / len(last):.2f} pictures a sample")


if __name__ == "__main__":
    main()
