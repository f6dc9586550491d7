"""Every loader gives the same keys, texts and pixels, on a corpus that the pipeline built.

``CORPUS=runs/miniature/corpus pytest tests/test_loaders.py`` asks it of another corpus. Imports nothing of this
project, so that ``make loaders-floor`` can run it beside the oldest `datasets` that the card promises.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from loaders import LOADERS, by_hand, guessable, parts

CARD_LOADERS = [name for name in LOADERS if "bare" not in name]
BARE_LOADERS = [name for name in LOADERS if "bare" in name]


@pytest.fixture(scope="session")
def corpus(request: pytest.FixtureRequest) -> Path:
    if given := os.environ.get("CORPUS"):
        return Path(given).resolve()
    built: Path = request.getfixturevalue("built_corpus")
    return built


@pytest.mark.parametrize("name", CARD_LOADERS)
def test_reads_what_the_tars_hold(corpus: Path, name: str) -> None:
    _, load = LOADERS[name]
    assert parts(corpus)
    for subset, split in parts(corpus):
        assert load(corpus, subset, split) == by_hand(corpus, subset, split), (subset, split)


@pytest.mark.parametrize("name", BARE_LOADERS)
def test_without_the_card_a_guess_is_right_or_refused(corpus: Path, name: str) -> None:
    """Never silently wrong: the first five samples are the fullest, so they agree on all columns or on none."""
    _, load = LOADERS[name]
    read = 0
    for subset, split in parts(corpus):
        if guessable(corpus, subset, split):
            read += 1
            assert load(corpus, subset, split) == by_hand(corpus, subset, split), (subset, split)
        else:
            with pytest.raises(ValueError, match="don't share the same prefix or the same types"):
                load(corpus, subset, split)
    assert read
