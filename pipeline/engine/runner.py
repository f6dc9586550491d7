"""Ray, all of it: one stage at a time over its pending lots, through a pool of actors that load their models once.

The driver owns retries; only READY actors are fed, and ready means that its models are loaded; a lot is always
pending, in flight or accounted for. Lots travel as numbers, pictures never enter the object store. (The loop measured
best of three designs.)
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import time
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

from underpaint.pipeline.errors import BuildError, UserError
from underpaint.stages.common.roles import ModelUnavailable

MACHINE_TROUBLE = (
    RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError, RaySystemError,
)  # fmt: skip
IN_FLIGHT = 2  # lots handed to an actor at a time, so that it never waits for the driver
ATTEMPTS = 2  # of a lot whose stage raises
REQUEUES = 20  # of a lot whose machine fails
START_FAILURES = 3  # of actors in a row: the models do not load
UNAVAILABLE = 3  # actors in a row whose model gives no answers at all, no lot done between them
POLL = 5.0  # seconds without news, after which the nodes are looked at
NOTICE = 60.0  # seconds without any worker, after which a person is told


class StartError(BuildError):
    """No actor is of use: the models do not load or give no answers, or there is no node left to run on."""


Say = Callable[[str], None]


@contextlib.contextmanager
def pool(workers: int, cpus: float, say: Say = print) -> Iterator[Pool]:
    """A pool on a Ray of our own on this machine, or on the cluster that RAY_ADDRESS names.

    Raises UserError where that cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        try:
            ray.init(**quiet)
        except (ConnectionError, RuntimeError, ValueError) as e:
            raise UserError(
                f"RAY_ADDRESS={address}: no Ray cluster answers there ({e}); unset it to run here"
            ) from None
    else:
        slots = max(2, int(workers * cpus) + 1)
        ray.init(
            address="local", num_cpus=slots, object_store_memory=200 * 2**20, include_dashboard=False, **quiet
        )  # fmt: skip
    actors = Pool(workers, cpus, say, elastic=bool(address))
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
    """Keeps what a factory made (models loaded once) and calls it with one job after another."""

    def __init__(self) -> None:
        self.work: Callable[[int], Any] | None = None

    def prepare(self, factory: Factory, arguments: tuple[Any, ...]) -> None:
        """Turn to a stage; the former stage's models are dropped before the new ones load."""
        self.work = None
        gc.collect()
        self.work = factory(*arguments)

    def run(self, job: int) -> Any:
        assert self.work is not None
        return self.work(job)


