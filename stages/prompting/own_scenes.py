"""Takes the scene graphs that the user's own list holds: they are the truth, and a prompt must not name more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from underpaint.schemas.markup import check_plain
from underpaint.schemas.scenes.grammar import describe
from underpaint.stages.common.ledger import Failure, Unit
from underpaint.stages.common.stage import Context
from underpaint.stages.prompting.parsing import Parsed, SceneError, check_against, check_words
from underpaint.stages.prompting.prompt_source import OwnPrompt, PromptSource


def take_scenes(
    context: Context[Any], source: PromptSource, prompts: Mapping[int, OwnPrompt]
) -> dict[int, Parsed | Failure]:
    """The scene of every row that holds one, by sample, or why it cannot be used."""
    found: dict[int, Parsed | Failure] = {}
    for sample, one in prompts.items():
        if one.scene is None:
            continue
        try:
            if not one.scene.objects:
                raise SceneError("objects: there is none; a scene that shows nothing countable has no steps")
            if not source.open_words:
                check_words(one.scene, context.vocabulary)
            # The graph is the truth, so it may say more than the prompt; what the prompt names it must have.
            check_against(one.text, one.scene, context.vocabulary, indirect=True)
            check_plain(one.text or describe(one.scene, context.vocabulary))
            found[sample] = Parsed(one.scene, "user")
        except ValueError as e:
            found[sample] = Failure.of(Unit(sample, detail=one.text), e, one.text)
    return found
