"""The package as it is installed: for a reader alone, for a builder, and on the nodes of a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from test_installation import git, repository

ROOMS = ("schemas", "stages", "pipeline", "miniature", "recipes")
NOT_SHIPPED = ("__pycache__", "README.md", "autoencoder", "wording")
# What a trainer's own folder may hold. None of it may be imported in place of ours.
DISTURBANCES = ("schemas/__init__.py", "stages/__init__.py", "pipeline.py", "miniature.py")
WHERE_A_WORKER_IMPORTS = """
from underpaint.pipeline.engine.ray_pool import pool

def factory():
    def work(job):
        import my_model, underpaint.pipeline.engine.worker as module
        return module.__file__
    return work

with pool(1, 1) as actors:
    print(actors.run(factory, (), [0]).results[0])
"""


def clean(environment: dict[str, str]) -> dict[str, str]:
    """This process' environment and more, without what leads Python to this checkout."""
    own = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "RAY_ADDRESS")}
    return {**own, "RAY_USAGE_STATS_ENABLED": "0", **environment}


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints."""
    env = clean(environment)
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_environment(folder: Path, python: str = sys.executable) -> Path:
    """An empty environment's interpreter."""
    run(python, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    return folder / "bin" / "python"


def pip_install(python: Path, *words: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *words, cwd=python.parent)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The wheel and its commit: a checkout's sdist, built inside a foreign repository."""
    folder = tmp_path_factory.mktemp("built")
    checkout, foreign = folder / "checkout", folder / "foreign"
    checkout.mkdir()
    for name in (*ROOMS, "underpaint"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, checkout / name)
    git(checkout, "init", "-q")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "all")
    repository(foreign)
    run(sys.executable, "setup.py", "-q", "sdist", "-d", folder, cwd=checkout)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as tar:
        tar.extractall(foreign, filter="data")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder)
    run(*pip, next(foreign.glob("underpaint-*")), cwd=folder)
    return next(folder.glob("*.whl")), git(checkout, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def builder(built: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, and behind it what this environment has installed."""
    folder = tmp_path_factory.mktemp("builder") / "env"
    python = make_environment(folder)
    pip_install(python, "--no-deps", "--no-index", built[0])
    place = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (place / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_holds_what_the_checkout_holds(built: tuple[Path, str]) -> None:
    wheel, commit = built
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.startswith("underpaint-")}
        assert archive.read("underpaint/COMMIT").decode().strip() == commit
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
    files = [f.relative_to(ROOT) for room in ROOMS for f in (ROOT / room).rglob("*") if f.is_file()]
    ours = {f"underpaint/{f.as_posix()}" for f in files if not set(f.parts) & set(NOT_SHIPPED)}
    assert held == ours | {"underpaint/__init__.py", "underpaint/__main__.py", "underpaint/COMMIT"}
    needed = re.findall(r"^Requires-Dist: ([a-z]+)>=[0-9.]+$", metadata, re.MULTILINE)  # not those of an extra
    assert sorted(needed) == ["numpy", "pillow", "pydantic", "webdataset"]


READS = """
import importlib, importlib.util, json, sys
import PIL.Image, webdataset, underpaint
corpus = sys.argv[1]
for name in ("ray", "torch", "pyarrow", "jinja2", "typer", "datasets"):
    assert importlib.util.find_spec(name) is None, name
schemas = "reader sample sample_rules webdataset example conversation preference picture fields croissant"
for name in [f"schemas.corpus.{n}" for n in schemas.split()] + ["schemas.markup", "schemas.interval"]:
    importlib.import_module(f"underpaint.{name}")
for name in ("sequence", "lengths", "packing", "tokens"):
    importlib.import_module(f"underpaint.pipeline.training.{name}")
from underpaint.pipeline.training.sequence import Policy, sequences
from underpaint.schemas.corpus.reader import Reader, shards_of
shards = shards_of(corpus, "alignment")
examples = list(Reader(shards, seed=None, verify=True))
pictures = sum(isinstance(part, PIL.Image.Image) for e in examples for _, part in e.parts())
bare = [json.loads(row["json"]) for row in webdataset.WebDataset(shards, shardshuffle=False)]
assert [sequences(e.sample, Policy()) for e in examples]
print(json.dumps([[e.sample.id for e in examples], [s["id"] for s in bare], pictures, underpaint.__file__]))
"""


def disturbed(folder: Path) -> Path:
    """A folder to work in with modules of the names of ours, each of which fails when it is imported."""
    folder.mkdir()
    for name in DISTURBANCES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("raise ImportError('not this one')\n")
    return folder


def reader_python() -> str:
    """Python 3.10, the oldest that readers may have, or else the one that runs these tests."""
    found = shutil.which("python3.10")
    works = found and subprocess.run([found, "--version"], capture_output=True).returncode == 0
    return found if found and works else sys.executable


def test_a_reader_needs_nothing_of_the_pipeline(built: tuple[Path, str], built_corpus: Path, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "env", reader_python())
    pip_install(python, built[0])
    here = disturbed(tmp_path / "trainer")
    (here / "reads.py").write_text(READS)
    ours, bare, pictures, place = json.loads(run(python, "reads.py", built_corpus, cwd=here))
    index = json.loads((built_corpus / "index.json").read_text())
    expected = [s for s in index["shards"] if s["path"].startswith("alignment/") and "train" in s["path"]]
    assert ours == bare and len(ours) == sum(s["samples"] for s in expected) > 0
    assert pictures >= len(ours) and Path(place).is_relative_to(tmp_path / "env")
    command = [python.parent / "underpaint", "plan", "recipe.yaml"]
    refused = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert refused.returncode == 2 and "pip install 'underpaint[build]'" in refused.stderr
    assert "Traceback" not in refused.stderr


def started_recipe(python: Path, folder: Path) -> None:
    """`underpaint init` in a folder, the structural recipe in it made small."""
    run(python.parent / "underpaint", "init", "mine", "--recipe", "structural", cwd=folder)
    file = folder / "mine" / "recipe.yaml"
    recipe = yaml.safe_load(file.read_text())
    assert recipe["name"] == "mine" and recipe["vocabulary"] == "vocabulary.yaml"
    file.write_text(yaml.safe_dump({**recipe, "lot_size": 8, "quotas": {"total": 30}, "calibration": {"cases": 8}}))


def commits(corpus: Path) -> set[str]:
    found = set()
    for shard in corpus.rglob("*.tar"):
        with tarfile.open(shard) as tar:
            members = [m for m in tar if m.name.endswith(".json")]
            found |= {json.load(tar.extractfile(m))["pipeline_commit"] for m in members}  # type: ignore[arg-type]
    return found


def test_init_leaves_what_is_there_alone(builder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("")
    command = [builder.parent / "underpaint", "init", "mine"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2 and "mine exists and is not an empty folder" in refused.stderr
    assert [f.name for f in (tmp_path / "mine").iterdir()] == ["notes"]


def where_a_worker_imports(python: Path, folder: Path, **environment: str) -> Path:
    """The file from which a worker has `underpaint`, while the driver's PYTHONPATH has a model of the recipe's own."""
    (folder / "own").mkdir()
    (folder / "own" / "my_model.py").write_text("")
    (folder / "where.py").write_text(WHERE_A_WORKER_IMPORTS)
    said = run(python, "where.py", cwd=folder, PYTHONPATH=str(folder / "own"), **environment)
    return Path(said.splitlines()[-1])


def test_workers_of_this_machine_import_the_wheel(builder: Path, tmp_path: Path) -> None:
    here = disturbed(tmp_path / "trainer")
    place = where_a_worker_imports(builder, here)
    assert place.is_relative_to(builder.parents[1])


def test_nodes_of_a_cluster_build_with_the_package_that_they_have(
    built: tuple[Path, str], builder: Path, tmp_path: Path
) -> None:
    """Driver and head have one installation, the node that works has another, in a folder that nothing else names."""
    here, head, elsewhere = disturbed(tmp_path / "empty"), tmp_path / "head", tmp_path / "elsewhere"
    head.mkdir()
    with zipfile.ZipFile(built[0]) as archive:
        archive.extractall(elsewhere)
    started_recipe(builder, here)
    port, client_port = free_ports(2)
    cluster = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    driver = cluster | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as session:
        options = [f"--port={port}", f"--ray-client-server-port={client_port}", f"--temp-dir={session}", "--num-cpus=0"]
        with (
            ray_node(builder, head, cluster, "--head", "--include-dashboard=false", *options),
            ray_node(
                Path(sys.executable), elsewhere, cluster | {"PYTHONPATH": str(elsewhere)},
                f"--address=127.0.0.1:{port}", "--num-cpus=2",
            ),
        ):  # fmt: skip
            place = where_a_worker_imports(builder, here, **driver)
            run(builder.parent / "underpaint", "build", "mine/recipe.yaml", cwd=here, **driver)
    assert place.is_relative_to(elsewhere)
    assert commits(here / "runs" / "mine" / "corpus") == {built[1]}


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(socket.socket()) for _ in range(number)]
        for s in taken:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in taken]


@contextlib.contextmanager
def ray_node(python: Path, folder: Path, environment: dict[str, str], *options: str) -> Iterator[None]:
    """A Ray node whose processes start in `folder`, from when it is up. All of them end with it."""
    words = [str(python), "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
    words += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]  # others may run Ray too
    words += ["--object-store-memory=100000000", *options]
    log = folder / "node.log"
    with log.open("w") as file:
        node = subprocess.Popen(
            words, cwd=folder, env=clean(environment), stdout=file, stderr=file, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 90
            while "Ray runtime started" not in log.read_text():
                assert node.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield
        finally:
            node.terminate()  # `ray start --block` then ends what it started
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
