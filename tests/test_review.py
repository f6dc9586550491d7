"""Human decisions: written by the page or by options, applied by the selection, refused where they make no sense."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pytest
from conftest import ROOT

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.candidate_tables import EMPTY
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.recipe.benchmark_lists import Benchmarks
from underpaint.pipeline.recipe.corpus_settings import Select
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.pipeline.report.review import Reviewed, serve
from underpaint.pipeline.selection.decisions import FILE, Decision, add_decision, load_decisions
from underpaint.pipeline.selection.pool import open_pool
from underpaint.schemas.scenes.vocabulary import Vocabulary


def candidates(agreements: list[float]) -> pa.Table:
    """Conflict positives with contents 0, 1, …"""
    columns: dict[str, Any] = {f.name: pa.nulls(len(agreements), f.type) for f in EMPTY.schema}
    columns["kind"] = pa.array(["conflict_positive"] * len(agreements), columns["kind"].type)
    columns["fault"] = pa.array([""] * len(agreements), columns["fault"].type)
    columns["lot"] = pa.array([0] * len(agreements), columns["lot"].type)
    columns["content"] = pa.array(range(len(agreements)), columns["content"].type)
    columns["checked_by"] = pa.array(["grammar"] * len(agreements), columns["checked_by"].type)
    columns["agreement"] = pa.array(agreements, columns["agreement"].type)
    return pa.table(columns)


def decided(content: int, decision: Any) -> Decision:
    return Decision(kind="conflict_positive", content=content, decision=decision)


def test_the_selection_applies_them(tmp_path: Path, vocabulary: Vocabulary) -> None:
    for content, decision in ((0, "reject"), (1, "accept"), (2, "accept"), (2, "reject")):
        add_decision(tmp_path, decided(content, decision))
    table = pa.concat_tables([candidates([1.0, 0.2, 1.0, 1.0, 0.2]), candidates([1.0, 0.3])])
    pool, _ = open_pool(table, Benchmarks([], 8, vocabulary), load_decisions(tmp_path))
    pool.refuse_by(Select(min_agreement=0.5))
    # 0 and 2 are rejected, wherever they occur again; 1 passes the threshold, but as a duplicate only once
    assert np.flatnonzero(pool.accepted()).tolist() == [1, 3]
    assert pool.counts()["conflict_positive"]["a reviewer's decision"] == 3


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    assert load_decisions(tmp_path) == {}
    add_decision(tmp_path, decided(1, "accept"))
    with (tmp_path / FILE).open("a") as f:
        f.write('{"kind": "multi_turn", "content": 1, "decision": "maybe"}\n')
    with pytest.raises(UserError, match=r"decisions\.jsonl, line 2: field decision: .*'accept' or 'reject'"):
        load_decisions(tmp_path)


def test_a_reason_may_hold_any_line_separator(tmp_path: Path) -> None:
    said = "one\u2028two\u2029three\x85four\nfive"
    for content in (1, 2):
        add_decision(tmp_path, decided(content, "reject").model_copy(update={"reason": said}))
    assert [d.reason for d in load_decisions(tmp_path).values()] == [said, said]


class Shelf(Reviewed):
    """One sample, without a run behind it."""

    def __init__(self, root: Path) -> None:
        file = ROOT / "recipes" / "structural.yaml"
        self.run = Run(load_recipe(file), root, {}, file)
        self._lock, self.references, self.decisions = threading.Lock(), {}, {}

    def _key(self, id: str) -> tuple[str, int]:
        if id != "iic-00000001":
            raise UserError("no such sample")
        return "conflict_positive", 7


def test_the_page_is_for_this_machine_and_its_own_address(tmp_path: Path) -> None:
    server, address = serve(Shelf(tmp_path), 0, "", 5)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        assert server.server_address[0] == "127.0.0.1"
        assert "None of this kind" in urlopen(address).read().decode()
        stranger = Request(address, headers={"Host": "evil.example:80"})
        guess = address.rsplit("/", 2)[0] + "/"
        form = Request(address + "decide", data=b"id=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
        unknown = Request(address + "decide", data=b'{"id": "x"}', headers={"Content-Type": "application/json"})
        for request, status in ((stranger, 404), (guess, 404), (form, 404), (unknown, 400)):
            with pytest.raises(HTTPError) as refused:
                urlopen(request)
            assert refused.value.code == status
    finally:
        server.shutdown()
        server.server_close()
    assert not (tmp_path / FILE).exists()


def test_a_decision_is_a_line_on_disk(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.decide("iic-00000001", "reject", "the cup is fine", "A cup.")
    line = json.loads((tmp_path / FILE).read_text())
    assert line["content"] == 7 and line["decision"] == "reject" and line["reason"] == "the cup is fine"
    assert shelf.about("iic-00000001") == load_decisions(tmp_path)["conflict_positive", 7]
    with pytest.raises(UserError, match="'accept' or 'reject'"):
        shelf.decide("iic-00000001", "perhaps", "")
