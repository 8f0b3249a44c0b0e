"""Texts that say the same again and again."""

import zlib

import numpy as np
import numpy.typing as npt

from selfj.collection.quality.words import Bytes, Words

_PERIODS = 8
_LEAST_WORDS = 16
_LEAST_BYTES = 1_000
_MOST_BYTES = 8_192
_LEAST_LETTERS = 16
_LETTER = np.zeros(256, np.bool_)
for _first, _last in (("a", "z"), ("A", "Z")):
    _LETTER[ord(_first) : ord(_last) + 1] = True

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def repeated_words(words: Words) -> Floats:
    """Share of the words of each text that equal the word 1, 2 … or 8 places before; shape (n,).

    The greatest of the eight counts; for a text of fewer than 16 words.
    """
    hashes, offsets, counts = words.hashes, words.offsets, words.counts
    most = np.zeros(len(counts))
    long = counts >= _LEAST_WORDS
    if not long.any():
        return most
    for period in range(1, _PERIODS + 1):
        same = np.zeros(len(hashes) + 1, np.int32)
        np.cumsum(hashes[period:] == hashes[:-period], out=same[period + 1 :])
        begins = np.minimum(offsets[:-1] + period, offsets[1:])
        most = np.maximum(most, (same[offsets[1:]] - same[begins]) / np.maximum(counts, 1))
    return np.where(long, most, 0.0)


def repeated_letters(texts: Bytes) -> Floats:
    """Share of the bytes of each text that are a letter equal to the sign before; 0 below 16 bytes; shape (n,)."""
    data, offsets = texts.data, texts.offsets
    sizes = np.diff(offsets)
    if not (sizes >= _LEAST_LETTERS).any():
        return np.zeros(len(sizes))
    same = np.zeros(len(data) + 1, np.int32)
    np.cumsum((data[1:] == data[:-1]) & _LETTER[data[1:]], out=same[2:])
    found = same[offsets[1:]] - same[np.minimum(offsets[:-1] + 1, offsets[1:])]
    return np.where(sizes >= _LEAST_LETTERS, found / np.maximum(sizes, 1), 0.0)


def compressed(texts: Bytes) -> Floats:
    """Size of the first 8 KiB of each text compressed, over their size; 1 for a text below 1,000 bytes; shape (n,)."""
    sizes = np.diff(texts.offsets)
    shares = np.ones(len(sizes))
    for row in np.flatnonzero(sizes >= _LEAST_BYTES).tolist():
        begin = int(texts.offsets[row])
        held = texts.data[begin : begin + min(int(sizes[row]), _MOST_BYTES)]
        shares[row] = len(zlib.compress(held.tobytes(), 1)) / len(held)
    return shares


def repetitive(texts: Bytes, words: Words, max_repeated: float, min_compressed: float) -> Flags:
    """Which texts are repetition; see `Quality`."""
    found = (repeated_words(words) > max_repeated) | (repeated_letters(texts) > max_repeated)
    if min_compressed > 0:
        found |= compressed(texts) < min_compressed
    return found
