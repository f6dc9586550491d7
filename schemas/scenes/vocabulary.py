"""A vocabulary: the words that scenes are made of, one YAML or JSON file each. World and grammar share it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from underpaint.schemas.scenes.plurals import plural_of
from underpaint.schemas.scenes.scene import ACTION, SPATIAL, SceneGraph, bare_predicate


def folded(text: str) -> str:
    """The text as words are compared: case and ways to write an accent or an apostrophe make no difference."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().replace("’", "'").split())


def tokens(text: str) -> list[str]:
    """The words and commas of a sentence, folded. Marks within words are left out: "St. Bernard" is two words."""
    return re.findall(r"[\w'-]+|[,;]", unmarked(folded(text)))


def _single_spaced(given: Any) -> Any:
    """The same with single spaces within all words."""
    if isinstance(given, str):
        return " ".join(given.split())
    if isinstance(given, dict):
        return {_single_spaced(k): _single_spaced(v) for k, v in given.items()}
    return [_single_spaced(v) for v in given] if isinstance(given, list | tuple) else given


def unmarked(words: str) -> str:
    """The words without the marks that end sentences."""
    return re.sub(r"[.!?:]", "", words)


class Vocabulary(BaseModel):
    """`nouns` maps a singular to its plural; `attributes` maps a kind ("colour") to its values.

    `nouns` may also be a list, the plurals then made by a library. A capitalised noun whose plural is itself is a name
    and takes no article ("Albert Einstein"). `aliases` are other words for a noun, read but never written ("sofa":
    "couch"). `sizes` says how large a thing is (any unit, 1 unless said): painters begin with the large ones. `plain`
    nouns are given no attributes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    nouns: dict[str, str] = Field(min_length=1)
    attributes: dict[str, tuple[str, ...]]
    backgrounds: tuple[str, ...] = ()
    relations: tuple[str, ...] = SPATIAL
    aliases: dict[str, str] = Field(default_factory=dict)
    sizes: dict[str, float] = Field(default_factory=dict)
    plain: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, given: Any) -> Any:
        """Accept nouns without plurals, "color" for "colour", and "is riding" for "riding"."""
        given = _single_spaced(given)
        if not isinstance(given, dict):
            return given
        nouns, attributes = given.get("nouns"), given.get("attributes")
        if isinstance(nouns, list | tuple) and all(isinstance(n, str) and n.strip() for n in nouns):
            given = {**given, "nouns": {noun: plural_of(noun) for noun in nouns}}
        if isinstance(attributes, dict) and "color" in attributes and "colour" not in attributes:
            named = {"colour" if kind == "color" else kind: values for kind, values in attributes.items()}
            given = {**given, "attributes": named}
        relations = given.get("relations")
        if isinstance(relations, list | tuple):
            given = {**given, "relations": [bare_predicate(r) if isinstance(r, str) else r for r in relations]}
        return given

    @model_validator(mode="after")
    def _known(self) -> Vocabulary:
        for field, words in (("aliases", self.aliases.values()), ("sizes", self.sizes), ("plain", self.plain)):
            for word in words:
                if word not in self.nouns:
                    raise ValueError(f"{field} speaks of {word!r}, which is not among the nouns")
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Vocabulary:
        """A copy with other words, whose look-ups are made anew."""
        return Vocabulary.model_validate({**self.model_dump(), **(update or {})})

    def identity(self) -> dict[str, Any]:
        """The words in their order. Scenes are drawn from them by position, so another order gives other scenes."""
        return {k: list(v.items()) if isinstance(v, dict) else v for k, v in self.model_dump(mode="json").items()}

    def kind_of(self, word: str) -> str | None:
        """Which kind of attribute a word is a value of, or None."""
        known = self.values.get(folded(word))
        return known and known[0]

    @cached_property
    def values(self) -> dict[str, tuple[str, str]]:
        """(kind, value) by the folded value; where two kinds share a value, the first."""
        pairs = [(kind, value) for kind, values in self.attributes.items() for value in values]
        return {folded(value): (kind, value) for kind, value in reversed(pairs)}

    @cached_property
    def plurals(self) -> dict[str, str]:
        """The plural of every noun as it is written: the listed one, unless another noun has it already.

        Of two nouns with one plural ("fish", "cod": "fish") the later gets the library's, or else its singular.
        """
        owner = {folded(noun): noun for noun in reversed(self.nouns)}
        found = {}
        for noun, plural in self.nouns.items():
            if owner.setdefault(folded(plural), noun) != noun:
                plural = plural_of(noun)
                plural = plural if owner.setdefault(folded(plural), noun) == noun else noun
            found[noun] = plural
        return found

    def plural(self, noun: str) -> str:
        """The plural of a noun, by the library where the vocabulary does not have it."""
        return self.plurals.get(noun) or plural_of(noun)

    def is_name(self, noun: str) -> bool:
        """Whether a noun is a name, which takes no article: capitalised, and its plural is itself."""
        return noun[:1].isupper() and self.plural(noun) == noun

    @cached_property
    def noun_forms(self) -> list[tuple[str, str]]:
        """(form, noun) for every singular, plural and alias; longest first, so that "hot dogs" comes before "dogs"."""
        plurals = {plural: noun for noun, plural in self.nouns.items()} | {p: noun for noun, p in self.plurals.items()}
        forms = {**self.aliases, **plurals, **{noun: noun for noun in self.nouns}}
        return sorted(forms.items(), key=lambda kv: (-len(kv[0]), kv[0]))

    @cached_property
    def forms(self) -> dict[str, str]:
        """The noun by every folded form of it."""
        return {folded(form): noun for form, noun in self.noun_forms}

    @cached_property
    def forms_by_first(self) -> dict[str, list[tuple[list[str], str, str]]]:
        """(words, form, noun) of every form of a noun, by its first word."""
        found: dict[str, list[tuple[list[str], str, str]]] = {}
        for form, noun in self.noun_forms:
            if words := tokens(form):
                found.setdefault(words[0], []).append((words, form, noun))
        return found

    @cached_property
    def values_by_last(self) -> dict[str, list[tuple[list[str], str, str]]]:
        """(words, kind, value) of every value of an attribute, by its last word; longest first."""
        found: dict[str, list[tuple[list[str], str, str]]] = {}
        for kind, value in self.values.values():
            if words := tokens(value):
                found.setdefault(words[-1], []).append((words, kind, value))
        return {last: sorted(values, key=lambda v: -len(v[0])) for last, values in found.items()}

    @cached_property
    def predicates(self) -> list[tuple[str, list[str]]]:
        """(predicate, its words)."""
        return [(predicate, tokens(predicate)) for predicate in self.relations]

    @cached_property
    def longest_first(self) -> tuple[str, ...]:
        """The relations, so that "on top of" comes before "on"."""
        return tuple(sorted(self.relations, key=len, reverse=True))

    @cached_property
    def actions(self) -> tuple[str, ...]:
        """The values that are said after the noun, longest first."""
        return tuple(sorted(self.attributes.get(ACTION, ()), key=len, reverse=True))

    @cached_property
    def dotted(self) -> re.Pattern[str] | None:
        """Finds the words that hold a mark, which ends no sentence ("St. Bernard"); None where there are none."""
        values = (value for values in self.attributes.values() for value in values)
        words = {*(f for f, _ in self.noun_forms), *values, *self.backgrounds, *self.relations}
        marked = sorted((w for w in words if w != unmarked(w)), key=len, reverse=True)
        return re.compile("|".join(rf"(?<!\w){re.escape(w)}" for w in marked), re.IGNORECASE) if marked else None

    def with_words_of(self, graph: SceneGraph) -> Vocabulary:
        """This vocabulary, with the words of a graph added that it does not have yet; itself where it has them all."""
        nouns = {o.noun: plural_of(o.noun) for o in graph.objects if o.noun not in self.nouns}
        pairs = [pair for o in graph.objects for pair in o.attributes.items()]
        pairs = [(kind, value) for kind, value in pairs if value not in self.attributes.get(kind, ())]
        backgrounds = [b for b in (graph.background,) if b and b not in self.backgrounds]
        relations = [r.predicate for r in graph.relations if r.predicate not in self.relations]
        if not (nouns or pairs or backgrounds or relations):
            return self
        attributes: dict[str, list[str]] = {kind: [] for kind, _ in pairs}  # first: the graph says what its words are
        attributes |= {kind: list(values) for kind, values in self.attributes.items()}
        for kind, value in dict.fromkeys(pairs):
            attributes[kind].append(value)
        return Vocabulary(
            nouns=self.nouns | nouns,
            attributes={kind: tuple(values) for kind, values in attributes.items()},
            backgrounds=(*self.backgrounds, *backgrounds),
            relations=tuple(dict.fromkeys((*self.relations, *relations))),
            aliases=self.aliases,
        )
