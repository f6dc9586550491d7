"""Benchmarks' prompt lists in their own formats, and which of our prompts they share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underpaint.pipeline.recipe.benchmark_lists import Benchmarks, ListError, read_list
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.vocabulary import Vocabulary

GENEVAL = {"tag": "colors", "include": [{"class": "car", "count": 1, "color": "red"}], "prompt": "a photo of a red car"}
WISE = [{"Prompt": "The oval decorations that children look for in gardens during Easter", "prompt_id": 1}]


@pytest.fixture
def lists(tmp_path: Path) -> list[Path]:
    geneval, wise, text = (tmp_path / n for n in ("evaluation_metadata.jsonl", "wise.json", "mine.txt"))
    geneval.write_text(json.dumps(GENEVAL) + "\n\n")
    wise.write_text(json.dumps(WISE))
    text.write_text("A blue cup and two green fish on a sand background. The blue cup is above the green fish.\n")
    return [geneval, wise, text]


def test_every_format_is_read(lists: list[Path]) -> None:
    assert [len(read_list(path)) for path in lists] == [1, 1, 1]
    assert read_list(lists[0]) == [(1, "a photo of a red car")]


def test_a_scene_is_found_in_whatever_words(lists: list[Path], vocabulary: Vocabulary) -> None:
    benchmarks = Benchmarks(lists, 8, vocabulary)

    def by(prompt: str) -> str:
        hit = benchmarks.find(read(prompt, vocabulary).key(), prompt)
        return f"{hit.by} {hit.line.file}:{hit.line.number}" if hit else ""

    assert by("A red car.") == "scene evaluation_metadata.jsonl:1"
    assert by("A red car on a sand background.") == ""  # another scene
    turned = "Two green fish and a blue cup on a sand background. The green fish are below the blue cup."
    assert by(turned) == "scene mine.txt:1"


def test_other_lines_are_found_by_their_words(lists: list[Path], vocabulary: Vocabulary) -> None:
    benchmarks = Benchmarks(lists, 8, vocabulary)
    assert not benchmarks.find("", "Decorations that children like")
    hit = benchmarks.find("", "A picture of the OVAL decorations, that children look for in gardens!")
    assert hit and hit.by == "words" and hit.line.file == "wise.json"
    short = Benchmarks([_text(lists[0].parent, "a photo of a bench")], 8, vocabulary)
    assert short.find("", "Words of many kinds.", "a photo of a bench")  # before it was enriched
    assert short.find("", "A photo of a bench by a lake") and not short.find("", "a photo of benches")


@pytest.mark.parametrize(("name", "body"), [("a.json", "[{}]"), ("a.jsonl", '{"prompt": 3}'), ("a.json", "{")])
def test_a_list_without_prompts_is_refused(tmp_path: Path, name: str, body: str) -> None:
    (tmp_path / name).write_text(body)
    with pytest.raises(ListError, match=name):
        read_list(tmp_path / name)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('"fine"\n\n{"prompt": \n')
    with pytest.raises(ListError, match=r"a\.jsonl, line 3: no valid JSON"):
        read_list(tmp_path / "a.jsonl")


def _text(folder: Path, line: str) -> Path:
    (folder / "short.txt").write_text(line)
    return folder / "short.txt"
