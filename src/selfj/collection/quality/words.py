"""Words of many texts at once, as numbers in numpy arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_FIRST, _SECOND, _LENGTH = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
)
_SHIFT = np.uint64(29)
_SMALL = np.uint64(0x2020202020202020)
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
_PART_OF_WORD = np.zeros(256, dtype=np.bool_)
_PART_OF_WORD[0x80:] = True
for _first, _last in ("09", "az", "AZ"):
    _PART_OF_WORD[ord(_first) : ord(_last) + 1] = True
_KIND = np.full(256, 1 << 42, dtype=np.int64)
"""Per byte what is added up: 1 for a letter, 1 << 21 for a digit, 1 << 42 for another sign; 0 for blanks and for the
second and later bytes of a sign."""
_KIND[[9, 10, 13, 32]] = 0
_KIND[0x80:0xC0] = 0
_KIND[0xC0:] = 1
for _first, _last, _kind in (("0", "9", 1 << 21), ("a", "z", 1), ("A", "Z", 1)):
    _KIND[ord(_first) : ord(_last) + 1] = _kind
_FIELD = (1 << 21) - 1


@dataclass(frozen=True, slots=True)
class Bytes:
    """The UTF-8 of n texts; a null is as empty."""

    data: npt.NDArray[np.uint8]
    offsets: Ints
    """Text i is `data[offsets[i]:offsets[i + 1]]`; shape (n + 1,)."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words of n texts: runs of letters and digits, small or large alike, in the order of the texts."""

    hashes: Hashes
    """Shape (words,). Equal for equal words; longer ones are told apart by their first 16 bytes and their length."""
    offsets: Ints
    """Words of text i are `offsets[i]:offsets[i + 1]`; shape (n + 1,)."""

    @property
    def counts(self) -> Ints:
        """Words per text, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Ints:
        """Text of each word, shape (words,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)


def bytes_of(texts: pa.Array) -> Bytes:
    """The bytes of an array of strings, without a copy where it has no nulls."""
    if texts.null_count:
        texts = texts.fill_null("")
    n = len(texts)
    if not n:
        return Bytes(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    _, places, held = texts.buffers()
    offsets = np.frombuffer(places, np.int32)[texts.offset : texts.offset + n + 1].astype(np.int64)
    data = np.frombuffer(held, np.uint8) if held is not None else np.zeros(0, np.uint8)
    return Bytes(data[offsets[0] : offsets[-1]], offsets - offsets[0])


def words(texts: Bytes) -> Words:
    """The words of each text."""
    data, offsets = texts.data, texts.offsets
    size = len(data)
    inside = _PART_OF_WORD[data]
    _separate_marks(data, inside)
    begins = np.empty(size, np.bool_)
    ends = np.empty(size, np.bool_)
    if size:
        begins[0], ends[-1] = inside[0], inside[-1]
        np.greater(inside[1:], inside[:-1], out=begins[1:])
        np.greater(inside[:-1], inside[1:], out=ends[:-1])
        first, last = offsets[:-1], offsets[1:]
        first, last = first[first < size], last[last > 0] - 1
        begins[first] = inside[first]
        ends[last] = inside[last]
    starts = np.flatnonzero(begins)
    lengths = np.flatnonzero(ends) + 1 - starts
    return Words(_hashes(data, starts, lengths), np.searchsorted(starts, offsets))


def kinds(texts: Bytes) -> tuple[Ints, Ints, Ints]:
    """Letters, digits and other signs but blanks of each text, each of shape (n,); signs beyond ASCII are letters."""
    sums = np.concatenate([[0], np.cumsum(_KIND[texts.data])])
    found = np.diff(sums[texts.offsets])
    return found & _FIELD, (found >> 21) & _FIELD, found >> 42


def hash_of(word: str) -> int:
    """The hash of one word."""
    held = np.frombuffer(word.encode(), np.uint8)
    return int(_hashes(held, np.array([0]), np.array([len(held)]))[0])


def _separate_marks(data: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> None:
    """Quotation marks, dashes and the like beyond ASCII are no part of a word."""
    for lead, second, width in ((0xE2, 0x80, 3), (0xC2, None, 2), (0xE3, 0x80, 3)):
        at = np.flatnonzero(data == lead)
        if second is not None:
            at = at[at < len(data) - 1]
            at = at[data[at + 1] == second]
        for step in range(width):
            inside[at + step] = False


def _hashes(data: npt.NDArray[np.uint8], starts: Ints, lengths: Ints) -> Hashes:
    padded = np.concatenate([data, np.zeros(16, np.uint8)])
    eights: Hashes = np.ndarray((len(padded) - 7,), np.uint64, padded.data, strides=(1,))
    found = (eights[starts] | _SMALL) & _MASKS[np.minimum(lengths, 8)]
    found *= _FIRST
    long = np.flatnonzero(lengths > 8)
    if len(long):
        rest = (eights[starts[long] + 8] | _SMALL) & _MASKS[np.minimum(lengths[long] - 8, 8)]
        found[long] ^= rest * _SECOND
    found += lengths.astype(np.uint64) * _LENGTH
    found ^= found >> _SHIFT
    found *= _SECOND
    return found ^ (found >> _SHIFT)
