"""`underpaint inspect-pack`: lengths by kind, what settings would drop, what is recommended, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from conftest import underpaint
from factories import corpus, write_tiny_corpus
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from underpaint.pipeline.training.packing import RECOMMENDED, Packing
from underpaint.pipeline.training.sequence import Policy
from underpaint.pipeline.training.survey import lengths, mixture, read_sequences, recommend, trial, weights
from underpaint.pipeline.training.tokens import byte_tokens, counter


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


def test_the_command_prints_what_the_survey_finds(tiny: Path) -> None:
    done = underpaint("inspect-pack", tiny, "--px", "1024", "--vit", "518", "--packs", "50", "--json")
    report = json.loads(done.stdout)
    train = [s for s, _ in corpus() if s.split == "train"]
    counted = Counter({(r["kind"], r["pictures"]): r["samples"] for r in report["lengths"]})
    assert counted == Counter((f"{s.subset} {s.polarity}".removesuffix(" none"), s.n_images) for s in train)
    given, stock, ours = report["trials"]
    assert (given["px"], given["vit"], given["packing"]["expected_num_tokens"]) == (1024, 518, 33000)
    assert stock["packing"]["max_num_tokens_per_sample"] == 16384 and stock["too_long"] > given["too_long"] > 0
    assert ours["px"] < 1024 and ours["trained"] >= 0.99
    words = underpaint("inspect-pack", tiny, "--packs", "50").stdout
    assert "BAGEL's defaults" in words and "weight                    alignment 16, conflict 16, multi_turn 16" in words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--expected", "40000"], "--expected 40000 is over --max-tokens 36864"),
        (["--tokenizer", "no/such"], "--tokenizer: no/such/tokenizer.json: is no tokenizer"),
    ],
)
def test_what_makes_no_sense_is_refused(tiny: Path, options: list[str], message: str) -> None:
    done = underpaint("inspect-pack", tiny, *options)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_folder_that_is_no_corpus_is_refused(tmp_path: Path) -> None:
    done = underpaint("inspect-pack", tmp_path)
    assert done.returncode == 2 and "holds no corpus" in done.stderr


def test_a_setting_without_end_is_reported_beside_the_others(tiny: Path) -> None:
    found = list(read_sequences(tiny, byte_tokens, Policy()))
    stuck = trial("given", mixture(found, 512, 518), 512, 518, Packing(max_num_tokens_per_sample=1000), 10)
    assert "mandatory" in stuck.error and stuck.trained == 0
    assert recommend(found, 512, 518, 200).packing == RECOMMENDED


def test_packs_that_may_close_earlier_are_recommended_where_the_buffer_would_lose_samples(tiny: Path) -> None:
    """Long trajectories only: few fit beside each other."""
    found = [s for s in read_sequences(tiny, byte_tokens, Policy()) if s.kind == "multi_turn" and s.pictures > 1]
    full = trial("full", mixture(found, 512, 518), 512, 518, RECOMMENDED, 300)
    ours = recommend(found, 512, 518, 300)
    assert full.lost > 0.01 and ours.trained >= 0.99 and (ours.px, ours.vit) == (512, 518)
    assert ours.packing.expected_num_tokens < 33000


def test_steps_are_shorter_and_more(tiny: Path) -> None:
    whole = list(read_sequences(tiny, byte_tokens, Policy()))
    steps = list(read_sequences(tiny, byte_tokens, Policy(per_step=True)))
    assert weights(steps)["multi_turn"] > weights(whole)["multi_turn"]
    assert max(r.most for r in lengths(steps, 512, 518)) < max(r.most for r in lengths(whole, 512, 518))


def test_a_named_tokenizer_counts(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordLevel({"a": 0, "car": 1, "[UNK]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert counter(tmp_path)("a red car") == 3 and counter(None)("a rød car") == 10
