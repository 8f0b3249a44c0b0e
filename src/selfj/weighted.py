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
    x, y = Sorted(place[known], scores[known]), Sorted(place[known], gold[known])
    # Rows in blocks of near values of y, inside them in the order of x: reading both ranks so, few miss the cache.
    of_y = y.codes()[np.argsort(y.order)][x.order]
    of_x = np.argsort(of_y // _BLOCK, kind="stable")
    of_y = of_y[of_x]

    def of(times: Counts) -> float:
        rows = times[x.place]
        in_x, in_y = x.totals(rows), y.totals(times[y.place])
        n = int(in_x.sum())
        if n in (0, in_x.max(), in_y.max()):
            return math.nan
        rank_x, rank_y = _centred_ranks(in_x), _centred_ranks(in_y)
        spread_x, spread_y = float((in_x * rank_x) @ rank_x), float((in_y * rank_y) @ rank_y)
        product = float((rows * x.spread(rank_x))[of_x] @ rank_y[of_y])
        return _within_one(product / math.sqrt(spread_x) / math.sqrt(spread_y))

    return of


def auroc(place: Counts, groups: int, scores: Array, positive: Flags) -> OnTimes:
    """Area under the ROC curve."""
    known = ~np.isnan(scores)
    x = Sorted(place[known], scores[known])
    hit = positive[known][x.order].astype(np.int64)

    def of(times: Counts) -> float:
        rows = times[x.place]
        every, hits = x.totals(rows), x.totals(rows * hit)
        misses = every - hits
        n_hit, n_miss = int(hits.sum()), int(misses.sum())
        if not (n_hit and n_miss):
            return math.nan
        # Twice the misses below, and those of the same score once.
        below = 2 * np.cumsum(misses) - misses
        return float(hits.astype(np.float64) @ below.astype(np.float64)) / 2 / (n_hit * n_miss)

    return of


def aurc(place: Counts, groups: int, scores: Array, failure: Array | Flags) -> OnTimes:
    """Area under the risk-coverage curve.

    Inside a tie of s rows that begins after b rows with T failures, and that holds f, the expected risk at coverage k
    is (T + (k - b) f / s) / k. Its sum over the tie is f + (T - b f / s) (H(b + s) - H(b)), with harmonic numbers H.
    """
    x = Sorted(place, -np.where(np.isnan(scores), -np.inf, scores))
    loss = failure[x.order].astype(np.float64)
    if ((loss == 0) | (loss == 1)).all():
        # Whole numbers are added far faster.
        loss = loss.astype(np.int64)
    harmonic = Harmonic()

    def of(times: Counts) -> float:
        rows = times[x.place]
        sizes, losses = x.totals(rows), x.totals(rows * loss)
        ends = np.cumsum(sizes)
        n = int(ends[-1]) if len(ends) else 0
        if not n:
            return math.nan
        rates = loss if x.distinct else losses / np.maximum(sizes, 1)
        before = np.cumsum(losses) - losses - (ends - sizes) * rates
        grown = np.diff(harmonic.up_to(n)[ends], prepend=0.0)
        return (float(losses.sum()) + float(before @ grown)) / n

    return of


def prr(place: Counts, groups: int, scores: Array, failure: Array | Flags) -> OnTimes:
    """Prediction rejection ratio."""
    loss = failure.astype(np.float64)
    area, oracle, random = aurc(place, groups, scores, loss), best_aurc(place, groups, loss), mean(place, groups, loss)
    return lambda times: rejection_ratio(random(times), oracle(times), area(times))


def best_aurc(place: Counts, groups: int, failure: Array | Flags) -> OnTimes:
    """AURC of the order that declines failures first."""
    loss = failure.astype(np.float64)
    return aurc(place, groups, -loss, loss)


def ece(place: Counts, groups: int, probability: Array, outcome: Array, bins: int = 10) -> OnTimes:
    """Expected calibration error, in bins of as equal a size as ties allow."""
    known = ~(np.isnan(probability) | np.isnan(outcome))
    x = Sorted(place[known], probability[known])
    gap = (probability[known] - outcome[known])[x.order]
    first = x.starts()

    def of(times: Counts) -> float:
        rows = times[x.place]
        ends = np.cumsum(x.totals(rows))
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


class Sorted:
    """Rows in rising order of one column without NaN."""

    def __init__(self, place: Counts, values: Array) -> None:
        self.order = np.argsort(values, kind="stable")
        self.place = place[self.order]
        ranked = values[self.order]
        self.last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else self.order
        self.distinct = len(self.last) == len(self.order)

    def totals(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sum over the rows of each distinct value, of a column in sorted order."""
        return rows if self.distinct else np.diff(np.cumsum(rows)[self.last], prepend=0)

    def starts(self) -> Counts:
        """Number of the first row of each distinct value."""
        return np.append(0, self.last[:-1] + 1)

    def codes(self) -> Counts:
        """Number of the distinct value of each row, in sorted order."""
        return np.repeat(np.arange(len(self.last)), np.diff(self.last, prepend=-1))

    def spread(self, column: Array) -> Array:
        """From one entry for a distinct value to one for a row, in sorted order."""
        return column if self.distinct else np.repeat(column, np.diff(self.last, prepend=-1))


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


def _centred_ranks(totals: Counts) -> Array:
    """Mean rank of each distinct value minus the mean of all ranks, from the rows that have it."""
    ends = np.cumsum(totals)
    centred: Array = (2 * ends - totals - ends[-1]) / 2
    return centred


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
