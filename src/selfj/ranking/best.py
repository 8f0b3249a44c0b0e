"""Best of N: what the pick of a score among N randomly drawn candidates is worth, exactly."""

from functools import cache
from math import comb

import numpy as np
from scipy import stats

from selfj.metrics import Array


def sizes_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4, … and the greatest number itself.

    Example:
        >>> sizes_up_to(6)
        (1, 2, 4, 6)
    """
    found = [1]
    while 2 * found[-1] <= most:
        found.append(2 * found[-1])
    return tuple(dict.fromkeys([*found, most]))


def pick_weights(scores: Array, size: int) -> Array:
    """Probability that each candidate is the pick: the highest score of `size` candidates drawn without replacement.

    Of m candidates in ascending order, the i-th is the highest of C(i - 1, size - 1) of the C(m, size) draws. Equal
    scores share alike, and a missing score is below every other.

    Args:
        scores: Shape (k, m), of m candidates for each of k instructions, NaN where there is none.
        size: From 1 to m.

    Returns:
        Shape (k, m); each row adds up to 1.

    Example:
        >>> pick_weights(np.array([[3.0, 1.0, 2.0]]), 2).round(3).tolist()
        [[0.667, 0.0, 0.333]]
    """
    filled = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    at_most = stats.rankdata(filled, method="max", axis=1).astype(np.int64)
    below = stats.rankdata(filled, method="min", axis=1).astype(np.int64) - 1
    within = _share_within(scores.shape[1], size)
    weights: Array = (within[at_most] - within[below]) / (at_most - below)
    return weights


@cache
def _share_within(m: int, size: int) -> Array:
    """For k from 0 to m, the share of draws that lie wholly among k given candidates."""
    total = comb(m, size)
    return np.array([comb(k, size) / total for k in range(m + 1)])


def wins(gold: Array) -> Array:
    """Probability that each candidate's gold is above that of a random candidate of its instruction, ties half.

    Args:
        gold: Shape (k, m), no NaN.

    Returns:
        Shape (k, m), in (0, 1).
    """
    ranks: Array = stats.rankdata(gold, method="average", axis=1)
    won: Array = (ranks - 0.5) / gold.shape[1]
    return won
