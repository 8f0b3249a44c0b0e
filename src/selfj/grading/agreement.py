"""How far several graders, or several grades by one, say the same of the same exchanges."""

import math
from dataclasses import dataclass

import numpy as np

from selfj.metrics import Array, pearson


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of m raters over n exchanges."""

    raters: int
    items: int
    """Exchanges with at least two grades."""
    pearson: float
    """Mean over the pairs of raters for which it is defined; NaN where it is for none."""
    pairs: int
    """Pairs of raters for which it is."""
    alpha: float
    """Krippendorff's alpha for interval data: 1 for perfect agreement, 0 for what chance gives."""
    same: float
    """Share of pairs of grades for one exchange that are equal."""
    spread: float
    """Mean over these exchanges of the standard deviation (n - 1) of their grades."""

    def describe(self, who: str = "raters") -> str:
        """All of it in one line."""
        return (
            f"agreement of {self.raters:,} {who} over {self.items:,} exchanges: Krippendorff's alpha "
            f"{_text(self.alpha)}, mean Pearson {_text(self.pearson)} over {self.pairs:,} pairs, "
            f"{self.same:.1%} of pairs equal, mean standard deviation {self.spread:.3f}"
        )


def agreement(values: Array) -> Agreement | None:
    """Compare raters; None where no exchange has two grades.

    Args:
        values: Shape (m, n), one row per rater, NaN where a rater gave no grade.
    """
    known = ~np.isnan(values)
    shared = known.sum(axis=0) >= 2
    if not shared.any():
        return None
    # Of thousands of raters few pairs share anything.
    together = known.astype(np.float64) @ known.T.astype(np.float64) >= 2
    found = [pearson(values[a], values[b]) for a, b in zip(*np.nonzero(np.triu(together, 1)), strict=True)]
    defined = [value for value in found if not math.isnan(value)]
    columns = [values[known[:, place], place] for place in np.flatnonzero(shared)]
    pairs = sum(len(column) * (len(column) - 1) for column in columns)
    equal = sum(int((column[:, None] == column[None, :]).sum()) - len(column) for column in columns)
    return Agreement(
        raters=int(known.any(axis=1).sum()),
        items=int(shared.sum()),
        pearson=math.fsum(defined) / len(defined) if defined else math.nan,
        pairs=len(defined),
        alpha=interval_alpha(values),
        same=equal / pairs,
        spread=float(np.mean([np.std(column, ddof=1) for column in columns])),
    )


def interval_alpha(values: Array) -> float:
    """Krippendorff's alpha for interval data, at most 1; NaN where it is undefined.

    1 - D_o / D_e: the mean squared difference of two grades for one exchange over that of any two grades
    (Krippendorff 2011). Exchanges with fewer than two grades take no part. Undefined where all grades are equal.

    Args:
        values: Shape (m, n), one row per rater, NaN where a rater gave no grade.

    Example:
        >>> round(interval_alpha(np.array([[1.0, 2, 3, 4], [1, 2, 3, 5]])), 3)
        0.937
    """
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    shared = counts >= 2
    if not shared.any():
        return math.nan
    kept, counts = values[:, shared], counts[shared]
    # Around their mean, so that squares of large values lose no digits.
    kept = kept - np.nanmean(kept)
    n = int(counts.sum())
    total, squares = np.nansum(kept, axis=0), np.nansum(kept**2, axis=0)
    within = 2 * (counts * squares - total**2)
    observed = float((within / (counts - 1)).sum()) / n
    expected = 2 * (n * float(squares.sum()) - float(total.sum()) ** 2) / (n * (n - 1))
    if expected <= 0 or len(np.unique(kept[~np.isnan(kept)])) < 2:
        return math.nan
    return 1 - observed / expected


def _text(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"
