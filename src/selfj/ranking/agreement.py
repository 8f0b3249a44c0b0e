"""Correlations of many rows with one column at once: the statistics of `selfj.metrics`, for resamples."""

import math

import numpy as np
from scipy import stats

from selfj.metrics import Array, kendall, pearson, spearman

STATISTICS = ("spearman", "kendall", "pearson")
_PAIRS = 4_000_000


def correlations(rows: Array, column: Array) -> dict[str, Array]:
    """Spearman, Kendall's tau-b and Pearson of each row with the column.

    Args:
        rows: Shape (d, models), NaN where a model has no mean.
        column: Shape (models,).

    Returns:
        Under each name of `STATISTICS` shape (d,); NaN where undefined.
    """
    found = {name: np.full(len(rows), math.nan) for name in STATISTICS}
    whole = ~np.isnan(rows).any(axis=1)
    if whole.any() and len(column) > 1:
        full = rows[whole]
        found["spearman"][whole] = _pearson(stats.rankdata(full, axis=1), stats.rankdata(column))
        found["kendall"][whole] = _kendall(full, column)
        found["pearson"][whole] = _pearson(full, column)
    for place in np.flatnonzero(~whole):
        for name, statistic in (("spearman", spearman), ("kendall", kendall), ("pearson", pearson)):
            found[name][place] = statistic(rows[place], column)
    return found


def _pearson(rows: Array, column: Array) -> Array:
    x, y = rows - rows.mean(axis=1, keepdims=True), column - column.mean()
    flat = (rows == rows[:, :1]).all(axis=1) | (column == column[0]).all()
    below = np.sqrt(np.square(x).sum(axis=1) * np.square(y).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Array = np.where(flat, math.nan, np.clip(x @ y / below, -1, 1))
    return value


def _kendall(rows: Array, column: Array) -> Array:
    first, second = np.triu_indices(len(column), 1)
    signs = np.sign(column[first] - column[second])
    told = np.count_nonzero(signs)
    values = []
    some = max(1, _PAIRS // max(1, len(first)))
    for start in range(0, len(rows), some):
        block = rows[start : start + some]
        pairs = np.sign(block[:, first] - block[:, second])
        below = np.sqrt(np.count_nonzero(pairs, axis=1) * float(told))
        with np.errstate(invalid="ignore", divide="ignore"):
            values.append(np.where(below > 0, pairs @ signs / below, math.nan))
    return np.concatenate(values)