class Pool:
    """Actors that live as long as the build, so that a stage costs no process start; see `run`.

    An actor is idle (alive, no stage's), starting (a stage's models are loading) or ready (counted in `load`).
    `elastic`: nodes may yet come, so that nothing but waiting helps where none is there.
    """

    def __init__(self, workers: int, cpus: float, say: Say = print, elastic: bool = False) -> None:
        self.workers, self.cpus, self.gpus, self.say, self.elastic = workers, cpus, 0.0, say, elastic
        self.idle: list[Any] = []
        self.starting: dict[Any, Any] = {}  # by the reference that tells when it is ready
        self.load: dict[Any, int] = {}  # jobs in flight, by actor
        self.last_news = time.monotonic()

    def run(
        self, factory: Factory, arguments: tuple[Any, ...], jobs: Sequence[int], *,
        gpus: float = 0.0, on_done: Callable[[int, Any], None] | None = None,
    ) -> Report:  # fmt: skip
        """Call ``factory(*arguments)(job)`` for every job, in any order.

        Raises StartError where no actor is of use, UserError where this machine has no such GPUs.
        """
        self._turn(gpus)
        pending, flying, report = deque(jobs), dict[Any, tuple[Any, int]](), Report()
        failures, failed_starts, unavailable = Counter[tuple[int, bool]](), Counter[bool](), 0
        while flying or pending:
            self._prepare(factory, arguments, len(flying) + len(pending))
            self._feed(pending, flying)
            for ref in self._news([*flying, *self.starting]):
                if ref in self.starting:
                    self._started(ref, failed_starts)
                    continue
                actor, job = flying.pop(ref)
                if actor in self.load:
                    self.load[actor] -= 1
                result, error = _got(ref)
                if error is None:
                    report.results[job], unavailable = result, 0
                    if on_done:
                        on_done(job, result)
                    continue
                machine = isinstance(error, MACHINE_TROUBLE)
                if machine:
                    self.load.pop(actor, None)
                    report.redone += 1
                elif isinstance(error, ModelUnavailable) and self._dismiss(actor):
                    unavailable += 1
                    if unavailable >= UNAVAILABLE:
                        raise StartError(f"no worker's model answers: {error}") from error
                failures[job, machine] += 1
                if failures[job, machine] >= (REQUEUES + 1 if machine else ATTEMPTS):
                    report.errors[job] = error
                elif machine:
                    pending.appendleft(job)
                else:
                    pending.append(job)
        return report

    def _turn(self, gpus: float) -> None:
        """Nobody is ready for a new stage; one with other needs gets actors of its own."""
        self.idle += [*self.load, *self.starting.values()]
        self.load, self.starting = {}, {}
        if gpus != self.gpus:
            self.close()
            self.gpus = gpus
        if not self.elastic and gpus > (there := ray.cluster_resources().get("GPU", 0)):
            raise UserError(
                f"field run.gpus: a worker needs {gpus:g} GPUs, this machine has {there:g}; set run.gpus: 0"
            )

    def _prepare(self, factory: Factory, arguments: tuple[Any, ...], jobs: int) -> None:
        while len(self.starting) + len(self.load) < min(self.workers, jobs):
            actor = self.idle.pop() if self.idle else self._start()
            self.starting[actor.prepare.remote(factory, arguments)] = actor

    def _started(self, ref: Any, failed: Counter[bool]) -> None:
        """Raises StartError after too many failures in a row; `failed` counts them by whether the machine was at fault.

        Where nodes come and go, actors that die with theirs say nothing about the models, so many more may.
        """
        actor = self.starting.pop(ref)
        _, error = _got(ref)
        if error is None:
            self.load[actor] = 0
            failed.clear()
            return
        machine = isinstance(error, MACHINE_TROUBLE)
        if not machine:
            ray.kill(actor)
        failed[machine] += 1
        if failed[machine] >= (REQUEUES * self.workers if machine and self.elastic else START_FAILURES):
            raise StartError(f"no worker could start: {type(error).__name__}: {error}") from error

    def _dismiss(self, actor: Any) -> bool:
        """End an actor whose model gives no answers; whether it was not ended yet. Its other lots are redone."""
        if self.load.pop(actor, None) is None:
            return False
        ray.kill(actor)
        return True

    def _feed(self, pending: deque[int], flying: dict[Any, tuple[Any, int]]) -> None:
        while pending and self.load:
            actor = min(self.load, key=lambda a: self.load[a])
            # Those that are about to be ready find a job each.
            if self.load[actor] >= IN_FLIGHT or (self.load[actor] and len(pending) <= len(self.starting)):
                return
            job = pending.popleft()
            flying[actor.run.remote(job)] = (actor, job)
            self.load[actor] += 1

    def _news(self, refs: list[Any]) -> list[Any]:
        """What has finished, waited for a while. Raises StartError where no node is left on which anything could."""
        ready, _ = ray.wait(refs, num_returns=1, timeout=POLL)
        now = time.monotonic()
        if ready or self.load:
            self.last_news = now
        elif not self.elastic and not any(node["Alive"] for node in ray.nodes()):
            # Ray goes on waiting for a node that will never come.
            raise StartError("Ray's own processes on this machine died; what is done is kept, build again")
        elif now - self.last_news > NOTICE:
            self.last_news = now
            self.say(f"  waiting for a node with {self.cpus:g} CPUs and {self.gpus:g} GPUs free for a worker")
        return list(ready)

    def _start(self) -> Any:
        threads = {"OMP_NUM_THREADS": str(max(1, int(self.cpus))), "TOKENIZERS_PARALLELISM": "false"}
        return Worker.options(  # type: ignore[attr-defined]
            num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=0, max_task_retries=0,
            runtime_env={"env_vars": {**threads, "PYTHONPATH": _python_path()}},
        ).remote()  # fmt: skip

    def close(self) -> None:
        """End the actors."""
        for actor in [*self.idle, *self.load, *self.starting.values()]:
            ray.kill(actor)
        self.idle, self.load, self.starting = [], {}, {}


def _got(ref: Any) -> tuple[Any, Exception | None]:
    """What a call gave, or why it gave nothing: the exception of the stage itself, or one of MACHINE_TROUBLE."""
    try:
        return ray.get(ref), None
    except RayTaskError as e:
        return None, e.cause if isinstance(e.cause, Exception) else e
    except MACHINE_TROUBLE as e:
        return None, e


def _python_path() -> str:
    """Workers see the modules the driver sees, a recipe's own python models included."""
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(Path.cwd())]))
