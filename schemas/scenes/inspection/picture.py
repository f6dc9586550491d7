"""Inspects the picture side: judges a draft against its step's description."""

from __future__ import annotations

from underpaint.schemas.scenes.compare import Difference, FaultKind, compare, look, match
from underpaint.schemas.scenes.critique import Critique, Verdict
from underpaint.schemas.scenes.grammar import article, indefinite
from underpaint.schemas.scenes.inspection.picture_correction import correct_picture
from underpaint.schemas.scenes.inspection.weighing import (
    NOT_SO,
    NOT_THERE,
    background_weighed,
    how_asked,
    relations_weighed,
)
from underpaint.schemas.scenes.inspection.wording import agreement, conflict
from underpaint.schemas.scenes.scene import PLACE, PLACES, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary


def observed_scene(instances: list[SceneObject], background: str) -> SceneGraph:
    """Group single objects (each with its place) that look the same into nodes with counts, as a description does."""
    groups: dict[object, list[SceneObject]] = {}
    for seen in instances:
        groups.setdefault(look(seen), []).append(seen)
    nodes = []
    for i, group in enumerate(groups.values()):
        node = group[0].without(PLACE).model_copy(update={"id": f"o{i}", "count": len(group)})
        place = _common_place([o.attributes.get(PLACE, "") for o in group])
        nodes.append(node.with_attribute(PLACE, place) if place else node)
    return SceneGraph(objects=tuple(nodes), background=background)


def _common_place(places: list[str]) -> str:
    """The one place that describes all: of one object its own, of several in a row or column that side, else ""."""
    if len(places) == 1:
        return places[0]
    points = [PLACES.get(p, (None, None)) for p in places]
    shared = tuple(ps[0] if len(set(ps)) == 1 else None for ps in zip(*points, strict=True))
    return next((p for p, at in PLACES.items() if at == shared and shared != (None, None)), "")


def picture_faults(observed: SceneGraph, wanted: SceneGraph) -> list[Difference]:
    """The differences between a draft and its step's description.

    A missing object is a fault here, since the description holds only what should be painted by now.
    """
    pairs = [d for d in compare(observed, wanted).differences if d.kind is not FaultKind.MISSING_DETAIL]
    return [d for d in pairs if not _merely_ungrouped(d)]


def _merely_ungrouped(d: Difference) -> bool:
    """Whether a place differs only because the count differs: another number of objects fills another place."""
    return bool(d.attribute == PLACE and d.subject and d.wanted and d.subject.count != d.wanted.count)


def inspect_picture(
    instances: list[SceneObject], background: str, wanted: SceneGraph, vocabulary: Vocabulary
) -> Critique:
    """Judge a draft, given as the single objects seen in it, against its step's description."""
    observed = observed_scene(instances, background)
    faults = picture_faults(observed, wanted)
    seen = picture_observations(instances, observed, wanted, faults, vocabulary)
    if not faults:
        names = [indefinite(o, vocabulary) for o in instances]
        names += [f"{article(background)} background"] if background else []
        return agreement(seen, names, "The picture shows what the step asks for", Verdict.CONSISTENT)
    correction = correct_picture(faults, instances, vocabulary)
    return conflict(seen, faults, "The picture does not show what the step asks for", correction, vocabulary)


def picture_observations(
    instances: list[SceneObject], observed: SceneGraph, wanted: SceneGraph, faults: list[Difference],
    vocabulary: Vocabulary,
) -> list[str]:  # fmt: skip
    """Everything that is seen, each item compared with the description; the verdict follows from these items.

    ``a red car at the top left: as asked``  ``a blue cup at the top right: asked is a red cup at the top right``
    ``a fish at the bottom left: not asked for``  ``the car is above the cup: not so``  ``a tree: missing``
    """
    asked = {look(mine): theirs for mine, theirs in match(observed.objects, wanted.objects)}
    changed = (FaultKind.WRONG_ATTRIBUTE, FaultKind.WRONG_COUNT)
    wrong = [look(d.subject) for d in faults if d.subject and d.kind in changed]
    seen = []
    for node in instances:
        theirs = asked[look(node)]
        seen.append(indefinite(node, vocabulary) + how_asked(theirs, look(node) not in wrong, vocabulary))
    seen += background_weighed(observed, wanted)
    seen += [f"{text}{NOT_SO}" for text, holds in relations_weighed(observed, wanted, vocabulary) if not holds]
    missing = [d.subject for d in faults if d.kind is FaultKind.MISSING_OBJECT and d.subject]
    return seen + [f"{indefinite(o, vocabulary)}{NOT_THERE}" for o in missing]
