"""Which rows are the same: equal keys, pairs from the bands of a MinHash, their exact similarity, and who is kept.

Rows are numbered here by preference: row 0 is preferred to all others.
"""

import itertools

import numpy as np
import numpy.typing as npt

from selfj.collection.keys import Sets
from selfj.collection.tokens import Hashes, Places

Pairs = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

FULL = 16
"""Most rows with the same band that are all compared with one another."""
_CHUNK = 4_000_000
"""N-grams that are compared together."""
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def first_equal(keys: Hashes, checks: Hashes) -> Places:
    """For each row the first row with the same key and the same check (itself, where there is none), shape (n,).

    The check is a second hash of the same text, so that unlike texts with one key are not taken for equal.
    """
    first = np.arange(len(keys))
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(same):
        members = order[np.union1d(same, same + 1)]
        again = members[np.lexsort((members, checks[members], keys[members]))]
        opens = np.ones(len(again), bool)
        opens[1:] = (keys[again][1:] != keys[again][:-1]) | (checks[again][1:] != checks[again][:-1])
        heads = np.flatnonzero(opens)
        first[again] = np.repeat(again[heads], np.diff(heads, append=len(again)))
    return first


def bucket_pairs(values: Hashes, second: Hashes) -> Pairs:
    """Pairs of rows with the same value, to be verified.

    Of up to `FULL` rows with one value every pair is given. Of more, each is paired with the first of them and with its
    neighbours in the order of another band, so that the number of pairs grows with the rows and not with their square.

    Args:
        values: A band of n rows, in order of preference; 0 where a row has none.
        second: Another band of the same rows.

    Returns:
        Sorted numbers `low << 32 | high`, each pair once.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same = ordered[1:] == ordered[:-1]
    same &= ordered[1:] != 0
    inside = np.zeros(len(values), bool)
    inside[1:] = same
    inside[:-1] |= same
    opens = np.ones(len(values), bool)
    opens[1:] = ~same
    runs = (np.cumsum(opens) - 1)[inside]
    rows = order[inside]
    if not len(rows):
        return np.zeros(0, np.uint64)
    runs = np.cumsum(np.diff(runs, prepend=runs[0]) != 0)
    sizes = np.bincount(runs)
    found = [_windows(rows, runs, np.flatnonzero(sizes[runs] <= FULL), FULL - 1)]
    large = np.flatnonzero(sizes[runs] > FULL)
    if len(large):
        found.append(_stars(rows, runs, sizes, large))
        by = large[np.lexsort((second[rows[large]], runs[large]))]
        found.append(_windows(rows[by], runs[by], np.arange(len(by)), FULL // 2))
    return np.unique(np.concatenate(found))


def _windows(rows: Places, runs: Places, members: Places, reach: int) -> Pairs:
    rows, runs = rows[members], runs[members]
    found = []
    for step in range(1, reach + 1):
        near = np.flatnonzero(runs[step:] == runs[:-step])
        if not len(near):
            break
        found.append(_pairs(rows[near], rows[near + step]))
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _stars(rows: Places, runs: Places, sizes: Places, members: Places) -> Pairs:
    """Each member with the first `FULL // 2` of its run; rows of a run come in order of preference."""
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])[runs[members]]
    found = []
    for place in range(FULL // 2):
        other = members > begins + place
        found.append(_pairs(rows[begins[other] + place], rows[members[other]]))
    return np.concatenate(found)


def _pairs(one: Places, other: Places) -> Pairs:
    low, high = np.minimum(one, other).astype(np.uint64), np.maximum(one, other).astype(np.uint64)
    return low << _SHIFT | high


def split(pairs: Pairs) -> tuple[Places, Places]:
    """The preferred row and the other row of each pair."""
    return (pairs >> _SHIFT).astype(np.int64), (pairs & _LOW).astype(np.int64)


def jaccard(sets: Sets, one: Places, other: Places, least: float = 0.0) -> Floats:
    """Exact Jaccard similarity of pairs of sets, each set without repeats; shape (p,).

    Args:
        sets: N-grams of texts.
        one: Numbers of p texts.
        other: Numbers of p texts.
        least: A pair whose sizes alone keep it below this may be given 0.
    """
    sizes = np.diff(sets.starts)
    left, right = sizes[one], sizes[other]
    out = np.zeros(len(one))
    most = np.minimum(left, right) / np.maximum(np.maximum(left, right), 1)
    hopeful = np.flatnonzero((most >= least) & (left > 0) & (right > 0))
    ends = np.cumsum((left + right)[hopeful])
    cuts = np.searchsorted(ends, np.arange(_CHUNK, (ends[-1] if len(ends) else 0) + _CHUNK, _CHUNK))
    for begin, end in itertools.pairwise([0, *np.unique(np.minimum(cuts + 1, len(hopeful)))]):
        chosen = hopeful[begin:end]
        both = _shared(sets, one[chosen], other[chosen])
        out[chosen] = both / (left[chosen] + right[chosen] - both)
    return out


def _shared(sets: Sets, one: Places, other: Places) -> Places:
    left, right = sets.take(one), sets.take(other)
    numbers = np.arange(len(one), dtype=np.uint64) << _SHIFT
    keyed = np.concatenate(
        [np.repeat(numbers, np.diff(part.starts)) | part.values.astype(np.uint64) for part in (left, right)]
    )
    keyed.sort()
    twice = keyed[1:][keyed[1:] == keyed[:-1]]
    return np.bincount((twice >> _SHIFT).astype(np.int64), minlength=len(one))


def keep_first(one: Places, other: Places, n: int, fixed: int = 0) -> Places:
    """Walk the rows in order of preference: a row is dropped where it is similar to one that was kept before it.

    Args:
        one: Preferred row of each similar pair.
        other: The other row of it.
        n: Number of rows.
        fixed: The first so many rows are kept whatever they are similar to.

    Returns:
        For each row the place of the pair that drops it, or -1 where it is kept; shape (n,).
    """
    asked = np.flatnonzero(other >= fixed)
    order = asked[np.lexsort((one[asked], other[asked]))]
    kept = bytearray(b"\x01" * n)
    decided = np.full(n, -1, np.int64)
    places = []
    for place, preferred, row in zip(order.tolist(), one[order].tolist(), other[order].tolist(), strict=True):
        if kept[preferred] and kept[row]:
            kept[row] = 0
            places.append(place)
    if places:
        decided[other[places]] = places
    return decided
