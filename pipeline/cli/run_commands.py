"""``underpaint adopt | retry | trace | gc | review``: commands about what a run's folder holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from underpaint.pipeline.cli.terminal import AsJson, Out, RecipeFile, Workers, console, opened, say, show
from underpaint.pipeline.common.errors import UserError
from underpaint.stages.common.suggest import did_you_mean

store_app = typer.Typer()


@store_app.command()
def adopt(
    recipe: RecipeFile,
    out: Out = None,
    sample: Annotated[int, typer.Option(min=1, help="Old lots of each stage that are made anew and compared.")] = 2,
    workers: Workers = None,
    json: AsJson = False,
) -> None:
    """After an upgrade: keep what is made where only code changed, if a sample of it comes out byte for byte the same.

    Goes from stage to stage, upstream first. Where one lot differs it is named, none of its stage is taken over, and a
    build makes them anew. Exits with 1 in that case.
    Example: [bold]underpaint adopt recipes/miniature.yaml --sample 4[/bold]
    """
    from underpaint.pipeline.engine.adopt import adopt as take_over
    from underpaint.pipeline.engine.adopt import adoption_lines
    from underpaint.pipeline.engine.ray_pool import pool
    from underpaint.pipeline.engine.run_folder import claim

    run = opened(recipe, out)
    with claim(run, building=False), pool(workers or run.recipe.run.workers, run.recipe.run.cpus) as actors:
        found = take_over(run, actors, sample)
    show([asdict(a) for a in found], json, adoption_lines(found))
    if any(a.differs for a in found):
        raise typer.Exit(1)


@store_app.command()
def retry(
    recipe: RecipeFile,
    out: Out = None,
    stage: Annotated[str, typer.Option(help="Only rows that failed in this stage.")] = "",
    error: Annotated[str, typer.Option(help="Only rows that failed with this error class, as `status` names it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be asked again.")] = False,
    workers: Workers = None,
) -> None:
    """Ask again for the rows in quarantine, then build.

    Meant for passing troubles, such as an overloaded server or a GPU out of memory. A model that runs here gives the
    same answer again, even if it does not parse; an endpoint may give another one.

    Example: [bold]underpaint retry recipes/bagel_self_sampling.yaml --stage critique --error EndpointError[/bold]
    """
    from underpaint.pipeline.build import build
    from underpaint.pipeline.engine.retry import failed_lots, undo
    from underpaint.pipeline.engine.run_folder import claim
    from underpaint.pipeline.selection.quota_status import funnel_lines, status

    run = opened(recipe, out)
    lots = failed_lots(run, stage, error)
    rows = Counter((failed.node.name, f["error"]) for failed in lots for f in failed.failures)
    for (name, what), number in sorted(rows.items()):
        say(f"{name}: {number} rows failed with {what}")
    if not lots:
        say("no row of that kind is in quarantine; nothing to ask again")
    if dry_run or not lots:
        return
    with claim(run, building=False):
        undo(run, lots)
    build(run, console, workers)
    say(*funnel_lines(status(run)))


@store_app.command()
def trace(
    recipe: RecipeFile,
    sample: Annotated[str, typer.Argument(help="A sample of the corpus, e.g. iia-00000003.", show_default=False)],
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Show everything about one sample: bytes in the shard, segments, scores, and every row of the store behind it.

    Example: [bold]underpaint trace recipes/miniature.yaml iia-00000003[/bold]
    """
    from underpaint.pipeline.report.trace import trace as find
    from underpaint.pipeline.report.trace import trace_lines

    found = find(opened(recipe, out), sample)
    show(found, json, trace_lines(found))


@store_app.command()
def gc(
    recipe: RecipeFile,
    out: Out = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it; without this nothing is.")] = False,
    json: AsJson = False,
) -> None:
    """List what the folder keeps of former recipes (going back to them would cost nothing), or delete it.

    Example: [bold]underpaint gc recipes/miniature.yaml --delete[/bold]
    """
    from underpaint.pipeline.engine import garbage as sweep
    from underpaint.pipeline.engine.run_folder import claim

    run = opened(recipe, out)
    with claim(run, building=False):
        found = sweep.leftovers(run)
        if delete:
            sweep.delete(found)
    total = sum(x.bytes for x in found)
    lines = [f"{x.bytes / 2**20:>9.1f} MiB  {x.path} ({x.why})" for x in found]
    done = "deleted" if delete else "would go with --delete"
    lines.append(f"{total / 2**20:>9.1f} MiB in {len(found)} places {done}")
    rows = [{"path": str(x.path), "why": x.why, "bytes": x.bytes} for x in found]
    show({"deleted": delete, "bytes": total, "leftovers": rows}, json, lines)


@store_app.command()
def review(
    recipe: RecipeFile,
    out: Out = None,
    accept: Annotated[list[str] | None, typer.Option(help="Accept this sample; no page is served.")] = None,
    reject: Annotated[list[str] | None, typer.Option(help="Reject this sample; no page is served.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "",
    kind: Annotated[str, typer.Option(help="Show only this kind, e.g. alignment_negative.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Samples on the page.")] = 50,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 0,
) -> None:
    """Accept or reject samples, on a page on 127.0.0.1 or by options; `underpaint select` then applies the decisions.

    Decisions are lines of decisions.jsonl in the run's folder. Each holds for what was seen, so not for a new picture.

    Example: [bold]underpaint review recipes/miniature.yaml --reject iia-00000003 --reason "blames the wrong cup"[/bold]
    """
    from underpaint.pipeline.report.review import Reviewed, serve
    from underpaint.schemas.corpus.subsets import SAMPLE_KINDS

    if kind and kind not in SAMPLE_KINDS:
        raise UserError(f"--kind {kind}: there is no such kind; {did_you_mean(kind, SAMPLE_KINDS)}")
    reviewed = Reviewed(opened(recipe, out))
    for ids, decision in ((accept, "accept"), (reject, "reject")):
        for id in ids or []:
            say(f"{id}: {reviewed.decide(id, decision, reason).decision}ed")
    if not accept and not reject:
        server, address = serve(reviewed, port, kind, limit)
        say(f"review at {address} (end with Ctrl-C)")
        with server:
            server.serve_forever()
    say(f"`underpaint select {recipe}` applies the decisions")
