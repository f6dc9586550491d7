"""What the driver does when actors die or their models fall silent: its real loop, over actors without Ray."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError

from underpaint.pipeline.engine import ray_pool as runner
from underpaint.pipeline.engine.ray_pool import Pool, StartError
from underpaint.stages.common.roles import ModelUnavailable

Does = Callable[[], Any]


def raising(error: Exception) -> Does:
    def call() -> Any:
        raise error

    return call


def in_a_task(error: Exception) -> RayTaskError:
    return RayTaskError("work", "Traceback", error)


class FakeActors(Pool):
    """Actor number n starts as `starts(n)` does, and works on a job as `works(n, job)` does."""

    def __init__(self, starts: Callable[[int], Does], works: Callable[[int, int], Does], **more: Any) -> None:
        super().__init__(cpus=1, say=lambda _: None, **more)
        self.starts, self.works, self.started, self.fed = starts, works, 0, list[tuple[int, int]]()

    def _start(self) -> Any:
        number, self.started = self.started, self.started + 1
        return FakeActor(
            prepare=SimpleNamespace(remote=lambda *_: Ref(self.starts(number))),
            run=SimpleNamespace(remote=lambda job: self.fed.append((number, job)) or Ref(self.works(number, job))),
        )


class FakeActor(SimpleNamespace):
    __hash__ = object.__hash__
    __eq__ = object.__eq__


class Ref:
    def __init__(self, does: Does) -> None:
        self.does = does


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.ray, "get", lambda ref: ref.does())
    monkeypatch.setattr(runner.ray, "wait", lambda refs, **_: (refs[:1], refs[1:]))
    monkeypatch.setattr(runner.ray, "kill", lambda actor: None)
    monkeypatch.setattr(runner.ray, "cluster_resources", dict)


def fine(*_: Any) -> Does:
    return lambda: "made"


def test_actors_that_die_with_their_nodes_do_not_end_the_build_of_a_cluster() -> None:
    def starts(number: int) -> Does:
        return raising(RayActorError()) if number < 9 else fine()

    pool = FakeActors(starts, fine, workers=1, elastic=True)
    assert pool.run(print, (), [0, 1]).results == {0: "made", 1: "made"}
    with pytest.raises(StartError, match="no worker could start"):  # on one machine nothing else will come
        FakeActors(starts, fine, workers=1).run(print, (), [0])
    with pytest.raises(StartError, match="no worker could start"):  # nor does it go on for ever
        FakeActors(lambda n: raising(RayActorError()), fine, workers=1, elastic=True).run(print, (), [0])


def test_a_model_that_does_not_load_ends_the_build_of_a_cluster_too() -> None:
    broken = FakeActors(lambda n: raising(in_a_task(OSError("half of it"))), fine, workers=1, elastic=True)
    with pytest.raises(StartError, match="OSError: half of it"):
        broken.run(print, (), [0])
    assert broken.started == runner.START_FAILURES


def test_an_actor_whose_model_is_unavailable_is_not_fed_again() -> None:
    def works(number: int, job: int) -> Does:
        return raising(in_a_task(ModelUnavailable("CUDA error"))) if number == 0 else fine()

    pool = FakeActors(fine, works, workers=2)
    assert sorted(pool.run(print, (), range(9)).results) == list(range(9))
    assert [n for n, _ in pool.fed].count(0) <= runner.IN_FLIGHT and pool.started == 3


def test_a_model_that_is_unavailable_everywhere_ends_the_build() -> None:
    pool = FakeActors(fine, lambda n, job: raising(in_a_task(ModelUnavailable("account is empty"))), workers=1)
    with pytest.raises(StartError, match="no worker's model answers: account is empty"):
        pool.run(print, (), range(50))
    assert pool.started <= runner.UNAVAILABLE + 1
