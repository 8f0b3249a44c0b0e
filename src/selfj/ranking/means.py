"""Mean scores of models on many resamples of instructions at once, plain and with length held equal.

`docs/design/ranking.md` says what is fitted.
"""

from dataclasses import dataclass

import numpy as np

from selfj.metrics import Array

_DECIMALS = 9
"""Sums in another order differ after these; models with equal scores must tie."""
_FLAT = 1e-12


@dataclass(frozen=True, slots=True)
class Means:
    """Of d resamples; NaN where a model has no score in a resample, or where length tells nothing."""

    plain: Array
    """Shape (d, models): mean score."""
    controlled: Array
    """Shape (d, models): expected score of an output as long as the mean output for its instruction."""
    slope: Array
    """Shape (d,): by how much the score grows when the bounded length difference grows by 1."""


def bounded_lengths(lengths: Array) -> Array:
    """How much longer than others an output is, from -1 to 1.

    tanh of its difference to the mean output of the same instruction, in standard deviations of all such differences.

    Args:
        lengths: Shape (models, instructions), in characters, NaN where a model has no output.
    """
    known = ~np.isnan(lengths)
    counts = known.sum(axis=0)
    totals = np.where(known, lengths, 0.0).sum(axis=0)
    differences = lengths - totals / np.maximum(1, counts)
    spread = float(np.sqrt(np.mean(np.square(differences[known])))) if known.any() else 0.0
    bounded: Array = np.tanh(differences / spread) if spread > 0 else np.where(known, 0.0, np.nan)
    return bounded


def means(scores: Array, lengths: Array, weights: Array) -> Means:
    """Means of every model on every resample.

    Args:
        scores: Shape (models, instructions), NaN where there is none.
        lengths: The same shape, from `bounded_lengths`.
        weights: Shape (d, instructions), how often an instruction is in a resample.
    """
    known = ~np.isnan(scores)
    y, x = np.where(known, scores, 0.0), np.where(known, lengths, 0.0)
    n = weights @ known.T.astype(np.float64)
    safe = np.where(n > 0, n, np.nan)
    mean_y, mean_x = (weights @ y.T) / safe, (weights @ x.T) / safe
    together = np.nansum(weights @ (x * y).T - n * mean_x * mean_y, axis=1)
    spread = np.nansum(weights @ (x * x).T - n * mean_x * mean_x, axis=1)
    slope = together / np.where(spread > _FLAT, spread, np.nan)
    controlled = mean_y - slope[:, None] * mean_x
    return Means(np.round(mean_y, _DECIMALS), np.round(controlled, _DECIMALS), slope)


def in_order(above: Array, below: Array) -> float:
    """Share of resamples in which one model's mean is above another's, ties half; NaN where none has both.

    Args:
        above: Shape (draws,).
        below: The same.
    """
    known = ~(np.isnan(above) | np.isnan(below))
    if not known.any():
        return float("nan")
    x, y = above[known], below[known]
    return float(np.mean((x > y) + 0.5 * (x == y)))
