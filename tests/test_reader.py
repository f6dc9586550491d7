"""The reader gives every sample once an epoch, typed, in an order that a saved state resumes exactly."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import webdataset as wds
from conftest import ROOT
from factories import FIRST, corpus, write_tiny_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from underpaint.schemas.corpus.example import trusted
from underpaint.schemas.corpus.reader import Reader, ReaderError, shards_of
from underpaint.schemas.corpus.sample import Sample, SampleError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="module")
def shards(tiny: Path) -> list[str]:
    return shards_of(tiny, "multi_turn") + shards_of(tiny, "conflict") + shards_of(tiny, "alignment")


def keys(reader: Reader) -> list[str]:
    return [example.key for example in reader]


@pytest.mark.parametrize("verify", [False, True])
def test_every_sample_comes_out_as_it_went_in(shards: list[str], verify: bool) -> None:
    written = {s.id: (s, pictures) for s, pictures in corpus() if s.split == "train"}
    read = {e.key: e for e in Reader(shards, seed=3, shuffle=7, verify=verify)}
    assert read.keys() == written.keys()
    for key, (sample, pictures) in written.items():
        assert read[key].sample == sample and list(read[key].pictures.values()) == pictures
        assert [s.type for s, _ in read[key].parts()] == [s.type for s in sample.segments]


def test_a_trusted_sample_equals_a_checked_one() -> None:
    for sample, _ in corpus(2):
        made = trusted(json.loads(sample.to_json_bytes()))
        assert made == sample and type(made) is Sample and made.to_json_bytes() == sample.to_json_bytes()


def test_order_is_drawn_anew_each_epoch_and_equal_for_equal_seeds(shards: list[str]) -> None:
    plain = keys(Reader(shards, seed=None))
    one, other = Reader(shards, seed=1, shuffle=9), Reader(shards, seed=2, shuffle=9)
    first, second = keys(one), keys(one)
    assert len({tuple(o) for o in (plain, first, second, keys(other))}) == 4
    assert sorted(plain) == sorted(first) == sorted(second)
    assert keys(Reader(shards, seed=1, shuffle=9)) == first


@settings(max_examples=40)
@given(st.sampled_from([0, 1, 5, 100]), st.integers(0, 130), st.sampled_from([(0, 1), (1, 3)]))
def test_a_resumed_reader_goes_on_with_the_next_sample(
    shards: list[str], shuffle: int, taken: int, worker: tuple[int, int]
) -> None:
    def reader() -> Reader:
        return Reader(shards, seed=5, shuffle=shuffle, repeat=True, rank=(0, 1), worker=worker)

    whole = [e.key for e in itertools.islice(reader(), taken + 60)]
    broken_off = reader()
    assert [e.key for e in itertools.islice(broken_off, taken)] == whole[:taken]
    state = json.loads(json.dumps(broken_off.state_dict()))
    resumed = reader()
    resumed.load_state_dict(state)
    assert [e.key for e in itertools.islice(resumed, 60)] == whole[taken:]


def test_ranks_and_workers_share_the_shards_without_rest(shards: list[str]) -> None:
    shares = [
        keys(Reader(shards, seed=1, shuffle=4, rank=(rank, 2), worker=(worker, 2)))
        for rank in range(2)
        for worker in range(2)
    ]
    assert sorted(itertools.chain(*shares)) == sorted(keys(Reader(shards)))  # 6 shards for 4: two read a second one


def test_a_torch_data_loader_takes_it(shards: list[str]) -> None:
    loader = DataLoader(wds.DataPipeline(Reader(shards, seed=1).__iter__), batch_size=None, num_workers=2)
    assert sorted(e.key for e in loader) == sorted(keys(Reader(shards)))


def test_what_cannot_be_read_as_asked_is_refused(tiny: Path, shards: list[str], tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="no validation shards"):
        shards_of(tmp_path, "conflict", "validation")
    with pytest.raises(ReaderError, match="list of at least one"):
        Reader(shards[0])  # type: ignore[arg-type]
    with pytest.raises(ReaderError, match="seed is None"):
        Reader(shards, seed=None, shuffle=10)
    with pytest.raises(ReaderError, match="6 shards for 4 ranks with 2 workers"):
        keys(Reader(shards, rank=(0, 4), worker=(0, 2)))
    state = Reader(shards, seed=1).state_dict()
    with pytest.raises(ReaderError, match=r"seed was 1 .* is 2 now"):
        Reader(shards, seed=2).load_state_dict(state)
    whole = (tiny / FIRST).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ReaderError, SampleError), match=r"cut\.tar"):
        keys(Reader([str(tmp_path / "cut.tar")]))
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(ReaderError, match="no sample"):
        keys(Reader([str(tmp_path / "empty.tar")], repeat=True))


def test_a_changed_byte_is_found_only_where_reading_verifies(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes((tiny / FIRST).read_bytes().replace(b"Add thing 1.", b"Add thing 7.", 1))
    assert len(keys(Reader([str(broken)]))) == 8
    with pytest.raises(SampleError, match="content_sha256"):
        keys(Reader([str(broken)], verify=True))


def test_reading_needs_neither_torch_nor_ray(shards: list[str]) -> None:
    lines = [
        "import sys",
        "sys.modules['torch'] = sys.modules['ray'] = None",
        "from underpaint.schemas.corpus.reader import Reader",
        f"print(sum(e.picture('img0.webp').width for e in Reader({shards[:1]!r})))",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and int(done.stdout) == 16 * 8, done.stderr
