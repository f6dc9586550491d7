"""``underpaint inspect-pack``: shows how a corpus packs, since a packer may silently drop a large part of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from underpaint.pipeline.cli.terminal import AsJson, Corpus, show
from underpaint.pipeline.common.errors import UserError
from underpaint.schemas.corpus.subsets import SUBSETS

if TYPE_CHECKING:
    from underpaint.pipeline.training.survey import Lengths, Trial

SIDE = "of a picture, in pixels; whatever is stored is brought to it"
HEADINGS = ("", "px/ViT", "per sample", "maximum", "expected", "trained", "too long", "lost", "filled")


def inspect_pack(
    corpus: Corpus,
    px: Annotated[int, typer.Option(min=16, max=4096, help=f"Side at which the VAE sees it: {SIDE}.")] = 512,
    vit: Annotated[int, typer.Option(min=14, max=4096, help=f"Side at which the ViT sees it: {SIDE}.")] = 518,
    max_tokens: Annotated[int, typer.Option(min=1, help="max_num_tokens: a pack's greatest length.")] = 36864,
    expected: Annotated[int, typer.Option(min=1, help="expected_num_tokens: a pack this long is closed.")] = 33000,
    per_sample: Annotated[int, typer.Option(min=1, help="max_num_tokens_per_sample: longer is skipped.")] = 33000,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Folder with the model's tokenizer.json; without it every byte counts."),
    ] = None,
    per_step: Annotated[bool, typer.Option(help="One sequence a step instead of whole trajectories.")] = False,
    packs: Annotated[int, typer.Option(min=1, help="How many packs to simulate.")] = 1000,
    json: AsJson = False,
) -> None:
    """Show how long the train samples are when packed for BAGEL, what its packer would drop, and what we recommend.

    The packer silently drops samples that are over its limit, and samples for which its buffer has no room.

    Example: [bold]underpaint inspect-pack runs/miniature/corpus --px 512 --vit 518[/bold]
    """
    from underpaint.pipeline.training.packing import BAGEL_DEFAULTS, Packing
    from underpaint.pipeline.training.sequence import Policy
    from underpaint.pipeline.training.survey import lengths, mixture, read_sequences, recommend, trial, weights
    from underpaint.pipeline.training.tokens import counter

    if not (corpus / "manifest.parquet").is_file():
        raise UserError(f"{corpus} holds no corpus (no manifest.parquet); give the folder `underpaint build` named")
    if expected > max_tokens:
        raise UserError(f"--expected {expected} is over --max-tokens {max_tokens}; no pack would be closed by length")
    try:
        text_tokens = counter(tokenizer)
    except ValueError as e:
        raise UserError(f"--tokenizer: {e}") from None
    found = list(read_sequences(corpus, text_tokens, Policy(per_step=per_step)))
    if not found:
        raise UserError(f"{corpus} holds no train samples; nothing would be packed")
    given = Packing(per_sample, max_tokens, expected)
    table = lengths(found, px, vit)
    groups = mixture(found, px, vit)
    trials = [
        trial("given", groups, px, vit, given, packs),
        trial("BAGEL's defaults", groups, px, vit, BAGEL_DEFAULTS, packs),
        recommend(found, px, vit, packs),
    ]
    report: dict[str, Any] = {"px": px, "vit": vit, "tokenizer": str(tokenizer) if tokenizer else "bytes"}
    report |= {"lengths": [asdict(row) for row in table], "trials": [asdict(t) for t in trials]}
    counted = "by the tokenizer" if tokenizer else "as bytes, an upper bound; --tokenizer counts exactly"
    lines = [f"lengths at {px} px, ViT {vit} px, in tokens (texts {counted}):", *_length_lines(table)]
    lines += ["", f"of the samples drawn for {packs} packs, in shares:", *_trial_lines(trials)]
    lines += ["", *_advice(trials[-1], weights(found))]
    show({**report, "weights": weights(found)}, json, lines)


def _length_lines(rows: list[Lengths]) -> list[str]:
    cells: list[tuple[str, ...]] = [("kind", "pictures", "samples", "shortest", "median", "longest")]
    cells += [tuple(map(str, (r.kind, r.pictures, r.samples, r.least, r.median, r.most))) for r in rows]
    return _aligned(cells)


def _trial_lines(trials: list[Trial]) -> list[str]:
    cells: list[tuple[str, ...]] = [HEADINGS]
    for t in trials:
        p = t.packing
        limits = p.max_num_tokens_per_sample, p.max_num_tokens, p.expected_num_tokens
        shares = [f"{100 * s:.1f} %" for s in (t.trained, t.too_long, t.lost, t.fill)]
        cells.append((t.name, f"{t.px}/{t.vit}", *map(str, limits), *([t.error] if t.error else shares)))
    return _aligned(cells)


def _advice(best: Trial, weights: dict[str, int]) -> list[str]:
    if best.error:
        return [f"nothing to recommend: {best.error}; give a smaller --px or --vit, or --per-step"]
    p, shares = best.packing, ", ".join(f"{subset} {n}" for subset, n in weights.items())
    mandatory = [name for name, subset in SUBSETS.items() if subset.whole_trajectory]
    return [
        "recommended:",
        f"  image_transform_args      image_stride 16, max_image_size {best.px}, min_image_size {best.px}",
        f"  vit_image_transform_args  image_stride 14, max_image_size {best.vit}, min_image_size {best.vit}",
        f"  weight                    {shares}; is_mandatory for {' and '.join(mandatory)}",
        f"  --max_num_tokens_per_sample {p.max_num_tokens_per_sample} --max_num_tokens {p.max_num_tokens}"
        f" --expected_num_tokens {p.expected_num_tokens} --use_flex True --max_latent_size 64",
    ]


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as aligned columns, the first to the left, the others to the right; shorter rows (errors) set no width."""
    widths = [max(len(row[i]) for row in rows if len(row) == len(rows[0])) for i in range(len(rows[0]))]
    return ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in rows]
