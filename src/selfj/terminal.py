"""Drawing for the command line: progress with rate and time left, tables, decisions. Only `cli` uses it."""

import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from selfj.files import first_process
from selfj.report.text import number, plain

OUT = Console()
ERR = Console(stderr=True)
_TOLD = Console(stderr=True, quiet=not first_process())
"""Where progress goes: of several processes that work together, one tells of it."""

_PLAIN_EVERY_S = 10.0


class _Lines(Progress):
    """Bars, and under them one line with the numbers of the work."""

    told = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Give the bars and the line."""
        yield from super().get_renderables()
        if self.told:
            yield Text(self.told, style="dim", no_wrap=True, overflow="ellipsis")


class Bars:
    """Progress as bars on a terminal, and as a line now and then where there is none."""

    def __init__(self) -> None:
        self._bars: _Lines | None = None
        self._values: dict[str, float | None] = {}
        self._task = TaskID(0)
        self._stage, self._done, self._at_start = "", 0, 0
        self._total: int | None = None
        self._began = self._said = 0.0

    def start(self, stage: str, total: int | None, done: int = 0) -> None:
        """Open a bar."""
        self._stop()
        self._stage, self._total, self._done, self._at_start = stage, total, done, done
        self._began = self._said = time.monotonic()
        self._values = {}
        if _TOLD.is_terminal:
            self._bars = _Lines(
                SpinnerColumn(),
                TextColumn("{task.description:<16}"),
                BarColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=_TOLD,
                transient=True,
            )
            self._task = self._bars.add_task(stage, total=total, completed=done, rate="")
            self._bars.start()

    def advance(self, n: int) -> None:
        """Move the bar."""
        self._done += n
        now = time.monotonic()
        rate = (self._done - self._at_start) / max(1e-9, now - self._began)
        if self._bars is not None:
            self._bars.update(self._task, advance=n, rate=f"{self._done:,}/{self._total or '?'}  {rate:,.1f}/s")
        elif now - self._said > _PLAIN_EVERY_S:
            self._said = now
            left = "" if self._total is None else f", {(self._total - self._done) / rate:,.0f} s left"
            numbers = f"; {told(self._values)}" if self._values else ""
            line = f"{self._stage}: {self._done:,} of {self._total or '?'}, {rate:,.1f}/s{left}{numbers}"
            _TOLD.print(line, markup=False, highlight=False, soft_wrap=True)

    def tell(self, values: Mapping[str, float | None]) -> None:
        """Show numbers under the bar, or with the next line."""
        self._values.update(values)
        if self._bars is not None:
            self._bars.told = told(self._values)

    def note(self, text: str) -> None:
        """Print a remark."""
        _TOLD.print(f"[dim]·[/] {escape(text)}", highlight=False)

    def finish(self, summary: str) -> None:
        """Close the bar with one line."""
        self._stop()
        _TOLD.print(f"[green]✓[/] {self._stage:<16} {escape(summary)}", highlight=False)

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._stop()


def told(values: Mapping[str, float | None]) -> str:
    """Write numbers of the work on one line: parts of the loss first, then correlations on exchanges held back.

    Example:
        >>> told({"total": 2.061, "teacher": 1.36, "student_pearson": 0.75, "teacher_pearson": None})
        'total 2.06, teacher 1.36 · r student 0.75, teacher –'
    """
    ending = "_pearson"
    losses = [f"{name} {number(value)}" for name, value in values.items() if not name.endswith(ending)]
    sides = [f"{name.removesuffix(ending)} {number(value)}" for name, value in values.items() if name.endswith(ending)]
    parts = [", ".join(losses)] if losses else []
    parts += [f"r {', '.join(sides)}"] if sides else []
    return plain(" · ".join(parts).replace("_", " "))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: bool = False) -> None:
    """Print a table, its first column left-aligned and the rest right-aligned.

    On a terminal that is too narrow, cells are wrapped, or the last columns are left out and the reader is told.

    Args:
        headers: One for each column.
        rows: Cells as text.
        wrap: Whether cells may go over several lines; they are then all left-aligned.
    """
    widths = [max(len(row[place]) for row in [headers, *rows]) + 3 for place in range(len(headers))]
    room = OUT.width - 1 if OUT.is_terminal else sum(widths)
    shown = len(headers)
    while not wrap and shown > 2 and sum(widths[:shown]) > room:
        shown -= 1
    table = Table(header_style="bold")
    for place, header in enumerate(headers[:shown]):
        table.add_column(header, justify="right" if place and not wrap else "left", no_wrap=not wrap)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row[:shown]))
    # Without a terminal rich takes 80 columns for granted, and would crush the table into them.
    out = OUT if OUT.is_terminal else Console(width=room + 1)
    out.print(table)
    if shown < len(headers):
        OUT.print(f"not shown for want of room: {', '.join(headers[shown:])}", style="dim", highlight=False)


def print_error(text: str) -> None:
    """Print an error without a traceback."""
    ERR.print(f"[bold red]error[/] {escape(text)}", highlight=False, soft_wrap=True)
