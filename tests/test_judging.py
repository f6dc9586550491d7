"""Asking a judge: the majority, what does not count, the arbiter, and who plays the optional roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import make_lot

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.assemble import Assembler
from underpaint.pipeline.engine.graph import build_graph
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.pipeline.selection.select import select
from underpaint.schemas.scenes.critique import Side
from underpaint.schemas.scenes.scene import SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.answers.answer import CritiqueError
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.roles import AskRequest
from underpaint.stages.common.stage import Context, Lot
from underpaint.stages.common.templating import BUILT_IN, load_templates
from underpaint.stages.judgement.entailment import words_for
from underpaint.stages.judgement.panel import Judged, JudgeParams, Question, judge

Write = Callable[[dict[str, Any]], Path]
Answers = list[str | Exception]

AGREE = '{"observed":[],"findings":[],"verdict":"consistent","analysis":"fine","correction":""}'
AGAINST = (
    '{"observed":[],"findings":[{"kind":"wrong_count","detail":"two"}],"verdict":"conflict","analysis":"no",'
    '"correction":"Add a cup."}'
)
UNPAINTED = AGAINST.replace("wrong_count", "missing_object")


class Says:
    """A judge that gives these answers in order; an exception is raised. `asked` keeps its requests.

    Asked again, it says the same again.
    """

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.asked = list(answers), []  # type: list[str | Exception], list[AskRequest]

    def ask(self, requests: Sequence[AskRequest]) -> list[str]:
        self.asked += requests
        said = [r.follow_up[0].text if r.follow_up else self.answers.pop(0) for r in requests]
        if isinstance(said[0], Exception):
            raise said[0]
        return said  # type: ignore[return-value]


def decide(
    vocabulary: Vocabulary, answers: Answers, arbiter: Says | None = None, side: Side = Side.TEXT, **params: Any
) -> Judged | Failure:
    models = {"judge": Says(*answers)} | ({"arbiter": arbiter} if arbiter else {})
    settings = JudgeParams(answers=len(answers), **params)
    context = Context("critique", 7, Lot(0, 8), settings, vocabulary, models, load_templates([BUILT_IN]))
    words = dict.fromkeys(("prompt", "so_far", "instruction", "description"), "A car.")
    (found,) = judge(context, [Question(Unit(1, step=1), side, words)], settings, Ledger())[1]
    return found


@pytest.mark.parametrize(
    ("answers", "conflict", "agreement"),
    [([AGREE] * 3, False, 1.0), ([AGAINST, AGREE, AGAINST], True, 2 / 3), ([AGREE, "?", "?"], False, 1 / 3)],
)
def test_the_majority_decides(vocabulary: Vocabulary, answers: Answers, conflict: bool, agreement: float) -> None:
    judged = decide(vocabulary, answers)
    assert isinstance(judged, Judged)
    assert (judged.conflict, judged.agreement, judged.decided_by) == (conflict, agreement, "judge")
    assert judged.answers == answers and judged.arbiter == ""


@pytest.mark.parametrize("answers", [["?", "?", "?"], [AGREE, AGAINST, "?"]])
def test_no_majority_is_a_failure(vocabulary: Vocabulary, answers: Answers) -> None:
    failed = decide(vocabulary, answers)
    assert isinstance(failed, Failure)
    assert failed.error == CritiqueError.__name__ and "A car." in failed.request and "?" in failed.response


def test_not_painted_yet_is_no_fault_of_a_text(vocabulary: Vocabulary) -> None:
    """An answer that calls a missing part a fault of the step's text is not counted, on whatever side it lands."""
    judged = decide(vocabulary, [UNPAINTED, UNPAINTED, AGREE])
    assert isinstance(judged, Judged) and not judged.conflict and judged.agreement == pytest.approx(1 / 3)
    failed = decide(vocabulary, [UNPAINTED] * 3)
    assert isinstance(failed, Failure) and "not painted yet is not wrong" in failed.message
    due = UNPAINTED.replace('"two"', '"a car is missing"')
    draft = decide(vocabulary, [due] * 3, side=Side.PICTURE)  # what the description names should be there
    assert isinstance(draft, Judged) and draft.conflict


def test_not_described_yet_is_no_fault_of_a_picture(vocabulary: Vocabulary) -> None:
    """The description names a car: a missing cup is for a later step, a missing car is a fault."""
    early, due = (UNPAINTED.replace('"two"', f'"a {noun} is missing"') for noun in ("cup", "car"))
    failed = decide(vocabulary, [early] * 3, side=Side.PICTURE)
    assert isinstance(failed, Failure) and "the description names no cup" in failed.message
    judged = decide(vocabulary, [due] * 3, side=Side.PICTURE)
    assert isinstance(judged, Judged) and judged.conflict
    settled = decide(vocabulary, [AGREE, due, "?"], Says(early), side=Side.PICTURE)
    assert isinstance(settled, Failure) and "not painted yet" in settled.message  # an arbiter is held to it too


def test_what_was_concluded_for_the_judge_is_the_grammars(vocabulary: Vocabulary) -> None:
    concluded = decide(vocabulary, [AGREE], side=Side.PICTURE, observations="conclude")
    assert isinstance(concluded, Judged) and concluded.conflict and concluded.decided_by == "grammar"
    again = decide(vocabulary, [concluded.critique.to_json()], side=Side.PICTURE, observations="conclude")
    assert isinstance(again, Judged) and again.decided_by == "judge" and again.critique == concluded.critique


