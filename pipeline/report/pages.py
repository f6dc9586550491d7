"""Renders static HTML pages from templates: all share style.css.j2, and each is one file that fetches nothing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
)


def render_page(page: str, /, **values: Any) -> bytes:
    """The page of a template in this folder; all values are escaped."""
    return _environment.get_template(page).render(**values).encode()


def picture_source(file: bytes) -> str:
    """An encoded picture (JPEG or WebP) as the `src` of an <img>."""
    kind = "jpeg" if file.startswith(b"\xff\xd8") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
