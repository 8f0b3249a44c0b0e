"""How well scores agree with gold, and how well they choose what to answer. Arithmetic on arrays, nothing else.

Scores are oriented so that higher is better, and NaN is a missing score. Correlations and AUROC leave rows with a
missing value out. In selective metrics a missing score is declined first: it ranks below every other. A value that
is undefined (one row, all tied, one class, nothing answered, Pearson of an infinite score) is NaN, never 0.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

Array: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]


def pearson(scores: Array, gold: Array) -> float:
    """Pearson's correlation in [-1, 1].

    Example:
        >>> round(pearson(np.array([1.0, 2, 3]), np.array([2.0, 4, 7])), 3)
        0.993
    """
    x, y = _known(scores, gold)
    return _correlation(x, y)


def spearman(scores: Array, gold: Array) -> float:
    """Spearman's rank correlation in [-1, 1]; ties get their mean rank."""
    x, y = _known(scores, gold)
    if len(x) < 2:
        return math.nan
    return _correlation(stats.rankdata(x), stats.rankdata(y))


def kendall(scores: Array, gold: Array) -> float:
    """Kendall's tau-b in [-1, 1]."""
    x, y = _known(scores, gold)
    if len(x) < 2 or _constant(x) or _constant(y):
        return math.nan
    if len(x) == 2:
        # scipy's p-value, which nobody asks for, divides by zero here.
        return 1.0 if (x[0] < x[1]) == (y[0] < y[1]) else -1.0
    return float(stats.kendalltau(x, y, method="asymptotic").statistic)


def auroc(scores: Array, positive: Flags) -> float:
    """Probability that a positive row scores above a negative one, ties counted half; 0.5 is chance."""
    known = ~np.isnan(scores)
    x, hit = scores[known], positive[known]
    n_hit = int(hit.sum())
    n_miss = len(x) - n_hit
    if not (n_hit and n_miss):
        return math.nan
    ranks = stats.rankdata(x)
    return float((ranks[hit].sum() - n_hit * (n_hit + 1) / 2) / (n_hit * n_miss))


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Risk at every coverage that a threshold can reach, from the strictest to answering all.

    Rows of one score are answered together.
    """

    threshold: Array
    """Lowest score that is answered; -inf where even rows without a score are."""
    coverage: Array
    """Share of rows answered, in (0, 1]."""
    risk: Array
    """Mean failure among the answered, in [0, 1]."""


def risk_coverage(scores: Array, failure: Array | Flags) -> RiskCoverage:
    """Trace risk against coverage.

    Args:
        scores: Shape (n,); NaN is answered last.
        failure: Shape (n,): whether a row is a failure, or a loss in [0, 1].
    """
    filled = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    order = np.argsort(-filled, kind="stable")
    ranked = filled[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.array([], dtype=int)
    answered = last + 1
    total = np.cumsum(failure[order].astype(np.float64))[last]
    return RiskCoverage(ranked[last], answered / max(1, len(ranked)), total / answered)


def aurc(scores: Array, failure: Array | Flags) -> float:
    """Area under the risk-coverage curve, in [0, 1], lower is better (Geifman et al. 2019).

    The mean risk over the n coverages k/n. Rows of one score are taken in random order, so the risk inside a tie
    is its expectation.
    """
    n = len(scores)
    if not n:
        return math.nan
    curve = risk_coverage(scores, failure)
    ends = np.rint(curve.coverage * n).astype(np.int64)
    sizes = np.diff(ends, prepend=0)
    totals = curve.risk * ends
    # Inside a tie the expected number of failures grows by the tie's own failure rate with every row.
    rates = np.diff(totals, prepend=0.0) / sizes
    before_rows, before_total = ends - sizes, totals - rates * sizes
    k = np.arange(1, n + 1)
    expected = np.repeat(before_total, sizes) + np.repeat(rates, sizes) * (k - np.repeat(before_rows, sizes))
    return float(np.mean(expected / k))


def prr(scores: Array, failure: Array | Flags) -> float:
    """Prediction rejection ratio: 1 for the oracle's order, 0 for a random one, negative for a worse one.

    (random - AURC) / (random - oracle), where random is the mean failure and oracle declines failures first
    (Malinin et al. 2021). NaN where all rows fail alike.
    """
    if not len(scores):
        return math.nan
    loss = failure.astype(np.float64)
    return rejection_ratio(float(loss.mean()), aurc(-loss, loss), aurc(scores, loss))


def rejection_ratio(random: float, oracle: float, area: float) -> float:
    """Where an AURC lies between that of the random order (0) and the oracle's (1); NaN where these are the same."""
    return (random - area) / (random - oracle) if random - oracle > 1e-12 else math.nan


