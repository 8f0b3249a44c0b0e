"""A table once, in every form that a person or a program reads: Markdown, LaTeX, CSV and plain JSON data."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from selfj.report.text import UNDEFINED, inline, number


class GridCell(NamedTuple):
    """One cell: a number with perhaps an interval, or words."""

    value: float | None = None
    """None where there is no number."""
    low: float | None = None
    high: float | None = None
    words: str = ""
    """Shown instead of a number, such as why there is none."""
    strong: bool = False
    """Whether it stands out, as the best of its column."""
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    title: str
    headers: tuple[str, ...]
    """The first one heads the names of the rows."""
    rows: tuple[tuple[str, tuple[GridCell, ...]], ...]
    """Name of each row and one cell for each further header."""
    notes: tuple[str, ...] = field(default=())
    """Sentences below the table."""

    def markdown(self) -> str:
        """Write it as Markdown."""
        lines = [_bar(map(inline, self.headers)), _bar([":--", *["--:"] * (len(self.headers) - 1)])]
        for name, cells in self.rows:
            shown = [f"**{inline(show(c))}**" if c.strong else inline(show(c)) for c in cells]
            lines.append(_bar([inline(name), *shown]))
        return "\n".join([*lines, "", *(f"{inline(note)}\n" for note in self.notes)])

    def latex(self) -> str:
        r"""Write it as a `tabular` with the rules of booktabs."""
        lines = [rf"\begin{{tabular}}{{l{'r' * (len(self.headers) - 1)}}}", r"\toprule"]
        lines += [rf"{' & '.join(map(_tex, self.headers))} \\", r"\midrule"]
        for name, cells in self.rows:
            shown = [rf"\textbf{{{_tex(show(c))}}}" if c.strong else _tex(show(c)) for c in cells]
            lines.append(rf"{' & '.join([_tex(name), *shown])} \\")
        lines += [r"\bottomrule", r"\end{tabular}", *(f"% {' '.join(note.split())}" for note in self.notes)]
        return "\n".join([*lines, ""])

    def csv(self) -> str:
        """Write it as CSV with full figures: of every column the value, the ends of its interval, and words."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        parts = ("", " low", " high", " words")
        writer.writerow([self.headers[0], *(f"{name}{part}" for name in self.headers[1:] for part in parts)])
        for name, cells in self.rows:
            flat = [item for c in cells for item in (c.value, c.low, c.high, c.words)]
            writer.writerow([_plain_cell(name), *(_plain_cell(item) for item in flat)])
        return buffer.getvalue()

    def data(self) -> dict[str, Any]:
        """The same as plain data for JSON."""
        names = ("value", "low", "high", "words")
        rows = [
            {"name": name, "cells": [dict(zip(names, cell, strict=False)) for cell in cells]}
            for name, cells in self.rows
        ]
        return {"title": self.title, "headers": list(self.headers), "rows": rows, "notes": list(self.notes)}


def show(cell: GridCell) -> str:
    """A cell as text: its number and interval, or its words."""
    if cell.value is None:
        return cell.words or UNDEFINED
    text = number(cell.value, cell.digits)
    if cell.low is not None and cell.high is not None:
        text += f" [{number(cell.low, cell.digits)}, {number(cell.high, cell.digits)}]"
    return f"{text} {cell.words}".strip()


def strongest(columns: Sequence[Sequence[float | None]]) -> list[list[bool]]:
    """For each column, which of its values is the highest; none where fewer than two are known."""
    made = []
    for column in columns:
        known = [value for value in column if value is not None]
        top = max(known) if len(known) > 1 else None
        made.append([value is not None and value == top for value in column])
    return made


def _bar(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _plain_cell(item: object) -> str:
    text = "" if item is None else str(item)
    # A spreadsheet would take such text for a formula.
    return f"'{text}" if isinstance(item, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$", "≥": r"$\ge$", "≤": r"$\le$",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in " ".join(text.split()))
