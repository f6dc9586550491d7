"""The critique that is right by construction, where the scenes are known: the symbolic judge's thinking.

It is the truth that judges are trained and calibrated on, and the paper's symbolic baseline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import permutations

from schemas.compare import Difference, Kind, compare, look, match
from schemas.critique import Critique, Finding, Judgement
from schemas.edit import Edit, Op, apply, instruct
from schemas.grammar import NUMBERS, article, capital, definite, enumerate_words, indefinite, name
from schemas.scene import CORNERS, PLACE, PLACES, SceneGraph, SceneObject, lies_within
from schemas.vocabulary import Vocabulary

# ---- the picture side ---------------------------------------------------------------------------------


def observed_scene(instances: list[SceneObject], background: str) -> SceneGraph:
    """Group what is seen one by one (each with its place) into nodes with counts, as a description would."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[SceneObject]] = {}
    for seen in instances:
        groups.setdefault((seen.noun, tuple(sorted(seen.without(PLACE).attributes.items()))), []).append(seen)
    nodes = []
    for i, group in enumerate(groups.values()):
        node = group[0].without(PLACE).model_copy(update={"id": f"o{i}", "count": len(group)})
        place = _common_place([o.attributes.get(PLACE, "") for o in group])
        nodes.append(node.with_attribute(PLACE, place) if place else node)
    return SceneGraph(objects=tuple(nodes), background=background)


def _common_place(places: list[str]) -> str:
    """The place that holds all of them exactly: itself for one, a side for two in a row, "" otherwise."""
    if len(places) == 1:
        return places[0]
    points = [PLACES.get(p, (None, None)) for p in places]
    shared = tuple(ps[0] if len(set(ps)) == 1 else None for ps in zip(*points, strict=True))
    return next((p for p, at in PLACES.items() if at == shared and shared != (None, None)), "")


def picture_faults(observed: SceneGraph, wanted: SceneGraph) -> list[Difference]:
    """What a draft shows otherwise than its step's description says. A missing object is a fault here:
    the description holds only what should be painted by now."""
    pairs = [d for d in compare(observed, wanted).differences if d.kind is not Kind.MISSING_DETAIL]
    return [d for d in pairs if not _merely_ungrouped(d)]


def _merely_ungrouped(d: Difference) -> bool:
    """A count that differs explains a place that differs too."""
    return bool(d.attribute == PLACE and d.subject and d.wanted and d.subject.count != d.wanted.count)


def inspect_picture(
    instances: list[SceneObject], background: str, wanted: SceneGraph, vocabulary: Vocabulary
) -> Critique:
    """Judge a draft (what is seen in it, one by one) against its step's description."""
    observed = observed_scene(instances, background)
    faults = picture_faults(observed, wanted)
    seen = picture_observations(instances, observed, wanted, faults, vocabulary)
    if not faults:
        names = [indefinite(o, vocabulary) for o in instances]
        names += [f"{article(background)} background"] if background else []
        return _agreement(seen, names, "The picture shows what the step asks for", Judgement.CONSISTENT)
    correction = _correct_picture(faults, instances, vocabulary)
    return _conflict(seen, faults, "The picture does not show what the step asks for", correction, vocabulary)


def picture_observations(
    instances: list[SceneObject], observed: SceneGraph, wanted: SceneGraph, faults: list[Difference],
    vocabulary: Vocabulary,
) -> list[str]:  # fmt: skip
    """Everything that is seen, one by one, weighed against the description by itself; the verdict then follows.

    ``a red car at the top left: as asked``  ``a blue cup at the top right: asked is a red cup at the top right``
    ``a fish at the bottom left: not asked for``  ``the car is above the cup: not so``  ``a tree: missing``
    """
    asked = {look(mine): theirs for mine, theirs in match(observed.objects, wanted.objects)}
    wrong = [look(d.subject) for d in faults if d.subject and d.kind in (Kind.WRONG_ATTRIBUTE, Kind.WRONG_COUNT)]
    seen = []
    for node in instances:
        theirs = asked[look(node)]
        seen.append(indefinite(node, vocabulary) + _how_asked(theirs, look(node) not in wrong, vocabulary))
    seen += _background_weighed(observed, wanted)
    seen += [f"{text}{NOT_SO}" for text, holds in _relations_weighed(observed, wanted, vocabulary) if not holds]
    missing = [d.subject for d in faults if d.kind is Kind.MISSING_OBJECT and d.subject]
    return seen + [f"{indefinite(o, vocabulary)}{NOT_THERE}" for o in missing]


