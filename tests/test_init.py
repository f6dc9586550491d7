"""`underpaint init`: every shipped recipe is a start, and names what ships with the package wherever that lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT

from underpaint.pipeline.cli.init import init
from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.stages.common.templating import load_templates

SHIPPED = sorted(file.stem for file in (ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_copied_recipe_is_the_shipped_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("BAGEL_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(key, "none")
    folder = tmp_path / "My Corpus"
    init(folder, name)
    text = (folder / "recipe.yaml").read_text()
    assert "$schema=recipe.schema.json" in text and (folder / "recipe.schema.json").is_file()
    assert "../miniature" not in text and str(ROOT) not in text
    if name == "self_sampling":  # its writer is trained first, as docs/judging.md says
        with pytest.raises(UserError, match="runs/train/checkpoints/writer does not exist"):
            load_recipe(folder / "recipe.yaml")
        return
    mine, shipped = load_recipe(folder / "recipe.yaml"), load_recipe(ROOT / "recipes" / f"{name}.yaml")
    assert mine.name == "my_corpus" and Path(mine.vocabulary).parent == folder
    assert mine.words() == shipped.words() and mine.all_templates().keys() == shipped.all_templates().keys()
    changed = {"name": shipped.name, "vocabulary": shipped.vocabulary, "templates": shipped.templates}
    assert mine.model_copy(update=changed) == shipped  # checkpoints are those of the package
    [[template]] = load_templates([folder / "templates"]).values()
    assert template.digest in [t.digest for t in shipped.all_templates()[template.task]]


def test_no_folder_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")
    for taken in (tmp_path, tmp_path / "notes"):
        with pytest.raises(UserError, match="not an empty folder"):
            init(taken, "structural")
    with pytest.raises(UserError, match="did you mean 'structural'"):
        init(tmp_path / "new", "structurel")
    assert [file.name for file in tmp_path.iterdir()] == ["notes"]
