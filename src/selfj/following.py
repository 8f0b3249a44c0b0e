"""Selective instruction following: how much each method lets through at a risk, and how much good it declines."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from selfj import report as shapes
from selfj.metrics import Array, Flags, aurc, prr, reach

RISKS = (0.05, 0.1, 0.2)
"""Shares of failures among the answers at which coverage is told."""
MOST_CATEGORIES = 12
"""Of more categories the largest are told."""


def following(
    scores: Mapping[str, Array], failure: Flags, categories: Sequence[str | None], risks: Sequence[float] = RISKS
) -> list[shapes.Following]:
    """Measure every method on all rows, and on those of each of the largest categories where there are several.

    Args:
        scores: By method, shape (n,); NaN is declined first.
        failure: Shape (n,), by gold.
        categories: Of each row; None is in no category.
        risks: In [0, 1].
    """
    sizes = Counter(name for name in categories if name)
    names = sorted(sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_CATEGORIES])
    labels = np.array([name or "" for name in categories])
    made = [_row(key, None, column, failure, risks) for key, column in scores.items()]
    if len(names) > 1:
        for name in names:
            rows = labels == name
            made += [_row(key, name, column[rows], failure[rows], risks) for key, column in scores.items()]
    return made


def _row(key: str, category: str | None, scores: Array, failure: Flags, risks: Sequence[float]) -> shapes.Following:
    found = [reach(scores, failure, risk) for risk in risks]
    return shapes.Following(
        method=key,
        category=category,
        n=len(scores),
        failures=int(failure.sum()),
        reach=[
            shapes.Reach(
                max_risk=item.max_risk,
                threshold=_finite(item.threshold),
                coverage=_finite(item.coverage),
                risk=_finite(item.risk),
                over_decline=_finite(item.over_decline),
            )
            for item in found
        ],
        aurc=_finite(aurc(scores, failure)),
        prr=_finite(prr(scores, failure)),
    )


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
