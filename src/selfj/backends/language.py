"""How much a text is like language, by counts of words, pairs of words and triples of letters.

The counts ship with the package (`language.npz`); `selfj.general.language` makes them. They know nothing of meaning:
they tell whether words are spelled and follow each other as words do, and whether a text ends where texts end.
"""

import functools
import itertools
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

LANGUAGE_FEATURES = 11
COUNTS = Path(__file__).with_name("language.npz")
WORD_BUCKETS, PAIR_BUCKETS, LETTERS = 1 << 17, 1 << 21, 27
START, SHORT_END, LONG_END = "<start>", "<end of a short text>", "<end>"
SHORT = 12
"""A text of at most so many tokens is short, and ends otherwise than a long one."""
_STEPS = 8
_MOST = 120
"""Tokens looked at from each end of a text."""
_FREQUENT = 9.0
"""Binary logarithm of the count from which a word is frequent."""
_COMMON = 10.0
"""Binary logarithm of one over the share of all words from which a word is common."""
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts as binary logarithms of 1 + count, in eighths, by hash."""

    words: npt.NDArray[np.uint8]
    """Shape (WORD_BUCKETS,)."""
    pairs: npt.NDArray[np.uint8]
    """Shape (PAIR_BUCKETS,)."""
    letters: npt.NDArray[np.uint8]
    """Shape (27, 27, 27): a to z, and 0 for the edge of a word."""
    total: float
    """Binary logarithm of the number of tokens counted."""

    def word(self, token: str) -> float:
        """log2(1 + count) of a token."""
        return float(self.words[bucket(token, WORD_BUCKETS)]) / _STEPS

    def pair(self, one: str, other: str) -> float:
        """log2(1 + count) of two tokens in a row."""
        return float(self.pairs[bucket(f"{one} {other}", PAIR_BUCKETS)]) / _STEPS

    def spelling(self, word: str) -> list[float]:
        """log2(1 + count) of each triple of letters of a word with its edges."""
        codes = [0, *(ord(c) - 96 for c in word), 0]
        return [float(self.letters[a, b, c]) / _STEPS for a, b, c in zip(codes, codes[1:], codes[2:], strict=False)]


@functools.cache
def shipped() -> Counts:
    """The counts that ship."""
    with np.load(COUNTS) as held:
        return Counts(held["words"], held["pairs"], held["letters"], float(held["total"]))


def bucket(text: str, buckets: int) -> int:
    """Place of a text in a table."""
    return zlib.crc32(text.encode("utf-8", "replace")) % buckets


def tokens(text: str) -> list[str]:
    """Words in small letters, numbers as 0, and every other sign by itself.

    Example:
        >>> tokens("In 1999, she left.")
        ['in', '0', ',', 'she', 'left', '.']
    """
    return ["0" if found[0].isdigit() else found.lower() for found in _TOKEN.findall(text)]


def end_of(length: int) -> str:
    """Token for the end of a text of so many tokens."""
    return SHORT_END if length <= SHORT else LONG_END


def language_features(texts: Sequence[str], counts: Counts | None = None) -> npt.NDArray[np.float32]:
    """Numbers about each text, about -1 to 1, shape (n, 11); zeros for a text without a token."""
    counts = counts or shipped()
    return np.array([_features(text, counts) for text in texts], dtype=np.float32).reshape(-1, LANGUAGE_FEATURES)


def coverage(text: str, other: str, asked: str = "", counts: Counts | None = None) -> float:
    """Share of what another text tells that a text tells too, by its rare words, in [0, 1].

    A word weighs the binary logarithm of how many times rarer it is than one word in 1,024; more common words weigh
    nothing. 0 where the other text has no such word.

    Args:
        text: Is looked at.
        other: Holds what is looked for.
        asked: Words of this text, the instruction, do not count.
        counts: Counts of words; those that ship by default.
    """
    counts = counts or shipped()
    found = set(tokens(text))
    weights = {
        word: max(0.0, counts.total - counts.word(word) - _COMMON)
        for word in sorted(set(tokens(other)) - set(tokens(asked)))
        if word.isalnum()
    }
    total = math.fsum(weights.values())
    return math.fsum(weight for word, weight in weights.items() if word in found) / total if total else 0.0


def _features(text: str, counts: Counts) -> list[float]:
    found = tokens(text)
    if not found:
        return [0.0] * LANGUAGE_FEATURES
    end = end_of(len(found))
    seen = found if len(found) <= 2 * _MOST else found[:_MOST] + found[-_MOST:]
    words = [counts.word(token) for token in seen]
    pairs = [counts.pair(one, other) for one, other in itertools.pairwise(seen)]
    lifts = [
        max(-8.0, min(8.0, pair + counts.total - one - other)) / 8
        for pair, one, other in zip(pairs, words, words[1:], strict=False)
    ]
    frequent = [
        pair == 0 for pair, one, other in zip(pairs, words, words[1:], strict=False) if min(one, other) > _FREQUENT
    ]
    spelled = [counts.spelling(token) for token in seen if token.isascii() and token.isalpha() and len(token) > 2]
    last = seen[-1]
    ending = counts.spelling(last)[-2:] if last.isascii() and last.isalpha() else []
    return [
        _mean(words) / 20,
        _mean([word == 0 for word in words]),
        _mean(lifts),
        _mean([pair == 0 for pair in pairs]),
        _mean(frequent),
        _mean([min(triples) for triples in spelled]) / 16,
        _mean([min(triples) < 3 for triples in spelled]),
        (counts.pair(last, end) - words[-1]) / 16,
        words[-1] / 20,
        min(ending) / 16 if ending else 1.0,
        (counts.pair(START, seen[0]) - words[0]) / 16,
    ]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
