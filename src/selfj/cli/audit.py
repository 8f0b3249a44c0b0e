"""`audit`: what sways a judge, and the table of evaluators."""

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from selfj.cli.options import Sets, app

if TYPE_CHECKING:
    from selfj.report.grid import Grid


@app.command()
def audit(
    path: Annotated[
        str | None,
        typer.Argument(help="Exchanges or pairs; without it, exchanges of the embedded world.", metavar="FILE"),
    ] = None,
    judges: Annotated[
        list[str] | None,
        typer.Option("--judge", metavar="NAME", help="general, length, random, cosine, a folder; any number of times."),
    ] = None,
    folder: Annotated[str | None, typer.Option("--run", help="Audit this run's judge.")] = None,
    out: Annotated[str, typer.Option(help="Folder of the page, the tables and the scores.")] = "audit",
    limit: Annotated[int, typer.Option(min=1, help="Look at so many rows at most, drawn by instruction.")] = 400,
    seed: Annotated[int, typer.Option(help="Of draws and intervals.")] = 0,
    gold: Annotated[str | None, typer.Option(help="Numeric column with gold, higher is better.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="WORD=COLUMN", help="Such as response=output.")
    ] = None,
    price: Annotated[
        list[str] | None, typer.Option(metavar="NAME=AMOUNT", help="Price of a judge per 1,000 exchanges.")
    ] = None,
    only_table: Annotated[bool, typer.Option("--table", help="Only the evaluator table, which needs gold.")] = False,
    sets: Sets = None,
) -> None:
    """Audit judges for what sways them besides quality: length, format, order, families, wording, gaming.

    With gold or preferences the evaluator table is written too: agreement, price, speed, length bias and steadiness of
    each judge beside length, random and cosine.

    Example: `selfj audit exchanges.jsonl --judge general --gold score --out audit`
    """
    from selfj import audit as audits
    from selfj import judging
    from selfj.terminal import OUT, Bars, print_table

    names = [*(judges or []), *([folder] if folder else [])] or ["general"]
    prices = _prices(price or [], names)
    bars = Bars()
    try:
        material = audits.read_material(
            path, columns=judging.parse_columns(columns or []), gold=gold, limit=limit, seed=seed
        )
        make = audits.evaluators if only_table else audits.audit
        found = make(names, material, overrides=sets or [], out=out, prices=prices, seed=seed, progress=bars)
        page = audits.write_audit(found, out, shlex.join(["selfj", *sys.argv[1:]]))
    finally:
        bars.close()
    table = found.table()
    grids: list[Grid] = [*([found.grid()] if found.judges else []), *([table] if table is not None else [])]
    for grid in grids:
        print_table(list(grid.headers), _cells(grid))
        for note in grid.notes:
            OUT.print(f"• {note}", markup=False, highlight=False)
    for judge in found.judges:
        for finding in judge.findings:
            if finding.absent:
                OUT.print(f"• {judge.title}, {finding.title}: {finding.absent}", markup=False, highlight=False)
    OUT.print(f"\nPage: {page}", markup=False, highlight=False)


def _cells(grid: "Grid") -> list[list[str]]:
    from selfj.report.grid import show

    return [[name, *map(show, cells)] for name, cells in grid.rows]


def _prices(words: list[str], names: list[str]) -> dict[str, float]:
    from selfj.errors import ConfigError

    made = {}
    for word in words:
        name, _, amount = word.rpartition("=")
        try:
            made[name] = float(amount)
        except ValueError:
            made[name] = -1.0
        if name not in names or not 0 <= made[name] < float("inf"):
            raise ConfigError(f"--price must look like NAME=AMOUNT with a --judge of that name, got {word!r}.")
    return made
