"""Runs stages on Ray, one at a time, through a pool of actors that load their models once. No other file uses Ray.

The driver owns retries. Only ready actors get lots, and an actor is ready when its models are loaded. A lot is always
pending, in flight or accounted for. Lots are passed as numbers; pictures never enter the object store. (This loop was
the fastest of three designs.)
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

from underpaint.pipeline.common.errors import BuildError, UserError
from underpaint.stages.common.roles import ModelUnavailable

MACHINE_TROUBLE = (
    RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError, RaySystemError,
)  # fmt: skip
IN_FLIGHT = 2  # lots handed to an actor at a time, so that it never waits for the driver
ATTEMPTS = 2  # how often a lot is tried whose stage raises
REQUEUES = 20  # how often a lot is tried again whose machine failed
START_FAILURES = 3  # after so many failed starts in a row the build ends: the models do not load
UNAVAILABLE = 3  # after so many actors in a row whose model answers nothing, with no lot done, the build ends
POLL = 5.0  # after so many seconds without news the nodes are checked
NOTICE = 60.0  # after so many seconds without any worker a person is told


class StartError(BuildError):
    """No actor can work: the models do not load or give no answers, or there is no node left to run on."""


Say = Callable[[str], None]


@contextlib.contextmanager
def pool(workers: int, cpus: float, say: Say = print) -> Iterator[Pool]:
    """A pool of actors, on the cluster that RAY_ADDRESS names, else on a local Ray that is started for it.

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
    """What became of the jobs: results, the errors of jobs given up, and how many were redone after a crash."""

    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)
    redone: int = 0


Factory = Callable[..., Callable[[int], Any]]


@ray.remote
class Worker:
    """The actor: calls a factory once, which loads the models, and then what it returned for one job after another."""

    def __init__(self) -> None:
        self.work: Callable[[int], Any] | None = None

    def prepare(self, factory: Factory, arguments: tuple[Any, ...]) -> None:
        """Switch to a stage. The former stage's models are dropped before the new ones load."""
        self.work = None
        gc.collect()
        self.work = factory(*arguments)

    def run(self, job: int) -> Any:
        """Do one job."""
        assert self.work is not None
        return self.work(job)


class Pool:
    """Actors that live as long as the build, so that a new stage starts no process; see `run`.

    An actor is idle (it has no stage), starting (a stage's models are loading) or ready (a key of `load`). In an
    `elastic` pool nodes may still join, so that it waits where none is there.
    """

    def __init__(self, workers: int, cpus: float, say: Say = print, elastic: bool = False) -> None:
        self.workers, self.cpus, self.gpus, self.say, self.elastic = workers, cpus, 0.0, say, elastic
        self.idle: list[Any] = []
        self.starting: dict[Any, Any] = {}  # by the reference to the result of `prepare`
        self.load: dict[Any, int] = {}  # jobs in flight, by actor
        self.last_news = time.monotonic()

    def run(
        self, factory: Factory, arguments: tuple[Any, ...], jobs: Sequence[int], *,
        gpus: float = 0.0, on_done: Callable[[int, Any], None] | None = None,
    ) -> Report:  # fmt: skip
        """Call ``factory(*arguments)(job)`` for every job, in any order.

        Raises StartError where no actor can work, UserError where this machine has too few GPUs.
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
        """Prepare for a new stage: all actors become idle, or are ended if the stage needs another number of GPUs."""
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

        In an elastic pool, actors that die with their node say nothing about the models, so far more are allowed.
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
        """End an actor whose model gives no answers; False where it was ended before. Its other lots are redone."""
        if self.load.pop(actor, None) is None:
            return False
        ray.kill(actor)
        return True

    def _feed(self, pending: deque[int], flying: dict[Any, tuple[Any, int]]) -> None:
        while pending and self.load:
            actor = min(self.load, key=lambda a: self.load[a])
            # Leave one job for each actor that is still starting.
            if self.load[actor] >= IN_FLIGHT or (self.load[actor] and len(pending) <= len(self.starting)):
                return
            job = pending.popleft()
            flying[actor.run.remote(job)] = (actor, job)
            self.load[actor] += 1

    def _news(self, refs: list[Any]) -> list[Any]:
        """The references that have finished, after a short wait. Raises StartError where no node is left to run on."""
        ready, _ = ray.wait(refs, num_returns=1, timeout=POLL)
        now = time.monotonic()
        if ready or self.load:
            self.last_news = now
        elif not self.elastic and not any(node["Alive"] for node in ray.nodes()):
            # Without this error Ray would wait for ever for a node.
            raise StartError("Ray's own processes on this machine died; what is done is kept, build again")
        elif now - self.last_news > NOTICE:
            self.last_news = now
            self.say(f"  waiting for a node with {self.cpus:g} CPUs and {self.gpus:g} GPUs free for a worker")
        return list(ready)

    def _start(self) -> Any:
        variables = {"OMP_NUM_THREADS": str(max(1, int(self.cpus))), "TOKENIZERS_PARALLELISM": "false"}
        if own := os.environ.get("PYTHONPATH"):  # a recipe's own python models; behind what the worker's node has
            variables["PYTHONPATH"] = os.pathsep.join(["${PYTHONPATH}", own])
        return Worker.options(  # type: ignore[attr-defined]
            num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=0, max_task_retries=0,
            runtime_env={"env_vars": variables},
        ).remote()  # fmt: skip

    def close(self) -> None:
        """End all actors."""
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
