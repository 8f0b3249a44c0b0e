"""Texts as sequences of hashed words, for comparing: case, spacing and the signs around sentences do not count.

A word is a run of letters and digits; every other sign is a word of its own, so that `a + b` and `a - b` differ. Full
stops, commas, question marks and quotes count only inside (`3.5`, `a != b`, `don't`), not where a blank or the end
follows, nor quotes where a blank or the start precedes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_BLANK, _WORD, _SIGN, _STOP, _QUOTE = range(5)
_KINDS = np.full(256, _WORD, np.uint8)
_KINDS[:128] = [_WORD if chr(code).isalnum() else _BLANK if code <= 32 or code == 127 else _SIGN for code in range(128)]
_KINDS[ord("_")] = _WORD
_KINDS[[ord(sign) for sign in ".,;:?!"]] = _STOP
_KINDS[[ord(sign) for sign in "'\"`"]] = _QUOTE
_ROWS = 4_096
"""Texts looked at together: few enough for the cache of a processor. It never changes a result."""
_BASE = 0x9E3779B97F4A7C15
_STEP = 0xD6E8FEB86659FD93


@dataclass(frozen=True, slots=True)
class Tokens:
    """Hashed words of n texts, text after text."""

    hashes: Hashes
    """All words, uint64."""
    starts: Places
    """Shape (n + 1,): text i has the words from `starts[i]` to `starts[i + 1]`."""

    @property
    def counts(self) -> Places:
        """Words of each text, shape (n,)."""
        return np.diff(self.starts)


def tokenise(texts: pa.Array) -> Tokens:
    """Hash the words of each text; of a null or empty text there are none.

    Example:
        >>> texts = pa.array(["Is it so?", "is  it SO", "so it is"])
        >>> one, same, other = tokenise(texts).hashes.reshape(3, 3)
        >>> bool((one == same).all()), bool((one == other).all())
        (True, False)
    """
    parts = [_tokenise(texts.slice(begin, _ROWS)) for begin in range(0, max(len(texts), 1), _ROWS)]
    starts = np.cumsum([0, *(len(part.hashes) for part in parts[:-1])])
    places = [part.starts[:-1] + start for part, start in zip(parts, starts, strict=True)]
    hashes = np.concatenate([part.hashes for part in parts])
    return Tokens(hashes, np.concatenate([*places, [len(hashes)]]).astype(np.int64))


def _tokenise(texts: pa.Array) -> Tokens:
    data, offsets = _bytes(_folded(texts))
    starts, stops = offsets[:-1], offsets[1:]
    kinds = _KINDS[data]
    first, last = _edges(starts, stops, len(data))
    kept = _kept(kinds, first, last)
    before = np.zeros(len(data), bool)
    before[1:] = (kinds[:-1] == _WORD) & kept[:-1]
    before[first] = False
    opens = kept & ~((kinds == _WORD) & before)
    begins = np.flatnonzero(opens)
    hashes = _hash_runs(data, kept, begins)
    return Tokens(mixed(hashes), np.searchsorted(begins, offsets).astype(np.int64))


def mixed(values: Hashes) -> Hashes:
    """Spread the bits of each value over all 64; another value for each value."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def powers(count: int, base: int = _STEP) -> Hashes:
    """`base` to the power 0 to count - 1, modulo 2 to the power 64."""
    table = np.full(max(count, 1), base, np.uint64)
    table[0] = 1
    return np.cumprod(table, dtype=np.uint64)


def sums(values: Hashes, starts: Places) -> Hashes:
    """Sum of each text's values modulo 2 to the power 64, 0 where it has none; `starts` has shape (n + 1,)."""
    total = np.zeros(len(starts) - 1, np.uint64)
    full = np.flatnonzero(np.diff(starts))
    if len(full):
        total[full] = np.add.reduceat(values, starts[:-1][full])
    return total


def _folded(texts: pa.Array) -> pa.Array:
    texts = pc.fill_null(texts, "")
    beyond = pc.invert(pc.string_is_ascii(texts))
    if beyond.true_count:
        part = pc.utf8_normalize(texts.filter(beyond), "NFKC")
        part = pc.replace_substring_regex(part, r"[\pZ]", " ")
        part = pc.replace_substring_regex(part, r"[\p{Pi}\p{Pf}]", '"')
        part = pc.replace_substring_regex(part, r"\p{Pd}", "-")
        texts = pc.replace_with_mask(texts, beyond, part)
    return pc.utf8_lower(texts)


def _bytes(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], Places]:
    """The bytes of all texts, and where each begins and ends."""
    texts = texts.cast(pa.large_string())
    _, places, held = texts.buffers()
    offsets = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(held, np.uint8) if held is not None else np.zeros(0, np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def _edges(starts: Places, stops: Places, size: int) -> tuple[Places, Places]:
    """First and last byte of each text that is not empty."""
    full = stops > starts
    return starts[full], stops[full] - 1


def _kept(kinds: npt.NDArray[np.uint8], first: Places, last: Places) -> npt.NDArray[np.bool_]:
    """Which bytes belong to a word: not blanks, and not the signs at the edge of sentences."""
    kept: npt.NDArray[np.bool_] = kinds != _BLANK
    soft = kinds >= _STOP
    begins, ends = soft.copy(), soft.copy()
    begins[1:] &= ~soft[:-1]
    begins[first] = soft[first]
    ends[:-1] &= ~soft[1:]
    ends[last] = soft[last]
    opens, closes = np.flatnonzero(begins), np.flatnonzero(ends)
    if not len(opens):
        return kept
    free_before = np.zeros(len(kinds), bool)
    free_before[1:] = kinds[:-1] == _BLANK
    free_before[first] = True
    free_after = np.zeros(len(kinds), bool)
    free_after[:-1] = kinds[1:] == _BLANK
    free_after[last] = True
    # The smallest kind between two starts of runs is a quote only where the run is nothing but quotes.
    quotes = np.minimum.reduceat(np.where(soft, kinds, np.uint8(_QUOTE)), opens) == _QUOTE
    dropped = free_after[closes] | (free_before[opens] & quotes)
    change = np.zeros(len(kinds) + 1, np.int8)
    change[opens[dropped]] += 1
    change[closes[dropped] + 1] -= 1
    outside: npt.NDArray[np.bool_] = np.cumsum(change[:-1], dtype=np.int8) == 0
    return kept & outside


def _hash_runs(data: npt.NDArray[np.uint8], kept: npt.NDArray[np.bool_], begins: Places) -> Hashes:
    """Hash the bytes of each word; words begin at `begins`."""
    if not len(begins):
        return np.zeros(0, np.uint64)
    lengths = np.diff(begins, append=len(data))
    within = np.arange(begins[0], len(data)) - np.repeat(begins, lengths)
    values = (data[begins[0] :].astype(np.uint64) + np.uint64(1)) * np.uint64(_BASE)
    values *= powers(int(lengths.max()))[within]
    values[~kept[begins[0] :]] = 0
    hashes: Hashes = np.add.reduceat(values, begins - begins[0])
    return hashes
