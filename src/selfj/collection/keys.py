"""What of a text is compared: an exact key, the bands of a MinHash, sets of word n-grams, and passages of n words."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfj.collection.tokens import Hashes, Places, Tokens, mixed, powers, sums

Shingles32 = npt.NDArray[np.uint32]

_ROWS = 2_048
"""Rows whose MinHash is made together, so that they stay in the cache of a processor. It never changes a result."""
_STEP = 0xD6E8FEB86659FD93
_BACK = pow(_STEP, -1, 1 << 64)


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of n-grams of n texts, text after text, as hashes."""

    values: Shingles32
    """All n-grams, uint32."""
    starts: Places
    """Shape (n + 1,): text i has those from `starts[i]` to `starts[i + 1]`."""

    def take(self, rows: Places) -> "Sets":
        """The sets of some texts."""
        counts = (self.starts[1:] - self.starts[:-1])[rows]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], counts)
        return Sets(self.values[places], starts)


def exact_keys(tokens: Tokens) -> Hashes:
    """One hash for the whole of each text's words in their order, shape (n,)."""
    return mixed(sums(tokens.hashes * _places(tokens), tokens.starts) + tokens.counts.astype(np.uint64))


def shingles(tokens: Tokens, ngram: int) -> Sets:
    """Word n-grams of each text in their order, repeats included; a shorter text has one, its whole.

    Args:
        tokens: Words of n texts.
        ngram: Words of an n-gram, at least 1.
    """
    counts = np.where(tokens.counts > 0, np.maximum(tokens.counts - ngram + 1, 1), 0)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    firsts = np.arange(starts[-1]) + np.repeat(tokens.starts[:-1] - starts[:-1], counts)
    room = np.repeat(tokens.starts[1:], counts) - firsts
    total = np.zeros(len(firsts), np.uint64)
    padded = np.concatenate([tokens.hashes, np.zeros(ngram, np.uint64)])
    for place in range(ngram):
        part = padded[firsts + place]
        if place:
            part[room <= place] = 0
        total = total * np.uint64(_STEP) + part
    return Sets((mixed(total) >> np.uint64(32)).astype(np.uint32), starts)


def distinct(sets: Sets) -> Sets:
    """Each text's n-grams once, in ascending order."""
    owners = np.repeat(np.arange(len(sets.starts) - 1, dtype=np.uint64), np.diff(sets.starts))
    keyed = np.sort(owners << np.uint64(32) | sets.values)
    first = np.ones(len(keyed), bool)
    first[1:] = keyed[1:] != keyed[:-1]
    keyed = keyed[first]
    counts = np.bincount((keyed >> np.uint64(32)).astype(np.int64), minlength=len(sets.starts) - 1)
    return Sets(keyed.astype(np.uint32), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def bands(sets: Sets, count: int, rows: int, seed: int) -> Hashes:
    """Bands of a MinHash: two texts share one with probability 1 - (1 - s^rows)^count, s their Jaccard similarity.

    Args:
        sets: N-grams of n texts.
        count: Number of bands.
        rows: Minima in each band.
        seed: Decides the permutations.

    Returns:
        Shape (count, n); of a text without words, 0.
    """
    rng = np.random.default_rng([seed, 7])
    factors = rng.integers(0, 1 << 32, (count, rows), dtype=np.uint32) | np.uint32(1)
    shifts = rng.integers(0, 1 << 32, (count, rows), dtype=np.uint32)
    out = np.zeros((count, len(sets.starts) - 1), np.uint64)
    full = np.flatnonzero(np.diff(sets.starts))
    for begin in range(0, len(full), _ROWS):
        chosen = full[begin : begin + _ROWS]
        low, high = sets.starts[chosen[0]], sets.starts[chosen[-1] + 1]
        values, starts = _spread(sets.values[low:high]), sets.starts[chosen] - low
        for band in range(count):
            total = np.full(len(chosen), band + 1, np.uint64)
            for row in range(rows):
                least = np.minimum.reduceat(values * factors[band, row] + shifts[band, row], starts)
                total = total * np.uint64(_STEP) + least
            out[band, chosen] = mixed(total)
    return out


def windows(tokens: Tokens, words: int) -> tuple[Hashes, Places]:
    """Hash of every passage of so many words, and the text that it lies in; equal passages have equal hashes."""
    counts = np.maximum(tokens.counts - words + 1, 0)
    owners = np.repeat(np.arange(len(counts)), counts)
    if not len(owners):
        return np.zeros(0, np.uint64), owners
    within = np.arange(len(owners)) - np.repeat(np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    firsts = tokens.starts[:-1][owners] + within
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(tokens.hashes * _places(tokens), dtype=np.uint64)])
    back = powers(int(tokens.counts.max()), _BACK)
    return mixed((running[firsts + words] - running[firsts]) * back[within]), owners


def _places(tokens: Tokens) -> Hashes:
    """A factor for each word by its place in its text."""
    counts = tokens.counts
    table = powers(int(counts.max()) if len(counts) else 0)
    factors: Hashes = table[np.arange(tokens.starts[-1]) - np.repeat(tokens.starts[:-1], counts)]
    return factors


def _spread(values: Shingles32) -> Shingles32:
    # The permutations are linear; without this, n-grams with like hashes would stay alike.
    values = values ^ (values >> np.uint32(16))
    values *= np.uint32(0x7FEB352D)
    values ^= values >> np.uint32(15)
    return values
