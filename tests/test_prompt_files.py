"""Files of prompts as people save them: what is read, what is refused with what to do, and what no file can hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from underpaint.stages.prompting.prompt_files import STRIDE, SourceError
from underpaint.stages.prompting.prompt_source import OwnPrompt, PromptSource, open_prompts, read_stream

PARTI = ROOT.parent / "shared" / "data" / "prompts" / "parti" / "PartiPrompts.tsv"
BOM = "\ufeff"
CAR = {"id": "a", "noun": "car", "attributes": {"colour": "red"}}


def prompts(file: Path, content: str | bytes, **more: Any) -> list[str]:
    """The prompts of a file with this content; of a bad row what is wrong with it."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = open_prompts(PromptSource(path=str(file), **more))
    return [one.text if isinstance(one, OwnPrompt) else str(one) for one in found.read(0, len(found))]


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("a.txt", "a red car\n\n  two  cats \n", {}),
        ("a.TXT", BOM + "a red car\r\n\r\ntwo cats\r\n", {}),
        ("a.jsonl", BOM + '{"prompt": "a red car"}\n{"prompt": "two cats"}', {}),
        ("a.ndjson", '"a red car"\n"two cats"\n', {}),
        ("a.JSONL", '{"text": "a red car", "prompt": 3}\r\n\r\n{"text": "two cats"}\r\n', {"column": "text"}),
        ("a.json", BOM + '[{"Prompt": "a red car"}, {"Prompt": "two cats"}]', {}),
        ("a.json", '["a red car", "two cats"]', {}),
        ("a.json", '{"0.png": "a red car", "1.png": "two cats"}', {}),
        ("a.tsv", BOM + "Category\tPrompts\nVehicles\ta red car\n\t\nAnimals\ttwo cats\n", {}),
        ("a.tsv", 'Prompt\tNote\n"a red car"\t"a ""good"" one"\ntwo cats\tsaid "so"\n', {}),
        ("a.csv", BOM + 'id,Prompts\r\n1,a red car\r\n,\r\n2,"two\r\ncats"\r\n', {}),
        ("a.CSV", 'prompt,caption\nx,a red car\ny,"two cats"\n', {"column": "caption"}),
        ("a.csv", "prompt\na red car\ntwo cats", {}),
    ],
)
def test_two_prompts_in_any_format(tmp_path: Path, name: str, content: str, more: dict[str, str]) -> None:
    assert prompts(tmp_path / name, content, **more) == ["a red car", "two cats"]


