"""The fields of a recipe for editors and for people: ``python -m underpaint.pipeline.recipe.recipe_schema [--check]``.

It writes recipes/recipe.schema.json and docs/recipe.md from the descriptions at the fields, and the graph of the stages
into docs/architecture.md; with ``--check`` the files are only compared.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from underpaint.pipeline.recipe.recipe import Recipe
from underpaint.schemas.corpus.write_schema import json_text, renewed, write_or_check
from underpaint.stages.all_stages import diagram

ROOT = Path(__file__).parents[2]
GRAPH = "<!-- graph: written by `python -m underpaint.pipeline.recipe.recipe_schema` -->", "<!-- /graph -->"
INTRODUCTION = """# The fields of a recipe

Written by `python -m underpaint.pipeline.recipe.recipe_schema` from the descriptions at the fields: edit those, not
this page. `underpaint recipe schema` prints the same as JSON Schema, and the recipes of this repository name it
(`recipes/recipe.schema.json`) in their first line, so that an editor with a YAML language server completes and checks
them.

Whatever has a default may be left out. A field that is not here is refused."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe (draft 2020-12). What only several fields together can break is not in it."""
    schema = json.loads(json.dumps(Recipe.model_json_schema()), object_hook=_without_noise)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A recipe of underpaint", **schema}


def files() -> dict[Path, str]:
    """Every file that follows from the fields, with the text that it should hold."""
    page = ROOT / "docs" / "architecture.md"
    graph = renewed(page.read_text("utf-8"), page, *GRAPH, diagram())
    return {
        ROOT / "recipes" / "recipe.schema.json": json_text(json_schema()),
        ROOT / "docs" / "recipe.md": page_text(),
        page: graph,
    }


def _without_noise(node: dict[str, Any]) -> dict[str, Any]:
    """Without pydantic's titles, which repeat names, and the defaults of whole sections, which repeat those within."""
    noise = {("title", str), *([("default", dict)] if "$ref" in node else [])}
    return {k: v for k, v in node.items() if (k, type(v)) not in noise}


def page_text() -> str:
    """docs/recipe.md: a table a section."""
    schema = json_schema()
    definitions = schema["$defs"]
    places: dict[str, list[str]] = {}
    _place(schema, "", definitions, places)
    headings = {name: found[0] if len(found) == 1 else name for name, found in places.items()}
    parts = [INTRODUCTION, "## The whole", *_section(schema, definitions, headings)]
    for name, found in places.items():
        parts += [f"## {headings[name]}", *(["For " + ", ".join(f"`{place}`" for place in found)] if found[1:] else [])]
        parts += _section(definitions[name], definitions, headings)
    return "\n\n".join(parts) + "\n"


def _place(node: Mapping[str, Any], path: str, definitions: Mapping[str, Any], places: dict[str, list[str]]) -> None:
    """Note where each definition stands in a recipe, in the order of its fields."""
    for name, field in node.get("properties", {}).items():
        for reference in _references(field):
            here = f"{path}.{name}".lstrip(".")
            if kind := definitions[reference]["properties"].get("kind"):
                here += f".NAME of the kind {kind['const']}"
            places.setdefault(reference, []).append(here)
            if len(places[reference]) == 1:
                _place(definitions[reference], here, definitions, places)


def _references(field: Mapping[str, Any]) -> list[str]:
    """The definitions that a field names, however deep in unions, lists and mappings."""
    return re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(field))


def _section(node: Mapping[str, Any], definitions: Mapping[str, Any], headings: Mapping[str, str]) -> list[str]:
    """A section's description and table."""
    lines = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in node.get("properties", {}).items():
        default = "required" if name in node.get("required", ()) else ""
        if field.get("default") is not None:
            default = f"`{json.dumps(field['default'], ensure_ascii=False)}`"
        cells = [f"`{name}`", type_name(field, headings), default, meaning(field, definitions)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    table = "\n".join(lines) if len(lines) > 2 else "It has no fields."
    return [*filter(None, [node.get("description", "").replace("``", "`")]), table]


def meaning(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A field's own description, or the first paragraph of its section's."""
    sections = [definitions[reference] for reference in _references(field)]
    said = next((one["description"] for one in (field, *sections) if "description" in one), "")
    return " ".join(said.split("\n\n")[0].replace("``", "`").split())


def type_name(field: Mapping[str, Any], headings: Mapping[str, str]) -> str:
    """A JSON Schema's type in words: "integer, 1 to 64", "list of string", a link to a section."""
    if "$ref" in field:
        heading = headings[field["$ref"].rpartition("/")[2]]
        anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")  # as GitHub makes it
        return f"[{heading}](#{anchor})"
    if choices := field.get("enum", [field["const"]] if "const" in field else None):
        return " or ".join(f"`{c}`" for c in choices)
    if union := field.get("anyOf", field.get("oneOf")):
        return " or ".join(type_name(one, headings) for one in union if one.get("type") != "null")
    if field.get("type") == "array":
        return f"list of {type_name(field['items'], headings)}"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"mapping to {type_name(values, headings)}" if isinstance(values, dict) else "mapping"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{word} {field[key]}" for key, word in {**words, "multipleOf": "a multiple of"}.items() if key in field]
    return ", ".join([str(field.get("type", "anything")), *limits])


if __name__ == "__main__":
    raise SystemExit(write_or_check(files(), "underpaint.pipeline.recipe.recipe_schema", sys.argv[1:]))
