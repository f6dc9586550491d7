"""Reads and renders templates: the texts put to models. Each is a file with front matter and a sandboxed Jinja body.

stages/prompting/tasks.py says which variables a template of a task may use, and what its answers must be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import jinja2
import yaml
from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from underpaint.schemas.corpus.picture import PictureError, decode_picture
from underpaint.stages.common.roles import Turn

BUILT_IN = Path(__file__).parents[1] / "templates"
ENVIRONMENT = SandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=False)
# What every template may use and nobody gives: explanations that all critiques share.
SHARED = {  # one line a kind
    name: "\n".join(f'- "{kind}": {meaning}' for kind, meaning in kinds.items())
    for name, kinds in yaml.safe_load((BUILT_IN / "finding_kinds.yaml").read_text("utf-8")).items()
}
ENVIRONMENT.globals.update(SHARED)

VerdictName = Literal["consistent", "incomplete", "conflict"]
Shown = Literal["before", "after"]  # a step's picture: the one that it begins with, or the one that it makes

# Fields that never reach a model and do not change how its answer is read: editing them changes no digest.
# (`weight` and `stages` count in the stages' fingerprints instead.)
NOT_IDENTITY = frozenset({"weight", "stages", "examples", "incomplete", "file", "body_line"})


@dataclass(frozen=True)
class TemplateProblem:
    """What is wrong with a template, where, and what to write instead."""

    file: str
    line: int  # from 1
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.message}; {self.fix}"


class TemplateError(ValueError):
    """A template that cannot be used; the message names file, line and remedy."""

    def __init__(self, problem: TemplateProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Shot(BaseModel):
    """A worked example that the model is shown before the question: what was asked, with which pictures, and answered.

    `pictures` are files, relative to the template's, by what they show: "before" or "after" the step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    variables: dict[str, str]
    answer: str = Field(min_length=1)
    pictures: dict[Shown, str] = Field(default_factory=dict)


class TemplateExample(BaseModel):
    """An example of a template: variables, an answer, and what the parser reads from it or why it refuses it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(min_length=1)
    variables: dict[str, str]
    request: str = ""  # the whole rendered text, if the example should fix it
    answer: str
    expect: dict[str, Any] | None = None  # fields of the parsed answer; fields not named may have any value
    refused: str = ""  # a part of the parser's error message

    @model_validator(mode="after")
    def _one(self) -> TemplateExample:
        if (self.expect is None) == (not self.refused):
            raise ValueError("an example has either expect (fields of the parse) or refused (part of the message)")
        return self


class Template(BaseModel):
    """One template file. docs/templates.md explains every field."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    version: int = Field(ge=1)
    task: str
    role: Literal["writer", "judge"]
    output: str  # the format of the answer, by name: critique/1, plan/1
    system: str = ""  # the system message, in Jinja as the body
    pictures: tuple[Shown, ...] = ()  # what the model is shown of the step, in this order
    shots: tuple[Shot, ...] = ()  # worked examples that the model is shown before the question
    fields: dict[str, dict[str, Any]] = Field(default_factory=dict)  # further fields of the answer, a JSON Schema each
    labels: dict[str, VerdictName] = Field(default_factory=dict)  # label/1: what ends an answer, and its verdict
    yes_means: VerdictName | None = None  # the verdict that a yes to the question means; without it a yes is refused
    model: str = ""  # the recipe's model that is asked; the role's unless given
    dialect: str = ""  # whose words these are, if they were taught to one model; no other would know what is asked
    kinds: tuple[str, ...] = ()  # kinds of finding that this template adds to schemas.scenes.compare.FaultKind
    weight: float = Field(default=1.0, ge=0)  # how often it is drawn, relative to the others of its task; 0 is off
    stages: tuple[str, ...] = ()  # the stages that use it; if empty, all that render its task
    incomplete: str = ""  # the sentence of the body that says "not painted yet is not wrong"
    examples: tuple[TemplateExample, ...] = ()
    body: str
    file: str
    body_line: int  # line of the file on which the body begins

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all fields that can change an answer or how it is read."""
        named = self.model_dump(mode="json", exclude=set(NOT_IDENTITY))
        named["shots"] = [{**shot, "pictures": _contents(self, i)} for i, shot in enumerate(named["shots"])]
        named["shared"] = {name: SHARED[name] for name in sorted(self.names & SHARED.keys())}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    @cached_property
    def names(self) -> frozenset[str]:
        """All names that the words and the system message use without setting them."""
        trees = (ENVIRONMENT.parse(words) for words in (self.system, self.body))
        return frozenset(name for tree in trees for name in meta.find_undeclared_variables(tree))

    def render(self, *, shown: Sequence[str] = (), **variables: str) -> str:
        """The request's text. `shown` names the pictures that go with it, as a step may have none before it.

        Raises jinja2.UndefinedError where a variable was not given.
        """
        return _compiled(self.body).render(shown=list(shown), **variables)

    def render_system(self, **variables: str) -> str:
        """The system message, "" where there is none. Raises as `render`."""
        return _compiled(self.system).render(**variables).strip() if self.system else ""

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """The worked examples as a conversation: each a question with its pictures, and the answer."""
        found: list[Turn] = []
        for shot, files in zip(self.shots, self.shot_files, strict=True):
            pictures = tuple(decode_picture(files[name]) for name in self.pictures if name in files)
            asked = self.render(shown=[n for n in self.pictures if n in files], **shot.variables)
            found += [Turn("user", asked, pictures), Turn("assistant", shot.answer.strip())]
        return tuple(found)

    @cached_property
    def shot_files(self) -> list[dict[str, bytes]]:
        """The files of the worked examples' pictures, by what they show. Raises OSError."""
        folder = Path(self.file).parent
        return [{name: (folder / file).read_bytes() for name, file in shot.pictures.items()} for shot in self.shots]