def test_quotation_marks_of_a_tsv_are_kept_where_they_enclose_no_cell(tmp_path: Path) -> None:
    lines = 'Prompt\tNote\n"G I G" in letters\t\n5" of snow, "wet"\t\n"a ""b"" c"\t"x\ty"\n"open\t\n'
    assert prompts(tmp_path / "a.tsv", lines) == [
        '"G I G" in letters', '5" of snow, "wet"', 'a "b" c',
        "line 5: a cell begins with a quotation mark that nothing closes in its line",
    ]  # fmt: skip


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    apart = "a red\u2028car\x0b and\x1c a \x85house"
    assert prompts(tmp_path / "a.txt", f"{apart}\ntwo cats\n") == ["a red car and a house", "two cats"]
    assert prompts(tmp_path / "a.jsonl", json.dumps({"prompt": "a\u2028b"}, ensure_ascii=False)) == ["a b"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "Prompt\tCategory\na red car\tVehicles\n", "looks like a table, not like one prompt a line"),
        ("a.txt", "a red car\t1\na cat\t2\nthe sea\n", "looks like a table"),
        ("a.txt", "id,prompt\n1,a red car\n", "looks like a table"),
        ("a.txt", "Caption\na red car\n", "looks like a table"),
        ("a.txt", '{"prompt": "a red car"}\n{"prompt": "two cats"}\n', "looks like JSON lines"),
        ("a.txt", '[\n {"prompt": "a red car"}\n]\n', "looks like JSON"),
        ("a.txt", '["a red car",\n "two cats"]\n', "looks like JSON"),
        ("a.txt", "a red car\rtwo cats\r", "line 1: a carriage return ends no line"),
        ("a.txt", "a red car\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a.csv", "prompt;n\na red car;1\n", "prompts, caption or captions; there are prompt;n; its cells seem"),
        ("a.csv", "a red car\ntwo cats\n", "has no column prompt"),
        ("a.csv", 'prompt,n\n"a red car,1\ntwo cats,2\n', "line 2: no valid CSV: unexpected end of data; is"),
        ("a.csv", 'prompt,n\n"a" red car,1\n', "line 2: no valid CSV"),
        ("a.csv", "prompt,prompt\na,b\n", "names the column 'prompt' twice"),
        ("a.csv", "prompt,n\n", "holds no prompt"),
        ("a.jsonl", "a red car\n", "line 1: no valid JSON"),
        ("a.jsonl", "[1]\n", "line 1: not a JSON object or string, but a list"),
        ("a.json", '{"prompt": "a"}\n{"prompt": "b"}\n', "if each line is an object, name it .jsonl"),
        ("a.json", '["a red car", {"prompt": "b"}]', "entry 2 is a dict; give objects, or strings, all alike"),
        ("a.json", '{"name": "mine", "rows": ["a"]}', "entry 2 is a list"),
        ("a.json", '{"prompt": ["a", "b"]}', "the column 'prompt' holds list, not text"),
        ("a.json", "3", "entry 1 is a int"),
        ("a.json", "[]", "holds no prompt"),
        ("a.parquet", "a red car\n", "cannot be read"),
        ("a.arrow", "a red car\n", "cannot be read"),
        ("a.yaml", "- a red car\n", "prompts are read from .txt, .jsonl, .ndjson, .json, .tsv, .csv"),
        ("prompts", "a red car\n", "prompts are read from .txt"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    with pytest.raises(SourceError, match="a") as refused:
        prompts(tmp_path / name, content)
    assert said in str(refused.value) and str(tmp_path / name) in str(refused.value)


def test_prompts_that_only_resemble_tables_are_read(tmp_path: Path) -> None:
    lines = [
        "{red|blue} car",
        "a car, red\tand new",
        "[a cat:0.5] in a hat",
        "a caption, in white letters",
        '"Stop", he says',
    ]
    assert prompts(tmp_path / "a.txt", "\n".join(lines)) == [" ".join(line.split()) for line in lines]


@pytest.mark.parametrize("deep", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_json_that_is_nested_too_deeply_is_one_bad_row_or_a_refused_file(tmp_path: Path, deep: str) -> None:
    lines = f'{{"prompt": "a red car"}}\n{{"prompt": {deep}}}\n'
    assert prompts(tmp_path / "a.jsonl", lines) == ["a red car", "line 2: JSON that is nested too deeply"]
    for name in ("a.jsonl", "a.json"):
        with pytest.raises(SourceError, match="nested too deeply"):
            prompts(tmp_path / name, deep)


def test_what_no_file_can_hold_spoils_its_own_row_alone(tmp_path: Path) -> None:
    half = "which is half a character (of an emoji that was cut, or a byte that is no UTF-8)"
    rows = [r'{"prompt": "a car \ud83d"}', r'{"prompt": "a \u0000 car"}', r'{"prompt": "a \ud83d\ude97"}']
    assert prompts(tmp_path / "a.jsonl", "\n".join(rows)) == [
        rf"line 1: the 'prompt' holds '\ud83d', {half}",
        r"line 2: the 'prompt' holds the control character '\x00'",
        "a 🚗",
    ]
    for name, head in (("a.txt", b""), ("a.csv", b"prompt\n"), ("a.tsv", b"prompt\tn\n")):
        tail = b"\t1" if name == "a.tsv" else b""
        found = prompts(tmp_path / name, head + b"a car" + tail + b"\na caf\xe9" + tail + b"\ntwo cats" + tail)
        assert found[::2] == ["a car", "two cats"] and r"'\udce9', which is half" in found[1]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_value_of_parquet_that_is_no_utf8_spoils_its_own_row_alone(tmp_path: Path, kind: pa.DataType) -> None:
    texts = ["a car", "X", None, "two cats"]
    column = pa.array(texts, kind)
    pq.write_table(pa.table({"Prompt": column}), tmp_path / "a.parquet", compression="none", use_dictionary=False)
    whole = (tmp_path / "a.parquet").read_bytes()
    found = prompts(tmp_path / "a.parquet", whole.replace(b"\x01\x00\x00\x00X", b"\x01\x00\x00\x00\xff"))
    assert found[0] == "a car" and found[3] == "two cats"
    assert "row 2: 'utf-8' codec can't decode" in found[1] and found[2] == "row 3: the 'Prompt' is missing or blank"


def saved(folder: Path, name: str, content: str) -> Path:
    folder.mkdir()
    (folder / name).write_text(content)
    return folder


@pytest.mark.skipif(not PARTI.is_file(), reason=f"{PARTI} is not there")
def test_partiprompts_as_published_is_a_source() -> None:
    lines = PARTI.read_text(encoding="utf-8").split("\n")[1:-1]
    prompts = open_prompts(PromptSource(path=str(PARTI)))
    read = [one.text for one in prompts.read(0, len(prompts)) if isinstance(one, OwnPrompt)]
    assert len(read) == len(prompts) == 1632
    assert read == [" ".join(line.split("\t")[0].split()) for line in lines]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("state.json", '{"_data_files": []}', "holds no prompt: the dataset was empty"),
        ("state.json", '{"_data_files": [{"filename": "data-00001.arrow"}]}', "it lacks data-00001.arrow"),
        ("state.json", '{"epoch": 1}', "not what datasets.save_to_disk writes (no '_data_files')"),
        ("state.json", "{", "not what datasets.save_to_disk writes"),
        ("dataset_dict.json", "{}", "not what datasets.save_to_disk writes (no 'splits')"),
        ("dataset_dict.json", '{"splits": ["train"]}', "several splits (train)"),
        ("readme", "", "is a folder without prompts"),
    ],
)
def test_a_saved_dataset_that_is_not_complete_is_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_prompts(PromptSource(path=str(saved(tmp_path / "d", name, content))))
    assert refused.value.field == "path" and said in str(refused.value)


