"""Intervals by resampling instructions: responses to one instruction stay together.

The metrics of `selfj.metrics` are reckoned from how often each instruction is drawn (`selfj.weighted`), any other
statistic from the gathered rows of the resample. Both draw the same resamples.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from selfj import inversions, metrics, weighted
from selfj.metrics import Array, Flags, aurc, auroc, kendall, pearson, prr, rejection_ratio, spearman
from selfj.weighted import Counts, OnTimes

_MOST_UNDEFINED = 0.1
_KENDALL_DRAWS = 200
_THREADS = 2
# With fewer rows, threads wait for one another more than they help.
_ROWS_FOR_THREADS = 20_000
_ON_TIMES: tuple[tuple[Callable[..., float], Callable[..., OnTimes]], ...] = (
    (pearson, weighted.pearson),
    (spearman, weighted.spearman),
    (kendall, inversions.kendall),
    (auroc, weighted.auroc),
    (aurc, weighted.aurc),
    (prr, weighted.prr),
    (metrics.ece, weighted.ece),
    (metrics.mean, weighted.mean),
)


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
    make = _on_times(statistic)
    if make is None:
        found = [statistic(*(column[rows] for column in columns)) for rows in resamples(groups, draws, seed)]
    else:
        place, sizes = _places(groups)
        found = _drawn([(make(place, len(sizes), *columns), draws)], len(place), len(sizes), draws, seed)[0]
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
    make = _on_times(statistic)
    if make is None:

        def difference(a: Array, b: Array, y: Array) -> float:
            return statistic(a, y) - statistic(b, y)

        return bootstrap(
            difference, scores_a, scores_b, gold, groups=groups, draws=draws, confidence=confidence, seed=seed
        )
    place, sizes = _places(groups)
    parts = [(make(place, len(sizes), scores, gold), draws) for scores in (scores_a, scores_b)]
    found_a, found_b = _drawn(parts, len(place), len(sizes), draws, seed)
    value = statistic(scores_a, gold) - statistic(scores_b, gold)
    return _interval(value, [a - b for a, b in zip(found_a, found_b, strict=True)], confidence)


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
    good = ~failure
    place, sizes = _places(groups)
    rows = place, len(sizes)
    parts = {
        "pearson": weighted.pearson(*rows, scores, gold),
        "spearman": weighted.spearman(*rows, scores, gold),
        "kendall": inversions.kendall(*rows, scores, gold),
        "auroc": weighted.auroc(*rows, scores, good),
        "aurc": weighted.aurc(*rows, scores, failure),
        "oracle": weighted.best_aurc(*rows, failure),
        "random": weighted.mean(*rows, failure.astype(np.float64)),
    }
    wanted = [min(draws, _KENDALL_DRAWS) if name == "kendall" else draws for name in parts]
    drawn = _drawn(list(zip(parts.values(), wanted, strict=True)), len(place), len(sizes), draws, seed)
    found = dict(zip(parts, drawn, strict=True))
    found["prr"] = list(map(rejection_ratio, found["random"], found["oracle"], found["aurc"]))
    values = {
        "pearson": pearson(scores, gold),
        "spearman": spearman(scores, gold),
        "kendall": kendall(scores, gold),
        "auroc": auroc(scores, good),
        "aurc": aurc(scores, failure),
        "prr": prr(scores, failure),
    }
    return {name: _interval(value, found[name], confidence) for name, value in values.items()}


def resamples(groups: npt.NDArray[Any], draws: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield row numbers of each resample."""
    place, sizes = _places(groups)
    order = np.argsort(place, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for picked in _picked(len(sizes), draws, seed):
        if len(order) == len(sizes):
            yield order[picked]
            continue
        lengths = sizes[picked]
        ends = np.cumsum(lengths)
        offsets = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
        yield order[np.repeat(starts[picked], lengths) + offsets]


def _picked(n: int, draws: int, seed: int) -> Iterator[Counts]:
    """Yield the groups of each resample, n numbers in [0, n); nothing where there is no group."""
    rng = np.random.default_rng(seed)
    for _ in range(draws if n else 0):
        yield rng.integers(0, n, n)


def _places(groups: npt.NDArray[Any]) -> tuple[Counts, Counts]:
    """Number of each row's group in sorted order, and the rows of each group."""
    n = len(groups)
    if not n:
        return np.array([], dtype=np.int64), np.array([], dtype=np.int64)
    if groups.dtype.kind in "iu" and groups.min() >= 0 and groups.max() < 4 * n:
        # Small numbers need no sorting.
        present = np.bincount(groups) > 0
        place = (np.cumsum(present) - 1)[groups]
    else:
        place = np.unique(groups, return_inverse=True)[1]
    return place, np.bincount(place)


def _on_times(statistic: Callable[..., float]) -> Callable[..., OnTimes] | None:
    return next((make for known, make in _ON_TIMES if known is statistic), None)


def _drawn(parts: Sequence[tuple[OnTimes, int]], rows: int, groups: int, draws: int, seed: int) -> list[list[float]]:
    """Each part on as many resamples as it wants, the first ones; the same for any number of threads."""
    waiting, lock = enumerate(_picked(groups, draws, seed)), Lock()
    found = [[math.nan] * (wanted if groups else 0) for _, wanted in parts]

    def work() -> None:
        while True:
            with lock:
                number, picked = next(waiting, (-1, None))
            if picked is None:
                return
            times = np.bincount(picked, minlength=groups)
            for (of, wanted), values in zip(parts, found, strict=True):
                if number < wanted:
                    values[number] = of(times)

    threads = min(_THREADS, os.cpu_count() or 1) if rows >= _ROWS_FOR_THREADS else 1
    if threads == 1:
        work()
        return found
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result()
    return found


def _interval(value: float, found: Sequence[float], confidence: float) -> Interval:
    known = np.array([item for item in found if not math.isnan(item)])
    if math.isnan(value) or len(known) < len(found) * (1 - _MOST_UNDEFINED) or not len(known):
        return Interval(value, math.nan, math.nan, len(known))
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), len(known))