def _correct_picture(faults: list[Difference], instances: list[SceneObject], vocabulary: Vocabulary) -> str:
    """The edit of the flawed draft that mends its first fault."""
    fault = faults[0]
    kinds = {d.kind: d for d in reversed(faults)}
    seen = SceneGraph(objects=tuple(o.model_copy(update={"id": f"i{i}"}) for i, o in enumerate(instances)))
    swapped = fault.kind in (Kind.UNWANTED_OBJECT, Kind.MISSING_OBJECT)
    if swapped and Kind.UNWANTED_OBJECT in kinds and Kind.MISSING_OBJECT in kinds:
        old, new = kinds[Kind.UNWANTED_OBJECT].subject, kinds[Kind.MISSING_OBJECT].subject
        assert old and new
        if old.count == new.count:
            graph = SceneGraph(objects=(old,))
            return instruct(graph, Edit(op=Op.SWAP, target=old.id, node=new), vocabulary)
    if odd := _odd_ones(kinds, vocabulary):
        return odd
    subject = fault.subject
    if fault.kind is Kind.WRONG_BACKGROUND:
        return f"Change the background to {fault.expected}."
    assert subject is not None
    if fault.kind is Kind.UNWANTED_OBJECT:
        return f"Remove {definite(subject, vocabulary)}."
    if fault.kind is Kind.MISSING_OBJECT:
        return instruct(SceneGraph(), Edit(op=Op.ADD, node=subject), vocabulary)
    if fault.kind is Kind.WRONG_ATTRIBUTE:
        new = subject.with_attribute(fault.attribute, fault.expected)
        return instruct(SceneGraph(objects=(subject,)), Edit(op=Op.MODIFY, target=subject.id, node=new), vocabulary)
    if fault.kind is Kind.WRONG_COUNT:
        missing = kinds.get(Kind.MISSING_OBJECT)
        return _correct_count(fault, seen, missing.subject if missing else None, vocabulary)
    node, other = fault.wanted, fault.other
    assert node and other
    return f"Move {definite(node, vocabulary)} so that it is {fault.expected} {definite(other, vocabulary)}."


def _odd_ones(kinds: dict[Kind, Difference], vocabulary: Vocabulary) -> str:
    """Where just as many of a noun are too few as look otherwise than asked: these get the look. "" elsewhere."""
    other, short = kinds.get(Kind.UNWANTED_OBJECT), kinds.get(Kind.WRONG_COUNT)
    if other is None or short is None or not (other.subject and short.subject and short.wanted):
        return ""
    odd, wanted = other.subject, short.wanted
    place = {PLACE: odd.attributes[PLACE]} if PLACE in odd.attributes else {}
    new = odd.model_copy(update={"attributes": {**wanted.without(PLACE).attributes, **place}})
    differing = [k for k, v in new.attributes.items() if odd.attributes.get(k) != v]
    if odd.noun != wanted.noun or odd.count != wanted.count - short.subject.count or len(differing) != 1:
        return ""
    return instruct(SceneGraph(objects=(odd,)), Edit(op=Op.MODIFY, target=odd.id, node=new), vocabulary)


