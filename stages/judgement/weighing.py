"""Decides which of a judge's critiques count: by the grammar, and by a model where the grammar cannot read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from underpaint.schemas.scenes.critique import Critique, Side
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages.answers.answer import CritiqueError
from underpaint.stages.common.ledger import Failure, Ledger, Unit
from underpaint.stages.common.stage import Context
from underpaint.stages.judgement.entailment import Weighed, weigh_observations, words_for
from underpaint.stages.judgement.text_checks import CRITIQUE, Check, Checked, about_prompt, settle


@dataclass(frozen=True)
class Heard:
    """A critique that a judge gave, and what it was asked. `how` is a value of JudgeParams.observations."""

    unit: Unit
    side: Side
    variables: dict[str, str]
    scene: SceneGraph | None  # the prompt's, where it is known
    how: str
    own_kinds: bool  # whether its template adds kinds of finding, which no scene graph knows
    critique: Critique


@dataclass(frozen=True)
class Counted:
    """A critique that counts, and who checked it."""

    critique: Critique
    checked: Checked


Found = Counted | CritiqueError | Failure


def weigh(context: Context[Any], heard: Sequence[Heard], second: str, ledger: Ledger) -> list[Found]:
    """For every critique: that it counts, why it does not, or that the model which should check it failed to answer."""
    weighed = [_by_grammar(context, one, second) for one in heard]
    both = zip(heard, weighed, strict=True)
    checks = [[] if isinstance(w, CritiqueError) else [_check(context, one, w)] for one, w in both]
    found: list[Found] = []
    for w, checked in zip(weighed, settle(context, checks, second, ledger), strict=True):
        if isinstance(w, CritiqueError):
            found.append(w)
        elif isinstance(checked, Failure):
            found.append(checked)
        else:
            found.append(CritiqueError(checked.why) if checked.why else Counted(w.critique, checked))
    return found


def _by_grammar(context: Context[Any], one: Heard, second: str) -> Weighed | CritiqueError:
    """What the grammar makes of it; nothing can be concluded from what neither it nor a model checks."""
    words = words_for(context.vocabulary, one.scene)
    how = "ignore" if one.own_kinds else one.how
    try:
        found = weigh_observations(how, one.side, one.variables, words, one.critique, one.scene)
    except CritiqueError as e:
        return e
    if found.unread and how == "conclude" and second == "none":
        return CritiqueError(f"nothing can be concluded: {found.unread}")
    if one.own_kinds and one.how != "ignore":
        return replace(found, unread=found.unread or "its template has kinds of finding of its own")
    return found


def _check(context: Context[Any], one: Heard, weighed: Weighed) -> Check:
    said = one.variables
    variables = {
        **about_prompt(said.get("prompt", ""), one.scene, context.vocabulary), "side": one.side.value,
        "so_far": said.get("so_far", ""), "instruction": said["instruction"], "description": said["description"],
        "critique": weighed.critique.to_json(),
    }  # fmt: skip
    broken = "the critique does not follow from what it observed"
    return Check(one.unit, CRITIQUE, variables, None if weighed.unread else "", broken)