def test_the_arbiter_decides_where_the_answers_disagree(vocabulary: Vocabulary) -> None:
    arbiter = Says(AGREE)
    judged = decide(vocabulary, [AGAINST, AGREE, AGAINST], arbiter)
    assert isinstance(judged, Judged) and not judged.conflict
    assert (judged.decided_by, judged.arbiter, judged.agreement) == ("arbiter", AGREE, pytest.approx(1 / 3))
    assert judged.row()["decided_by"] == "arbiter" and judged.row()["answers"] == [AGAINST, AGREE, AGAINST]
    assert len(arbiter.asked) == 1 and arbiter.asked[0].temperature == 0.0 and "A car." in arbiter.asked[0].text


@pytest.mark.parametrize("answers", [["?", "?", "?"], [AGREE, AGAINST, "?"]])
def test_the_arbiter_saves_what_would_fail(vocabulary: Vocabulary, answers: Answers) -> None:
    judged = decide(vocabulary, answers, Says(AGAINST))
    assert isinstance(judged, Judged) and judged.conflict and judged.decided_by == "arbiter"


def test_the_arbiter_is_asked_only_below_its_threshold(vocabulary: Vocabulary) -> None:
    idle = Says()
    assert isinstance(decide(vocabulary, [AGREE] * 3, idle), Judged)
    judged = decide(vocabulary, [AGAINST, AGREE, AGAINST], idle, arbitrate_below=0.5)
    assert isinstance(judged, Judged) and judged.decided_by == "judge" and not idle.asked


@pytest.mark.parametrize("said", ["no JSON", RuntimeError("the line is down")])
def test_a_useless_arbiter_leaves_it_to_the_judge(vocabulary: Vocabulary, said: str | Exception) -> None:
    judged = decide(vocabulary, [AGAINST, AGREE, AGAINST], Says(said))
    assert isinstance(judged, Judged) and judged.conflict and judged.decided_by == "judge"
    assert ("no JSON" in judged.arbiter) or ("the line is down" in judged.arbiter)
    failed = decide(vocabulary, ["?"], Says(said))
    assert isinstance(failed, Failure) and "arbiter" in failed.message


def test_optional_roles(recipe: dict[str, Any], write_recipe: Write) -> None:
    plain = load_recipe(write_recipe(recipe))
    assert plain.cast(["sketcher", "arbiter"]) == {"sketcher": "renderer"}
    recipe["models"]["pencil"] = {"kind": "drawn", "fault_rate": 0.5}
    recipe["roles"] |= {"sketcher": "pencil", "arbiter": "symbols"}
    named = load_recipe(write_recipe(recipe))
    assert named.cast(["sketcher", "arbiter", "painter"]) == {
        "sketcher": "pencil", "arbiter": "symbols", "painter": "renderer",
    }  # fmt: skip
    before, after = build_graph(plain), build_graph(named)
    changed = {name for name in before if before[name].fingerprint != after[name].fingerprint}
    assert {"rollout", "critique", "check"} <= changed and not {"prompts", "plan", "draft"} & changed
    assert "model of the arbiter" in after["critique"].parts
    recipe["roles"]["arbiter"] = "renderer"
    with pytest.raises(UserError, match=r"field roles\.arbiter: model 'renderer' can only be painter"):
        load_recipe(write_recipe(recipe))


def test_who_drew_and_who_decided_travels_into_the_sample(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    recipe["lot_size"] = 12
    recipe["models"] |= {
        "pencil": {"kind": "drawn", "fault_rate": 0.5},
        "wavering": {"kind": "python", "factory": "poison:Wavering"},
    }
    recipe["roles"] |= {"sketcher": "pencil", "judge": "wavering", "arbiter": "symbols"}
    recipe["stages"] = {"critique": {"answers": 3}}
    recipe["select"] = {"min_agreement": 0.9}  # of the judge's own decisions
    loaded, nodes, store = make_lot(write_recipe, recipe, tmp_path / "run")
    rows = store.table(nodes["critique"], 0).to_pylist()
    decided = {r["decided_by"] for r in rows}
    assert decided == {"judge", "arbiter"} and all(r["arbiter"] for r in rows if r["agreement"] < 1)
    assemble = Assembler(loaded, nodes, store)
    found = [assemble(r)[0] for r in select(loaded, nodes, store, {"painted": 1, "sampled": 1}).chosen]
    said = {s.model for sample in found for s in sample.segments if s.stage == "inspect"}
    assert said == {"wavering", "symbols"}
    by_origin = {(p.origin, p.model) for sample in found for p in sample.images}
    assert by_origin == {
        ("t2i", "renderer"), ("edit", "renderer"), ("self_sample", "pencil"), ("correction", "renderer"),
        ("correction", "pencil"),  # a sibling draft
    }  # fmt: skip


def test_a_judge_knows_the_background_of_a_prompt_even_where_it_is_the_only_new_word(vocabulary: Vocabulary) -> None:
    noun = next(iter(vocabulary.nouns))
    scene = SceneGraph(objects=(SceneObject(id="a", noun=noun, attributes={}, count=1),), background="volcano")
    assert words_for(vocabulary, scene).backgrounds == (*vocabulary.backgrounds, "volcano")
    assert words_for(vocabulary, scene.model_copy(update={"background": None})) is vocabulary