def _correct_count(fault: Difference, seen: SceneGraph, missing: SceneObject | None, vocabulary: Vocabulary) -> str:
    """One more on a place that is free, or one less from a place where none is wanted: it becomes what is missing."""
    assert fault.subject and fault.wanted
    corners = [p for p in vocabulary.attributes.get(PLACE, ()) if None not in PLACES[p]]
    wanted = PLACES.get(fault.wanted.attributes.get(PLACE, ""), (None, None))
    fits = [p for p in corners if lies_within(PLACES[p], wanted)]
    alike = [o for o in seen.objects if o.noun == fault.wanted.noun and _alike(o, fault.wanted)]
    here = [o.attributes.get(PLACE, "") for o in alike]
    taken = {o.attributes.get(PLACE, "") for o in seen.objects}
    one = fault.wanted.without(PLACE).model_copy(update={"count": 1})
    if fault.subject.count < fault.wanted.count:
        free = [p for p in fits if p not in taken] or [p for p in corners if p not in taken]
        if free:
            return f"Add {indefinite(one.with_attribute(PLACE, free[0]), vocabulary)}."
        number = fault.wanted.count - fault.subject.count
        return f"Add {NUMBERS[number]} more {name(fault.wanted.model_copy(update={'count': number}), vocabulary)}."
    extra = [p for p in here if p and p not in fits] or [p for p in here if p]
    if missing is not None and extra:
        asked = PLACES.get(missing.attributes.get(PLACE, ""), (None, None))
        where = next((p for p in extra if lies_within(PLACES[p], asked)), extra[-1])
        new = missing.without(PLACE).model_copy(update={"count": 1})
        looks = [v for k, v in new.attributes.items() if one.attributes.get(k) != v]
        if new.noun == one.noun and len(looks) == 1:
            return f"Make {definite(one, vocabulary)} {where} {looks[0]}."
        return f"Replace {definite(one, vocabulary)} {where} with {indefinite(new, vocabulary)}."
    return f"Remove {definite(one, vocabulary)}" + (f" {extra[-1]}." if extra else ".")


DEAD_END = "Leave the picture as it is: what is missing has no place left."  # no one instruction leads on

# ---- the text side ------------------------------------------------------------------------------------


def inspect_text(
    prompt: SceneGraph, before: SceneGraph, edit: Edit, described: SceneGraph, vocabulary: Vocabulary
) -> Critique:
    """Judge a step's instruction (an edit of the scene `before`) and description against the prompt."""
    stated, done = compare(described, prompt), apply(before, edit)
    faults = list(stated.faults) or list(compare(done, prompt).faults)
    seen = text_observations(prompt, done, edit, described, vocabulary)
    if not faults:
        if all(d.kind is Kind.MISSING_DETAIL for d in stated.differences):
            names = [indefinite(o, vocabulary) for o in described.objects]
            return _agreement(seen, names, "The step completes what the prompt asks for", Judgement.CONSISTENT)
        missing = [d.subject for d in stated.differences if d.kind is Kind.MISSING_OBJECT and d.subject]
        left = [indefinite(o, vocabulary) for o in missing]
        what = "The step agrees with the prompt, and " + enumerate_words(left) + (" is" if len(left) == 1 else " are")
        return _agreement(seen, [], what + " still to come", Judgement.INCOMPLETE)
    correction = _correct_text(prompt, before, edit, faults, vocabulary)
    return _conflict(seen, faults, "The step contradicts the prompt", correction, vocabulary)


AS_ASKED, NOT_ASKED, NOT_SO = ": as asked", ": not asked for", ": not so"
TO_COME, NOT_THERE = ": still to come", ": missing"


_WEIGHED = re.compile(f"({AS_ASKED}|{NOT_ASKED}|: asked (is|are) .*)$")  # what may follow the name of a thing seen


def seen_items(observed: Iterable[str]) -> list[str]:
    """What a judge says that it saw, without how it weighed each, and without what it says is not there or not so."""
    return [_WEIGHED.sub("", item) for item in observed if not item.endswith((NOT_SO, TO_COME, NOT_THERE))]


