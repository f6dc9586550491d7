"""An instruction reads the same in every wording."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from underpaint.miniature.edits import EDIT_SHARES, random_edit
from underpaint.miniature.world import vocabulary
from underpaint.schemas.scenes.edit import apply, instruct, read_instruction
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.schemas.scenes.wordings import own_wording, reword


@given(st.integers(0, 10**9), st.sampled_from([k for k in EDIT_SHARES if k not in ("one", "background", "relate")]))
def test_every_wording_leads_to_the_same_scene(seed: int, kind: str) -> None:
    case = random_edit(random.Random(seed), kind)
    before = case.before or SceneGraph()
    plain = instruct(before, case.edit, vocabulary())
    for wording in range(3):
        told = instruct(before, case.edit, vocabulary(), wording)
        assert own_wording(told) == plain
        after = apply(before, read_instruction(told, before, vocabulary()))
        assert _bare(after) == _bare(case.after)


def _bare(scene: SceneGraph) -> str:
    """Its key without relations, of which an instruction tells one at most."""
    return scene.model_copy(update={"relations": ()}).key()


def test_wordings_differ_and_unknown_sentences_stay() -> None:
    assert len({reword("Add a red car.", n) for n in range(3)}) == 3
    assert reword("Add a red car.", 3) == "Add a red car."
    assert reword("Leave the picture as it is.", 1) == "Leave the picture as it is."
