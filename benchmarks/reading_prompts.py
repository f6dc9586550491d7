"""How many prompts of real lists the grammar reads, how many it leaves to the writer, and why.

    python -m benchmarks.reading_prompts ../shared/data/prompts
    python -m benchmarks.reading_prompts lists --vocabulary my.yaml --show 20

Every `.txt` below the folder has a prompt a line, every `.tsv` a header with a column Prompt.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from underpaint.schemas.scenes.grammar import GrammarError, describe
from underpaint.schemas.scenes.prompt_reading import read_prompt
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.vocabulary import Vocabulary

COCO = Path(__file__).resolve().parents[1] / "recipes" / "vocabularies" / "coco.yaml"


def prompts_of(path: Path) -> list[str]:
    """The prompts of a list, without blank lines."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".tsv":
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            return [row["Prompt"] for row in rows if row["Prompt"].strip()]
        return [line.strip() for line in file.read().splitlines() if line.strip()]


def read_all(prompts: list[str], vocabulary: Vocabulary) -> Iterator[tuple[str, SceneGraph | str]]:
    """(prompt, its graph, or the kind of reason why the grammar leaves it)."""
    for prompt in prompts:
        try:
            yield prompt, read_prompt(prompt, vocabulary)
        except (GrammarError, ValueError) as e:
            yield prompt, " ".join(re.sub(r"'.*'|\".*\"", "", str(e)).split()).removesuffix(" in")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vocabulary", type=Path, default=COCO)
    parser.add_argument("--show", type=int, default=0, help="so many random readings of each list, to be read by eye")
    options = parser.parse_args()
    vocabulary = Vocabulary.model_validate(yaml.safe_load(options.vocabulary.read_text()))
    print("| list | prompts | read by the grammar | left to the writer | commonest reasons |\n" + "| --- " * 5 + "|")
    shown: list[str] = []
    for path in sorted(p for p in options.folder.rglob("*") if p.suffix in (".txt", ".tsv")):
        readings = list(read_all(prompts_of(path), vocabulary))
        read = [(prompt, found) for prompt, found in readings if isinstance(found, SceneGraph)]
        why = Counter(found for _, found in readings if isinstance(found, str)).most_common(2)
        reasons = ", ".join(f"{reason} ({number})" for reason, number in why)
        print(f"| {path.stem} | {len(readings)} | {len(read)} | {len(readings) - len(read)} | {reasons} |")
        for prompt, scene in random.Random(0).sample(read, min(options.show, len(read))):
            shown.append(f"{path.stem}: {prompt}\n    {describe(scene, vocabulary)}")
    print("\n".join(shown))


if __name__ == "__main__":
    main()
