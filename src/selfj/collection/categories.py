"""Common, coding or academic: the category of an instruction whose source holds more than one.

A linear classifier over words and pairs of words, by hash. Its weights ship with the package (`categories.npz`);
`selfj.collection.learn_categories` makes them. It works on whole columns, at some microseconds a row.
"""

import functools
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

CATEGORIES = ("academic", "coding", "common")
PAPER = (0.144, 0.315, 0.541)
"""Shares of the categories in the paper's collection, in the order of `CATEGORIES`."""
WEIGHTS = Path(__file__).with_name("categories.npz")
BUCKETS = 1 << 18
"""Places for words and pairs of words together."""
_LOOKED_AT = 600
"""Characters of an instruction that are looked at: what it is about is told early."""
_MIX = np.uint32(0x9E3779B1)
_BATCH = 65536

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Features of some texts, as places in the table of weights, text after text."""

    places: npt.NDArray[np.uint32]
    """All places, in [0, BUCKETS)."""
    starts: npt.NDArray[np.int64]
    """Shape (n + 1,): text i has the places from `starts[i]` to `starts[i + 1]`."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Weights of the three categories."""

    weights: Floats
    """Shape (BUCKETS, 3)."""
    bias: Floats
    """Shape (3,)."""

    def probabilities(self, texts: pa.Array | pa.ChunkedArray) -> Floats:
        """Probability of each category of `CATEGORIES`, shape (n, 3); of a null, that of a text without words."""
        found = [self._part(part) for part in _parts(texts)]
        return np.concatenate(found) if found else np.zeros((0, len(CATEGORIES)), dtype=np.float32)

    def _part(self, texts: pa.Array) -> Floats:
        features = featurise(texts)
        logits = sums(features, self.weights) + self.bias
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Floats = shifted / shifted.sum(axis=1, keepdims=True)
        return probabilities


def classify(texts: pa.Array | pa.ChunkedArray, shares: tuple[float, float, float] = PAPER) -> pa.Array:
    """The most probable category of each instruction, as strings; a text's category depends on it alone.

    Args:
        texts: Instructions, strings.
        shares: Shares of the categories to expect, in the order of `CATEGORIES`; they settle unclear texts.

    Example:
        >>> classify(pa.array(["Write a Python function that sorts a list.", "What causes anaemia?"])).to_pylist()
        ['coding', 'academic']
    """
    # The weights were learnt with the categories alike.
    best = (shipped().probabilities(texts) * np.array(shares, dtype=np.float32)).argmax(axis=1)
    return pa.array(np.array(CATEGORIES, dtype=object)[best], type=pa.string())


@functools.cache
def shipped() -> Classifier:
    """The classifier that ships."""
    with np.load(WEIGHTS) as held:
        # A column's weights are whole numbers times its scale.
        return Classifier(held["weights"].astype(np.float32) * held["scale"], held["bias"])


def featurise(texts: pa.Array) -> Tokens:
    """Words in small letters, numbers as 0, signs one by one, and each pair of neighbours, by hash."""
    words = pc.list_parent_indices(split := _words(texts))
    flat = split.flatten()
    coded = flat.dictionary_encode()
    names = coded.dictionary.to_pylist()
    hashed = np.fromiter((zlib.crc32(name.encode("utf-8")) for name in names), dtype=np.uint32, count=len(names))
    codes = hashed[np.asarray(coded.indices)] if len(flat) else np.zeros(0, dtype=np.uint32)
    parents = np.asarray(words, dtype=np.int64)
    pairs, owners = _pairs(codes, parents)
    order = np.argsort(np.concatenate([parents, owners]), kind="stable")
    places = np.concatenate([codes, pairs])[order] % np.uint32(BUCKETS)
    sizes = np.bincount(parents, minlength=len(texts)) + np.bincount(owners, minlength=len(texts))
    return Tokens(places, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def sums(features: Tokens, weights: Floats) -> Floats:
    """Sum of the weights of each text's features over the root of their number, shape (n, 3)."""
    sizes = np.diff(features.starts)
    total = np.zeros((len(sizes), weights.shape[1]), dtype=np.float32)
    full = sizes > 0
    if full.any():
        chosen = weights[features.places]
        total[full] = np.add.reduceat(chosen, features.starts[:-1][full], axis=0)
        total[full] /= np.sqrt(sizes[full], dtype=np.float32)[:, None]
    return total


def _pairs(
    codes: npt.NDArray[np.uint32], parents: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    same = parents[1:] == parents[:-1]
    return (codes[:-1] * _MIX ^ codes[1:])[same] * _MIX >> np.uint32(7), parents[1:][same]


def _words(texts: pa.Array) -> pa.Array:
    text = pc.utf8_lower(pc.utf8_slice_codeunits(pc.fill_null(texts, ""), 0, _LOOKED_AT))
    text = pc.replace_substring_regex(text, r"[0-9]+", "0")
    text = pc.replace_substring_regex(text, r"([^\pL\pM\pN\s])", r" \1 ")
    return pc.utf8_split_whitespace(pc.utf8_trim_whitespace(text))


def _parts(texts: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """Pieces of bounded size, so that memory does not grow with the column."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    return [chunk.slice(start, _BATCH) for chunk in chunks for start in range(0, len(chunk), _BATCH)]
