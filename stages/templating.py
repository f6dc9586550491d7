"""Every word put to a model, as data: one file a template, front matter and a sandboxed Jinja body."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import jinja2
import jinja2.meta
import yaml
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Task = Literal["write", "critique_text", "critique_picture"]

# What each task may speak of.
VARIABLES: dict[str, frozenset[str]] = {
    "write": frozenset({"prompt", "so_far"}),
    "critique_text": frozenset({"prompt", "so_far", "instruction", "description"}),
    "critique_picture": frozenset({"prompt", "instruction", "description"}),
}
BUILT_IN = Path(__file__).parent / "templates"
_environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=False)


class TemplateError(ValueError):
    """A template that cannot be used; the message names the file, the place and the remedy."""


class Template(BaseModel):
    """`digest` is the SHA-256 of the whole file: any edited word is another template."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    version: int = Field(ge=1)
    task: Task
    role: Literal["writer", "judge"]
    picture: bool
    weight: float = Field(gt=0)
    body: str
    digest: str

    def render(self, **variables: str) -> str:
        """The request's text. Raises jinja2.UndefinedError where a variable was not given."""
        return _environment.from_string(self.body).render(**variables)


def load_template(path: Path) -> Template:
    """Read and check one file. Raises TemplateError naming file, field or variable."""
    raw = path.read_text(encoding="utf-8")
    parts = raw.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise TemplateError(f"{path}: begins with no front matter (three dashes, YAML, three dashes)")
    try:
        front = yaml.safe_load(parts[1])
        template = Template(**front, body=parts[2].strip(), digest=hashlib.sha256(raw.encode()).hexdigest())
    except (yaml.YAMLError, TypeError) as e:
        raise TemplateError(f"{path}: the front matter is no YAML mapping: {e}") from None
    except ValidationError as e:
        first = e.errors()[0]
        raise TemplateError(f"{path}: field {'.'.join(map(str, first['loc']))!r}: {first['msg']}") from None
    try:
        used = jinja2.meta.find_undeclared_variables(_environment.parse(template.body))
    except jinja2.TemplateSyntaxError as e:
        raise TemplateError(f"{path}, line {parts[1].count(chr(10)) + 2 + e.lineno}: {e.message}") from None
    unknown = sorted(used - VARIABLES[template.task])
    if unknown:
        known = ", ".join(sorted(VARIABLES[template.task]))
        raise TemplateError(f"{path}: undefined variable {unknown[0]!r}; a {template.task} template has {known}")
    return template


def load_templates(folders: list[Path]) -> dict[str, list[Template]]:
    """All templates by task, in order of id; a later folder replaces the ids it has too.

    Raises TemplateError also where a task is left without a template.
    """
    found: dict[str, Template] = {}
    for folder in folders:
        files = sorted(folder.glob("*.j2"))
        if not files:
            raise TemplateError(f"{folder}: holds no template (*.j2)")
        for path in files:
            template = load_template(path)
            found[template.id] = template
    by_task: dict[str, list[Template]] = {task: [] for task in VARIABLES}
    for _, template in sorted(found.items()):
        by_task[template.task].append(template)
    for task, templates in by_task.items():
        if not templates:
            raise TemplateError(f"no template for the task {task!r} in {', '.join(map(str, folders))}")
    return by_task