def text_observations(
    prompt: SceneGraph, done: SceneGraph, edit: Edit, described: SceneGraph, vocabulary: Vocabulary
) -> list[str]:
    """Everything the two texts name, each weighed against the prompt by itself; the verdict then follows.

    ``step: a blue car: asked is a red car``  ``two cups: as asked``  ``the car is above the cups: not so``
    ``a fish: still to come``. `done` is the scene that the instruction leads to.
    """
    told = dict(_weighed(done, prompt, vocabulary))
    said = [text for _, text in _weighed(described, prompt, vocabulary)]
    if edit.op is Op.PAINT:
        seen = [f"step: {text}" for text in told.values() if text not in said]
    else:
        named = done.objects[-1].id if edit.op is Op.ADD else edit.target
        seen = [f"step: {told[named]}"] if named in told else []
    seen += said
    holding = _relations_weighed(described, prompt, vocabulary)
    broken = [text for text, holds in _relations_weighed(done, prompt, vocabulary) if not holds]
    seen += [f"step: {text}{NOT_SO}" for text in broken if (text, True) in holding]  # the instruction alone is wrong
    seen += [f"{text}{AS_ASKED if holds else NOT_SO}" for text, holds in holding]
    present = {theirs.id for _, theirs in match(described.objects, prompt.objects) if theirs is not None}
    return seen + [f"{indefinite(o, vocabulary)}{TO_COME}" for o in prompt.objects if o.id not in present]


