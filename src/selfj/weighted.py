"""The metrics of `selfj.metrics` on resamples, without gathering rows.

A resample draws every group some number of times. Each function here sorts the rows once and returns a function of
those numbers, which gives what the metric of the same name gives on the rows of the resample, up to rounding (1e-9).

Args of every function:
    place: Shape (n,), integers in [0, groups): the group of each row.
    groups: Number of groups.
    Then the columns of the metric, each of shape (n,).

Returns of every function:
    A function of `times`, shape (groups,), integers: how often each group is drawn. Threads may call it at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from selfj.metrics import Array, Flags, rejection_ratio

Counts: TypeAlias = npt.NDArray[np.int64]
OnTimes: TypeAlias = Callable[[Counts], float]

# Below this share of the mean square, a variance from sums has lost too many digits.
_CANCELLED = 1e-4
# Ranks that fit a processor's cache together.
_BLOCK = 2**15


def pearson(place: Counts, groups: int, scores: Array, gold: Array) -> OnTimes:
    """Pearson's correlation, from sums of each group."""
    known = ~(np.isnan(scores) | np.isnan(gold))
    usable = known & np.isfinite(scores) & np.isfinite(gold)
    x, y, rows = scores[usable], gold[usable], place[usable]
    a, b = _standard(x), _standard(y)
    columns = [np.ones(len(a)), a, b, a * a, b * b, a * b]
    sums = np.array([_sums(rows, groups, column) for column in columns])
    endless = np.bincount(place[known & ~usable], minlength=groups) > 0

    def of(times: Counts) -> float:
        if endless.any() and times[endless].any():
            return math.nan
        n, sum_a, sum_b, sum_aa, sum_bb, sum_ab = (sums @ times.astype(np.float64)).tolist()
        if not n:
            return math.nan
        var_a, var_b = sum_aa - sum_a**2 / n, sum_bb - sum_b**2 / n
        if var_a <= _CANCELLED * sum_aa or var_b <= _CANCELLED * sum_bb:
            return _correlation(x, y, times[rows])
        return _within_one((sum_ab - sum_a * sum_b / n) / math.sqrt(var_a * var_b))

    return of


