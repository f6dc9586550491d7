"""The second way of every check: texts that no grammar reads, put to a model; and who checked it, up to the sample."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stage_inputs
from conftest import make_lot
from pydantic import ValidationError
from stage_inputs import Judge, Painter, critique, redness, run_stage, scene, shade

from underpaint.pipeline.corpus.assemble import Assembler
from underpaint.pipeline.recipe.corpus_settings import Select
from underpaint.pipeline.selection.quota_status import quota_lines, quota_status
from underpaint.pipeline.selection.select import select
from underpaint.schemas.scenes.critique import Critique, Side
from underpaint.schemas.scenes.grammar import read
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import alignment, check, conflict, repair
from underpaint.stages import critique as critique_stage
from underpaint.stages.answers.answer import AnswerError, CritiqueError
from underpaint.stages.answers.check_answer import check_schema, read_check
from underpaint.stages.common.checkers import weakest
from underpaint.stages.common.roles import Answer, AskRequest
from underpaint.stages.common.stage import Outcome
from underpaint.stages.common.templating import BUILT_IN, load_templates
from underpaint.stages.judgement.entailment import mends_all, refuse_unpainted, weigh_observations
from underpaint.stages.models.symbolic import Symbolic

Write = Callable[[dict[str, Any]], Path]
AT = {"sample": 3, "rollout": 0, "step": 2}
PROMPT = "At dawn a lighthouse keeper feeds two gulls."
STEP = {
    "so_far": "A lighthouse keeper stands on the rocks at dawn.",
    "instruction": "Let two gulls come for the bread in his hand.",
    "description": "At dawn a lighthouse keeper feeds two gulls on the rocks.",
}


def says(answer: str, why: str = "So it is.") -> str:
    return json.dumps({"why": why, "answer": answer})


def judge(**answers: str) -> Judge:
    """Says yes to every check, or what is named for its task; `asked` counts its tasks."""
    return Judge(lambda r: answers.get(r.task) or says("yes"))


def tasks(asked: Judge) -> Counter[str]:
    return Counter(r.task for batch in asked.batches for r in batch)


def conflicts(vocabulary: Vocabulary, judge: Judge, said: str, prompt: dict[str, Any] | None = None) -> Outcome:
    """One step of the words above, judged to be right or wrong."""
    verdict = "conflict" if '"conflict"' in said else "consistent"
    judged = {**AT, "side": "text", "verdict": verdict, "critique": said, "checked_by": "grammar", "checks": ["before"]}
    given = {
        "prompts": [{"sample": 3, "prompt": PROMPT, **(prompt or {})}],
        "rollout": [{**AT, **STEP}],
        "critique": [judged],
    }
    return run_stage(conflict.STAGE, vocabulary, given, {"judge": judge})


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("check_agreement", "instruction and description disagree, says a model"),
        ("check_keeps", "the step takes away what is wanted, says a model"),
        ("check_reach", "the prompt cannot be met after the step, says a model"),
        ("none", ""),
    ],
)
def test_a_positive_beyond_the_grammar_is_checked_by_a_model(vocabulary: Vocabulary, task: str, reason: str) -> None:
    asked = judge(**{task: says("no")})
    made = conflicts(vocabulary, asked, critique())
    assert made.ledger.summary()["rejected"] == ({reason: 1} if reason else {})
    assert tasks(asked) == {"check_agreement": 1, "check_keeps": 1, "check_reach": 1} and len(asked.batches) == 1
    if not reason:
        (row,) = made.table.to_pylist()
        assert (row["polarity"], row["checked_by"]) == ("positive", "model")
        assert row["checks"] == [
            "before",
            *(f"check_{what}: yes, So it is." for what in ("agreement", "keeps", "reach")),
        ]


@pytest.mark.parametrize(
    ("correction", "answer", "reason"),
    [
        ("Let two gulls land beside the keeper.", "yes", ""),
        ("Let two crows land beside the keeper.", "no", "the correction does not lead on, says a model"),
        (STEP["instruction"], "yes", "the correction repeats the instruction"),  # no model is needed for that
    ],
)
def test_a_correction_beyond_the_grammar_is_checked_by_a_model(
    vocabulary: Vocabulary, correction: str, answer: str, reason: str
) -> None:
    asked = judge(check_correction=says(answer))
    made = conflicts(vocabulary, asked, critique("conflict", correction=correction))
    assert made.ledger.summary()["rejected"] == ({reason: 1} if reason else {})
    assert tasks(asked) == ({} if "repeats" in reason else {"check_correction": 1})
    if not reason:
        assert [(r["polarity"], r["checked_by"]) for r in made.table.to_pylist()] == [("negative", "model")]
        words = asked.batches[0][0].text
        assert correction in words and "- so it is" in words and STEP["so_far"] in words


def test_what_the_scene_of_a_prompt_tells_the_grammar_no_model_is_asked(vocabulary: Vocabulary) -> None:
    """The prompt needs knowledge; its scene is known, with a word that the vocabulary has not."""
    words = Vocabulary(nouns={"narwhal": "narwhals"}, attributes=vocabulary.attributes)
    known = {"prompt": "The whale with the tusk.", "scene": scene("A narwhal at the top left.", words)}
    paint = {**STEP, "so_far": "a blank canvas", "instruction": "Paint a narwhal at the top left."}
    asked = judge()
    for description, reason in (
        ("A narwhal at the top left.", {}),
        ("A narwhal at the top right.", {"instruction and description disagree": 1}),
    ):
        given = {
            "prompts": [{"sample": 3, **known}],
            "rollout": [{**AT, **paint, "description": description}],
            "critique": [{**AT, "side": "text", "verdict": "consistent", "critique": critique()}],
        }
        made = run_stage(conflict.STAGE, vocabulary, given, {"judge": asked})
        assert made.ledger.summary()["rejected"] == reason and not asked.batches
    assert made.table.num_rows == 0
    conflicts(vocabulary, asked, critique(), known)  # free words about it: the model is told what the prompt means
    assert all("What the prompt asks for: A narwhal at the top left." in r.text for r in asked.batches[0][1:])


def test_a_check_without_an_answer_is_a_failure_that_is_asked_again_once(vocabulary: Vocabulary) -> None:
    asked = judge(check_reach="perhaps")
    made = conflicts(vocabulary, asked, critique())
    (failure,) = made.ledger.failures
    assert (failure.error, failure.response, len(failure.requests)) == ("AnswerError", "perhaps", 2)
    assert tasks(asked) == {"check_agreement": 1, "check_keeps": 1, "check_reach": 2}
    assert {t: (h.answers, h.unread.total()) for t, h in made.ledger.heard.items()} == {
        "check_agreement": (1, 0), "check_keeps": (1, 0), "check_reach": (1, 1),
    }  # fmt: skip
    made = conflicts(vocabulary, Symbolic("underpaint.miniature.world"), critique())  # type: ignore[arg-type]
    assert made.ledger.summary()["failed"] == {"GrammarError": 1}
    assert "the symbolic judge, too, reads the grammar's texts alone" in made.ledger.failures[0].message


def test_without_a_model_the_stage_asks_nobody_and_says_so(vocabulary: Vocabulary) -> None:
    params = conflict.ConflictParams(second_check="none")
    narrowed = conflict.STAGE.narrowed(params)
    assert (narrowed.tasks, narrowed.roles) == ((), ())
    assert set(conflict.STAGE.narrowed(conflict.ConflictParams()).roles) == {"judge"}
    assert critique_stage.STAGE.narrowed(critique_stage.CritiqueParams(second_check="none")).tasks == (
        "critique_text", "critique_picture",
    )  # fmt: skip


def critiques(vocabulary: Vocabulary, answer: Callable[[AskRequest], str], steps: int = 1, **params: Any) -> Outcome:
    given = {
        "prompts": [{"sample": 3, "prompt": PROMPT}],
        "rollout": [{**AT, **STEP, "step": n, "picture": shade(n)} for n in range(1, steps + 1)],
    }
    return run_stage(critique_stage.STAGE, vocabulary, given, {"judge": Judge(answer)}, answers=1, **params)


def test_no_draft_is_judged_whose_texts_disagree_whoever_says_so(vocabulary: Vocabulary) -> None:
    def answer(request: AskRequest) -> str:
        return says("no") if request.task == "check_agreement" else critique()

    made = critiques(vocabulary, answer, steps=2)
    assert made.ledger.summary()["rejected"] == {
        "instruction and description disagree, says a model": 1, "follows a draft without a verdict": 1,
    }  # fmt: skip
    assert made.table["side"].to_pylist() == ["text", "text"]
    kept = critiques(vocabulary, lambda r: says("yes") if r.task == "check_agreement" else critique())
    by = {r["side"]: (r["checked_by"], r["checks"]) for r in kept.table.to_pylist()}
    assert by == {"text": ("grammar", []), "picture": ("model", ["check_agreement: yes, So it is."])}


def test_an_answer_that_failed_is_no_conflict(vocabulary: Vocabulary) -> None:
    made = critiques(vocabulary, lambda r: says("yes") if r.task.startswith("check") else "let us see", steps=2)
    assert made.ledger.summary()["rejected"] == {
        "follows a step without a verdict": 1, "follows a draft without a verdict": 1,
    }  # fmt: skip


SEEN = critique("conflict", "missing_object").replace("so it is", "{detail}")


@pytest.mark.parametrize(
    ("description", "detail", "told"),
    [
        ("A dog.", "the dog is missing; a cat is shown instead", "kept"),
        ("A dog.", "a cat is missing", "refused"),
        ("A dog.", "two red cats are missing.", "refused"),
        ("A dog.", "there is no dog anywhere", "unread"),
        ("A dog.", "a narwhal is missing", "unread"),
        ("A dog asleep on the rug, its paws in the air.", "a cat is missing", "unread"),  # may be there in other words
        ("A dog asleep on the rug, its paws in the air.", "the dog is missing", "kept"),
    ],
)
def test_what_is_missing_must_be_described(description: str, detail: str, told: str) -> None:
    words = Vocabulary(nouns={"dog": "dogs", "cat": "cats"}, attributes={"colour": ("red",)})
    found = Critique.model_validate_json(SEEN.replace("{detail}", detail))
    if told == "refused":
        with pytest.raises(CritiqueError, match="the description names no cat"):
            refuse_unpainted(found, Side.PICTURE, {"description": description}, words)
    else:
        why = refuse_unpainted(found, Side.PICTURE, {"description": description}, words)
        assert bool(why) == (told == "unread")
    with pytest.raises(CritiqueError, match="no fault of a text"):
        refuse_unpainted(found, Side.TEXT, {"description": description}, words)


@pytest.mark.parametrize("observations", ["ignore", "require", "conclude"])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_critique_that_cannot_be_weighed_is_checked_by_a_model(
    vocabulary: Vocabulary, observations: str, answer: str
) -> None:
    said = SEEN.replace("{detail}", "there is no gull anywhere")
    plan = [{**AT, **STEP, "step": 1}]
    given = {
        "prompts": [{"sample": 3, "prompt": PROMPT}],
        "plan": [{k: v for k, v in p.items() if k not in ("rollout", "so_far")} for p in plan],
        "draft": [{"sample": 3, "step": 1, "picture": shade(1)}],
    }
    asked = Judge(lambda r: says(answer) if r.task == "check_critique" else said)
    settings = {"observations": observations, "answers": 3}
    made = run_stage(check.STAGE, vocabulary, given, {"judge": asked}, **settings)
    assert tasks(asked) == {"critique_picture": 3, "check_critique": 1}  # three answers of the same words
    if answer == "yes":
        (row,) = made.table.to_pylist()
        assert (row["verdict"], row["agreement"], row["checked_by"]) == ("conflict", 1.0, "model")
        assert row["checks"] == ["check_critique: yes, So it is."]
    else:
        (failure,) = made.ledger.failures
        assert failure.message == "the critique does not follow from what it observed, says a model"
    alone = run_stage(check.STAGE, vocabulary, given, {"judge": asked}, second_check="none", **settings)
    if observations == "conclude":  # nothing follows from what nobody can read
        assert "nothing can be concluded" in alone.ledger.failures[0].message
    else:
        assert alone.table["checked_by"].to_pylist() == ["nobody"]
    broken = Judge(lambda r: "?" if r.task == "check_critique" else said)
    (failure,) = run_stage(check.STAGE, vocabulary, given, {"judge": broken}, **settings).ledger.failures
    assert "whether it follows was not answered" in failure.message
    assert {r.digest for b in broken.batches for r in b} == set(failure.requests)  # what `retry` asks again


def test_a_long_prompt_is_held_to_its_scene(vocabulary: Vocabulary) -> None:
    """A blue car is none of the red one that a paragraph asks for, though no grammar reads the paragraph."""
    wanted = read("A red car at the top left.", vocabulary)
    blue = "A blue car at the top left."
    said = {
        "prompt": "In soft light, patient and still, a red car waits in the top left corner.",
        "so_far": "a blank canvas", "instruction": f"Paint a{blue[1:]}", "description": blue,
    }  # fmt: skip
    fine = Critique.model_validate_json(critique())
    assert weigh_observations("require", Side.TEXT, said, vocabulary, fine).unread
    with pytest.raises(CritiqueError, match="its observations entail conflict"):
        weigh_observations("require", Side.TEXT, said, vocabulary, fine, wanted)
    concluded = weigh_observations("conclude", Side.TEXT, said, vocabulary, fine, wanted).critique
    assert concluded.correction == "Paint a red car at the top left."


@pytest.mark.parametrize(("answer", "methods"), [("yes", ["repaint"]), ("no", ["edit"])])
def test_whether_a_correction_mends_all_is_asked(vocabulary: Vocabulary, answer: str, methods: list[str]) -> None:
    """The critique names one fault, and no grammar reads what was seen."""
    first = {**AT, **STEP, "step": 1}
    wrong = critique("conflict", "wrong_attribute", "Feed them bread.")
    given = {
        "prompts": [{"sample": 3, "prompt": PROMPT}],
        "rollout": [{**first, "picture": shade(1)}],
        "critique": [{**AT, "step": 1, "side": "picture", "verdict": "conflict", "critique": wrong}],
    }
    models = {
        "judge": Judge(lambda r: says(answer) if "check" in r.task else critique()),
        "painter": Painter(lambda _: 9),
    }
    tries = {"edits": 0 if answer == "yes" else 1, "siblings": 0}
    made = run_stage(repair.STAGE, vocabulary, given, models, **tries)
    (row,) = made.table.to_pylist()
    by = "model" if methods == ["repaint"] else "grammar"  # an edit claims nothing of the kind; its picture is judged
    assert ([row["method"]], row["accepted"], row["checked_by"]) == (methods, True, by)
    made = run_stage(alignment.STAGE, vocabulary, {**given, "repair": [row]})
    assert made.table["checked_by"].to_pylist() == [by]
    assert made.table["checks"].to_pylist() == [row["checks"]]
    assert mends_all(Critique.model_validate_json(wrong), STEP["description"], vocabulary) is None


@pytest.mark.parametrize("shown", [("after",), ("before", "after")])
def test_every_picture_question_has_the_words_so_far_and_where_it_is_shown_the_picture_before(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch, shown: tuple[str, ...]
) -> None:
    templates = load_templates([BUILT_IN])
    templates["critique_picture"] = [t.model_copy(update={"pictures": shown}) for t in templates["critique_picture"]]
    monkeypatch.setattr(stage_inputs, "load_templates", lambda _: templates)
    said = critique("conflict", "wrong_attribute", "Feed them bread.")

    def answer(request: AskRequest) -> str:
        if request.task != "critique_picture":
            return says("no") if request.task.startswith("check") else critique()
        return said if redness(request.pictures[-1]) == 2 else critique()

    asked = Judge(answer)
    rollout = [{**AT, **STEP, "step": n, "picture": shade(n), "so_far": f"after {n - 1}"} for n in (1, 2)]
    prompts = [{"sample": 3, "prompt": PROMPT}]
    drafts = [{"sample": 3, "step": n, "picture": shade(n)} for n in (1, 2)]
    plan = [{"sample": 3, "step": n, "instruction": "i", "description": f"after {n}"} for n in (1, 2)]
    wrong = [{**AT, "side": "picture", "verdict": "conflict", "critique": said}]

    def seen(stage: Any, given: dict[str, Any], **params: Any) -> list[tuple[str, list[int]]]:
        asked.batches.clear()
        models = {"judge": asked, "painter": Painter(lambda _: 9)}
        run_stage(stage, vocabulary, {"prompts": prompts, **given}, models, **params)
        pictures = [r for batch in asked.batches for r in batch if r.task == "critique_picture"]
        return [(r.context["so_far"], list(map(redness, r.pictures))) for r in pictures]

    first = [1] if "before" in shown else []
    planned = [("a blank canvas", [1]), ("after 1", [*first, 2])]
    assert seen(check.STAGE, {"plan": plan, "draft": drafts}) == planned
    none = {"second_check": "none"}
    assert seen(critique_stage.STAGE, {"rollout": rollout}, answers=1, **none) == [
        ("after 0", [1]), ("after 1", [*first, 2]),
    ]  # fmt: skip
    tried = seen(repair.STAGE, {"rollout": rollout, "critique": wrong}, edits=1, siblings=0, repaints=0)
    assert tried == [("after 1", [*first, 9])]


def test_a_conflict_without_a_correction_is_no_sample(vocabulary: Vocabulary) -> None:
    """Some judges only say that something is wrong; nothing is painted for it."""
    bare = critique("conflict", "wrong_attribute", "")
    try:
        Critique.model_validate_json(bare)
    except ValidationError:
        pytest.skip("a critique has a correction")
    asked, painter = judge(), Painter(lambda _: 9)
    made = conflicts(vocabulary, asked, bare)
    assert made.ledger.summary()["rejected"] == {"no correction": 1} and not asked.batches
    first = {**AT, **STEP, "step": 1}
    given = {
        "prompts": [{"sample": 3, "prompt": PROMPT}],
        "rollout": [{**first, "picture": shade(1)}],
        "critique": [{**AT, "step": 1, "side": "picture", "verdict": "conflict", "critique": bare}],
    }
    made = run_stage(repair.STAGE, vocabulary, given, {"judge": asked, "painter": painter})
    assert made.ledger.summary()["rejected"] == {"no correction": 1} and not painter.asked and not asked.batches
    assert run_stage(alignment.STAGE, vocabulary, given).ledger.summary()["rejected"] == {"no correction": 1}


def test_answers_to_checks() -> None:
    for said in ('"yes"', '"Yes."', "true"):
        assert read_check(Answer(f'{{"why": "w", "answer": {said}}}')).value.answer == "yes"
    for said in ('"no"', '" NO "', "false"):
        assert read_check(Answer(f'{{"why": "w", "answer": {said}}}')).value.answer == "no"
    for said in ('"perhaps"', '"yes and no"', "1", "null"):
        with pytest.raises(AnswerError, match="answer"):
            read_check(Answer(f'{{"why": "w", "answer": {said}}}'))
    assert check_schema()["required"] == ["why", "answer"]


def test_a_sample_is_checked_as_well_as_the_worst_of_its_parts() -> None:
    assert weakest() == weakest("grammar") == "grammar"
    assert weakest("grammar", "model", "grammar") == "model"
    assert weakest("nobody", "model") == "nobody"
    with pytest.raises(ValidationError):
        Select(checked_by=["a friend"])  # type: ignore[list-item]


def free_recipe(recipe: dict[str, Any], second: str) -> dict[str, Any]:
    """A policy that words its instructions in its own way."""
    recipe["lot_size"] = 12
    recipe["models"] |= {
        "kind": {"kind": "python", "factory": "free_words:KindWriter"},
        "understanding": {"kind": "python", "factory": "free_words:Understanding"},
    }
    recipe["roles"] |= {"writer": "kind", "judge": "understanding"}
    own = {"second_check": second}
    recipe["stages"] = {"critique": {"answers": 1, **own}, "conflict": own, "repair": own}
    return recipe


def test_who_checked_it_travels_into_the_sample(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    loaded, nodes, store = make_lot(write_recipe, free_recipe(recipe, "model"), tmp_path / "run")
    lots = {"painted": 1, "sampled": 1}
    selection = select(loaded, nodes, store, lots)
    free = ("conflict_positive", "alignment_positive", "alignment_negative")  # of these the instruction is checked
    by = {r.name: r.checked_by for r in selection.chosen}
    assert by == {"multi_turn": "grammar", "conflict_negative": "grammar", **dict.fromkeys(free, "model")}
    told = quota_status(SimpleNamespace(recipe=loaded), selection)  # type: ignore[arg-type]
    positives = told["conflict_positive"]
    assert positives["checked_by"] == {"model": positives["chosen"]}
    assert f"  texts checked by: model {positives['chosen']}" in quota_lines(told)
    assert told["multi_turn"]["checked_by"] == {"grammar": told["multi_turn"]["chosen"]}
    assemble = Assembler(loaded, nodes, store)
    for reference in selection.chosen:
        extra = json.loads(assemble(reference)[0].extra)
        assert extra["checked_by"] == reference.checked_by
        assert bool(extra.get("checks")) == (reference.checked_by == "model")
    for row in store.table(nodes["conflict"], 0).to_pylist():  # the model says no of cups
        assert row["polarity"] == "negative" or not any(": no" in said for said in row["checks"])
    rejected = store.manifest(nodes["conflict"], 0)["ledger"]["rejected"]
    assert rejected["instruction and description disagree, says a model"]
    grammar_only = replace_checked(loaded, ("grammar",))
    strict = select(grammar_only, nodes, store, lots)
    assert {r.name for r in strict.chosen} == {"multi_turn", "conflict_negative"}
    assert strict.rejected["conflict_positive"]["checked by model"] >= positives["chosen"]


def test_what_nobody_checked_does_not_ship_unless_the_recipe_says_so(
    recipe: dict[str, Any], write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    loaded, nodes, store = make_lot(write_recipe, free_recipe(recipe, "none"), tmp_path / "run")
    lots = {"painted": 1, "sampled": 1}
    strict = select(loaded, nodes, store, lots)
    assert {r.name for r in strict.chosen} == {"multi_turn", "conflict_negative"}
    assert strict.rejected["alignment_positive"]["checked by nobody"]
    everyone = replace_checked(loaded, ("grammar", "model", "nobody"))
    assert {r.checked_by for r in select(everyone, nodes, store, lots).chosen} == {"grammar", "nobody"}


def replace_checked(recipe: Any, checkers: tuple[str, ...]) -> Any:
    return recipe.model_copy(update={"select": recipe.select.model_copy(update={"checked_by": checkers})})