@dataclass(frozen=True, slots=True)
class Reach:
    """The most that can be answered while the failures among the answers stay within a risk."""

    max_risk: float
    threshold: float
    """Lowest score that is answered; inf where nothing is, -inf where even rows without a score are."""
    coverage: float
    """Share of rows answered, in [0, 1]; 0 where no threshold stays within the risk."""
    risk: float
    """Mean failure among the answered; NaN where there are none."""
    over_decline: float
    """Share of good rows that are declined, in [0, 1]; NaN without good rows."""


def reach(scores: Array, failure: Array | Flags, max_risk: float) -> Reach:
    """Find the greatest coverage whose risk on these very rows is at most `max_risk`.

    The threshold is chosen by looking at the failures, so it says how well scores order rows and promises nothing.

    Args:
        scores: Shape (n,); NaN is answered last.
        failure: Shape (n,): whether a row is a failure, or a loss in [0, 1]; 1 minus it is how good the row is.
        max_risk: In [0, 1].

    Example:
        >>> found = reach(np.array([3.0, 2, 1]), np.array([False, True, False]), 0.4)
        >>> found.threshold, found.over_decline
        (1.0, 0.0)
    """
    curve = risk_coverage(scores, failure)
    loss = failure.astype(np.float64)
    good = float((1 - loss).sum())
    # Means such as 1/10 must not miss a bound of 0.1 by rounding.
    within = np.flatnonzero(curve.risk <= max_risk + 1e-12)
    if not within.size:
        nothing = math.nan if not good else 1.0
        return Reach(max_risk, math.inf, 0.0 if len(scores) else math.nan, math.nan, nothing)
    last = within[-1]
    coverage, risk = float(curve.coverage[last]), float(curve.risk[last])
    answered_good = coverage * len(scores) * (1 - risk)
    over = max(0.0, 1 - answered_good / good) if good else math.nan
    return Reach(max_risk, float(curve.threshold[last]), coverage, risk, 0.0 if over < 1e-12 else over)


def calibration_bins(probability: Array, outcome: Array, bins: int = 10) -> list[tuple[float, float, int]]:
    """Mean prediction, mean outcome and number of rows in bins of as equal a size as ties allow.

    Args:
        probability: Predictions in [0, 1]; rows with NaN are left out.
        outcome: What came out, in [0, 1].
        bins: Their number; a tie is never cut, so there can be fewer.
    """
    x, y = _known(probability, outcome)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    cuts = {round(len(x) * i / bins) for i in range(1, bins)}
    starts = sorted({0, *(int(np.searchsorted(x, x[cut])) for cut in cuts if cut < len(x))})
    ends = [*starts[1:], len(x)]
    return [(float(x[a:b].mean()), float(y[a:b].mean()), b - a) for a, b in zip(starts, ends, strict=True) if b > a]


def ece(probability: Array, outcome: Array, bins: int = 10) -> float:
    """Expected calibration error in [0, 1], lower is better: mean gap of prediction and outcome over the bins."""
    found = calibration_bins(probability, outcome, bins)
    total = sum(n for _, _, n in found)
    return sum(n * abs(p - o) for p, o, n in found) / total if total else math.nan


def mean(values: Array) -> float:
    """Mean of the rows that have a value; NaN where none has one."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _known(x: Array, y: Array) -> tuple[Array, Array]:
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known]


def _constant(x: Array) -> bool:
    return bool((x == x[0]).all())


def _correlation(x: Array, y: Array) -> float:
    if len(x) < 2 or _constant(x) or _constant(y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    a, b = x - x.mean(), y - y.mean()
    # Scaled first, so that squares of tiny or huge values neither vanish nor overflow.
    a, b = a / np.abs(a).max(), b / np.abs(b).max()
    value = float((a @ b) / math.sqrt(float(a @ a) * float(b @ b)))
    return max(-1.0, min(1.0, value))
