"""Puts questions to models and reads the answers; an answer that cannot be read is asked for once more.

The model is then shown what it said and why it could not be read. A model that was taught a dialect knows no such
conversation, so its templates are asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from PIL import Image

from underpaint.stages.answers.answer import AnswerError, Read
from underpaint.stages.common.roles import Answer, AskRequest, Speaker, Turn, answer_of, each
from underpaint.stages.common.templating import Template

T = TypeVar("T")
REASKS = 1
NOTHING = "(no words)"  # in place of an empty answer, which not every server takes as a turn of a conversation
AGAIN = "That answer cannot be used: {error}. Answer again, in the form that was asked for, with nothing around it."


@dataclass(frozen=True)
class Job(Generic[T]):
    """A question to a model, and how its answer is read. `read` raises AnswerError."""

    speaker: Speaker
    request: AskRequest
    read: Callable[[Answer], Read[T]]
    reasks: int


def job_for(
    speaker: Speaker, template: Template, request: AskRequest, read: Callable[[Answer], Read[T]], reasks: int = REASKS
) -> Job[T]:
    """The job of a template's request: a model that was taught a dialect is asked once, whatever `reasks`."""
    return Job(speaker, request, read, 0 if template.dialect else reasks)


@dataclass
class Said(Generic[T]):
    """What came of a question: the value read, or the error of the last answer; and all that was said for it."""

    request: AskRequest
    value: T | None = None
    bends: tuple[str, ...] = ()
    error: Exception | None = None
    answers: list[Answer] = field(default_factory=list)  # in order; more than one where it was asked again
    requests: list[AskRequest] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The last answer's words; the error's where the model itself failed."""
        return self.answers[-1].text if self.answers else f"{type(self.error).__name__}: {self.error}"


def request_for(
    template: Template, variables: Mapping[str, str], seed: int, *, temperature: float = 0.0,
    pictures: Mapping[str, Image.Image | None] | None = None, schema: Mapping[str, Any] | None = None,
) -> AskRequest:  # fmt: skip
    """The request of a template: its words rendered, and those of the pictures ("before", "after") that it shows.

    A picture that is None (before the first step) is left out; the template's variable `shown` says which are there.
    """
    given = {name: picture for name in template.pictures if (picture := (pictures or {}).get(name)) is not None}
    return AskRequest(
        task=template.task, text=template.render(shown=list(given), **variables), seed=seed,
        pictures=tuple(given.values()), temperature=temperature, context=variables,
        system=template.render_system(**variables), turns=template.turns,
        schema=None if template.dialect else schema,
    )  # fmt: skip


def ask_and_read(jobs: Sequence[Job[T]]) -> list[Said[T]]:
    """Ask all, each model its questions in one call; ask again what could not be read. One result per job, in order."""
    found = [Said[T](job.request) for job in jobs]
    open_ones = list(range(len(jobs)))
    while open_ones:
        for i, answer in _asked([(jobs[i].speaker, found[i].request) for i in open_ones], open_ones):
            _take(found[i], jobs[i], answer)
        open_ones = [i for i in open_ones if _ask_again(found[i], jobs[i])]
    return found


def _asked(
    questions: Sequence[tuple[Speaker, AskRequest]], numbers: Sequence[int]
) -> list[tuple[int, Answer | str | Exception]]:
    """The answers by number, every speaker asked once for all that is put to it."""
    answers: list[tuple[int, Answer | str | Exception]] = []
    for speaker in {id(s): s for s, _ in questions}.values():
        mine = [(n, request) for n, (s, request) in zip(numbers, questions, strict=True) if s is speaker]
        said = each(speaker.ask, [request for _, request in mine])
        answers += zip((n for n, _ in mine), said, strict=True)
    return answers


def _take(said: Said[T], job: Job[T], answer: Answer | str | Exception) -> None:
    said.requests.append(said.request)
    if isinstance(answer, Exception):
        said.error = answer
        return
    said.answers.append(answer_of(answer))
    try:
        read = job.read(said.answers[-1])
    except Exception as e:
        said.error = e
    else:
        said.value, said.bends, said.error = read.value, read.bends, None


def _ask_again(said: Said[T], job: Job[T]) -> bool:
    """Turn the request into the one that shows the error, where the answer was unreadable and a try is left."""
    if not isinstance(said.error, AnswerError) or len(said.answers) > job.reasks:
        return False
    words = said.answers[-1].text or said.answers[-1].refused or NOTHING
    told = Turn("user", AGAIN.format(error=str(said.error).rstrip(".")))
    said.request = replace(said.request, follow_up=(*said.request.follow_up, Turn("assistant", words), told))
    return True
