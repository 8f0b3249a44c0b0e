"""What the pages of both verbs share: cells, sentences on rows left out, and the files of tables and figures."""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from selfj.bootstrap import Interval
from selfj.errors import ConfigError
from selfj.files import write_text, writing
from selfj.report.canvas import to_png
from selfj.report.grid import Grid, GridCell
from selfj.report.text import known

_FIGURES = 10
"""Significant digits in JSON and CSV: as many as do not depend on the machine's order of sums."""


def exact(value: float | None) -> float | None:
    """A number for a file: None where it is undefined."""
    found = known(value)
    return None if found is None else float(f"{found:.{_FIGURES}g}")


def cell(interval: Interval, digits: int = 2, *, strong: bool = False, words: str = "") -> GridCell:
    """A cell with an interval."""
    low, high = exact(interval.low), exact(interval.high)
    return GridCell(exact(interval.value), low, high, words=words, strong=strong, digits=digits)


def plain_interval(interval: Interval) -> dict[str, float | None]:
    """An interval for JSON."""
    return {"value": exact(interval.value), "low": exact(interval.low), "high": exact(interval.high)}


def digits_for(values: Iterable[float]) -> int:
    """Decimals that tell values apart: none where they are in the thousands."""
    most = max((abs(value) for value in values if not math.isnan(value)), default=0.0)
    return 0 if most >= 1000 else 1 if most >= 100 else 2 if most > 1 else 3


def told_faults(faults: Mapping[tuple[str, str], int], where: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences on rows that were left out."""
    if not faults:
        return ()
    reasons: dict[str, int] = {}
    for (_, reason), n in faults.items():
        reasons[reason] = reasons.get(reason, 0) + n
    told = ", ".join(f"{n:,} {reason} (first at {where[reason]})" for reason, n in sorted(reasons.items()))
    return (f"Rows left out ({sum(reasons.values()):,}): {told}.",)


def plain_faults(faults: Mapping[tuple[str, str], int], where: Mapping[str, str]) -> list[dict[str, Any]]:
    """The same for JSON, by model."""
    return [
        {"model": model or None, "reason": reason, "rows": n, "first_of_reason": where[reason]}
        for (model, reason), n in sorted(faults.items())
    ]


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names in one line, cut after some."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def write_grids(stem: Path, title: str, grids: Sequence[Grid], sentences: Sequence[str]) -> None:
    """Write tables as Markdown and LaTeX, one after the other."""
    parts = [f"# {title}\n", *(f"* {sentence}" for sentence in sentences)]
    parts += [f"\n## {grid.title}\n\n{grid.markdown().rstrip()}" for grid in grids]
    write_text(stem.with_suffix(".md"), "\n".join(parts) + "\n")
    write_text(stem.with_suffix(".tex"), "\n".join(f"% {grid.title}\n{grid.latex()}" for grid in grids))


def write_png(path: Path, figure: Figure) -> None:
    """Write a figure whole or not at all."""
    made = io.BytesIO()
    to_png(figure, made)  # type: ignore[arg-type]
    with writing(path) as handle:
        handle.write(made.getvalue())


def check_free(out: Path, names: Sequence[str], inputs: Sequence[str | Path]) -> None:
    """Refuse to write over an input.

    Raises:
        ConfigError: One of the files to write is one of the inputs.
    """
    for name in names:
        for path in map(Path, inputs):
            if (out / name).exists() and path.exists() and (out / name).samefile(path):
                raise ConfigError(f"{out / name} is an input and would be written over: choose another --out.")
