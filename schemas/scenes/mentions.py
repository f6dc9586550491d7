"""Finds the objects, relations, backgrounds and places that a free text names, by the words of a vocabulary.

It is looser than the grammar: it skips words it does not know, so it can read the long prompts that models write. It
sees what is named, not what is meant. That is enough to catch a text that drops or contradicts its scene graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from underpaint.schemas.scenes.grammar import NUMBER_OF, NUMBERS, GrammarError, number, split_style
from underpaint.schemas.scenes.scene import ACTION, OPEN_COUNTS, PLACE, PLACES, Relation, SceneGraph, SceneObject
from underpaint.schemas.scenes.vocabulary import Vocabulary, folded, tokens, unmarked
from underpaint.schemas.scenes.word_forms import stands

_DEFINITE = ("the", "this", "that", "these", "those", "both", "its", "their")
_OPEN = ("some", "several", "few", "many")  # "a few": the article says nothing
_INDEFINITE = ("a", "an", "another", *NUMBER_OF)
# Looking backwards from a noun, the words that belong to it end at one of these.
_LINKS = ("and", "or", "but", "while", "is", "are")
_PREPOSITIONS = ("with", "of", "on", "in", "at", "to", "by", "near", "beside", "from")
_DENIALS = ("no", "not", "without", "nor", "neither", "never", "lacking", "isn't", "aren't")
_BREAKS = {*_DEFINITE, *_INDEFINITE, *_OPEN, *_LINKS, *_PREPOSITIONS, *_DENIALS, ",", ";"}
_REACH = 6  # how many words before a noun may belong to it
# Looking forwards from a noun in the singular, a word that is none of these makes it part of another thing's name: "bus
# stop", "dog house". Participles and adverbs are told by their endings.
ENDS_A_PHRASE = _BREAKS | set(
    """above across against alike alone along alongside amid among apart around as asleep aside atop awake away back
    be been before behind being below beneath between beyond both can could did do does down during each ahead every
    for forward had has have he her here him his how indoors inside into it just left like may might must nearby never
    next off onto opposite out outdoors outside over past she should since so than then there they through together
    too toward towards under underneath until up upon upright very was were what when where whether which who whose
    will within would yet ate came fell flew gave got held hung kept laid lay led lit made ran sat shone slept spread
    stood swam threw took went wore set put right""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Mention:
    """One noun phrase. `count` is None where the text does not say ("the fish").

    `new` is true where the phrase introduces an object ("a car", "two cars"), `open` where it says that there are
    several and not how many ("some cars"), or at least how many.
    """

    noun: str
    attributes: tuple[tuple[str, str], ...]
    count: int | None
    new: bool
    start: int  # index of its first word in the sentence
    end: int  # index of the word after its last
    open: bool = False
    plural: bool = False  # by its form, "cars"; "fish" may be one

    def fits(self, node: SceneObject) -> bool:
        """Whether the phrase may mean this node: its noun, count and every attribute it names are the node's too."""
        said = all(node.attributes.get(kind) == value for kind, value in self.attributes)
        if self.open:
            counted = node.at_least and (self.count or 2) == node.count
        else:
            counted = self.count is None or (self.count == node.count and not node.at_least)
        return self.noun == node.noun and said and counted


Stated = tuple[Mention, str, Mention]


@dataclass(frozen=True)
class Mentions:
    """All that a text names, in the order of its sentences.

    `parts` are nouns that rather belong to another thing's name ("bus stop"). `loose` are relations whose ends are the
    nearest phrases, with words between that may be other ends. What the text denies ("without cars") is left out.
    """

    objects: tuple[Mention, ...]
    relations: tuple[Stated, ...]
    backgrounds: tuple[str, ...]
    places: tuple[tuple[Mention, str], ...]
    parts: tuple[Mention, ...] = ()
    loose: tuple[Stated, ...] = ()


def find_mentions(text: str, vocabulary: Vocabulary) -> Mentions:
    """Find all that the text names, sentence by sentence. The style of the whole is none of it."""
    objects: list[Mention] = []
    parts: list[Mention] = []
    relations: list[Stated] = []
    loose: list[Stated] = []
    backgrounds: list[str] = []
    places: list[tuple[Mention, str]] = []
    text, _ = split_style(text)
    if vocabulary.dotted:
        text = vocabulary.dotted.sub(lambda m: unmarked(m[0]), text)
    for sentence in re.split(r"[.!?:\n]+", text):
        words = tokens(sentence)
        found, within = _noun_phrases(words, vocabulary)
        objects += found
        parts += within
        for predicate, parts_of_it in vocabulary.predicates:
            for stated, sure in _related(words, found, predicate, parts_of_it):
                (relations if sure else loose).append(stated)
        backgrounds += [b for b in vocabulary.backgrounds if f" {_plain(b)} background" in f" {' '.join(words)}"]
        for place in vocabulary.attributes.get(PLACE, ()) if found else ():
            places += _placed(words, found, place)
    return Mentions(
        tuple(objects), tuple(relations), tuple(backgrounds), tuple(places), tuple(parts), tuple(loose)
    )  # fmt: skip


def _plain(phrase: str) -> str:
    return " ".join(tokens(phrase))


