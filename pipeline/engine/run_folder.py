"""A run's folder: opens, finds and claims it, and checks that the disk has room."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from underpaint.pipeline.common.atomic import atomic_write
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.candidate_tables import Candidates
from underpaint.pipeline.engine.graph import LAST, Node, build_graph
from underpaint.pipeline.engine.store import Store
from underpaint.pipeline.recipe.recipe import Recipe, load_recipe

# Bytes per pixel that a picture takes in store and shards together, as lossless WebP; a generous measurement.
BYTES_A_PIXEL = 3.0
SPARE = 200 * 2**20


@dataclass(frozen=True)
class Run:
    """A recipe opened on a folder. `file` is the path of the recipe."""

    recipe: Recipe
    root: Path
    nodes: dict[str, Node]
    file: Path

    @property
    def store(self) -> Store:
        """The store in the folder."""
        return Store(self.root)

    @property
    def corpus(self) -> Path:
        """The folder of the published corpus."""
        return self.root / "corpus"

    def gpus(self, node: Node) -> float:
        """How many GPUs a worker of the stage needs: none where no model of it computes here, or may use one."""
        settings, models = self.recipe.run, self.recipe.models
        here = {role for role, name in self.recipe.cast(node.stage.roles).items() if not models[name].remote}
        here |= {role for name, role in node.named if not models[name].remote}
        return settings.gpus if here & set(settings.gpu_roles) else 0

    def candidates(self) -> Candidates:
        """A reader of the run's candidates."""
        return Candidates(self.nodes, self.store)

    def lots_done(self) -> dict[str, int]:
        """By branch: how many of the last build's lots have candidates under this recipe, up to the first gap."""
        asked = self.state().get("lots", {})
        done = {branch: self.store.done(self.nodes[stage]) for branch, stage in LAST.items()}
        return {branch: leading(done[branch], asked.get(branch, 0)) for branch in LAST}

    def state(self) -> dict[str, Any]:
        """The content of build.json: lots by branch and rounds of the last build, and all `builds`; {} before any."""
        file = self.root / "build.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def builds(self) -> list[dict[str, Any]]:
        """The finished builds, oldest first: workers, lots made and reused, seconds in all and by stage."""
        return list(self.state().get("builds", []))


def leading(done: Sequence[int], most: int) -> int:
    """How many of the lots 0, 1, … `most` - 1 are done before the first one that is not."""
    there = set(done)
    return next((i for i in range(most) if i not in there), most)


def open_run(recipe_path: Path, out: Path | None, changes: Sequence[tuple[str, str]] = ()) -> Run:
    """Load the recipe and open its folder, ``runs/<name>`` unless told otherwise.

    `changes` are fields to set differently from the file, e.g. ("select.min_margin", "0.05").
    Raises UserError where the recipe is wrong, or the folder holds the run of another recipe.
    """
    recipe = load_recipe(recipe_path, changes)
    root = out if out is not None else Path("runs") / recipe.name
    mark = root / "run.json"
    if mark.exists():
        other = json.loads(mark.read_text())["recipe"]
        if other != recipe.name:
            raise UserError(f"{root} holds a run of the recipe {other!r}, not {recipe.name!r}; give another --out")
    elif root.exists() and not root.is_dir():
        raise UserError(f"{root} is no folder; give another --out")
    elif root.exists() and any(root.iterdir()):
        raise UserError(f"{root} is not empty and holds no run of underpaint; give another --out")
    return Run(recipe, root, build_graph(recipe), recipe_path.resolve())


def find_run(place: Path) -> Run:
    """The run of a recipe file (in ``runs/<name>``), or of a run's folder (with its recipe file as it is now).

    Raises UserError where there is none.
    """
    mark = place / "run.json"
    if not place.is_dir():
        return open_run(place, None)
    if not mark.exists():
        raise UserError(f"{place} holds no run of underpaint; give a run's folder, or a recipe that was built")
    known = json.loads(mark.read_text())
    file = known.get("file", "")
    if not Path(file).is_file():
        raise UserError(
            f"{place}: {f'its recipe is no longer at {file}' if file else 'does not say where its recipe is'};"
            f" build the recipe {known['recipe']!r} there again (what is made is reused), or give the recipe's file"
        )
    return open_run(Path(file), place)


@contextlib.contextmanager
def claim(run: Run, building: bool = True) -> Iterator[None]:
    """Claim the folder for the recipe (`mark_run`), and lock it against other processes while the block runs.

    Raises UserError where another process holds the lock, or, for one that is `building`, where the disk has no room.
    The lock ends with its process, even one that is killed.
    """
    mark_run(run)
    if building:
        check_room(run)
    try:
        with FileLock(run.root / ".lock", timeout=0):
            yield
    except Timeout:
        raise UserError(f"{run.root}: another build is at work there; wait for it, or give another --out") from None


def mark_run(run: Run) -> None:
    """Claim the folder for the recipe. Raises UserError where it cannot be written."""
    try:
        run.root.mkdir(parents=True, exist_ok=True)
        mark = {"recipe": run.recipe.name, "file": str(run.file)}
        atomic_write(run.root / "run.json", json.dumps(mark).encode())
    except OSError as e:
        raise UserError(f"{run.root} cannot be written: {e.strerror or e}") from None


def check_room(run: Run) -> None:
    """Raises UserError where the disk has no room for what the build still has to write."""
    wanted = bytes_wanted(run.recipe) - bytes_held(run)
    free = shutil.disk_usage(run.root).free
    if free < wanted:
        raise UserError(
            f"{run.root}: the disk has {free / 2**30:.2f} GiB free, and this recipe may need"
            f" {wanted / 2**30:.2f} GiB more; free some, give another --out, or lower the quotas"
        )


def bytes_held(run: Run) -> int:
    """How many bytes the folder already holds of this recipe; leftovers of former recipes are not counted."""
    folders = [run.corpus, *(run.root / "lots" / node.folder for node in run.nodes.values())]
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())


def bytes_wanted(recipe: Recipe) -> int:
    """A generous estimate of the bytes that a build writes: four pictures per sample, doubled for lost candidates."""
    pixels = getattr(recipe.model_for("painter"), "size", 64)
    return int(sum(recipe.quotas.numbers().values()) * 4 * 2 * pixels * pixels * BYTES_A_PIXEL) + SPARE