def _contents(template: Template, shot: int) -> dict[str, str]:
    """SHA-256 of a worked example's pictures: it is what they hold that counts, not where they lie."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in template.shot_files[shot].items()}


@lru_cache(maxsize=64)
def _compiled(body: str) -> jinja2.Template:
    return ENVIRONMENT.from_string(body)


def load_template(path: Path) -> Template:
    """Read one file. Raises TemplateError naming file, line and field."""
    try:
        raw = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        problem = TemplateProblem(str(path), 1, f"cannot be read: {e}", "give a text file in UTF-8")
        raise TemplateError(problem) from None
    return _parsed(str(path), raw)


@lru_cache(maxsize=256)  # every stage of every round asks for all of them
def _parsed(file: str, raw: str) -> Template:
    def error(line: int, message: str, fix: str) -> TemplateError:
        return TemplateError(TemplateProblem(file, line, message, fix))

    parts = raw.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise error(1, "begins with no front matter", "write three dashes, YAML, three dashes, then the words")
    try:
        front = yaml.safe_load(parts[1])
        lines = front_lines(parts[1])
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 2 if e.problem_mark else 2
        raise error(line, f"the front matter is no YAML: {e.problem}", "quote values with colons or braces") from None
    if not isinstance(front, dict):
        raise error(2, "the front matter is no mapping", "write one 'field: value' a line")
    body = parts[2].strip()
    blank = parts[2][: len(parts[2]) - len(parts[2].lstrip())].count("\n")
    begin = parts[1].count("\n") + 3 + blank
    try:
        template = Template(
            **{**{str(name): value for name, value in front.items()}, "body": body, "file": file, "body_line": begin}
        )
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(map(str, first["loc"])) or "examples"
        message = first["msg"].removeprefix("Value error, ")
        fix = "see docs/templates.md"
        if first["type"] == "extra_forbidden":
            known = [name for name in Template.model_fields if name not in ("body", "file", "body_line")]
            message, fix = "there is no such field", f"there are {', '.join(known)}"
        raise error(line_of(lines, field), f"field {field!r}: {message}", fix) from None
    for words, first_line in ((template.system, lines.get("system", 1) + 1), (body, begin)):
        try:
            ENVIRONMENT.parse(words)
        except jinja2.TemplateSyntaxError as e:
            raise error(first_line - 1 + e.lineno, f"{e.message}", "Jinja writes variables as {{ name }}") from None
    for i, shot in enumerate(template.shots):
        for name, picture in shot.pictures.items():
            try:
                decode_picture((Path(file).parent / picture).read_bytes())
            except (OSError, PictureError) as e:
                where = f"shots.{i}.pictures.{name}"
                raise error(line_of(lines, where), f"field {where!r}: {e}", "name a file beside the template") from None
    return template


def load_templates(folders: Sequence[Path]) -> dict[str, list[Template]]:
    """All templates by task, in order of id. For equal ids a later folder's template wins. Raises TemplateError."""
    found: dict[str, Template] = {}
    for folder in folders:
        files = sorted(folder.glob("*.j2"))
        if not files:
            raise TemplateError(TemplateProblem(str(folder), 1, "holds no template", "name a folder with *.j2 files"))
        here: dict[str, Template] = {}
        for template in map(load_template, files):
            if template.id in here:
                why = f"the id {template.id!r} is that of {here[template.id].file} too"
                raise TemplateError(TemplateProblem(template.file, 2, why, "give each file of a folder its own"))
            here[template.id] = template
        found |= here
    by_task: dict[str, list[Template]] = {}
    for _, template in sorted(found.items()):
        by_task.setdefault(template.task, []).append(template)
    return by_task


@lru_cache(maxsize=256)
def front_lines(text: str) -> dict[str, int]:
    """The line in the file (from 1) of every field of a front matter, by dotted path: ``examples.0.answer`` → 14."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return dict(_lines(root, "")) if root is not None else {}


def line_of(lines: Mapping[str, int], field: str) -> int:
    """The line of a field; of the field around it if it is missing; of the front matter's end if there is neither."""
    while field and field not in lines:
        field = field.rpartition(".")[0]
    return lines[field] if field else max(lines.values(), default=1) + 1


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}.{key.value}".lstrip(".")
            yield name, key.start_mark.line + 2  # from 1, after the opening dashes
            yield from _lines(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield f"{path}.{i}", value.start_mark.line + 2
            yield from _lines(value, f"{path}.{i}")
