"""Reads the subjects on which a template is tried: stored steps of a run, with their pictures. Nothing is painted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from PIL import Image

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.engine.graph import Node
from underpaint.pipeline.engine.run_folder import Run
from underpaint.schemas.corpus.picture import decode_picture
from underpaint.schemas.scenes.grammar import describe
from underpaint.schemas.scenes.scene import SceneGraph
from underpaint.stages import plan as plan_stage
from underpaint.stages import prompts as prompts_stage
from underpaint.stages.common.ledger import Unit
from underpaint.stages.common.rows import key_of, rows
from underpaint.stages.common.seeds import derive_random
from underpaint.stages.common.templating import Template
from underpaint.stages.prompting.enriching import Enrichment
from underpaint.stages.prompting.parsing import known_words
from underpaint.stages.prompting.tasks import TASKS
from underpaint.stages.prompts import PromptRow
from underpaint.stages.rollout import RolloutRow

WORDS = ("so_far", "instruction", "description")


@dataclass(frozen=True)
class Subject:
    """One step of one rollout. `unit` is its name in a build, so that it is asked with the same seeds.

    `key` is (sample, rollout, step); () for a calibration case.
    """

    unit: Unit
    variables: dict[str, str]
    scene: SceneGraph  # what the prompt asks for
    draft: bytes
    before: bytes | None  # the picture before the step; None is the blank canvas
    key: tuple[int, ...] = ()

    def pictures(self, template: Template) -> dict[str, Image.Image | None]:
        """The pictures that the template shows, by name; none for the blank canvas."""
        return {name: decode_picture(file) for name, file in self.files(template.pictures).items()}

    def files(self, names: Collection[str]) -> dict[str, bytes]:
        """The pictures of these names ("before", "after") that there are; before the first step there is none."""
        return {name: f for name, f in (("before", self.before), ("after", self.draft)) if f and name in names}


def stored_subjects(run: Run, template: Template, number: int) -> list[Subject]:
    """`number` steps drawn from all of the run's rollouts (the same ones every time), in stream order.

    A template whose task has no step (only a prompt) gets first steps, one per prompt. Raises UserError where the run
    has no rollouts yet.
    """
    rollout = run.store.newest(run.nodes["rollout"])
    if rollout is None:
        raise UserError(f"{run.root} holds no rollouts yet; run `underpaint build` first")
    keys = [
        (lot, row["sample"], row["rollout"], row["step"])
        for lot in run.store.done(rollout)
        for row in run.store.table(rollout, lot, ["sample", "rollout", "step"]).to_pylist()
    ]
    if not set(WORDS) & set(TASKS[template.task].known):
        keys = [key for key in keys if key[2:] == (0, 1)]
    drawn = sorted(derive_random(run.recipe.seed, "workbench").sample(keys, min(number, len(keys))))
    subjects = []
    for lot in sorted({key[0] for key in drawn}):
        subjects += _of_lot(run, rollout, lot, [key[1:] for key in drawn if key[0] == lot])
    return subjects


def _of_lot(run: Run, rollout: Node, lot: int, keys: list[tuple[int, int, int]]) -> list[Subject]:
    words, length = run.recipe.words(), str((run.recipe.params(prompts_stage.STAGE).enrich or Enrichment()).words)
    most = str(run.recipe.params(plan_stage.STAGE).most)
    samples = sorted({sample for sample, _, _ in keys})
    prompts = Node(run.nodes["prompts"].stage, rollout.upstream["prompts"], {}, {})
    asked = {r["sample"]: r for r in rows(run.store.table(prompts, lot, samples=samples), PromptRow)}
    steps = {key_of(r): r for r in rows(run.store.table(rollout, lot, samples=samples), RolloutRow)}
    found = []
    for key in keys:
        sample, number, step = key
        row, before = steps[key], steps.get((sample, number, step - 1))
        scene = SceneGraph.model_validate_json(asked[sample]["scene"])
        said = {"so_far": row["so_far"], "instruction": row["instruction"], "description": row["description"]}
        variables = {"prompt": asked[sample]["prompt"], **said, **known_words(words)}
        variables |= {"facts": describe(scene, words), "words": length, "most": most}
        variables |= {"indirect": "yes" if asked[sample]["indirect"] else ""}
        earlier = before["picture"] if before else None
        found.append(Subject(Unit(*key), variables, scene, row["picture"], earlier, key))
    return found
