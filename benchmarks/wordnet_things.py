"""Makes stages/prompting/things.txt, the nouns that name things one can point at, from WordNet's database files.

    python -m benchmarks.wordnet_things WORDNET_DICT_FOLDER

The folder is that of WordNet 3.0 (Debian: package `wordnet-base`, /usr/share/wordnet). Of WordNet's 118,000 nouns only
those are taken that the tagger's lexicon or WordNet's own counts know.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import textblob

THINGS = {"noun.animal", "noun.artifact", "noun.person", "noun.plant", "noun.food", "noun.object"}
LIVING = {"noun.animal", "noun.person"}
LAND = "piece_of_land"  # a kind of place that is painted as a thing: a meadow, a field
GENERAL = {"person", "people", "animal", "figure"}  # too general for WordNet's files of the living
OUT = Path(__file__).parents[1] / "stages" / "prompting" / "things.txt"
TITLE = """\
# Nouns that name things one can point at, made by `python -m benchmarks.wordnet_things` from WordNet 3.0.
# After a word: "part" of something else, "living", "verb" where it is a verb or adjective as well, "act" where it is
# that more often than a noun.
# WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Its licence allows to use, copy, modify and
# distribute it for any purpose without fee, with this notice; it is provided "as is", without warranties of any kind.
"""


class WordNet:
    """The nouns of WordNet's database files; see its manual pages wndb(5) and senseidx(5)."""

    def __init__(self, folder: Path) -> None:
        names = [line.split()[1] for line in (folder / "lexnames").read_text().splitlines()]
        self.kinds: dict[str, str] = {}  # by synset, its lexicographer file
        self.words: dict[str, list[str]] = {}
        self.pointers: dict[str, list[tuple[str, str]]] = {}  # (symbol, synset); "@" is a kind of, "#p" a part of
        for line in _lines(folder / "data.noun"):
            fields = line.split("|")[0].split()
            synset, number = fields[0], int(fields[3], 16)
            after = 4 + 2 * number
            pointers = fields[after + 1 : after + 1 + 4 * int(fields[after])]
            self.kinds[synset] = names[int(fields[1])]
            self.words[synset] = fields[4:after:2]
            self.pointers[synset] = list(zip(pointers[::4], pointers[1::4], strict=True))
        self.senses: dict[str, list[str]] = {}  # the commonest first
        for line in _lines(folder / "index.noun"):
            fields = line.split()
            self.senses[fields[0]] = fields[-int(fields[2]) :]
        self.uses: Counter[tuple[str, str]] = Counter()  # of a noun in a sense
        self.others: Counter[str] = Counter()  # of the word as another part of speech
        self.verbs: Counter[str] = Counter()
        self.acts: set[str] = set()  # words that are verbs or adjectives, too
        for line in _lines(folder / "index.sense"):
            key, synset, _, count = line.split()
            word, form = key.split("%")
            if form[0] == "1":
                self.uses[word, synset] += int(count)
            else:
                self.others[word] += int(count)
                self.verbs[word] += int(count) * (form[0] == "2")
                self.acts.add(word)

    @cache  # noqa: B019  # one object a run
    def is_thing(self, synset: str) -> bool:
        """Whether it is something that can be pointed at."""
        return self.kinds[synset] in THINGS or (self.kinds[synset] == "noun.location" and self._is_land(synset))

    def _is_land(self, synset: str) -> bool:
        above = [other for symbol, other in self.pointers[synset] if symbol == "@"]
        return LAND in self.words[synset] or any(map(self._is_land, above))


def things(wordnet: WordNet, known: set[str]) -> Iterator[str]:
    """The lines of the file: words whose common senses, not only rare ones, are things."""
    for word, senses in sorted(wordnet.senses.items()):
        uses = {sense: wordnet.uses[word, sense] for sense in senses}
        total = sum(uses.values())
        plural = word.endswith("s") and word[:-1] in wordnet.senses  # "arms": rather more than one arm
        if not (word.isalpha() and len(word) > 1 and (total or word in known)) or plural:
            continue
        found = [s for i, s in enumerate(senses) if wordnet.is_thing(s) and (not i or uses[s] >= total / 4 > 0)]
        if not found or 10 * sum(uses[s] for s in found) < total + wordnet.others[word] - wordnet.verbs[word]:
            continue
        marks = ["part"] if any(symbol == "#p" for s in found for symbol, _ in wordnet.pointers[s]) else []
        common = [s for s in senses[:4] if wordnet.is_thing(s)]
        marks += ["living"] if all(wordnet.kinds[s] in LIVING for s in common) else []
        if word in wordnet.acts:
            marks.append("act" if wordnet.others[word] > total else "verb")
        yield " ".join([word, *marks])


def _lines(path: Path) -> Iterator[str]:
    return (line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("  "))


def main() -> None:
    """Write the file."""
    lexicon = Path(textblob.__file__).parent / "en" / "en-lexicon.txt"
    known = {line.split()[0].lower() for line in lexicon.read_text(encoding="utf-8").splitlines() if line.strip()}
    found = {line.split()[0]: line for line in things(WordNet(Path(sys.argv[1])), known)}
    found |= {word: f"{word} living" for word in GENERAL}
    OUT.write_text(TITLE + "\n".join(found[word] for word in sorted(found)) + "\n", encoding="utf-8")
    print(f"{len(found)} words in {OUT}")


if __name__ == "__main__":
    main()
