"""How many prompts of real lists the grammar reads, how many it leaves to the writer, and why.

    python -m benchmarks.reading_prompts ../shared/data/prompts
    python -m benchmarks.reading_prompts lists --vocabulary my.yaml --show 20
    python -m benchmarks.reading_prompts ../shared/data/prompts --bend

With `--bend` every graph that is read, and bent versions of it, are held against the prompt as a writer's answers are.
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
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.prompting.faithfulness import departures

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


def bent(scene: SceneGraph, vocabulary: Vocabulary) -> Iterator[tuple[str, SceneGraph]]:
    """(kind, a graph that says something else) for every way to bend a graph that it has room for."""
    first, *others = scene.objects
    other = next(n for n in vocabulary.nouns if all(n != o.noun for o in scene.objects))
    colours = [c for c in vocabulary.attributes["colour"] if c not in first.attributes.values()]
    added = SceneObject(id="added", noun=other)
    yield "an object added", scene.model_copy(update={"objects": (*scene.objects, added)})
    yield "a background added", scene.model_copy(update={"background": "meadow"})
    yield "another colour", scene.replace_node(first.with_attribute("colour", colours[-1]))
    yield "one more", scene.replace_node(first.model_copy(update={"count": first.count + 1}))
    if others:
        yield "an object dropped", scene.restrict([first.id])
    for r in scene.relations[:1]:
        turned = r.model_copy(update={"subject": r.object, "object": r.subject})
        yield "a relation turned", scene.model_copy(update={"relations": (turned,)})
        yield "a relation dropped", scene.model_copy(update={"relations": ()})
        yield (
            "another relation",
            scene.model_copy(update={"relations": (r.model_copy(update={"predicate": "chasing"}),)}),
        )


def bend_all(readings: list[tuple[str, SceneGraph]], vocabulary: Vocabulary) -> Iterator[str]:
    """How many of the graphs, and of their bent versions, are refused; a line each."""
    asked, refused = Counter[str](), Counter[str]()
    for prompt, scene in readings:
        for kind, graph in [("as read", scene), *bent(scene, vocabulary)]:
            asked[kind] += 1
            refused[kind] += bool(departures(prompt, graph, vocabulary))
    for kind, number in asked.items():
        yield f"{kind}: {refused[kind]} of {number} refused"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vocabulary", type=Path, default=COCO)
    parser.add_argument("--show", type=int, default=0, help="so many random readings of each list, to be read by eye")
    parser.add_argument("--bend", action="store_true", help="hold the graphs and bent versions against the prompts")
    options = parser.parse_args()
    vocabulary = Vocabulary.model_validate(yaml.safe_load(options.vocabulary.read_text()))
    print("| list | prompts | read by the grammar | left to the writer | commonest reasons |\n" + "| --- " * 5 + "|")
    shown: list[str] = []
    all_read: list[tuple[str, SceneGraph]] = []
    for path in sorted(p for p in options.folder.rglob("*") if p.suffix in (".txt", ".tsv")):
        readings = list(read_all(prompts_of(path), vocabulary))
        read = [(prompt, found) for prompt, found in readings if isinstance(found, SceneGraph)]
        all_read += read
        why = Counter(found for _, found in readings if isinstance(found, str)).most_common(2)
        reasons = ", ".join(f"{reason} ({number})" for reason, number in why)
        print(f"| {path.stem} | {len(readings)} | {len(read)} | {len(readings) - len(read)} | {reasons} |")
        for prompt, scene in random.Random(0).sample(read, min(options.show, len(read))):
            shown.append(f"{path.stem}: {prompt}\n    {describe(scene, vocabulary)}")
    print("\n".join(shown))
    if options.bend:
        print("\n".join(bend_all(all_read, vocabulary)))


if __name__ == "__main__":
    main()
