"""Ray, all of it: one stage at a time over its pending lots, through a pool of actors that load their models once.

The driver owns retries; only READY actors are fed; a lot is always pending, in flight or accounted for. Lots
travel as numbers, pictures never enter the object store. (The loop measured best of three designs.)
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RaySystemError,
    RayTaskError,
    WorkerCrashedError,
)

MACHINE_TROUBLE = (
    RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError, RaySystemError,
)  # fmt: skip
IN_FLIGHT = 2  # lots handed to an actor at a time, so that it never waits for the driver
ATTEMPTS = 2  # of a lot whose stage raises
REQUEUES = 20  # of a lot whose machine fails
START_FAILURES = 3  # of actors in a row: the model does not load


@contextlib.contextmanager
def pool(workers: int, cpus: float) -> Iterator[Pool]:
    """A pool on a Ray of our own on this machine, or on the cluster that RAY_ADDRESS names."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(
            address="local", num_cpus=max(2, int(workers * cpus) + 1), object_store_memory=200 * 2**20,
            include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
        )  # fmt: skip
    actors = Pool(workers, cpus)
    try:
        yield actors
    finally:
        actors.close()
        ray.shutdown()


@dataclass
class Report:
    """What became of the jobs: results, the error of every job given up, and how many were redone after a crash."""

    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)
    redone: int = 0


Factory = Callable[..., Callable[[int], Any]]


@ray.remote
class Worker:
    """Keeps what a factory made (models loaded once) and calls it with one job after another.

    When the pool turns to another stage, the former stage's models are dropped before the new ones load.
    """

    def __init__(self) -> None:
        self.made_by: tuple[Any, ...] | None = None
        self.work: Callable[[int], Any] | None = None

    def run(self, factory: Factory, arguments: tuple[Any, ...], job: int) -> Any:
        if self.work is None or self.made_by != (factory, arguments):
            self.work = None
            gc.collect()
            self.work, self.made_by = factory(*arguments), (factory, arguments)
        return self.work(job)


class Pool:
    """Actors that live as long as the build, so that a stage costs no process start; see `run`."""

    def __init__(self, workers: int, cpus: float) -> None:
        self.workers, self.cpus, self.gpus = workers, cpus, 0.0
        self.load: dict[Any, int] = {}  # jobs in flight, by actor that is ready
        self.starting: dict[Any, Any] = {}  # actors not ready yet, by the reference that tells

    def run(
        self, factory: Factory, arguments: tuple[Any, ...], jobs: Sequence[int], *,
        gpus: float = 0.0, on_done: Callable[[int, Any], None] | None = None,
    ) -> Report:  # fmt: skip
        """Call ``factory(*arguments)(job)`` for every job, in any order. Raises where actors cannot start at all."""
        if gpus != self.gpus:  # a stage with other needs gets actors of its own
            self.close()
            self.gpus = gpus
        pending, report = deque(jobs), Report()
        raised: Counter[int] = Counter()
        crashed: Counter[int] = Counter()
        flying: dict[Any, tuple[Any, int]] = {}
        failed_starts = 0

        def feed() -> None:
            while len(self.starting) + len(self.load) < min(self.workers, len(pending) + len(flying)):
                actor = self._start()
                self.starting[actor.__ray_ready__.remote()] = actor
            while pending and self.load:
                actor = min(self.load, key=lambda a: self.load[a])
                if self.load[actor] >= IN_FLIGHT:
                    return
                job = pending.popleft()
                flying[actor.run.remote(factory, arguments, job)] = (actor, job)
                self.load[actor] += 1

        feed()
        while flying or pending:
            for ref in ray.wait([*flying, *self.starting], num_returns=1, timeout=10)[0]:
                if ref in self.starting:
                    actor = self.starting.pop(ref)
                    try:
                        ray.get(ref)
                        self.load[actor], failed_starts = 0, 0
                    except MACHINE_TROUBLE:
                        failed_starts += 1
                        if failed_starts >= START_FAILURES:
                            raise
                    continue
                actor, job = flying.pop(ref)
                if actor in self.load:
                    self.load[actor] -= 1
                try:
                    report.results[job] = ray.get(ref)
                    if on_done:
                        on_done(job, report.results[job])
                except RayTaskError as e:  # the stage's own exception: bounded attempts
                    raised[job] += 1
                    if raised[job] >= ATTEMPTS:
                        report.errors[job] = e.cause if isinstance(e.cause, Exception) else e
                    else:
                        pending.append(job)
                except MACHINE_TROUBLE as e:  # requeued at the front; the actor is forgotten
                    crashed[job] += 1
                    report.redone += 1
                    self.load.pop(actor, None)
                    if crashed[job] > REQUEUES:
                        report.errors[job] = e
                    else:
                        pending.appendleft(job)
            feed()
        return report

    def _start(self) -> Any:
        threads = {"OMP_NUM_THREADS": str(max(1, int(self.cpus))), "TOKENIZERS_PARALLELISM": "false"}
        return Worker.options(  # type: ignore[attr-defined]
            num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=0, max_task_retries=0,
            runtime_env={"env_vars": {**threads, "PYTHONPATH": _python_path()}},
        ).remote()  # fmt: skip

    def close(self) -> None:
        """End the actors."""
        for actor in [*self.load, *self.starting.values()]:
            ray.kill(actor)
        self.load, self.starting = {}, {}


def _python_path() -> str:
    """Workers see the modules the driver sees, a recipe's own python models included."""
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(Path.cwd())]))