def spearman(place: Counts, groups: int, scores: Array, gold: Array) -> OnTimes:
    """Spearman's rank correlation."""
    known = ~(np.isnan(scores) | np.isnan(gold))
    sizes = np.bincount(place[known], minlength=groups)
    x, y = Sorted(place[known], scores[known]), Sorted(place[known], gold[known])
    # Rows in blocks of near values of y, inside them in the order of x: reading both ranks so, few miss the cache.
    of_y = y.codes()[np.argsort(y.order)][x.order]
    of_x = np.argsort(of_y // _BLOCK, kind="stable")
    of_y = of_y[of_x]

    def of(times: Counts) -> float:
        n = int(times @ sizes)
        ranked_x, spread_x = _ranks(x, times, n, by_row=True)
        ranked_y, spread_y = _ranks(y, times, n, by_row=False)
        if not (spread_x and spread_y):
            return math.nan
        return _within_one(float(ranked_x[of_x] @ ranked_y[of_y]) / math.sqrt(spread_x) / math.sqrt(spread_y))

    return of


def auroc(place: Counts, groups: int, scores: Array, positive: Flags) -> OnTimes:
    """Area under the ROC curve."""
    known = ~np.isnan(scores)
    x = Sorted(place[known], scores[known])
    hit = positive[known][x.order].astype(np.int64)

    def of(times: Counts) -> float:
        won, n_hit, n_miss = 0.0, 0, 0
        for part in x.parts:
            rows = times[part.place]
            every, _ = part.sums(rows)
            hits, hits_so_far = part.sums(rows * hit[part.rows])
            misses = every - hits
            misses_so_far = np.cumsum(misses)
            # Twice the misses below, and those of the same score once.
            below = 2 * (misses_so_far + n_miss) - misses
            won += float(hits.astype(np.float64) @ below.astype(np.float64)) / 2
            n_hit, n_miss = n_hit + int(hits_so_far[-1]), n_miss + int(misses_so_far[-1])
        return won / (n_hit * n_miss) if n_hit and n_miss else math.nan

    return of


def aurc(place: Counts, groups: int, scores: Array, failure: Array | Flags) -> OnTimes:
    """Area under the risk-coverage curve.

    Inside a tie of s rows that begins after b rows with T failures, and that holds f, the expected risk at coverage k
    is (T + (k - b) f / s) / k. Its sum over the tie is f + (T - b f / s) (H(b + s) - H(b)), with harmonic numbers H.
    """
    sizes = np.bincount(place, minlength=groups)
    x = Sorted(place, -np.where(np.isnan(scores), -np.inf, scores))
    loss = failure[x.order].astype(np.float64)
    if ((loss == 0) | (loss == 1)).all():
        # Whole numbers are added far faster.
        loss = loss.astype(np.int64)
    harmonic = Harmonic()

    def of(times: Counts) -> float:
        table = harmonic.up_to(int(times @ sizes))
        total, n, failed = 0.0, 0, 0.0
        for part in x.parts:
            rows = times[part.place]
            tied, so_far = part.sums(rows)
            losses, lost = part.sums(rows * loss[part.rows])
            rates = loss[part.rows] if part.distinct else losses / np.maximum(tied, 1)
            before = lost - losses + failed - (so_far - tied + n) * rates
            grown = np.diff(table[n:][so_far], prepend=table[n])
            total += float(before @ grown)
            n, failed = n + int(so_far[-1]), failed + float(lost[-1])
        return (failed + total) / n if n else math.nan

    return of


def prr(place: Counts, groups: int, scores: Array, failure: Array | Flags) -> OnTimes:
    """Prediction rejection ratio."""
    loss = failure.astype(np.float64)
    area, oracle, random = aurc(place, groups, scores, loss), best_aurc(place, groups, loss), mean(place, groups, loss)
    return lambda times: rejection_ratio(random(times), oracle(times), area(times))


def best_aurc(place: Counts, groups: int, failure: Array | Flags) -> OnTimes:
    """AURC of the order that declines failures first."""
    loss = failure.astype(np.float64)
    if not ((loss == 0) | (loss == 1)).all():
        return aurc(place, groups, -loss, loss)
    sizes = np.bincount(place, minlength=groups)
    failed = np.bincount(place[loss == 1], minlength=groups)
    harmonic = Harmonic()

    def of(times: Counts) -> float:
        n, failures = int(times @ sizes), int(times @ failed)
        table, good = harmonic.up_to(n), n - failures
        # Risk 0 up to coverage good / n, and (k - good) / k at every k after it.
        return (failures - good * float(table[n] - table[good])) / n if n else math.nan

    return of


def ece(place: Counts, groups: int, probability: Array, outcome: Array, bins: int = 10) -> OnTimes:
    """Expected calibration error, in bins of as equal a size as ties allow."""
    known = ~(np.isnan(probability) | np.isnan(outcome))
    x = Sorted(place[known], probability[known])
    gap = (probability[known] - outcome[known])[x.order]
    first = np.append(0, x.last[:-1] + 1)

    def of(times: Counts) -> float:
        rows = times[x.place]
        ends = np.cumsum(rows)[x.last]
        n = int(ends[-1]) if len(ends) else 0
        if not n:
            return math.nan
        cuts = {round(n * i / bins) for i in range(1, bins)}
        values = {0, *np.searchsorted(ends, [cut for cut in sorted(cuts) if cut < n], side="right").tolist()}
        starts = [int(first[value]) for value in sorted(values)]
        weighted = rows * gap
        return sum(abs(float(weighted[a:b].sum())) for a, b in zip(starts, [*starts[1:], None], strict=True)) / n

    return of


def mean(place: Counts, groups: int, values: Array) -> OnTimes:
    """Mean of the rows that have a value; all values are finite."""
    known = ~np.isnan(values)
    n = np.bincount(place[known], minlength=groups)
    total = _sums(place[known], groups, values[known])

    def of(times: Counts) -> float:
        rows = int(times @ n)
        return float(times @ total) / rows if rows else math.nan

    return of


@dataclass(frozen=True, slots=True)
class Part:
    """Sorted rows that fit a processor's cache; a tie is never cut."""

    rows: slice
    values: slice
    """The distinct values among all of them."""
    place: Counts
    last: Counts
    """Number, inside the part, of the last row of each distinct value."""

    @property
    def distinct(self) -> bool:
        """Whether no value comes twice."""
        return len(self.last) == len(self.place)

    def sums(self, column: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Sum over the rows of each distinct value, and of all rows up to it."""
        so_far = np.cumsum(column)
        if self.distinct:
            return column, so_far
        so_far = so_far[self.last]
        return np.diff(so_far, prepend=0), so_far


class Sorted:
    """Rows in rising order of one column without NaN."""

    def __init__(self, place: Counts, values: Array) -> None:
        self.order = np.argsort(values, kind="stable")
        self.place = place[self.order]
        ranked = values[self.order]
        self.last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else self.order
        self.parts = self._parts()

    def codes(self) -> Counts:
        """Number of the distinct value of each row, in sorted order."""
        return np.repeat(np.arange(len(self.last)), np.diff(self.last, prepend=-1))

    def _parts(self) -> list[Part]:
        cuts = np.searchsorted(self.last, np.arange(_BLOCK, len(self.place), _BLOCK))
        edges = [0, *np.unique(cuts[cuts > 0]).tolist(), len(self.last)]
        parts = []
        for begin, end in pairwise(edges):
            if begin < end:
                rows = slice(int(self.last[begin - 1]) + 1 if begin else 0, int(self.last[end - 1]) + 1)
                parts.append(Part(rows, slice(begin, end), self.place[rows], self.last[begin:end] - rows.start))
        return parts


class Harmonic:
    """Harmonic numbers 1 + 1/2 + … + 1/k, kept and made longer when asked."""

    def __init__(self) -> None:
        self._table = np.zeros(1)

    def up_to(self, n: int) -> Array:
        """H(0) to at least H(n); its first entries never change."""
        table = self._table
        if len(table) <= n:
            table = np.append(0.0, np.cumsum(1 / np.arange(1, n + n // 8 + 2)))
            self._table = table
        return table


def _ranks(x: Sorted, times: Counts, n: int, *, by_row: bool) -> tuple[Array, float]:
    """Twice the mean rank of each value minus the mean of all n ranks, and the sum of squares over the rows.

    By row, a rank is multiplied by how often the row is drawn; otherwise there is one for each distinct value.
    """
    ranks, spread = np.empty(len(x.order if by_row else x.last)), 0.0
    before = 0
    for part in x.parts:
        rows = times[part.place]
        tied, so_far = part.sums(rows)
        found = (2 * so_far - tied + (2 * before - n)).astype(np.float64)
        product = tied.astype(np.float64) * found
        spread += float(product @ found)
        if not by_row:
            ranks[part.values] = found
        elif part.distinct:
            ranks[part.rows] = product
        else:
            ranks[part.rows] = rows * np.repeat(found, np.diff(part.last, prepend=-1))
        before += int(so_far[-1])
    return ranks, spread


def _sums(place: Counts, groups: int, values: Array) -> Array:
    found: Array = np.bincount(place, weights=values, minlength=groups).astype(np.float64)
    return found


def _standard(x: Array) -> Array:
    """Centred and in [-1, 1], so that sums of squares neither cancel nor overflow."""
    if not len(x):
        return x
    centred: Array = x - x.mean()
    widest = float(np.abs(centred).max())
    return centred / widest if widest else centred


def _correlation(x: Array, y: Array, times: Counts) -> float:
    """Pearson's correlation of rows taken several times, in two passes."""
    drawn = times > 0
    x, y, w = x[drawn], y[drawn], times[drawn].astype(np.float64)
    if len(x) < 2 or (x == x[0]).all() or (y == y[0]).all():
        return math.nan
    a, b = x - (w @ x) / w.sum(), y - (w @ y) / w.sum()
    a, b = a / np.abs(a).max(), b / np.abs(b).max()
    return _within_one(float((w * a) @ b) / math.sqrt(float((w * a) @ a) * float((w * b) @ b)))


def _within_one(value: float) -> float:
    return max(-1.0, min(1.0, value))
