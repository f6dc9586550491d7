"""A vocabulary: the words scenes are made of. One YAML or JSON file each; the world and the grammar share it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.scene import SPATIAL


class Vocabulary(BaseModel):
    """`nouns` maps a singular to its plural; `attributes` maps a kind ("colour") to its values."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    nouns: dict[str, str] = Field(min_length=1)
    attributes: dict[str, tuple[str, ...]]
    backgrounds: tuple[str, ...] = ()
    relations: tuple[str, ...] = SPATIAL

    def kind_of(self, word: str) -> str | None:
        """Which kind of attribute a word is a value of, or None."""
        return next((kind for kind, values in self.attributes.items() if word in values), None)