def _uses(words: list[str], parts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first, after the last) index of the words of every use of a phrase."""
    for i in range(len(words) - len(parts) + 1):
        if words[i : i + len(parts)] == parts:
            yield i, i + len(parts)


def _noun_phrases(words: list[str], vocabulary: Vocabulary) -> tuple[list[Mention], list[Mention]]:
    """(the phrases of a sentence, the nouns in it that are parts of other names)."""
    spans: list[tuple[int, int, str, str]] = []  # of the nouns alone, longest forms first; "" for "made of glass"
    taken: set[int] = set()
    for start, end, form, noun in sorted(_named_at(words, vocabulary), key=lambda s: (-len(s[2]), s[2], s[0])):
        if taken.isdisjoint(range(start, end)):
            taken.update(range(start, end))
            spans.append((start, end, form, noun))
    spans = sorted(s for s in spans if s[3])
    nouns = [s for s in spans if not (vocabulary.kind_of(s[2]) and _before_noun(s[1], words, spans, vocabulary))]
    found: list[Mention] = []
    parts: list[Mention] = []
    last, denied = 0, False
    stops = {i for _, parts in vocabulary.predicates for use in _uses(words, parts) for i in range(*use)}
    for start, end, form, noun in nouns:
        plural = folded(noun) != folded(form) == folded(vocabulary.plurals[noun])
        mention = _phrase(words, last, start, end, noun, plural, stops, vocabulary)
        denied = _denied(words, mention, last, denied)
        if not denied:
            (parts if _is_part(words, mention, form, vocabulary) else found).append(mention)
        last = end
    return [m for one in found for m in _told_apart(words, one, vocabulary)], parts


def _before_noun(at: int, words: list[str], spans: list[tuple[int, int, str, str]], vocabulary: Vocabulary) -> bool:
    """Whether a noun follows, at word `at` or after values alone: "orange" in "an orange wooden car"."""
    starts = {start for start, *_ in spans}
    while at not in starts:
        joined = at + 1 if words[at : at + 1] in (["and"], [","], ["or"], ["colored"], ["coloured"]) else at
        if joined in starts:
            return words[at] not in ("and", ",", "or")
        ends = [e for e in range(joined + 1, len(words) + 1) if _value_before(words, e, joined, vocabulary)]
        ends = [e for e in ends if (v := _value_before(words, e, joined, vocabulary)) and v[0] == joined]
        if not ends:
            return False
        at = max(ends)
    return True


def _named_at(words: list[str], vocabulary: Vocabulary) -> Iterator[tuple[int, int, str, str]]:
    """(first, after the last word, form, noun) of every noun and, as no noun, of every value of several words."""
    for start, word in enumerate(words):
        for parts, form, noun in vocabulary.forms_by_first.get(word, ()):
            if words[start : start + len(parts)] == parts:
                yield start, start + len(parts), form, noun
        for parts, kind, value in vocabulary.values_by_last.get(word, ()):
            if len(parts) > 1 and kind != PLACE and words[max(0, start + 1 - len(parts)) : start + 1] == parts:
                yield start + 1 - len(parts), start + 1, value, ""


def _value_before(words: list[str], end: int, last: int, vocabulary: Vocabulary) -> tuple[int, str, str] | None:
    """(its first word's index, kind, value) of the value that ends before word `end`; None where there is none."""
    for parts, kind, value in vocabulary.values_by_last.get(words[end - 1], ()):
        if end - len(parts) >= last and words[end - len(parts) : end] == parts:
            return end - len(parts), kind, value
    return None


def _phrase(
    words: list[str], last: int, start: int, end: int, noun: str, plural: bool, stops: set[int], vocabulary: Vocabulary
) -> Mention:
    """The phrase of a noun at words `start` to `end`; it begins after `last` and after the words at `stops`."""
    attributes: dict[str, str] = {}
    first = start
    while first > max(last, start - _REACH):
        value = _value_before(words, first, last, vocabulary)
        if value is not None and value[1] != PLACE:
            first, kind, attributes[kind] = value[0], value[1], value[2]
        elif kind_of_both := _either(words, first, last, vocabulary):
            attributes.pop(kind_of_both, None)
            first -= 2
        elif first - 1 in stops or (
            words[first - 1] in _BREAKS and not (first < start and _listed(words, first, last, plural, vocabulary))
        ):
            break
        else:
            first -= 1
    before = words[first - 1] if first > last else ""
    count = None if before not in _INDEFINITE else NUMBER_OF.get(before, 1)
    least = before in NUMBER_OF and words[max(last, first - 3) : first - 1] == ["at", "least"]
    new = before in _OPEN or (before in _INDEFINITE and (first < 2 or words[first - 2] not in _DEFINITE))
    return Mention(
        noun, tuple(sorted(attributes.items())), count, new, first, end, before in _OPEN or least, plural
    )  # fmt: skip


def _either(words: list[str], first: int, last: int, vocabulary: Vocabulary) -> str:
    """The kind of two values joined before word `first`: "a black and white cat" has neither colour; "" where none."""
    if first - 2 < last or words[first - 1] != "and" or first == len(words):
        return ""
    kind = vocabulary.kind_of(words[first - 2])
    return kind if kind and kind == vocabulary.kind_of(words[first]) else ""


def _listed(words: list[str], first: int, last: int, plural: bool, vocabulary: Vocabulary) -> bool:
    """Whether the comma before word `first` lists adjectives: "a big, red car"; not "in a field, red cars"."""
    if words[first - 1] != ",":
        return False
    for at in range(first - 2, max(last, first - _REACH) - 1, -1):
        word = words[at]
        if word in ("a", "an", "another", "one"):
            return not plural
        if word in NUMBER_OF or word in _OPEN:
            return plural
        if word == "the":
            return True
        if (word in _BREAKS and word != ",") or (word.endswith("s") and not vocabulary.kind_of(word)):
            return False
    return False


def _denied(words: list[str], mention: Mention, last: int, denied: bool) -> bool:
    """Whether a phrase is denied: "no dog", "without a red car", "not a cat", "without cars or people"."""
    before = words[last : mention.start]
    if denied and before and set(before) <= {"or", "nor", "and", ",", "any"}:
        return True
    while before and before[-1] in ("a", "an", "any", "the", "single", "one"):
        before = before[:-1]
    return bool(before) and (
        before[-1] in _DENIALS or before[-2:] in (["free", "of"], ["instead", "of"], ["lack", "of"])
    )


def _is_part(words: list[str], mention: Mention, form: str, vocabulary: Vocabulary) -> bool:
    """Whether a noun rather belongs to the name of another thing, which no vocabulary may know: "bus stop".

    English says "a dog waits" and "dogs wait", but "a dog house", "two dog houses": after a noun in the singular stands
    a verb only with an "s", and only after an article.
    """
    before = words[mention.start - 1] if mention.start else ""
    following = words[mention.end] if mention.end < len(words) else ""
    may_be_value = vocabulary.kind_of(form) and not mention.plural
    if may_be_value and (before not in (*_DEFINITE, *_INDEFINITE) or _value_joined(words, mention, vocabulary)):
        return True  # "orange and blue flowers", "the sky is orange"
    single = mention.count in (None, 1) and not mention.open
    if not following.isalpha() or following in ENDS_A_PHRASE or mention.plural or vocabulary.is_name(mention.noun):
        return False
    if re.search(r"(?:ing|ed|ly)$", following) or vocabulary.kind_of(following):
        return False
    if folded(form) == folded(vocabulary.plurals[mention.noun]) and not single:
        return False  # "two fish swim"
    if re.search(r"[^s]s$", following):
        return not single or before not in (*_DEFINITE, *_INDEFINITE, "her", "his", "every", "each")
    return True


def _value_joined(words: list[str], mention: Mention, vocabulary: Vocabulary) -> bool:
    """Whether a phrase goes on with another colour: "an orange and blue flower"."""
    return words[mention.end : mention.end + 1] in (["and"], [","], ["or"]) and any(
        vocabulary.kind_of(w) for w in words[mention.end + 1 : mention.end + 2]
    )


def _told_apart(words: list[str], mention: Mention, vocabulary: Vocabulary) -> list[Mention]:
    """ "two cars, one red and one blue" → a red car and a blue car; any other phrase alone."""
    at, left = mention.end + 1, mention.count or 0
    groups: list[Mention] = []
    while words[mention.end : mention.end + 1] == [","] and at < len(words) and left:
        if groups and words[at] in ("and", ",", "while"):
            at += 1
            continue
        rest = words[at : at + 2] in (["the", "other"], ["the", "others"])
        number = left if rest else NUMBER_OF.get(words[at], 0)
        at += 2 if rest else 1
        at += words[at : at + 1] in (["is"], ["are"])
        value = next(
            (v for end in range(min(len(words), at + 3), at, -1) if (v := _value_before(words, end, at, vocabulary))
             and v[0] == at), None,
        )  # fmt: skip
        if value is None or not 0 < number <= left:
            return [mention]
        at += len(tokens(value[2]))
        left -= number
        told = dict(mention.attributes) | {value[1]: value[2]}
        groups.append(replace(mention, attributes=tuple(sorted(told.items())), count=number, new=True))
    return groups if groups and not left else [mention]


def _related(words: list[str], found: list[Mention], predicate: str, parts: list[str]) -> Iterator[tuple[Stated, bool]]:
    """Every use of a predicate in one sentence, with the nearest phrase on either side of it, and whether it is sure.

    It is sure where nothing stands between that might be an end itself: "a car near a tree is above a house".
    """
    for start, end in _uses(words, parts):
        left, right = [m for m in found if m.end <= start], [m for m in found if m.start >= end]
        if not (left and right):
            continue
        between = words[left[-1].end : start]
        if any(word in _DENIALS for word in between):
            continue
        bare = f" {' '.join(between)} "
        for place in sorted(PLACES, key=len, reverse=True):
            bare = bare.replace(f" {place} ", " ")
        rest = bare.removeprefix(" ,").removesuffix(" , ").split()
        ends = {*_DEFINITE, *_INDEFINITE, *_OPEN, *_PREPOSITIONS, "and", "or", "but", ",", ";", "it", "them"} - {"that"}
        sure = ends.isdisjoint(rest) and {*_DEFINITE, *_INDEFINITE, *_OPEN}.issuperset(words[end : right[0].start])
        yield (left[-1], predicate, right[0]), sure


def _placed(words: list[str], found: list[Mention], place: str) -> list[tuple[Mention, str]]:
    """Every use of a place after a phrase. "at the top left" does not count as a use of "at the top"."""
    longer = {start for p in PLACES if p.startswith(place + " ") for start, _ in _uses(words, p.split())}
    stated = []
    for start, end in _uses(words, tokens(place)):
        left = [m for m in found if m.end <= start]
        if left and start not in longer and words[end : end + 1] != ["of"]:
            stated.append((left[-1], place))
    return stated


def gather(text: str, vocabulary: Vocabulary) -> SceneGraph:
    """One scene of all that the text names. Raises GrammarError where it names no object of the vocabulary.

    "a red car" is a new object unless an equal one was named before; "the car" means the last object that it fits.
    """
    said = find_mentions(text, vocabulary)
    if not said.objects:
        raise GrammarError(f"{text!r} names nothing that the vocabulary knows")
    nodes: list[SceneObject] = []
    node_of: dict[int, str] = {}
    for mention in said.objects:
        several = mention.count is None and mention.open
        new = SceneObject(
            id=f"o{len(nodes)}", noun=mention.noun, attributes=dict(mention.attributes),
            count=mention.count or (2 if several else 1), at_least=mention.open and mention.count != 1,
        )  # fmt: skip
        known = next((o for o in reversed(nodes) if mention.fits(o) and (not mention.new or o.label == new.label)), new)
        if known is new:
            nodes.append(new)
        node_of[id(mention)] = known.id
    for mention, place in said.places:
        nodes = [o.with_attribute(PLACE, place) if o.id == node_of[id(mention)] else o for o in nodes]
    relations = {
        Relation(subject=node_of[id(a)], predicate=p, object=node_of[id(b)])
        for a, p, b in said.relations
        if node_of[id(a)] != node_of[id(b)]
    }
    ordered = sorted(relations, key=lambda r: (r.subject, r.predicate, r.object))
    background, style = next(iter(said.backgrounds), ""), split_style(text)[1]
    return SceneGraph(objects=tuple(nodes), relations=tuple(ordered), background=background, style=style)


def disagreements(text: str, graph: SceneGraph, vocabulary: Vocabulary) -> list[str]:
    """Where a long text drops or contradicts its graph, one clause each; [] where it says the same and no more.

    Details beyond the graph count as contradictions too, if the vocabulary has words for them: the prompt would ask for
    a colour that only the long text names, and no step would know of it.
    """
    said = find_mentions(text, vocabulary.with_words_of(graph))
    found = [f"drops {_name(o)}" for o in graph.objects if not _named(o, said)]
    found += [f"adds {phrase_words(m)}" for m in said.objects if not any(m.fits(o) for o in graph.objects)]
    stated = {(r.subject, r.predicate, r.object) for r in map(Relation.canonical, graph.relations)}
    heard = set()
    for (a, predicate, b), sure in [*((r, True) for r in said.relations), *((r, False) for r in said.loose)]:
        ends = [(x.id, y.id) for x in graph.objects for y in graph.objects if x != y and a.fits(x) and b.fits(y)]
        turned = [Relation(subject=x, predicate=predicate, object=y).canonical() for x, y in ends]
        meant = {(r.subject, r.predicate, r.object) for r in turned} & stated
        heard |= meant
        if sure and not meant:
            found.append(f"adds {phrase_words(a)} {predicate} {phrase_words(b)}")
    found += [f"drops {graph.node(s).noun} {p} {graph.node(o).noun}" for s, p, o in sorted(stated - heard)]
    wanted = {(o.noun, o.attributes[PLACE]) for o in graph.objects if PLACE in o.attributes}
    found += [f"adds {m.noun} {place}" for m, place in said.places if (m.noun, place) not in wanted]
    found += [f"adds a {b} background" for b in said.backgrounds if b != graph.background]
    if graph.background and graph.background not in said.backgrounds:
        found.append(f"drops the {graph.background} background")
    actions = [o.attributes[ACTION] for o in graph.objects if ACTION in o.attributes]
    found += [f"drops {action}" for action in actions if not stands(action, text)]
    if graph.style and not stands(graph.style, text):
        found.append(f"drops the style {graph.style!r}")
    return found


def _named(node: SceneObject, said: Mentions) -> bool:
    """Whether some phrase names the node with all of its attributes, and with its count if that is above one."""
    wanted = {(k, v) for k, v in node.attributes.items() if k not in (PLACE, ACTION)}
    placed = PLACE not in node.attributes or any(
        m.fits(node) and place == node.attributes[PLACE] for m, place in said.places
    )
    counts = (1, None) if node.count == 1 else (2, None) if node.at_least and node.count == 2 else (node.count,)
    return placed and any(
        m.fits(node) and set(m.attributes) == wanted and m.count in counts and m.open == node.at_least
        for m in (*said.objects, *said.parts)
    )


def _name(node: SceneObject) -> str:
    count = [number(node)] if node.count > 1 else []
    return " ".join([*count, *(v for _, v in sorted(node.attributes.items())), node.noun])


def phrase_words(mention: Mention) -> str:
    """A phrase in the order of the checks' clauses: "one blue car", "some red cars"."""
    count = NUMBERS[mention.count] if mention.count else OPEN_COUNTS[0] if mention.open else ""
    return " ".join([*filter(None, [count]), *(v for _, v in mention.attributes), mention.noun])
