"""Intervals by resampling instructions: responses to one instruction stay together."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from selfj.metrics import Array, Flags, aurc, auroc, kendall, pearson, prr, spearman

_MOST_UNDEFINED = 0.1
_KENDALL_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its percentile interval; all NaN where it is undefined."""

    value: float
    low: float
    high: float
    draws: int
    """Resamples that gave a defined value."""


def bootstrap(
    statistic: Callable[..., float],
    *columns: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> Interval:
    """Percentile interval of a statistic, resampling groups with replacement (Efron 1979).

    Args:
        statistic: Function of the columns; may give NaN.
        columns: Arrays of one length n.
        groups: Shape (n,); rows with an equal value are drawn together.
        draws: Number of resamples.
        confidence: Share of resamples inside the interval.
        seed: The same seed gives the same interval.
    """
    value = statistic(*columns)
    found = [statistic(*(column[rows] for column in columns)) for rows in resamples(groups, draws, seed)]
    return _interval(value, found, confidence)


def bootstrap_difference(
    statistic: Callable[[Array, Array], float],
    scores_a: Array,
    scores_b: Array,
    gold: Array,
    *,
    groups: npt.NDArray[Any],
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> Interval:
    """Interval of `statistic(a, gold) - statistic(b, gold)` on the same resamples."""

    def difference(a: Array, b: Array, y: Array) -> float:
        return statistic(a, y) - statistic(b, y)

    return bootstrap(difference, scores_a, scores_b, gold, groups=groups, draws=draws, confidence=confidence, seed=seed)


def summarise(
    scores: Array,
    gold: Array,
    failure: Flags,
    groups: npt.NDArray[Any],
    *,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Interval]:
    """Pearson, Spearman, Kendall, AUROC of non-failures, AURC and PRR of one method, each with its interval.

    All come from the same resamples; Kendall's tau, the slowest, from the first 200 of them.
    """
    values: dict[str, float] = {}
    found: dict[str, list[float]] = {name: [] for name in _STATISTICS}
    for name, statistic in _STATISTICS.items():
        values[name] = statistic(scores, gold, failure)
    for number, rows in enumerate(resamples(groups, draws, seed)):
        x, y, f = scores[rows], gold[rows], failure[rows]
        for name, statistic in _STATISTICS.items():
            if name != "kendall" or number < _KENDALL_DRAWS:
                found[name].append(statistic(x, y, f))
    return {name: _interval(values[name], found[name], confidence) for name in _STATISTICS}


def resamples(groups: npt.NDArray[Any], draws: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield row numbers of each resample."""
    rng = np.random.default_rng(seed)
    _, place = np.unique(groups, return_inverse=True)
    order = np.argsort(place, kind="stable")
    sizes = np.bincount(place) if len(place) else np.array([], dtype=np.int64)
    n = len(sizes)
    if not n:
        return
    starts = np.cumsum(sizes) - sizes
    for _ in range(draws):
        picked = rng.integers(0, n, n)
        if len(order) == n:
            yield order[picked]
            continue
        lengths = sizes[picked]
        ends = np.cumsum(lengths)
        offsets = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
        yield order[np.repeat(starts[picked], lengths) + offsets]


_STATISTICS: dict[str, Callable[[Array, Array, Flags], float]] = {
    "pearson": lambda x, y, _: pearson(x, y),
    "spearman": lambda x, y, _: spearman(x, y),
    "kendall": lambda x, y, _: kendall(x, y),
    "auroc": lambda x, _, f: auroc(x, ~f),
    "aurc": lambda x, _, f: aurc(x, f),
    "prr": lambda x, _, f: prr(x, f),
}


def _interval(value: float, found: Sequence[float], confidence: float) -> Interval:
    known = np.array([item for item in found if not math.isnan(item)])
    if math.isnan(value) or len(known) < len(found) * (1 - _MOST_UNDEFINED) or not len(known):
        return Interval(value, math.nan, math.nan, len(known))
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), len(known))
