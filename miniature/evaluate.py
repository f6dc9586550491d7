"""Measures the checkpoints on scenes that no trainer saw: ``python -m underpaint.miniature.evaluate --cases 1000``.

It prints a table and writes it as JSON; docs/miniatures.md shows it with pictures.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from underpaint.miniature.measure import painter, scorer, speaker
from underpaint.miniature.measure.outcomes import Figure, figures
from underpaint.miniature.scenes import HeldOut, random_scene
from underpaint.miniature.train import CHECKPOINTS
from underpaint.miniature.world import SIZE, cell_labels, render
from underpaint.schemas.corpus.write_schema import renewed
from underpaint.stages.models.painter import DiffusersPainter
from underpaint.stages.models.scorer import OpenClipScorer
from underpaint.stages.models.speaker import TransformersSpeaker

STEPS = 3  # the painter's steps, as in recipes/miniature.yaml
BEGIN, END = "<!-- figures: written by `python -m underpaint.miniature.evaluate` -->", "<!-- /figures -->"


def read_renders(eye: Any, n: int) -> list[Figure]:
    """Measure the independent reader itself, on renders: how often it is right about an object and a background."""
    rng = HeldOut("evaluate/reader")
    scenes = [random_scene(rng) for _ in range(n)]
    seen = painter.read_looks(eye, [render(s, rng.randrange(1 << 30)) for s in scenes])
    objects: list[float] = []
    backgrounds: list[float] = []
    for scene, (cells, back) in zip(scenes, seen, strict=True):
        objects += [float(got == want) for got, want in zip(cells, cell_labels(scene), strict=True) if want]
        backgrounds.append(float(back == scene.background))
    bars = {"object on renders": "≥ 0.99"}
    return figures("reader", {"object on renders": objects, "background on renders": backgrounds}, bars)


def megabytes(folder: Path) -> float:
    """The size of a folder's files in megabytes (10^6 bytes)."""
    return round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6, 2)


def evaluate(folder: Path, n: int) -> dict[str, Any]:
    """The figures, rates and sizes of every checkpoint. Raises FileNotFoundError where one is missing."""
    from underpaint.miniature.trainers import reader

    rates: dict[str, float] = {}
    eye = reader.load(folder / "reader")
    brush = DiffusersPainter(folder / "painter", size=SIZE, steps=STEPS, batch=32)
    tongue = TransformersSpeaker(folder / "speaker")
    rows = read_renders(eye, n)
    rows += figures("painter", painter.measure(brush, eye, n, rates), painter.BARS)
    said = speaker.measure(tongue, n, rates)
    for temperature in (0.0, 0.7):
        said |= speaker.rollouts(tongue, n // 4, temperature)
    said |= speaker.painted(brush, tongue, eye, n // 2)
    rows += figures("speaker", said, speaker.BARS)
    rows += scorer.measure(OpenClipScorer(folder / "scorer"), n, rates)
    sizes = {p.name: megabytes(p) for p in sorted(folder.iterdir()) if p.is_dir()}
    rows.append(_plain("all", "megabytes on disk", round(sum(sizes.values()), 2), "≤ 40"))
    rows.append(_plain("painter", "pictures a second", rates["pictures a second"], "≥ 8"))
    slowest = min(v for k, v in rates.items() if k.startswith("critique"))
    rows.append(_plain("judge", "critiques a second, the slower side", slowest, "≥ 4"))
    return {
        "cases": n, "threads": torch.get_num_threads(), "torch": torch.__version__, "painter steps": STEPS,
        "rates": rates, "megabytes": sizes, "figures": [asdict(r) | {"reached": r.reached} for r in rows],
    }  # fmt: skip


def _plain(model: str, measure: str, value: float, bar: str) -> Figure:
    return Figure(model, measure, value, value, value, 1, bar)


def markdown(result: dict[str, Any], whole: bool = False) -> str:
    """The measures that have a bar (with `whole` all of them) as a Markdown table, then the rates."""
    lines = ["| model | measure | value (95% interval) | cases | bar | |", "| --- | --- | --- | --- | --- | --- |"]
    for f in (f for f in result["figures"] if whole or f["bar"]):
        interval = f" ({f['low']:.3f}–{f['high']:.3f})" if f["low"] != f["high"] else ""
        mark = "" if f["reached"] else "**missed**"
        cells = f["model"], f["measure"], f"{f['value']:.3f}{interval}", str(f["cases"]), f["bar"], mark
        lines.append(f"| {' | '.join(cells)} |")
    how = f"`python -m underpaint.miniature.evaluate --cases {result['cases']} --threads {result['threads']}`"
    rest = ", ".join(f"{k} {v}" for k, v in result["rates"].items())
    return "\n".join([f"{how}, torch {result['torch']}:", "", *lines, "", f"Rates in the same run: {rest}."])


def main(
    cases: Annotated[int, typer.Option(help="Held-out cases a measure.")] = 1000,
    out: Annotated[Path, typer.Option(help="Where the figures go, as JSON.")] = Path("miniature/quality.json"),
    checkpoints: Annotated[Path, typer.Option(help="Folder of the checkpoints.")] = CHECKPOINTS,
    page: Annotated[Path | None, typer.Option(help="A page whose table is renewed, e.g. docs/miniatures.md.")] = None,
    threads: int = 2,
) -> None:
    """Measure every checkpoint on held-out scenes, print the table and write it as JSON."""
    torch.set_num_threads(threads)
    result = evaluate(checkpoints, cases)
    Console(width=130).print(Markdown(markdown(result, whole=True)), f"megabytes: {result['megabytes']}")
    out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    if page is not None:
        page.write_text(renewed(page.read_text("utf-8"), page, BEGIN, END, markdown(result)), "utf-8")


if __name__ == "__main__":
    typer.run(main)
