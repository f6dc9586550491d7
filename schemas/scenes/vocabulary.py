"""A vocabulary: the words that scenes are made of, one YAML or JSON file each. World and grammar share it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from underpaint.schemas.scenes.scene import SPATIAL, SceneGraph


class Vocabulary(BaseModel):
    """`nouns` maps a singular to its plural; `attributes` maps a kind ("colour") to its values.

    `aliases` are other words for a noun, read but never written ("sofa": "couch"). `sizes` says how large a thing is
    (any unit, 1 unless said): painters begin with the large ones. `plain` nouns are given no attributes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    nouns: dict[str, str] = Field(min_length=1)
    attributes: dict[str, tuple[str, ...]]
    backgrounds: tuple[str, ...] = ()
    relations: tuple[str, ...] = SPATIAL
    aliases: dict[str, str] = Field(default_factory=dict)
    sizes: dict[str, float] = Field(default_factory=dict)
    plain: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Vocabulary:
        for field, words in (("aliases", self.aliases.values()), ("sizes", self.sizes), ("plain", self.plain)):
            for word in words:
                if word not in self.nouns:
                    raise ValueError(f"{field} speaks of {word!r}, which is not among the nouns")
        return self

    def identity(self) -> dict[str, Any]:
        """The words in their order. Scenes are drawn from them by position, so another order gives other scenes."""
        return {k: list(v.items()) if isinstance(v, dict) else v for k, v in self.model_dump(mode="json").items()}

    def kind_of(self, word: str) -> str | None:
        """Which kind of attribute a word is a value of, or None."""
        return next((kind for kind, values in self.attributes.items() if word in values), None)

    @cached_property
    def noun_forms(self) -> list[tuple[str, str]]:
        """(form, noun) for every singular, plural and alias; longest first, so that "hot dogs" comes before "dogs"."""
        forms = {f: noun for noun, plural in self.nouns.items() for f in (noun, plural)}
        return sorted({**self.aliases, **forms}.items(), key=lambda kv: (-len(kv[0]), kv[0]))

    def with_words_of(self, graph: SceneGraph) -> Vocabulary:
        """This vocabulary, with the words of a graph added that it does not have yet."""
        nouns = {o.noun: o.noun + "s" for o in graph.objects} | self.nouns
        attributes = {kind: list(values) for kind, values in self.attributes.items()}
        for kind, value in (pair for o in graph.objects for pair in o.attributes.items()):
            attributes.setdefault(kind, []).append(value)
        backgrounds = (*self.backgrounds, *filter(None, [graph.background]))
        return Vocabulary(
            nouns=nouns,
            attributes={kind: tuple(dict.fromkeys(values)) for kind, values in attributes.items()},
            backgrounds=tuple(dict.fromkeys(backgrounds)),
            relations=tuple(dict.fromkeys((*self.relations, *(r.predicate for r in graph.relations)))),
            aliases=self.aliases,
        )