@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=9))
def test_a_prompt_is_the_same_from_every_format(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each is the text on one line, or an error, in all formats alike; in a CSV, which skips rows without content."""
    import csv

    folder = tmp_path_factory.mktemp("formats")
    texts = ["first", *(text.replace("\ufeff", "") for text in texts)]
    objects = [{"n": 1, "prompt": text} for text in texts]
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as f:
        table = csv.DictWriter(f, ["n", "prompt"])
        table.writeheader()
        table.writerows(objects)
    (folder / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    (folder / "a.json").write_text(json.dumps(objects, ensure_ascii=False), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(objects), folder / "a.parquet")
    found = {}
    for name in ("a.csv", "a.jsonl", "a.json", "a.parquet"):
        read = open_prompts(PromptSource(path=str(folder / name))).read(0, len(texts))
        found[name] = [one.text if isinstance(one, OwnPrompt) else None for one in read]
    assert found["a.csv"] == found["a.jsonl"] == found["a.json"] == found["a.parquet"]
    assert len(found["a.json"]) == len(texts)


def test_a_long_table_is_read_in_slices_by_the_lines_of_its_rows(tmp_path: Path) -> None:
    rows = [f'{i},"car\n{i}"' for i in range(2 * STRIDE + 5)]
    (tmp_path / "a.csv").write_text("n,prompt\n" + "\n".join(rows))
    source = PromptSource(path=str(tmp_path / "a.csv"))
    (one, two) = read_stream(source, STRIDE + 1, 2)
    assert isinstance(one, OwnPrompt) and isinstance(two, OwnPrompt)
    assert (one.text, one.number) == (f"car {STRIDE + 1}", 2 * (STRIDE + 1) + 2)  # a header, then two lines a row
    assert (two.text, two.number) == (f"car {STRIDE + 2}", 2 * (STRIDE + 2) + 2)


def scenes(file: Path, rows: list[Any], **more: Any) -> list[Any]:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(open_prompts(PromptSource(path=str(file), scene="graph", **more)).read(0, len(rows)))


def test_a_list_may_hold_the_scene_graphs(tmp_path: Path) -> None:
    scene = {"objects": [CAR]}
    found = scenes(
        tmp_path / "a.jsonl",
        [
            {"graph": scene},
            {"prompt": "a red car", "graph": json.dumps(scene)},
            {"prompt": "a car", "graph": None},
            {"prompt": "a car", "graph": {"objects": [{**CAR, "color": "red"}]}},
            {"graph": {"objects": [{**CAR, "noun": "\ud83d"}]}},
            {"prompt": 3, "graph": scene},
        ],
    )
    assert [(one.text, one.scene.objects[0].noun) for one in found[:2]] == [("", "car"), ("a red car", "car")]
    assert str(found[2]) == "line 3: the 'graph' holds no scene graph"
    assert str(found[3]) == "line 4: graph.objects.0.color: Extra inputs are not permitted"
    assert str(found[4]).startswith(r"line 5: graph.objects.0.noun holds '\ud83d', which is half")
    assert str(found[5]) == "line 6: the 'prompt' is no text, but 3"


def test_scene_graphs_in_parquet_have_the_fields_of_all_others(tmp_path: Path) -> None:
    house = {"id": "b", "noun": "house", "attributes": {"size": "big"}, "count": 2}
    pq.write_table(pa.table({"graph": [{"objects": [CAR]}, {"objects": [house]}]}), tmp_path / "a.parquet")
    found = open_prompts(PromptSource(path=str(tmp_path / "a.parquet"), scene="graph")).read(0, 2)
    graphs = [one.scene.objects[0] for one in found if isinstance(one, OwnPrompt) and one.scene]
    assert [(o.noun, o.attributes, o.count) for o in graphs] == [
        ("car", {"colour": "red"}, 1), ("house", {"size": "big"}, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "more", "field", "said"),
    [
        ("a.jsonl", {"scene": "scene"}, "scene", "has no column 'scene'; there are prompt, graph"),
        ("a.txt", {"scene": "graph"}, "scene", "is plain text, which holds no scene graphs"),
        ("a.jsonl", {"scene": "graph", "column": "text"}, "column", "has no column 'text'; there are prompt, graph"),
    ],
)
def test_a_column_of_scenes_that_is_not_there_is_refused(
    tmp_path: Path, name: str, more: dict[str, str], field: str, said: str
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": "a", "graph": {"objects": [CAR]}}))
    (tmp_path / "a.txt").write_text("a red car")
    with pytest.raises(SourceError, match=said) as refused:
        open_prompts(PromptSource(path=str(tmp_path / name), **more))
    assert refused.value.field == field
