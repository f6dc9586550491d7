"""The picture side's correction: one instruction that mends a flawed draft."""

from __future__ import annotations

from underpaint.schemas.scenes.compare import STYLE, Difference, FaultKind, look
from underpaint.schemas.scenes.edit import Edit, Op, instruct
from underpaint.schemas.scenes.grammar import NUMBERS, definite, indefinite, is_verb, name
from underpaint.schemas.scenes.inspection.turning import turned
from underpaint.schemas.scenes.scene import PLACE, PLACES, SceneGraph, SceneObject, lies_within
from underpaint.schemas.scenes.vocabulary import Vocabulary


def correct_picture(faults: list[Difference], instances: list[SceneObject], vocabulary: Vocabulary) -> str:
    """The instruction that mends the first fault of a draft; one that mends two faults at once is preferred."""
    fault = faults[0]
    kinds = {d.kind: d for d in reversed(faults)}
    seen = SceneGraph(objects=tuple(o.model_copy(update={"id": f"i{i}"}) for i, o in enumerate(instances)))
    swapped = fault.kind in (FaultKind.UNWANTED_OBJECT, FaultKind.MISSING_OBJECT)
    if swapped and FaultKind.UNWANTED_OBJECT in kinds and FaultKind.MISSING_OBJECT in kinds:
        old, new = kinds[FaultKind.UNWANTED_OBJECT].subject, kinds[FaultKind.MISSING_OBJECT].subject
        assert old and new
        if old.count == new.count:
            graph = SceneGraph(objects=(old,))
            return instruct(graph, Edit(op=Op.SWAP, target=old.id, node=new), vocabulary)
    if odd := _odd_ones(kinds, vocabulary):
        return odd
    subject = fault.subject
    if fault.kind is FaultKind.WRONG_BACKGROUND:
        return f"Change the background to {fault.expected}."
    if fault.attribute == STYLE:
        return f"Change the style to {fault.expected}."
    assert subject is not None
    if fault.kind is FaultKind.UNWANTED_OBJECT:
        return f"Remove {definite(subject, vocabulary)}."
    if fault.kind is FaultKind.MISSING_OBJECT:
        return instruct(SceneGraph(), Edit(op=Op.ADD, node=subject), vocabulary)
    if fault.kind is FaultKind.WRONG_ATTRIBUTE:
        new = subject.with_attribute(fault.attribute, fault.expected)
        return instruct(SceneGraph(objects=(subject,)), Edit(op=Op.MODIFY, target=subject.id, node=new), vocabulary)
    if fault.kind is FaultKind.WRONG_COUNT:
        missing = kinds.get(FaultKind.MISSING_OBJECT)
        return _correct_count(fault, seen, missing.subject if missing else None, vocabulary)
    node, other = fault.wanted, fault.other
    assert node and other
    how = fault.expected if is_verb(fault.expected) else f"is {fault.expected}"
    return f"Move {definite(node, vocabulary)} so that it {how} {definite(other, vocabulary)}."


def _odd_ones(kinds: dict[FaultKind, Difference], vocabulary: Vocabulary) -> str:
    """Turn unwanted objects into the ones of which there are too few, if both numbers are equal; else ""."""
    other, short = kinds.get(FaultKind.UNWANTED_OBJECT), kinds.get(FaultKind.WRONG_COUNT)
    if other is None or short is None or not (other.subject and short.subject and short.wanted):
        return ""
    odd, wanted = other.subject, short.wanted
    if odd.count != wanted.count - short.subject.count:
        return ""
    one_look = wanted.without(PLACE).model_copy(update={"count": odd.count})
    return turned(odd, one_look, SceneGraph(objects=(odd,)), vocabulary)


def _correct_count(fault: Difference, seen: SceneGraph, missing: SceneObject | None, vocabulary: Vocabulary) -> str:
    """The instruction that corrects a wrong count.

    Too few: add one on a free place. Too many: turn one into the missing object if there is one, else remove one.
    """
    assert fault.subject and fault.wanted
    corners = [p for p in vocabulary.attributes.get(PLACE, ()) if None not in PLACES[p]]
    one = fault.wanted.without(PLACE).model_copy(update={"count": 1})
    here = [o.attributes[PLACE] for o in seen.objects if PLACE in o.attributes and look(o) == look(one)]
    if fault.subject.count > fault.wanted.count:
        extra = [p for p in here if p not in corners or not _fits(p, fault.wanted)] or here
        return _one_less(one, extra, missing, vocabulary)
    taken = {o.attributes.get(PLACE, "") for o in seen.objects}
    if free := [p for p in corners if p not in taken]:
        place = next((p for p in free if _fits(p, fault.wanted)), free[0])
        return f"Add {indefinite(one.with_attribute(PLACE, place), vocabulary)}."
    number = fault.wanted.count - fault.subject.count
    return f"Add {NUMBERS[number]} more {name(fault.wanted.model_copy(update={'count': number}), vocabulary)}."


def _one_less(one: SceneObject, extra: list[str], missing: SceneObject | None, vocabulary: Vocabulary) -> str:
    """Take one away from a place in `extra`, or let it become what is missing."""
    if missing is None or not extra:
        return f"Remove {definite(one, vocabulary)}" + (f" {extra[-1]}." if extra else ".")
    where = next((p for p in extra if _fits(p, missing)), extra[-1])
    new = missing.without(PLACE).model_copy(update={"count": 1})
    looks = [v for k, v in new.attributes.items() if one.attributes.get(k) != v]
    if new.noun == one.noun and len(looks) == 1:
        return f"Make {definite(one, vocabulary)} {where} {looks[0]}."
    return f"Replace {definite(one, vocabulary)} {where} with {indefinite(new, vocabulary)}."


def _fits(place: str, wanted: SceneObject) -> bool:
    """Whether a corner lies where the object is asked to stand; one that states no place may stand anywhere."""
    return lies_within(PLACES[place], PLACES.get(wanted.attributes.get(PLACE, ""), (None, None)))