def _weighed(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """(id, what it is and whether the prompt has it so) of every node; the background last, under the id ""."""
    found = []
    unwanted = {d.subject.id: d.stated for d in compare(scene, prompt).faults if d.subject and not d.wanted}
    for mine, theirs in match(scene.objects, prompt.objects):
        words = another(mine, vocabulary, place=True) if unwanted.get(mine.id) else indefinite(mine, vocabulary)
        right = (
            theirs is not None
            and mine.count == theirs.count
            and all(mine.attributes.get(k, v) == v for k, v in theirs.attributes.items())
        )
        found.append((mine.id, words + _how_asked(theirs, right, vocabulary)))
    return found + [("", text) for text in _background_weighed(scene, prompt)]


def _how_asked(wanted: SceneObject | None, right: bool, vocabulary: Vocabulary) -> str:
    """What an observed object is followed by; `wanted` is its counterpart, None where there is none."""
    if wanted is None:
        return NOT_ASKED
    be = "is" if wanted.count == 1 else "are"
    return AS_ASKED if right else f": asked {be} {indefinite(wanted, vocabulary)}"


def _background_weighed(scene: SceneGraph, wanted: SceneGraph) -> list[str]:
    """One item, none where the scene has no background."""
    asked = wanted.background in ("", scene.background)
    how = AS_ASKED if asked else f": asked is {article(wanted.background)} background"
    return [f"{article(scene.background)} background{how}"] if scene.background else []


def _relations_weighed(scene: SceneGraph, prompt: SceneGraph, vocabulary: Vocabulary) -> list[tuple[str, bool]]:
    """The prompt's relations as it words them, and whether they hold; those the scene leaves open are left out."""
    present = {theirs.id for _, theirs in match(scene.objects, prompt.objects) if theirs is not None}
    differences = compare(scene, prompt).differences
    verdicts = {
        (d.wanted.id, d.expected, d.other.id): d.kind for d in differences if d.wanted and d.other and d.expected
    }
    found = []
    for r in prompt.relations:
        if not {r.subject, r.object} <= present:
            continue
        c = r.canonical()
        kind = verdicts.get((c.subject, c.predicate, c.object))
        if kind is not Kind.MISSING_DETAIL:
            subject, object = prompt.node(r.subject), prompt.node(r.object)
            be = "is" if subject.count == 1 else "are"
            text = f"{definite(subject, vocabulary)} {be} {r.predicate} {definite(object, vocabulary)}"
            found.append((text, kind is None))
    return found


def _correct_text(
    prompt: SceneGraph, before: SceneGraph, edit: Edit, faults: list[Difference], vocabulary: Vocabulary
) -> str:
    """The instruction the step should have had: its object as the prompt wants it, on a place that fits."""
    if edit.op is Op.PAINT:
        assert edit.scene is not None
        scene = edit.scene.model_copy(update={"background": prompt.background or edit.scene.background})
        nodes = [_mended(o, prompt, faults, SceneGraph(), edit.scene) for o in scene.objects]
        scene = SceneGraph(objects=tuple(n for n in nodes if n is not None), background=scene.background)
        return instruct(SceneGraph(), Edit(op=Op.PAINT, scene=_rearranged(scene, prompt)), vocabulary)
    if edit.node is None:
        return instruct(before, edit, vocabulary)
    node = _mended(edit.node, prompt, faults, before, before)
    if node is None:
        return "Leave the picture as it is."
    if not _fits(node, prompt, before):
        return _make_room(node, prompt, before, vocabulary)
    return instruct(before, Edit(op=Op.ADD, node=node), vocabulary)


def _rearranged(scene: SceneGraph, prompt: SceneGraph) -> SceneGraph:
    """The scene with its single objects on corners on which the prompt's relations hold, where these do not."""
    if all(_fits(o, prompt, scene) for o in scene.objects):
        return scene
    singles = [o for o in scene.objects if o.count == 1]
    sides = [PLACES.get(o.attributes.get(PLACE, ""), (None, None)) for o in scene.objects if o.count > 1]
    free = [c for c in CORNERS if not any(lies_within(PLACES[c], side) for side in sides if side != (None, None))]
    for places in permutations(free, len(singles)):
        trial = scene
        for node, place in zip(singles, places, strict=True):
            trial = trial.replace_node(node.with_attribute(PLACE, place))
        if all(_fits(o, prompt, trial) for o in trial.objects):
            return trial
    return scene


def _make_room(node: SceneObject, prompt: SceneGraph, before: SceneGraph, vocabulary: Vocabulary) -> str:
    """Where what stands there leaves the node no place: the one move after which there is one."""
    for other in before.objects:
        rest = before.model_copy(update={"objects": tuple(o for o in before.objects if o.id != other.id)})
        for place in CORNERS:
            if other.count > 1 or place == other.attributes.get(PLACE):
                continue
            moved = other.with_attribute(PLACE, place)
            scene = before.replace_node(moved)
            if _fits(moved, prompt, rest) and _fits(_fitting_place(node, prompt, scene), prompt, scene):
                return instruct(before, Edit(op=Op.MODIFY, target=other.id, node=moved), vocabulary)
    return DEAD_END


def _fits(node: SceneObject, prompt: SceneGraph, others: SceneGraph) -> bool:
    """Whether the node stands on a place of its own, and no relation is wrong with it there."""
    rest = [o for o in others.objects if o.id != node.id]
    if any(_overlap(node, o) for o in rest):
        return False
    trial = SceneGraph(objects=(*rest, node.model_copy(update={"id": "joining"})), background=others.background)
    return not any(d.kind is Kind.WRONG_RELATION for d in compare(trial, prompt).differences)


def _overlap(node: SceneObject, other: SceneObject) -> bool:
    """Whether both stand on one place, or the node within the side that several equal objects fill."""
    here, there = node.attributes.get(PLACE, ""), other.attributes.get(PLACE, "")
    if other.count > 1 and here in PLACES and there in PLACES:
        return lies_within(PLACES[here], PLACES[there])
    return bool(here) and here == there


def _mended(
    node: SceneObject, prompt: SceneGraph, faults: list[Difference], before: SceneGraph, others: SceneGraph
) -> SceneObject | None:
    """The node with its faults undone; the first object still missing in place of an unwanted one."""
    mine = [d for d in faults if d.subject and d.subject.noun == node.noun and _alike(d.subject, node)]
    for fault in mine:
        if fault.kind is Kind.WRONG_ATTRIBUTE:
            node = node.with_attribute(fault.attribute, fault.expected)
        elif fault.kind is Kind.WRONG_COUNT:
            node = node.without(PLACE).model_copy(update={"count": int(fault.expected)})
        elif fault.kind is Kind.UNWANTED_OBJECT:
            missing = [d.subject for d in compare(before, prompt).differences if d.kind is Kind.MISSING_OBJECT]
            if not missing or missing[0] is None:
                return None
            fits = PLACE in node.attributes and missing[0].count == node.count
            place = {PLACE: node.attributes[PLACE]} if fits else {}
            node = missing[0].model_copy(update={"id": node.id, "attributes": {**missing[0].attributes, **place}})
    return node if _fits(node, prompt, others) else _fitting_place(node, prompt, others)


def _alike(a: SceneObject, b: SceneObject) -> bool:
    return a.without(PLACE).attributes == b.without(PLACE).attributes


def _fitting_place(node: SceneObject, prompt: SceneGraph, others: SceneGraph) -> SceneObject:
    """The first free corner on which the prompt's relations hold; the node as it is where there is none."""
    for place in CORNERS if node.count == 1 else ():
        moved = node.with_attribute(PLACE, place)
        if _fits(moved, prompt, others):
            return moved
    return node


# ---- the words ----------------------------------------------------------------------------------------


def finding(d: Difference, vocabulary: Vocabulary) -> Finding:
    """A difference in one clause."""
    be = "is" if d.subject is None or d.subject.count == 1 else "are"
    noun = "" if d.subject is None else definite(d.subject.model_copy(update={"attributes": {}}), vocabulary)
    if d.kind is Kind.WRONG_BACKGROUND:
        detail = f"the background is {d.stated}, not {d.expected}"
    elif d.kind is Kind.WRONG_ATTRIBUTE:
        who = definite(d.subject, vocabulary) if d.attribute == PLACE and d.subject else noun
        detail = f"{who} {be} {d.stated}, not {d.expected}"
    elif d.kind is Kind.WRONG_COUNT:
        assert d.wanted
        said, should = NUMBERS[int(d.stated)], NUMBERS[int(d.expected)]
        detail = f"there {'is' if d.stated == '1' else 'are'} {said}, not {should} {name(d.wanted, vocabulary)}"
    elif d.kind is Kind.UNWANTED_OBJECT:
        assert d.subject
        words = another(d.subject, vocabulary) if d.stated else indefinite(d.subject, vocabulary, place=False)
        detail = f"{words} {be} not asked for"
    elif d.kind is Kind.WRONG_RELATION:
        assert d.wanted and d.other
        detail = f"{definite(d.wanted, vocabulary)} is not {d.expected} {definite(d.other, vocabulary)}"
    else:
        assert d.subject
        detail = f"{indefinite(d.subject, vocabulary, place=False)} {be} missing"
    return Finding(kind=d.kind, detail=detail)


def another(node: SceneObject, vocabulary: Vocabulary, place: bool = False) -> str:
    """ "another red car", "two more red cars"."""
    number = "another" if node.count == 1 else f"{NUMBERS[node.count]} more"
    where = f" {node.attributes[PLACE]}" if place and PLACE in node.attributes else ""
    return f"{number} {name(node, vocabulary)}{where}"


def _agreement(seen: list[str], names: list[str], what: str, verdict: Judgement) -> Critique:
    analysis = f"{what}: {enumerate_words(names)}." if names else f"{what}."
    return Critique(observed=tuple(seen), findings=(), verdict=verdict, analysis=analysis, correction="")


def _conflict(
    seen: list[str], faults: list[Difference], what: str, correction: str, vocabulary: Vocabulary
) -> Critique:
    found = tuple(finding(d, vocabulary) for d in faults)
    analysis = capital(f"{what}: {enumerate_words([f.detail for f in found])}.")
    verdict = Judgement.CONFLICT
    return Critique(observed=tuple(seen), findings=found, verdict=verdict, analysis=analysis, correction=correction)
