"""Columns of numbers from further columns of exchanges: gold, and scores that are already there."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from selfj.comparison.records import Method
from selfj.comparison.roster import KEYS
from selfj.errors import ConfigError
from selfj.exchanges import Exchange
from selfj.gold import columns_of
from selfj.judging.scorers import REFERENCE
from selfj.metrics import Array


def numbers(values: Sequence[object], column: str, where: str) -> Array:
    """Turn cells into numbers, shape (n,); an empty cell is NaN.

    Text that is a number counts as one, as every cell of a CSV file is text; true and false are 1 and 0.

    Raises:
        ConfigError: A cell is something else.
    """
    return np.array([_number(value, column, where) for value in values], dtype=np.float64)


def check_scale(gold: Array, scale: tuple[float, float] | None, column: str, where: str) -> None:
    """Refuse gold outside its scale.

    Raises:
        ConfigError: A value is outside.
    """
    if scale is None or np.isnan(gold).all():
        return
    low, high = scale
    worst, best = float(np.nanmin(gold)), float(np.nanmax(gold))
    if worst < low or best > high:
        raise ConfigError(
            f"Gold {column} of {where} must be from {low:g} to {high:g}, found {worst:g} to {best:g}. Set --gold-scale "
            "to its worst and best value."
        )


def score_columns(
    exchanges: Sequence[Exchange], asked: Mapping[str, str], where: str
) -> tuple[dict[str, Array], tuple[Method, ...]]:
    """Scores that are already there, and which of their methods are beyond the paper's; an absent column is left out.

    Args:
        exchanges: Their further columns hold the scores.
        asked: From the name of a method to a column; a name that ends in `+reference` sees the reference.
        where: The source, for messages.

    Raises:
        ConfigError: A cell is no number.
    """
    rows = [columns_of(exchange) for exchange in exchanges]
    known = {column for row in rows for column in row}
    scores: dict[str, Array] = {}
    further = []
    for name, column in asked.items():
        if column not in known:
            continue
        found = numbers([row.get(column) for row in rows], column, where)
        if np.isnan(found).all():
            continue
        scores[name] = found
        if name not in KEYS:
            further.append(Method(name, name.removesuffix(REFERENCE), name.endswith(REFERENCE)))
    return scores, tuple(further)


def further_columns(exchanges: Sequence[Exchange]) -> list[str]:
    """Names of the further columns of some exchanges."""
    return sorted({column for exchange in exchanges for column in columns_of(exchange)})


def _number(value: object, column: str, where: str) -> float:
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    try:
        found = float(value) if isinstance(value, (int, float, str)) else math.inf
    except ValueError:
        found = math.inf
    if math.isinf(found):
        raise ConfigError(
            f"The column {column!r} of {where} must hold numbers, found {str(value)[:60]!r}. Name another column."
        )
    return found
