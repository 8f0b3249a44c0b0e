"""Gold quality of responses, to compare methods with: a column of the input, a function, a file of grades, or z."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfj import backends
from selfj.errors import ConfigError
from selfj.exchanges import Exchange
from selfj.label import TOP
from selfj.settings import Evaluate

GRADED = ".jsonl"
"""Ends the name of a file of grades."""


def gold_of(exchanges: Sequence[Exchange], name: str, settings: Evaluate) -> list[float]:
    """Gold quality in [0, 9] of each exchange, higher is better; NaN where a row has none.

    Args:
        exchanges: Their instructions and responses keep the input's further columns in `meta`.
        name: A column, or `package.module:function` called with those columns and the response's text, or a file
            `….jsonl` that `selfj grade RUN` wrote.
        settings: `gold_range` says which values mean worst and best.

    Raises:
        ConfigError: There is no such column, function or file, or a value is not a number within the range.
    """
    measure = _measure(exchanges, name)
    return [_scaled(measure(exchange), name, settings.gold_range) for exchange in exchanges]


def gold_values(exchanges: Sequence[Exchange], name: str) -> list[Any]:
    """Gold of each exchange as it is, on no scale; see `gold_of`.

    Raises:
        ConfigError: There is no such column or function.
    """
    measure = _measure(exchanges, name)
    return [measure(exchange) for exchange in exchanges]


def columns_of(exchange: Exchange) -> dict[str, Any]:
    """Further columns of an exchange; those of the response win over those of the instruction."""
    return {**json.loads(exchange.instruction.meta), **json.loads(exchange.response.meta)}


def _measure(exchanges: Sequence[Exchange], name: str) -> Callable[[Exchange], Any]:
    if name.endswith(GRADED):
        grades = _grades(Path(name))
        if exchanges and not any(exchange.id in grades for exchange in exchanges):
            raise ConfigError(f"{name} has a grade for none of these exchanges: expected what selfj grade RUN writes.")
        return lambda exchange: grades.get(exchange.id)
    if ":" in name:
        function: Any = backends.plugin(name)
        return lambda exchange: function(columns_of(exchange), exchange.response.text)
    known = {column for exchange in exchanges for column in columns_of(exchange)}
    if exchanges and name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise ConfigError(f"There is no gold column {name!r} in the input; its further columns are: {listed}.")
    return lambda exchange: columns_of(exchange).get(name)


def _grades(path: Path) -> dict[str, Any]:
    """Grades by identifier of the exchange, from a file that `selfj grade RUN` wrote."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {row["exchange_id"]: row["grade"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"Cannot take gold from {path}: {type(error).__name__}: {error}. Expected lines of JSON with exchange_id "
            "and grade, as selfj grade RUN writes them."
        ) from error


def _scaled(value: Any, name: str, bounds: tuple[float, float]) -> float:
    if value is None:
        return math.nan
    low, high = bounds
    if not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(
            f"Gold {name} must be a number from {low:g} to {high:g}, found {value!r}. Set evaluate.gold_range to the "
            "lowest and highest value of the column."
        )
    return TOP * (float(value) - low) / (high - low)
