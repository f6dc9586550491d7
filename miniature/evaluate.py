"""How good the checkpoints are, on scenes they never saw: ``python -m miniature.evaluate --cases 500``."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from miniature.dialogue_checks import described, grade
from miniature.dialogues import BLANK, DONE, MAKERS, Dialogue, random_step, templates
from miniature.edits import SHARES, EditCase, random_edit
from miniature.minimal_edits import KINDS
from miniature.scenes import HeldOut
from miniature.train import CHECKPOINTS
from miniature.world import CELLS, SIZE, render, vocabulary
from schemas.compare import Verdict, compare
from schemas.critique import CritiqueError, Judgement, parse_critique
from schemas.grammar import describe
from schemas.inspection import inspect_picture
from schemas.scene import PLACE, SceneObject
from stages.models.painter import DiffusersPainter
from stages.models.roles import AskRequest, PaintRequest
from stages.models.scorer import OpenClipScorer
from stages.models.speaker import TransformersSpeaker

Figures = dict[str, list[float]]  # outcomes, 1 or 0, by what they measure


def wilson(right: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """95% interval of a share; (0, 1) for no cases."""
    if n == 0:
        return 0.0, 1.0
    p, spread = right / n, z * z / n
    centre, half = p + spread / 2, z * math.sqrt(p * (1 - p) / n + spread / (4 * n))
    return max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread))


def summary(outcomes: list[float]) -> dict[str, float]:
    right, n = sum(outcomes), len(outcomes)
    low, high = wilson(right, n)
    return {"share": round(right / max(n, 1), 4), "low": round(low, 4), "high": round(high, 4), "n": n}


# ---- the painter --------------------------------------------------------------------------------------


def painter_figures(painter: DiffusersPainter, eye: Any, n: int, rates: dict[str, float]) -> Figures:
    """By the independent reader: pictures wholly right, by kind of edit; untouched cells left as they were."""
    from miniature.trainers import reader
    from miniature.trainers.autoencoder import pixels

    rng = HeldOut("evaluate/painter")
    kinds = [k for k in SHARES for _ in range(max(1, n // len(SHARES)))]
    cases = [(random_edit(rng, kind), rng.randrange(1 << 30)) for kind in kinds]
    requests = [PaintRequest(render(c.before, s) if c.before else None, c.instruction, _words(c), s) for c, s in cases]
    start = time.time()
    pictures = painter.paint(requests)
    rates["pictures per second"] = round(len(pictures) / (time.time() - start), 2)
    seen = reader.read(eye, torch.stack([pixels(p) for p in pictures])).tolist()
    found: Figures = {"all kinds": [], "untouched cells kept": [], "background": []}
    for (case, _), got in zip(cases, seen, strict=True):
        want = reader.labels(case.after)
        found["all kinds"].append(float(got == want))
        found.setdefault(case.kind, []).append(float(got == want))
        found["background"].append(float(got[-1] == want[-1]))
        if case.before is not None:
            old = reader.labels(case.before)
            nothing = len(reader.NOUNS) - 1
            same = [i for i in range(4) if old[i] == want[i] != nothing and old[i + 4] == want[i + 4]]
            found["untouched cells kept"] += [float((got[i], got[i + 4]) == (want[i], want[i + 4])) for i in same]
    return found


def _words(case: EditCase) -> str:
    return describe(case.after, vocabulary())


# ---- the speaker --------------------------------------------------------------------------------------


def _ask(speaker: TransformersSpeaker, cases: list[Dialogue]) -> list[str]:
    return speaker.ask([AskRequest(c.task, c.request, i, c.picture) for i, c in enumerate(cases)])


def speaker_figures(speaker: TransformersSpeaker, n: int, rates: dict[str, float]) -> Figures:
    """Greedy answers of writer and judge, against the answers that are right by construction."""
    rng = HeldOut("evaluate/speaker")
    found: Figures = {}
    for task, make in MAKERS.items():
        cases = [make(rng) for _ in range(n)]
        start = time.time()
        answers = _ask(speaker, cases)
        rates[f"{task} answers per second"] = round(n / (time.time() - start), 2)
        found |= grade(cases, answers)
    return found


def rollout_figures(speaker: TransformersSpeaker, n: int, temperature: float) -> Figures:
    """The writer on its own, from a prompt to "done", reading its own descriptions; five steps at most."""
    rng = HeldOut("evaluate/rollout")
    prompts = [random_step(rng).prompt.without(PLACE) for _ in range(n)]
    so_far, finished = [BLANK] * n, [False] * n
    (template,) = templates()["write"]
    for step in range(6):
        going = [i for i in range(n) if not finished[i]]
        answers = speaker.ask(
            [
                AskRequest(
                    "write",
                    template.render(prompt=describe(prompts[i], vocabulary()), so_far=so_far[i]),
                    seed=1000 * i + step,
                    temperature=temperature,
                )
                for i in going
            ]
        )
        for i, answer in zip(going, answers, strict=True):
            finished[i] = answer == DONE
            if not finished[i]:
                so_far[i] = answer.partition("<des>")[2].partition("</des>")[0]
    found: Figures = {"rollout/says done": [], "rollout/ends in the prompt's scene": []}
    for prompt, text, done in zip(prompts, so_far, finished, strict=True):
        last = described(f"<des>{text}</des>")
        good = last is not None and compare(last, prompt).verdict is Verdict.SATISFIES
        found["rollout/says done"].append(float(done))
        found["rollout/ends in the prompt's scene"].append(float(done and good))
    return {f"{k}, temperature {temperature}": v for k, v in found.items()}


def painted_figures(painter: DiffusersPainter, speaker: TransformersSpeaker, eye: Any, n: int) -> Figures:
    """The judge on painted pictures, where the independent reader's reading is taken for the truth."""
    from miniature.trainers import reader
    from miniature.trainers.autoencoder import pixels

    rng = HeldOut("evaluate/painted")
    cases = [random_edit(rng, rng.choice(("first", "add", "add"))) for _ in range(n)]
    seeds = [rng.randrange(1 << 30) for _ in range(n)]
    pictures = painter.paint(
        [
            PaintRequest(render(c.before, s) if c.before else None, c.instruction, _words(c), s)
            for c, s in zip(cases, seeds, strict=True)
        ]
    )
    (template,) = templates()["critique_picture"]
    answers = speaker.ask(
        [
            AskRequest("critique_picture", template.render(instruction=c.instruction, description=_words(c)), 0, p)
            for c, p in zip(cases, pictures, strict=True)
        ]
    )
    found: Figures = {}
    readings = reader.read(eye, torch.stack([pixels(p) for p in pictures])).tolist()
    for case, got, answer in zip(cases, readings, answers, strict=True):
        seen = [
            SceneObject(
                id=f"i{i}",
                noun=reader.NOUNS[got[i]],
                attributes={"colour": reader.COLOURS[got[4 + i]], PLACE: place},
            )
            for i, place in enumerate(CELLS.values())
            if reader.NOUNS[got[i]] != "nothing" and reader.COLOURS[got[4 + i]] != "none"
        ]
        truth = inspect_picture(seen, vocabulary().backgrounds[got[8]] if got[8] < 4 else "", case.after, vocabulary())
        try:
            verdict = parse_critique(answer).verdict
        except CritiqueError:
            verdict = Judgement.INCOMPLETE  # never right on this side
        for name in (
            "painted/verdict as the reader's",
            f"painted/… where the reader says {truth.verdict.value}",
        ):
            found.setdefault(name, []).append(float(verdict is truth.verdict))
    return found


