"""Candidates: the worst of a trajectory's pictures counts, and what an arbiter decided is settled."""

from __future__ import annotations

from typing import Any

import pytest
from stage_inputs import critique, run_stage, scene, shade

from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages import candidates

PROMPT = "A red car and a blue cup."


def prompt(sample: int, vocabulary: Vocabulary, text: str = PROMPT) -> dict[str, Any]:
    about = {"category": f"category {sample}", "prompt": text, "short": f"short {sample}"}
    return {"sample": sample, **about, "scene": scene(text, vocabulary)}


class Painted:
    """Trajectories, picture by picture: its score and its likeness to the one before, and what the judge said."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.given: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("prompts", "plan", "draft", "check", "score_drafts")
        }

    def add(
        self, sample: int, step: int, red: int, detour: str = "", text: float | None = None, like: float | None = None,
        said: tuple[str, float, str] | None = ("consistent", 1.0, "judge"),
    ) -> None:  # fmt: skip
        at = {"sample": sample, "step": step}
        if step == 1:
            self.given["prompts"].append(prompt(sample, self.vocabulary))
        self.given["plan"].append({**at, "detour": detour})
        self.given["draft"].append({**at, "picture": shade(red)})
        for name, value in (("picture_text", text), ("neighbour", like)):
            if value is not None:
                self.given["score_drafts"].append({**at, "name": name, "value": value})
        if said is not None:
            self.given["check"].append({**at, **dict(zip(("verdict", "agreement", "decided_by"), said, strict=True))})

    def rows(self) -> list[dict[str, Any]]:
        made = run_stage(candidates.PAINTED, self.vocabulary, self.given)
        number = made.table.num_rows
        assert made.ledger.summary() == {"entered": number, "kept": number, "rejected": {}, "failed": {}}
        return made.table.to_pylist()


def test_a_trajectory_is_as_good_as_the_worst_of_its_pictures(vocabulary: Vocabulary) -> None:
    world = Painted(vocabulary)
    world.add(3, 1, 10, text=0.75, said=("incomplete", 0.875, "judge"))
    world.add(3, 2, 20, text=0.25, like=0.5, said=("consistent", 0.625, "judge"), detour="swap")
    world.add(3, 3, 30, text=0.5, like=0.375, said=("incomplete", 0.25, "arbiter"), detour="modify")
    world.add(1, 1, 40, text=-0.5)
    one, three = world.rows()  # in order of the stream
    assert (one["sample"], three["sample"]) == (1, 3)
    assert (one["picture_text"], one["neighbour"], one["margin"]) == (-0.5, None, None)
    assert (three["picture_text"], three["neighbour"], three["margin"]) == (0.25, 0.375, None)
    assert (one["agreement"], three["agreement"]) == (1.0, 0.625)  # the arbiter's counts as 1
    assert (one["pictures"], three["pictures"]) == (1, 3)
    assert (one["detour"], three["detour"]) == ("", "swap")  # the first of its detours
    assert one["fault"] == three["fault"] == ""
    for row in (one, three):
        assert (row["kind"], row["rollout"], row["step"]) == ("multi_turn", 0, 0)
        assert (row["category"], row["short"]) == (f"category {row['sample']}", f"short {row['sample']}")
        assert (row["tries"], row["repair"], row["findings"], row["prompt"]) == (0, "", [], PROMPT)


def test_what_a_grammar_concluded_is_as_sure_as_the_answers_agree(vocabulary: Vocabulary) -> None:
    world = Painted(vocabulary)
    for sample, decided_by in enumerate(("arbiter", "grammar", "judge")):
        world.add(sample, 1, 10, said=("consistent", 0.5, decided_by))
    assert [r["agreement"] for r in world.rows()] == [1.0, 0.5, 0.5]


def test_one_picture_that_is_wrong_or_not_judged_spoils_it(vocabulary: Vocabulary) -> None:
    world = Painted(vocabulary)
    wrong, right = ("conflict", 0.75, "judge"), ("consistent", 0.5, "judge")
    for sample, said in enumerate([(wrong, right), (right, wrong), (right, None), (wrong, None), (None, None)]):
        world.add(sample, 1, 10, said=said[0])
        world.add(sample, 2, 20, said=said[1])
    rows = world.rows()
    rejected, unjudged = "a picture that the judge rejects", "a picture without a verdict"
    assert [r["fault"] for r in rows] == [rejected, rejected, unjudged, rejected, unjudged]
    assert [r["agreement"] for r in rows] == [0.5, 0.5, 0.5, 0.75, 0.0]
    assert {r["picture_text"] for r in rows} == {None}  # nothing measured is no score


def test_trajectories_of_a_scene_that_end_alike_are_duplicates(vocabulary: Vocabulary) -> None:
    world = Painted(vocabulary)
    for sample, reds in enumerate([(10, 30), (20, 30), (10, 40), (10, 30)]):
        for step, red in enumerate(reds, 1):
            world.add(sample, step, red)
    world.given["prompts"][3] = prompt(3, vocabulary, "A red car.")
    first, same, other_picture, other_scene = (r["content"] for r in world.rows())
    assert first == same and len({first, other_picture, other_scene}) == 3


def at(step: int, rollout: int = 0, **more: Any) -> dict[str, Any]:
    return {"sample": 0, "rollout": rollout, "step": step, **more}


def judged(step: int, polarity: str, agreement: float, decided_by: str = "judge", **more: Any) -> dict[str, Any]:
    said = critique("conflict", "wrong_attribute") if polarity == "negative" else critique()
    own = {"polarity": polarity, "agreement": agreement, "decided_by": decided_by, "critique": said}
    return at(step, **{**own, **more})


def sampled(vocabulary: Vocabulary, **given: Any) -> list[dict[str, Any]]:
    made = run_stage(candidates.SAMPLED, vocabulary, {"prompts": [prompt(0, vocabulary)], **given})
    number = made.table.num_rows
    assert made.ledger.summary() == {"entered": number, "kept": number, "rejected": {}, "failed": {}}
    return made.table.to_pylist()


def test_a_judged_text_holds_the_pictures_before_it(vocabulary: Vocabulary) -> None:
    steps = [at(n, so_far="s", instruction=f"i{n}", description="d") for n in (1, 2, 3)]
    given = [judged(1, "positive", 0.75), judged(2, "positive", 0.25, "arbiter"), judged(3, "negative", 0.5, "grammar")]
    scores = [at(1, name="picture_text", value=0.5)]  # of its draft; a text has none
    rows = sampled(vocabulary, rollout=steps, conflict=given, score_alignment=scores)
    assert [r["kind"] for r in rows] == ["conflict_positive", "conflict_positive", "conflict_negative"]
    assert [(r["rollout"], r["step"], r["pictures"]) for r in rows] == [(0, 1, 0), (0, 2, 1), (0, 3, 2)]
    assert [r["agreement"] for r in rows] == [0.75, 1.0, 0.5]
    assert [r["findings"] for r in rows] == [[], [], ["wrong_attribute"]]
    assert all(r[n] is None for r in rows for n in ("picture_text", "neighbour", "margin"))
    assert {(r["fault"], r["detour"], r["repair"], r["tries"]) for r in rows} == {("", "", "", 0)}
    assert {(r["category"], r["short"], r["prompt"]) for r in rows} == {("category 0", "short 0", PROMPT)}


def test_texts_are_duplicates_where_all_their_words_are_equal(vocabulary: Vocabulary) -> None:
    words = [("s", "i", "d"), ("s", "i", "d"), ("S", "i", "d"), ("s", "I", "d"), ("s", "i", "D")]
    names = ("so_far", "instruction", "description")
    steps = [at(1, n, **dict(zip(names, said, strict=True))) for n, said in enumerate(words)]
    given = [judged(1, "positive", 1.0, rollout=n) for n in range(len(words))]
    first, same, *others = (r["content"] for r in sampled(vocabulary, rollout=steps, conflict=given))
    assert first == same and len({first, *others}) == 4


def test_a_correction_has_the_scores_of_the_try_that_was_accepted(vocabulary: Vocabulary) -> None:
    steps = [at(1, 0, picture=shade(10)), at(1, 1, picture=shade(20)), at(1, 2, picture=shade(10))]
    mended = {"tries": 2, "repair": "edit"}
    given = [
        judged(1, "positive", 0.75, repair_agreement=1.0),
        judged(1, "negative", 0.75, rollout=1, repair_agreement=0.5, **mended),
        judged(1, "negative", 0.25, "arbiter", rollout=2, repair_agreement=0.875, **mended),
        judged(1, "negative", 0.25, rollout=2, repair_agreement=0.875, **mended),
    ]
    scores = [
        at(1, 0, name="picture_text", value=0.25),
        at(1, 1, name="picture_text", value=-0.25),
        *(
            at(1, 1, attempt=attempt, name=name, value=value + attempt / 8)
            for attempt in (1, 2, 3)
            for name, value in (("picture_text", 0.0), ("margin", 0.25), ("neighbour", 0.5))
        ),
    ]
    rows = sampled(vocabulary, rollout=steps, alignment=given, score_alignment=scores)
    assert [r["kind"] for r in rows] == ["alignment_positive"] + ["alignment_negative"] * 3
    assert [r["pictures"] for r in rows] == [1, 2, 2, 2]
    assert [r["agreement"] for r in rows] == [0.75, 0.5, 0.875, 0.25]  # the smaller of the two; an arbiter's is 1
    got = [(r["picture_text"], r["margin"], r["neighbour"]) for r in rows]
    assert got == [(0.25, None, None), (0.25, 0.5, 0.75), (None,) * 3, (None,) * 3]
    assert [(r["tries"], r["repair"]) for r in rows] == [(0, "")] + [(2, "edit")] * 3
    assert [r["findings"] for r in rows] == [[]] + [["wrong_attribute"]] * 3
    contents = [r["content"] for r in rows]  # of the draft that is judged
    assert contents[0] == contents[2] == contents[3] != contents[1]
    assert rows[0]["agreement"] == pytest.approx(0.75) and {r["fault"] for r in rows} == {""}
