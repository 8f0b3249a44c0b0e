"""Agreement of every method with gold, for each target model and on average, with intervals from shared resamples."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from selfj.bootstrap import resamples
from selfj.comparison.records import Method, Metric, Source
from selfj.comparison.roster import LAST, ROSTER
from selfj.metrics import Array, Flags, auroc, kendall, pearson, prr, spearman
from selfj.progress import Progress, Quiet

_MOST_UNDEFINED = 0.1
SLOW_DRAWS = 200
"""Kendall's tau and PRR are slow, so they are drawn at most so often."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; NaN where undefined."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Table:
    """Every method's agreement with gold; a method is left out of an array's cell as NaN."""

    methods: tuple[Method, ...]
    """m methods, in the order of the table."""
    models: tuple[str, ...]
    """k target models."""
    by_source: Array
    """Shape (sources, m)."""
    values: Array
    """Shape (k, m): of several runs of one model, their mean."""
    drawn: Array
    """Shape (draws, k, m)."""
    confidence: float

    def cell(self, model: int, method: int) -> Estimate:
        """One method on one target model."""
        return _estimate(float(self.values[model, method]), self.drawn[:, model, method], self.confidence)

    def average(self, method: int) -> Estimate:
        """One method on average over all target models; undefined where it lacks one."""
        return _estimate(float(self.values[:, method].mean()), self.drawn[:, :, method].mean(1), self.confidence)

    def difference(self, a: int, b: int, model: int | None = None) -> Estimate:
        """One method minus another on the same resamples: on one target model, or on average over all."""
        pick = slice(None) if model is None else [model]
        value = (self.values[pick, a] - self.values[pick, b]).mean()
        found = (self.drawn[:, pick, a] - self.drawn[:, pick, b]).mean(1)
        return _estimate(float(value), found, self.confidence)


def all_methods(sources: Sequence[Source]) -> tuple[Method, ...]:
    """Rows of the table: the paper's, then what else was run, the floor last."""
    found = {row.key: Method(row.key, row.title, row.reference) for row in ROSTER}
    more = {method.key: method for source in sources for method in source.further if method.key not in found}
    last = {key: more.pop(key) for key in LAST if key in more}
    return (*found.values(), *more.values(), *last.values())


def correlate(
    sources: Sequence[Source],
    metric: Metric | Literal["prr"],
    *,
    min_quality: float,
    draws: int,
    confidence: float,
    seed: int,
    progress: Progress | None = None,
) -> Table:
    """Compare every method with gold.

    Instructions are resampled, and an instruction that several sources share is drawn for all of them at once. Of one
    source alone the intervals are those of `selfj.bootstrap.bootstrap`.

    Args:
        sources: With gold in every row.
        metric: `auroc` is that of good exchanges against failures, `prr` that of declining failures first; both are
            undefined where the scale of gold is not known.
        min_quality: See `Source.failure`.
        draws: Resamples; at most `SLOW_DRAWS` for Kendall's tau and PRR.
        confidence: Share of resamples inside an interval.
        seed: The same seed gives the same intervals.
        progress: Told of every draw.
    """
    progress = progress or Quiet()
    draws = min(draws, SLOW_DRAWS) if metric in ("kendall", "prr") else draws
    methods = all_methods(sources)
    models = tuple(dict.fromkeys(source.model for source in sources))
    measures = [_measure(source, metric, min_quality) for source in sources]
    columns = [[source.scores.get(method.key) for method in methods] for source in sources]
    by_source = np.array(
        [[measure(column, None) for column in row] for measure, row in zip(measures, columns, strict=True)]
    )
    place = np.repeat(np.arange(len(sources)), [len(source.gold) for source in sources])
    offsets = np.concatenate([np.arange(len(source.gold)) for source in sources])
    groups = np.concatenate([source.groups for source in sources])
    drawn = np.full((draws, len(sources), len(methods)), np.nan)
    progress.start("compare", draws)
    for number, rows in enumerate(resamples(groups, draws, seed)):
        for index, (measure, row) in enumerate(zip(measures, columns, strict=True)):
            picked = offsets[rows[place[rows] == index]]
            drawn[number, index] = [measure(column, picked) for column in row]
        progress.advance(1)
    progress.finish(f"{len(methods)} methods on {len(models)} target models, {draws:,} resamples")
    merged = [_merged([i for i, s in enumerate(sources) if s.model == model], by_source, drawn) for model in models]
    values, resampled = (np.stack(part, axis) for part, axis in zip(zip(*merged, strict=True), (0, 1), strict=True))
    return Table(methods, models, by_source, values, resampled, confidence)


def _merged(members: Sequence[int], by_source: Array, drawn: Array) -> tuple[Array, Array]:
    """Mean over the runs of one target model, of those that have the method."""
    value, resampled = by_source[members], drawn[:, members]
    has = ~np.isnan(value)
    count = has.sum(0)
    share = np.where(count, count, np.nan)
    mean = np.where(has, value, 0).sum(0) / share
    return mean, np.where(has, resampled, 0).sum(1) / share


Measure = Callable[[Array | None, npt.NDArray[np.int64] | None], float]
"""Of a column of scores, or of some of its rows."""


def _measure(source: Source, metric: Metric | Literal["prr"], min_quality: float) -> Measure:
    if metric in ("auroc", "prr"):
        failure = source.failure(min_quality)
        if failure is None:
            return lambda column, rows: math.nan
        return _of_flags(auroc, ~failure) if metric == "auroc" else _of_flags(prr, failure)
    return _of_gold({"pearson": pearson, "spearman": spearman, "kendall": kendall}[metric], source.gold)


def _of_flags(statistic: Callable[[Array, Flags], float], flags: Flags) -> Measure:
    def measure(column: Array | None, rows: npt.NDArray[np.int64] | None) -> float:
        if column is None:
            return math.nan
        return statistic(column, flags) if rows is None else statistic(column[rows], flags[rows])

    return measure


def _of_gold(statistic: Callable[[Array, Array], float], gold: Array) -> Measure:
    def measure(column: Array | None, rows: npt.NDArray[np.int64] | None) -> float:
        if column is None:
            return math.nan
        return statistic(column, gold) if rows is None else statistic(column[rows], gold[rows])

    return measure


def _estimate(value: float, found: Array, confidence: float) -> Estimate:
    """A percentile interval; none where more than a tenth of the resamples are undefined, as in `bootstrap`."""
    known = found[~np.isnan(found)]
    if math.isnan(value) or not len(known) or len(known) < len(found) * (1 - _MOST_UNDEFINED):
        return Estimate(value)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))