# ---- the scorer ---------------------------------------------------------------------------------------


def scorer_figures(scorer: OpenClipScorer, n: int, rates: dict[str, float]) -> tuple[Figures, dict[str, float]]:
    """For each kind of minimal edit: does the right text beat the edited one; and the AUC over all pairs."""
    from miniature.trainers.scorer import held_out, separation

    rng = HeldOut("evaluate/scorer")
    found: Figures = {}
    auc: dict[str, float] = {}
    start = time.time()
    for kind in KINDS:
        pairs = held_out(rng, kind, n)
        picture = scorer.embed_pictures([render(a.graph, a.seed) for a, _ in pairs])
        right = torch.from_numpy((picture * scorer.embed_texts([a.text for a, _ in pairs])).sum(1))
        wrong = torch.from_numpy((picture * scorer.embed_texts([b.text for _, b in pairs])).sum(1))
        auc[kind] = round(separation(right, wrong)["auc"], 4)
        found[f"right text above {kind} edit"] = (right > wrong).float().tolist()
    rates["picture and two texts embedded per second"] = round(n * len(KINDS) / (time.time() - start), 2)
    return found, auc


# ---- the whole ----------------------------------------------------------------------------------------


def megabytes(folder: Path) -> float:
    return round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6, 2)


def evaluate(folder: Path, n: int) -> dict[str, Any]:
    """Every checkpoint that is there; parts that were not trained yet are left out."""
    from miniature.trainers import reader

    there = {p.name for p in folder.iterdir() if p.is_dir() and any(p.rglob("*.safetensors"))}
    rates: dict[str, float] = {}
    parts: dict[str, Figures] = {}
    auc: dict[str, float] = {}
    eye = reader.load(folder / "reader") if "reader" in there else None
    painter = DiffusersPainter(folder / "painter", size=SIZE) if "painter" in there else None
    speaker = TransformersSpeaker(folder / "speaker") if "speaker" in there else None
    if painter is not None and eye is not None:
        parts["painter"] = painter_figures(painter, eye, n, rates)
    if speaker is not None:
        parts["speaker"] = speaker_figures(speaker, n, rates)
        for temperature in (0.0, 0.7):
            parts["speaker"] |= rollout_figures(speaker, n // 2, temperature)
        if painter is not None and eye is not None:
            parts["speaker"] |= painted_figures(painter, speaker, eye, n // 2)
    if "scorer" in there:
        parts["scorer"], auc = scorer_figures(OpenClipScorer(folder / "scorer"), max(1, n // 2), rates)
    return {
        "cases": n,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "megabytes": {name: megabytes(folder / name) for name in sorted(there)},
        "rates": rates,
        "auc": auc,
        "parts": {part: {k: summary(v) for k, v in figures.items()} for part, figures in parts.items()},
    }


def show(result: dict[str, Any]) -> None:
    table = Table(title=f"Miniature checkpoints, {result['cases']} cases a part, 95% Wilson intervals")
    for column in ("part", "figure", "share", "interval", "cases"):
        table.add_column(column, justify="left" if column in ("part", "figure") else "right")
    for part, figures in result["parts"].items():
        for name, f in figures.items():
            table.add_row(part, name, f"{f['share']:.3f}", f"{f['low']:.3f}–{f['high']:.3f}", str(f["n"]))
        table.add_section()
    console = Console(width=110)
    console.print(table)
    for title in ("auc", "rates", "megabytes"):
        console.print(f"{title}: " + ", ".join(f"{k} {v}" for k, v in result[title].items()))


def main(
    cases: Annotated[int, typer.Option(help="Held-out cases a part.")] = 500,
    out: Annotated[Path, typer.Option(help="Where the figures go, as JSON.")] = Path("miniature/quality.json"),
    checkpoints: Annotated[Path, typer.Option(help="Folder of the checkpoints.")] = CHECKPOINTS,
    threads: int = 2,
) -> None:
    """Measure every checkpoint on held-out scenes, print a table and write it as JSON."""
    torch.set_num_threads(threads)
    result = evaluate(checkpoints, cases)
    show(result)
    out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    typer.run(main)
