"""Kendall's tau-b on resamples, counted exactly without sorting again."""

import math
from dataclasses import dataclass

import numpy as np

from selfj.metrics import Array
from selfj.weighted import Counts, OnTimes, Sorted


@dataclass(frozen=True, slots=True)
class _Level:
    """One bit of the codes: rows with a 0 go to the front, those with a 1 to the back, both in their order."""

    zeros: Counts
    ones: Counts
    later: Counts
    """Which zeros have a one before them among the rows whose higher bits are the same."""
    begin: Counts
    end: Counts
    """Of each of those: the range of such ones."""


def kendall(place: Counts, groups: int, scores: Array, gold: Array) -> OnTimes:
    """Kendall's tau-b; arguments and result as in `selfj.weighted`.

    With rows in the order of one column, the pairs that disagree are the inversions of the other. These are counted
    bit by bit from the highest, on orders that are prepared once: the cost of a resample is n times the bits of the
    number of distinct values, whichever column has fewer.
    """
    known = ~(np.isnan(scores) | np.isnan(gold))
    place = place[known]
    x, y = _codes(place, scores[known]), _codes(place, gold[known])
    if x.max(initial=0) < y.max(initial=0):
        x, y = y, x
    order = np.lexsort((y, x))
    place, x, y = place[order], x[order], y[order]
    new_x = x[1:] != x[:-1]
    ends_x, ends_both = _ends(new_x), _ends(new_x | (y[1:] != y[:-1]))
    levels, y = _levels(y)
    ends_y = _ends(y[1:] != y[:-1])

    def of(times: Counts) -> float:
        rows = times[place]
        n = int(rows.sum())
        tied_x, tied_both = _tied_pairs(rows, ends_x), _tied_pairs(rows, ends_both)
        inversions = 0.0
        for level in levels:
            zeros, ones = rows[level.zeros], rows[level.ones]
            if len(level.later):
                before = np.zeros(len(ones) + 1, dtype=np.int64)
                np.cumsum(ones, out=before[1:])
                smaller = (before[level.end] - before[level.begin]).astype(np.float64)
                inversions += float(zeros[level.later].astype(np.float64) @ smaller)
            rows = np.concatenate([zeros, ones])
        tied_y = _tied_pairs(rows, ends_y)
        pairs = n * (n - 1) // 2
        if pairs in (tied_x, tied_y):
            return math.nan
        agreement = pairs - tied_x - tied_y + tied_both - 2 * int(inversions)
        return max(-1.0, min(1.0, agreement / math.sqrt(pairs - tied_x) / math.sqrt(pairs - tied_y)))

    return of


def _codes(place: Counts, values: Array) -> Counts:
    """Number of each row's value among the distinct values."""
    found = Sorted(place, values)
    codes = np.empty(len(values), dtype=np.int64)
    codes[found.order] = found.codes()
    return codes


def _levels(codes: Counts) -> tuple[list[_Level], Counts]:
    """The levels, and the codes in the order after the last one, where equal codes stand together."""
    levels = []
    for bit in reversed(range(int(codes.max(initial=0)).bit_length())):
        is_one = (codes >> bit & 1).astype(bool)
        zeros, ones = np.flatnonzero(~is_one), np.flatnonzero(is_one)
        before = np.cumsum(is_one) - is_one
        higher = codes >> bit + 1
        first = np.append(True, higher[1:] != higher[:-1])
        starts = np.flatnonzero(first)[np.cumsum(first) - 1]
        begin, end = before[starts][zeros], before[zeros]
        later = np.flatnonzero(end > begin)
        levels.append(_Level(zeros, ones, later, begin[later], end[later]))
        codes = np.concatenate([codes[zeros], codes[ones]])
    return levels, codes


def _ends(new: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Counts:
    """Number of the last row of each run."""
    return np.flatnonzero(np.append(new, True))


def _tied_pairs(rows: Counts, ends: Counts) -> int:
    if not len(rows):
        return 0
    totals = rows if len(ends) == len(rows) else np.diff(np.cumsum(rows)[ends], prepend=0)
    return (int(totals @ totals) - int(totals.sum())) // 2
