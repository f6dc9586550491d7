"""Benchmarks' prompt lists in their own formats, and which of our prompts are in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, underpaint

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.recipe.benchmark_lists import Benchmarks, ListError, list_digest, read_list, scene_key
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.vocabulary import Vocabulary

GENEVAL = {"tag": "colors", "include": [{"class": "car", "count": 1, "color": "red"}], "prompt": "a photo of a red car"}
WISE = [{"Prompt": "The oval decorations that children look for in gardens during Easter", "prompt_id": 1}]
PARTI = "Prompt\tCategory\tChallenge\tNote\nwood\tAbstract\tBasic\t\na red car\tVehicles\tBasic\tnone\n"
PUBLISHED = ROOT.parent / "shared" / "data" / "prompts"
Write = Callable[[dict[str, Any]], Path]


@pytest.fixture
def lists(tmp_path: Path) -> list[Path]:
    geneval, wise, text, parti = (
        tmp_path / n for n in ("evaluation_metadata.jsonl", "wise.json", "mine.txt", "parti.TSV")
    )
    geneval.write_text("\ufeff" + json.dumps(GENEVAL) + "\n\n")
    wise.write_text(json.dumps(WISE))
    text.write_text("A blue cup and two green fish on a sand background. The blue cup is above the green fish.\n")
    parti.write_text(PARTI)
    return [geneval, wise, text, parti]


def test_every_format_is_read(lists: list[Path]) -> None:
    assert [len(read_list(path)) for path in lists] == [1, 1, 1, 2]
    assert read_list(lists[0]) == [(1, "a photo of a red car")]
    assert read_list(lists[3]) == [(2, "wood"), (3, "a red car")]


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


@pytest.mark.parametrize(
    ("line", "way", "hits", "misses"),
    [
        ("air", "as whole prompts", ["Air", "air."], ["a car in the air", "airs"]),
        ("a photo of a bench", "as whole prompts", ["A photo of a bench!"], ["a photo of a bench by a lake"]),
        ("a bowl of soup", "as whole prompts", ["a bowl of soup"], ["by a bowl of soup sits a man", "bowl of soup"]),
        ("a hot air balloon", "by words", ["over us a hot air balloon flies"], ["hot air in a balloon", "a hot air"]),
        ("Dali’s melting clocks", "by words", ["DALI'S melting clocks, at noon"], ["Dali and melting clocks"]),
        ("e\u0301clair a\u0300 la mode", "by words", ["éclair à la mode for two"], ["eclair a la mode"]),
        ("🚗", "as whole prompts", ["🚗"], ["🚗 and more", "🐕"]),
        ("紅い車", "as whole prompts", ["紅い車"], ["紅い車と家"]),
        ("one two three four five six seven eight nine", "by words",
         ["x two three four five six seven eight nine"], ["one two three four five six seven", "three four five six"]),
        ("a red car", "as scenes", ["a red car"], ["by a red car sits a man"]),
    ],
)  # fmt: skip
def test_short_lines_are_looked_for_only_where_they_tell(
    tmp_path: Path, vocabulary: Vocabulary, line: str, way: str, hits: list[str], misses: list[str]
) -> None:
    (tmp_path / "list.txt").write_text(line)
    benchmarks = Benchmarks([tmp_path / "list.txt"], 8, vocabulary)
    assert {way: 1} == +benchmarks.compared
    assert all(benchmarks.find("", "words of another kind", prompt) for prompt in hits)
    assert not any(benchmarks.find("", prompt) for prompt in misses)


def test_how_lines_are_compared_is_said(lists: list[Path], vocabulary: Vocabulary) -> None:
    said = "5 benchmark prompts to compare with: 3 as scenes, 1 by words, 1 as whole prompts"
    assert Benchmarks(lists, 8, vocabulary).summary() == said
    assert Benchmarks([], 8, vocabulary).summary() == ""


def test_plan_and_status_say_how_lines_are_compared(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    (tmp_path / "list.tsv").write_text(PARTI)
    file = write_recipe({**recipe, "decontaminate": {"lists": ["./list.tsv"]}})
    for command in ("plan", "status"):
        done = underpaint(command, file, "--out", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert "2 benchmark prompts to compare with: 1 as scenes, 0 by words, 1 as whole prompts" in done.stdout


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.json", "[{}]", "has no column prompt, prompts, caption or captions; there are none; give the column"),
        ("a.jsonl", '{"prompt": 3}', "the column 'prompt' holds int, not text"),
        ("a.json", "{", "no valid JSON"),
        ("a.csv", "text,n\na,1\n", "there are text, n; give the column of prompts one of these names"),
        ("a.tsv", "Prompt\tn\na\t1\nb\n", "a.tsv, line 3: has 1 cells, the header has 2"),
        ("a.jsonl", '"fine"\n\n{"prompt": \n', "a.jsonl, line 3: no valid JSON"),
        ("a.txt", "fine\n\nb\x00\n", "a.txt, line 3: the 'prompt' holds the control character"),
        ("a.txt", PARTI, "looks like a table, not like one prompt a line; name it .tsv"),
        ("a.yaml", "- a", "prompts are read from .txt, .jsonl"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_its_line(tmp_path: Path, name: str, body: str, said: str) -> None:
    (tmp_path / name).write_text(body)
    with pytest.raises(ListError) as refused:
        read_list(tmp_path / name)
    assert name in str(refused.value) and said in str(refused.value)


def test_the_recipe_names_the_field_of_a_list(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"field decontaminate\.lists: .*gone\.tsv does not exist"):
        load_recipe(write_recipe({**recipe, "decontaminate": {"lists": ["./gone.tsv"]}}))


def test_a_list_is_known_by_content_and_format(tmp_path: Path) -> None:
    for name, body in (("a.txt", "x"), ("b.txt", "x"), ("c.txt", "y"), ("a.csv", "x")):
        (tmp_path / name).write_text(body)
    digests = [list_digest(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt", "a.csv")]
    assert digests[0] == digests[1] and len(set(digests)) == 3


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"{PUBLISHED} (other people's lists) is not there")
@pytest.mark.parametrize(
    ("name", "prompts", "scenes"),
    [
        ("parti/PartiPrompts.tsv", 1632, 32),
        ("geneval/evaluation_metadata.jsonl", 553, 553),
        ("geneval/generation_prompts.txt", 553, 553),
        ("drawbench/drawbench.txt", 200, 20),
        ("dpg/dpg_first_500.txt", 500, 0),
        ("t2i_compbench/numeracy_val.txt", 300, 39),
    ],
)
def test_published_lists_are_read_whole_and_find_their_own_prompts(name: str, prompts: int, scenes: int) -> None:
    coco = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes/vocabularies/coco.yaml").read_text()))
    benchmarks = Benchmarks([PUBLISHED / name], 8, coco)
    assert len(benchmarks.lines) == prompts and sum(benchmarks.compared.values()) == prompts
    assert benchmarks.compared["as scenes"] >= scenes
    assert all(benchmarks.find(scene_key(line.prompt, coco), line.prompt) for line in benchmarks.lines)
    assert all(benchmarks.find("", line.prompt) for line in benchmarks.lines)  # and whoever reads their scenes


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"{PUBLISHED} (other people's lists) is not there")
def test_short_lines_of_partiprompts_remove_no_long_prompts() -> None:
    coco = Vocabulary.model_validate(yaml.safe_load((ROOT / "recipes/vocabularies/coco.yaml").read_text()))
    parti = Benchmarks([PUBLISHED / "parti" / "PartiPrompts.tsv"], 8, coco)
    long = [prompt for _, prompt in read_list(PUBLISHED / "dpg" / "dpg_first_500.txt")]
    assert not any(parti.find("", prompt) for prompt in long)
