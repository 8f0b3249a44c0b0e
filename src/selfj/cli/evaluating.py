"""`evaluate`: the report of one run, and the table of methods over several runs and files."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from selfj.cli.options import Dry, Force, On, Retry, Sets, app
from selfj.cli.stages import foretell, show_report

if TYPE_CHECKING:
    from selfj.comparison import Compared


@app.command()
def evaluate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="One run (folder, TOML config or name), or runs and files of exchanges.", metavar="SOURCE"),
    ] = None,
    gold: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Holds the quality that methods are compared with.")
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option("--score", metavar="NAME=COLUMN", help="Scores that are there, e.g. gpt35=grade."),
    ] = None,
    judges: Annotated[
        list[str] | None,
        typer.Option("--judge", metavar="NAME", help="Compute scores: general, length, cosine+reference, a run …"),
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="Put the paper's figures beside, marked.")] = False,
    model: Annotated[str | None, typer.Option(metavar="COLUMN", help="Names the target model in files.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="WORD=COLUMN", help="Of files, such as response=output.")
    ] = None,
    metric: Annotated[
        Literal["pearson", "spearman", "kendall", "auroc"], typer.Option(help="What the cells show.")
    ] = "pearson",
    gold_scale: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Worst and best gold; needed where failures are counted.")
    ] = None,
    min_quality: Annotated[float, typer.Option(min=0, max=9, help="Gold below this, on 0 to 9, is a failure.")] = 5.0,
    draws: Annotated[int, typer.Option(min=10, help="Resamples for the intervals.")] = 1000,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of the table.")] = None,
    sets: Sets = None,
    force: Force = False,
    retry: Retry = False,
    dry: Dry = False,
    device: On = None,
) -> None:
    """Compare all methods: the report of one run, or the paper's table over several runs and files of exchanges.

    One run gets its report, as `run` makes it; with any option of the table also the table, in `comparison/` inside the
    run. Several sources, or a file, give the table alone, in `comparison/` of the working folder. `--out` names another
    folder. A file needs `--gold`; columns named by `--score` under the key of a row of the paper fill that row.

    Example: `selfj evaluate runs/demo`

    Example: `selfj evaluate runs/vicuna runs/wizard --gold gpt4 --published`

    Example: `selfj evaluate graded.jsonl --gold grade --judge general --judge cosine+reference`
    """
    from selfj import comparison, config, pipeline
    from selfj.comparison.gather import is_run
    from selfj.errors import ConfigError
    from selfj.terminal import Bars

    names = tuple(sources or ["demo"])
    # Whatever is no file is left to the loading of configs, which says what there is.
    single = len(names) == 1 and (not Path(names[0]).exists() or is_run(names[0]))
    if single and dry:
        foretell(["evaluate"], names[0], sets, device)
        return
    if not single and (dry or retry or device):
        raise ConfigError("--dry-run, --retry-failed and --device are for one run; leave them out for a table.")
    asked = comparison.Asked(
        sources=names,
        gold=gold,
        scores=parse_pairs(scores, "--score"),
        judges=tuple(judges or ()),
        published=published,
        model=model,
        columns=parse_pairs(columns, "--column"),
        metric=metric,
        gold_scale=parse_scale(gold_scale),
        min_quality=min_quality,
        draws=draws,
        confidence=confidence,
        seed=seed,
        overrides=tuple(sets or ()),
        force=force,
        out=Path(out or "comparison"),
    )
    table = bool(gold or scores or judges or published or gold_scale or out or metric != "pearson")
    report, compared = None, None
    bars = Bars()
    try:
        if single:
            settings = config.load(names[0], sets or [])
            report = pipeline.perform("evaluate", settings, force=force, retry_failed=retry, progress=bars)
            folder = asked.out if out else settings.path / "comparison"
            asked = replace(asked, sources=(str(settings.path),), out=folder)
        if table or not single:
            compared = comparison.compare(asked, bars)
    finally:
        bars.close()
    if compared is not None:
        _show(compared)
    if report is not None:
        show_report(report, settings.path)


def _show(compared: "Compared") -> None:
    from selfj.report.grid import show
    from selfj.terminal import OUT, print_table

    for grid in list(compared.grids.values())[:2]:
        rows = [[name, *(show(cell) + " *" * cell.strong for cell in cells)] for name, cells in grid.rows]
        # Names of models and columns come from files, and could steer a terminal.
        print_table([_flat(name) for name in grid.headers], [[_flat(text) for text in row] for row in rows])
        for note in grid.notes:
            OUT.print(f"• {_flat(note)}", markup=False, highlight=False)
    OUT.print(
        f"\nTable: {compared.page}, and .md, .tex, .json and CSV beside it; * best of its column",
        markup=False,
        highlight=False,
    )


def _flat(text: str) -> str:
    from selfj.report.text import plain

    return plain(" ".join(text.split()))


def parse_pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """Read options of the form NAME=COLUMN.

    Raises:
        ConfigError: One has another form, or a name comes twice.
    """
    from selfj.errors import ConfigError

    found: dict[str, str] = {}
    for text in given or []:
        name, separator, column = text.partition("=")
        if not (name and separator and column):
            raise ConfigError(f"{option} must look like NAME=COLUMN, got {text!r}.")
        if name in found:
            raise ConfigError(f"{option} names {name!r} twice.")
        found[name] = column
    return found


def parse_scale(text: str | None) -> tuple[float, float] | None:
    """Read LOW,HIGH.

    Raises:
        ConfigError: It has another form.
    """
    from selfj.errors import ConfigError

    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--gold-scale must look like LOW,HIGH, such as 1,10; got {text!r}.") from None
    return low, high
