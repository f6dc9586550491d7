"""The report's figures, and its page, of a run made in this process (no Ray)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import structural_recipe
from rich.console import Console
from typer.testing import CliRunner

from underpaint.pipeline import build as building
from underpaint.pipeline.cli.main import app
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.figures import read_facts
from underpaint.pipeline.corpus.repair_figures import repairs
from underpaint.pipeline.corpus.shard import read_shard
from underpaint.pipeline.engine.ray_pool import Report
from underpaint.pipeline.engine.run_folder import Run, open_run
from underpaint.pipeline.report.report import corpus_of, write_report


class InProcess:
    """What a pool does, by this process."""

    def run(
        self, factory: Callable[..., Any], arguments: tuple[Any, ...], jobs: Any, *, on_done: Any, gpus: float = 0
    ) -> Report:  # fmt: skip
        work, report = factory(*arguments), Report()
        for job in jobs:
            report.results[job] = work(job)
            on_done(job, report.results[job])
        return report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("report")
    (folder / "bench.txt").write_text("\n".join(f"a {c} cup on a sand background" for c in ("red", "blue", "green")))
    changes = {"decontaminate": {"lists": ["bench.txt"]}, "select": {"min_margin": {"quantile": 0.2}}, "lot_size": 24}
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump({**structural_recipe(), **changes}))

    @contextmanager
    def pool(*_: Any) -> Iterator[InProcess]:
        yield InProcess()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "pool", pool)
        opened = open_run(file, folder / "run")
        building.build(opened, Console(quiet=True))
        yield opened


def test_the_figures_are_those_of_the_shards(run: Run) -> None:
    facts = read_facts(run.corpus, show=2)
    index = json.loads((run.corpus / "index.json").read_text())
    assert facts.samples == index["samples"] == 30
    assert {c: sum(k.values()) for c, k in facts.categories.items()} == index["totals"]["category"]
    assert facts.pictures.total() == facts.detours.total() == 16 and 1 <= facts.mean_pictures <= 5
    assert facts.judged == {"text": 4, "picture": 5}
    assert all(0 < s.value <= 1 for side in facts.judged for s in facts.finding_shares(side).values())
    assert all(facts.finding_shares(side) for side in facts.judged)
    assert all(len(shown) == 2 for shown in facts.shown.values()) and len(facts.shown) == 5


def test_every_try_at_a_repair_is_counted(run: Run) -> None:
    found = repairs(run.nodes["repair"], run.store, run.lots_done()["sampled"])
    lots = range(run.lots_done()["sampled"])
    ledgers = [run.store.manifest(run.nodes["repair"], lot)["ledger"] for lot in lots]
    assert found.repaired == sum(ledger["kept"] for ledger in ledgers)
    assert found.flawed == sum(ledger["entered"] for ledger in ledgers) - sum(
        sum(x["failed"].values()) for x in ledgers
    )
    left = found.flawed
    for number, tries in enumerate(found.by_try, 1):  # who is left is tried again, as long as there are methods
        assert tries.name == str(number) and tries.tried <= left
        left -= tries.accepted
    assert sum(t.tried for t in found.by_method) == sum(t.tried for t in found.by_try)


def test_the_page_says_it_all(run: Run, tmp_path: Path) -> None:
    page = write_report(run, 2, against=run.root).read_text()
    for id in ("quotas", "composition", "repairs", "errors", "thresholds", "contamination", "time", "funnel"):
        assert f'<h2 id="{id}">' in page
    assert page.count("<article>") == 10
    (took,) = run.builds()
    assert took["made"] == sum(run.store.is_done(n, i) for n in run.nodes.values() for i in run.store.done(n))
    assert (
        set(took["stages"]) == set(run.nodes) - {"calibration"} and sum(took["stages"].values()) <= took["seconds"] + 1
    )
    assert "(3 benchmark prompts to compare with: " in page and "0.200" in page
    with pytest.raises(UserError, match="no corpus in"):
        corpus_of(tmp_path)


def test_nothing_comes_twice_in_the_shards_and_no_scene_is_in_two_splits(run: Run) -> None:
    splits: dict[str, set[str]] = {}
    seen = set()
    for sample, _ in (s for shard in sorted(run.corpus.glob("*/*.tar")) for s in read_shard(shard)):
        splits.setdefault(sample.group, set()).add(sample.split)
        shown = {"multi_turn": -1, "alignment": 0}.get(sample.subset)  # the last picture, the judged draft
        what = "".join(s.text for s in sample.segments) if shown is None else sample.images[shown].sha256
        seen.add((sample.subset, sample.group, what))
    assert len(seen) == 30 and {len(s) for s in splits.values()} == {1}


def test_select_says_what_other_thresholds_yield_and_loads_no_model(run: Run) -> None:
    file = str(run.root.parent / "tiny.yaml")
    words = ["select", file, "--out", str(run.root), "--dry-run", "--json", "--set", "select.min_margin=0.3"]
    code = f"import sys; from underpaint.pipeline.cli.main import app; app({words}, standalone_mode=False)"
    code += "; assert not {'torch', 'ray'} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    margins = [y for y in found["yields"] if y["measure"] == "margin"]
    assert [y["threshold"] for y in margins if y["current"]] == [0.3]
    assert found["quotas"]["multi_turn"]["chosen"] == 16 and found["lots"] == run.lots_done()
    refused = CliRunner().invoke(app, ["select", file, "--out", str(run.root), "--set", "select.min_margin=0.3"])
    assert isinstance(refused.exception, UserError) and "--set is for --dry-run" in str(refused.exception)
    refused = CliRunner().invoke(app, [*words[:-1], "seed=3"])
    assert "within select, quotas, decontaminate" in str(refused.exception)
