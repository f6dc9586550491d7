"""Shows the progress of a build: a bar per stage on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[..., None]


@contextmanager
def stage_bar(console: Console, stage: str, total: int, reused: int, what: str = "lots") -> Iterator[Advance]:
    """Show a bar for `total` lots that are still to do; at the end print one line with the time they took.

    What it gives counts one more lot as done at each call, whatever its arguments.
    """
    start = time.monotonic()
    columns: tuple[Any, ...] = (
        TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TextColumn(what),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(stage, total=total)
        yield lambda *_: bar.advance(task)
    seconds, done = time.monotonic() - start, int(bar.tasks[0].completed)
    rate = f", {done / seconds:.2f} a second" if done and seconds else ""
    console.print(f"  {stage:<18} {done} {what} made in {seconds:.1f} s{rate}; {reused} reused", highlight=False)
