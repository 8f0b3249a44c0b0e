"""A leaderboard to compare a ranking with: names of models and one value of each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.collect.columns import printable
from selfj.collect.files import read_rows
from selfj.errors import ConfigError, InputError
from selfj.settings import FileSource

DEFAULT_VALUE = "win_rate"
_MODEL = ("model", "name", "generator", "model_name", "index", "column_1", "__index_level_0__")
"""`column_1` is the nameless first column that pandas writes."""


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """One value of each model."""

    path: str
    column: str
    values: Mapping[str, float]
    without: tuple[str, ...]
    """Models whose value is absent or no number."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which models of the outputs are on the leaderboard."""

    values: Mapping[str, float]
    """By the models' names in the outputs."""
    only_outputs: tuple[str, ...]
    only_leaderboard: tuple[str, ...]


def read_leaderboard(path: str | Path, column: str | None = None) -> Leaderboard:
    """Read AlpacaEval's `leaderboard.csv`, or any CSV, TSV, JSONL, JSON or Parquet with a model and a value column.

    JSON may also map each model to its value, or to an object of values.

    Args:
        path: The file.
        column: That of the value; by default `win_rate`, or the only column of numbers.

    Raises:
        InputError: The file cannot be read, or has two values for one model.
        ConfigError: There is no column of models, or none of values.
    """
    rows = [row.fields for row in read_rows(FileSource(path=str(path))) if row.fields]
    rows = _unrolled(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    known = {name.strip().casefold(): name for name in reversed(columns)}
    model = next((known[name] for name in _MODEL if name in known), None)
    listed = ", ".join(map(printable, columns[:30]))
    if model is None:
        raise ConfigError(f"{path}: no column holds the models. Expected one called model; columns found: {listed}.")
    chosen = _value_column(path, rows, [name for name in columns if name != model], column)
    values: dict[str, float] = {}
    without = []
    for row in rows:
        name, value = str(row.get(model) or "").strip(), _number(row.get(chosen))
        if not name:
            continue
        if math.isnan(value):
            without.append(name)
        elif values.setdefault(name, value) != value:
            raise InputError(
                f"{path} has two values of {chosen} for {name}: {values[name]:g} and {value:g}. Keep one row for each "
                "model, such as those of one version."
            )
    return Leaderboard(str(path), chosen, values, tuple(name for name in dict.fromkeys(without) if name not in values))


def match(models: Sequence[str], aliases: Mapping[str, str], board: Leaderboard) -> Match:
    """Find each model on the leaderboard by its name, or else by the other name that its rows give it.

    Args:
        models: Names in the outputs.
        aliases: Other names of some.
        board: From `read_leaderboard`.
    """
    found: dict[str, str] = {name: name for name in models if name in board.values}
    for name in models:
        other = aliases.get(name)
        if name not in found and other in board.values and other not in found.values():
            found[name] = str(other)
    taken = set(found.values())
    return Match(
        {name: board.values[found[name]] for name in models if name in found},
        tuple(name for name in models if name not in found),
        tuple(name for name in board.values if name not in taken),
    )


def _unrolled(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows of one JSON object that maps each model to its value or values."""
    if len(rows) == 1 and not any(name.strip().casefold() in _MODEL for name in rows[0]):
        cells = rows[0].items()
        if all(isinstance(cell, dict) for _, cell in cells):
            return [{**cell, "model": name} for name, cell in cells if isinstance(cell, dict)]
        if all(isinstance(cell, int | float) for _, cell in cells):
            return [{"model": name, "value": cell} for name, cell in cells]
    return rows


def _value_column(
    path: str | Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str], asked: str | None
) -> str:
    numeric = [name for name in columns if any(not math.isnan(_number(row.get(name))) for row in rows)]
    told = f"Columns of numbers: {', '.join(map(printable, numeric)) or 'none'}."
    if asked is not None:
        if asked not in numeric:
            raise ConfigError(f"{path} has no column {asked!r} of numbers. {told} Name one with --value.")
        return asked
    if DEFAULT_VALUE in numeric:
        return DEFAULT_VALUE
    if len(numeric) != 1:
        raise ConfigError(f"{path}: which column is the value? {told} Name one with --value.")
    return numeric[0]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        found = float(value)
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan
