"""docs/one_question.md shows what the models are really asked."""

from __future__ import annotations

from conftest import ROOT

from benchmarks.one_question import page


def test_the_page_shows_what_is_asked_today() -> None:
    shown = (ROOT / "docs" / "one_question.md").read_text("utf-8")
    assert shown == page(), "python -m benchmarks.one_question > docs/one_question.md"
