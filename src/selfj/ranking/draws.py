"""Resamples of instructions as weights, so that every model's mean over one resample is a product of matrices."""

import math
from collections.abc import Iterator

import numpy as np

from selfj.bootstrap import Interval
from selfj.metrics import Array

CONFIDENCE = 0.95
_MOST_UNDEFINED = 0.1
_CELLS = 4_000_000
"""Numbers that are held at a time."""


def weights(n: int, draws: int, seed: int) -> Iterator[Array]:
    """How often each instruction is in each resample with replacement (Efron 1979).

    Args:
        n: Number of instructions.
        draws: Number of resamples.
        seed: The same seed gives the same resamples.

    Yields:
        Some resamples at a time, shape (some, n), whole numbers; each row adds up to n.
    """
    rng = np.random.default_rng(seed)
    some = max(1, _CELLS // max(1, n))
    for start in range(0, draws if n else 0, some):
        rows = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(min(some, draws - start))]
        yield np.array(rows, dtype=np.float64)


def percentile(value: float, found: Array) -> Interval:
    """The interval that holds the middle 95 % of what the resamples gave.

    Args:
        value: Of all instructions.
        found: Shape (draws,), NaN where a resample leaves it undefined; with more than a tenth of them undefined
            there is no interval.
    """
    known = found[~np.isnan(found)]
    if math.isnan(value) or not len(known) or len(known) < len(found) * (1 - _MOST_UNDEFINED):
        return Interval(value, math.nan, math.nan, len(known))
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high), len(known))
