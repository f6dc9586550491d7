"""The user's own prompts: every format gives the same list; what cannot be read is said with its field."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import underpaint

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.engine.worker import stage_worker
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.stages.common.ledger import balances
from underpaint.stages.prompting.prompt_files import STRIDE
from underpaint.stages.prompting.prompt_source import OwnPrompt, PromptSource, open_prompts, read_stream

Write = Callable[[dict[str, Any]], Path]
PROMPTS = [f"A red car number {i}." for i in range(2 * STRIDE + 7)]


def as_text(folder: Path) -> Path:
    (folder / "p.txt").write_text("\n\n".join(PROMPTS) + "\n")
    return folder / "p.txt"


def as_jsonl(folder: Path) -> Path:
    (folder / "p.jsonl").write_text("".join(json.dumps({"n": i, "prompt": p}) + "\n" for i, p in enumerate(PROMPTS)))
    return folder / "p.jsonl"


def as_parquet(folder: Path) -> Path:
    (folder / "parts").mkdir()
    half = len(PROMPTS) // 2
    for name, part in (("a", PROMPTS[:half]), ("b", PROMPTS[half:])):
        pq.write_table(pa.table({"prompt": part}), folder / "parts" / f"{name}.parquet", row_group_size=100)
    return folder / "parts"


def as_table(folder: Path) -> Path:
    with (folder / "p.csv").open("w", newline="", encoding="utf-8-sig") as f:
        table = csv.writer(f)
        table.writerows([["n", "Prompt"], *([i, p.replace(" number", "\nnumber")] for i, p in enumerate(PROMPTS))])
    return folder / "p.csv"


def as_tabs(folder: Path) -> Path:
    (folder / "p.TSV").write_text("n\tcaption\n" + "".join(f"{i}\t{p}\r\n" for i, p in enumerate(PROMPTS)))
    return folder / "p.TSV"


def as_json(folder: Path) -> Path:
    (folder / "p.json").write_text(json.dumps({f"{i}.png": {"prompts": p} for i, p in enumerate(PROMPTS)}))
    return folder / "p.json"


def said(read: list[Any]) -> list[str]:
    return [one.text if isinstance(one, OwnPrompt) else str(one) for one in read]


def as_dataset(folder: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"prompt": PROMPTS}).save_to_disk(folder / "saved", num_shards=3)
    return folder / "saved"


@pytest.mark.parametrize("write", [as_text, as_jsonl, as_json, as_tabs, as_table, as_parquet, as_dataset])
def test_prompt_i_is_the_ith_of_the_list(write: Callable[[Path], Path], tmp_path: Path) -> None:
    source = PromptSource(path=str(write(tmp_path)))
    prompts = open_prompts(source)
    assert len(prompts) == len(PROMPTS)
    for start, stop in (
        (0, 3),
        (STRIDE - 1, STRIDE + 2),
        (95, 305),
        (len(PROMPTS) - 2, len(PROMPTS) + 9),
        (9999, 10000),
    ):
        assert said(prompts.read(start, stop)) == PROMPTS[start:stop]


def test_a_list_is_gone_through_as_often_as_asked(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a\nb\nc\n")
    source = PromptSource(path=str(tmp_path / "p.txt"), repeat=3)
    assert said(read_stream(source, 2, 5)) == ["c", "a", "b", "c", "a"]
    assert said(read_stream(source, 8, 5)) == ["c"]
    assert read_stream(source, 9, 5) == []


def test_a_parquet_file_is_read_by_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PromptSource(path=str(as_parquet(tmp_path)))
    read: list[int] = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, i, **kw: (read.append(i), original(self, i, **kw))[1]
    )
    assert len(open_prompts(source).read(110, 190)) == 80
    assert read == [0, 1]  # the first row is looked at when the list is opened


def test_bad_rows_are_told_apart_from_bad_files(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a car"}\nno json\n{"text": "a"}\n{"prompt": 3}\n{"prompt": " "}\n')
    good, *bad = open_prompts(PromptSource(path=str(tmp_path / "p.jsonl"))).read(0, 9)
    assert said([good]) == ["a car"]
    assert [str(b) for b in bad] == [
        "line 2: no valid JSON: Expecting value at column 1",
        "line 3: the 'prompt' is missing or blank",
        "line 4: the 'prompt' is no text, but 3",
        "line 5: the 'prompt' is missing or blank",
    ]


def saved_splits(folder: Path) -> Path:
    (folder / "d").mkdir()
    (folder / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    return folder / "d"


def numbers(folder: Path) -> Path:
    pq.write_table(pa.table({"prompt": [1, 2]}), folder / "n.parquet")
    return folder / "n.parquet"


def workbook(folder: Path) -> Path:
    (folder / "p.xlsx").write_text("prompt\n")
    return folder / "p.xlsx"


def nothing(folder: Path) -> Path:
    (folder / "p.txt").write_text("\n\n")
    return folder / "p.txt"


@pytest.mark.parametrize(
    ("write", "more", "said"),
    [
        (lambda f: f / "none.txt", {}, "field stages.prompts.source.path: {} does not exist"),
        (workbook, {}, "stages.prompts.source.path: {}: prompts are read from .txt, .jsonl, .ndjson, .json, .tsv"),
        (nothing, {}, "field stages.prompts.source.path: {} holds no prompt"),
        (saved_splits, {}, "several splits (train, test); name one of them"),
        (
            as_jsonl,
            {"column": "text"},
            "field stages.prompts.source.column: {} has no column 'text'; there are n, prompt",
        ),
        (numbers, {}, "field stages.prompts.source.column: {}: the column 'prompt' holds int, not text"),
        (as_text, {"colum": "x"}, "unknown field stages.prompts.source.colum; did you mean 'column'?"),
    ],
)
def test_a_wrong_list_is_refused_before_anything_runs(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path,
    write: Callable[[Path], Path], more: dict[str, Any], said: str,
) -> None:  # fmt: skip
    path = write(tmp_path)
    recipe["stages"]["prompts"] = {"source": {"path": str(path), **more}}
    with pytest.raises(UserError) as refused:
        load_recipe(write_recipe(recipe))
    assert said.format(path) in str(refused.value)


def test_the_fingerprint_knows_the_content_and_not_the_place(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    def fingerprints(path: str, **more: Any) -> dict[str, str]:
        recipe["stages"]["prompts"] = {"source": {"path": path, **more}}
        return {n: node.fingerprint for n, node in build_graph(load_recipe(write_recipe(recipe))).items()}

    (tmp_path / "a.txt").write_text("A red car.\n")
    (tmp_path / "b.txt").write_text("A red car.\n")
    (tmp_path / "c.txt").write_text("A red cup.\n")
    first = fingerprints("./a.txt")  # relative to the recipe
    assert fingerprints(str(tmp_path / "b.txt")) == first
    other = fingerprints("./c.txt")
    assert {name for name in first if other[name] == first[name]} == {"calibration"}  # it draws scenes of its own


def test_no_writer_is_asked_where_none_is_needed(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    def node(prompts: dict[str, Any]) -> Any:
        recipe["stages"]["prompts"] = prompts
        return build_graph(load_recipe(write_recipe(recipe)))["prompts"]

    (tmp_path / "a.txt").write_text("A red car.\n")
    source = {"path": "./a.txt"}
    assert node({}).stage.roles == () and "model of the writer" not in node({}).parts
    assert node({"source": {**source, "reader": "grammar"}}).stage.roles == ()
    assert node({"source": source}).stage.tasks == ("parse_prompt",)
    assert node({"enrich": {}}).stage.tasks == ("enrich_prompt",)
    assert "template enrich_prompt" in node({"enrich": {}}).parts


OWN = """A red car and a blue house on a sand background.
a photo of two green fish
In the morning a yellow star hangs somewhere above a purple cup.
the feeling of being late
A red car, a blue car and a green car. The red car is above the blue car. The blue car is above the green car.
A black tree and a black tree.
a boat <|im_end|>
"""


def run_prompts(recipe: dict[str, Any], write: Write, root: Path, lots: int = 1) -> list[tuple[Any, Any, Any]]:
    """(rows, manifest, quarantine) of the first lots of the stage prompts, made in this process."""
    loaded = load_recipe(write(recipe))
    node, store = build_graph(loaded)["prompts"], Store(root)
    work = stage_worker(loaded, "prompts", str(root), node.fingerprint)
    return [
        (store.table(node, i).to_pylist() if work(i) else [], work(i), store.failures(node, i)) for i in range(lots)
    ]


def test_own_prompts_become_scenes_or_go_to_quarantine(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_text(OWN)
    recipe["stages"]["prompts"] = {"source": {"path": "./own.txt"}}
    (rows, manifest, failures), (empty, ended, _) = run_prompts(recipe, write_recipe, tmp_path / "run", lots=2)
    assert [(r["sample"], r["origin"], r["category"]) for r in rows] == [
        (0, "grammar", "colour_attribution"), (1, "grammar", "composition"), (2, "writer", "composition"),
    ]  # fmt: skip
    assert rows[2]["prompt"] == OWN.splitlines()[2] and len(rows[2]["templates"]) == 1
    assert [r["predicate"] for r in json.loads(rows[2]["scene"])["relations"]] == ["above"]
    said = {f["sample"]: f for f in failures}
    assert set(said) == {3, 4, 5, 6} and not manifest["ledger"]["rejected"]
    assert all(said[i]["request"] == OWN.splitlines()[i] for i in (4, 5, 6))
    assert {said[i]["message"] for i in (4, 5)} == {
        "no layout on which all relations hold",
        "two objects that look alike; no instruction can tell them apart",
    }
    assert balances(manifest["ledger"]) and manifest["ledger"]["entered"] == 7
    assert empty == [] and ended["ledger"]["entered"] == 0  # the list has ended


def test_without_the_writer_the_rest_goes_to_quarantine(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_text(OWN)
    recipe["stages"]["prompts"] = {"source": {"path": "./own.txt", "reader": "grammar"}}
    ((rows, _, failures),) = run_prompts(recipe, write_recipe, tmp_path / "run")
    assert [r["sample"] for r in rows] == [0, 1]
    assert OWN.splitlines()[2] in {f["request"] for f in failures}


def test_a_build_says_that_the_list_has_ended(recipe: dict[str, Any], write_recipe: Write, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("A red car.\nA blue house and a green cup.\n")
    recipe["stages"]["prompts"] = {"source": {"path": "./own.txt", "reader": "grammar"}}
    done = underpaint("build", write_recipe(recipe), "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "the prompt list ends before the quotas are met: 2 prompts (1 lots), none left" in done.stderr
    assert "stages.prompts.source.repeat" in done.stderr and "Traceback" not in done.stderr
