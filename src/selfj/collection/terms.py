"""Terms of the three categories: what the classifier learns from beside real rows, and a baseline that counts them."""

import functools
import random
import re
import tomllib
from pathlib import Path

from selfj.collection.categories import CATEGORIES

_TERMS = Path(__file__).with_name("terms.toml")
_LOOKED_AT = 600


@functools.cache
def terms() -> dict[str, tuple[str, ...]]:
    """Terms by category; `frames`, ways to ask with places for terms; and `common_frames`, which only `common` has."""
    found = tomllib.loads(_TERMS.read_text("utf-8"))
    return {name: tuple(word.strip() for word in text.split(";")) for name, text in found.items()}


def made_up(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Instructions over the terms of each category, n of each, as (text, category).

    Example:
        >>> {category for _, category in made_up(2)} == set(CATEGORIES)
        True
    """
    rng = random.Random(seed)
    found = []
    for category in CATEGORIES:
        for _ in range(n):
            frame = rng.choice(terms()["frames"] + (terms()["common_frames"] if category == "common" else ()))
            words = [rng.choice(terms()[category]) for _ in range(frame.count("{}"))]
            found.append((frame.format(*words), category))
    return found


def by_keywords(text: str) -> str:
    """The category with the most terms in a text; `common` where none or as many are found.

    Example:
        >>> by_keywords("How do I fix a syntax error in Python?")
        'coding'
    """
    counts = {category: len(pattern.findall(text[:_LOOKED_AT].lower())) for category, pattern in _patterns().items()}
    return max(reversed(CATEGORIES), key=lambda category: counts[category])


@functools.cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {
        category: re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, terms()[category])) + r")(?!\w)")
        for category in CATEGORIES
    }
