"""`rank` and `rerank`: models by the scores of their outputs, and the best of several candidates."""

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from selfj.cli.options import Sets, app

if TYPE_CHECKING:
    from selfj.report.grid import Grid

Files = Annotated[
    list[str], typer.Argument(help="Files of outputs, or a folder of model_outputs.json by model.", metavar="FILE…")
]
Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", metavar="NAME", help="general, a folder, length, cosine, random; any number of times."),
]
Columns = Annotated[
    list[str] | None, typer.Option("--column", metavar="WORD=COLUMN", help="Such as response=output or model=system.")
]
Draws = Annotated[int, typer.Option(min=0, help="Resamples of the instructions, for the intervals.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the resamples.")]


@app.command()
def rank(
    files: Files,
    judges: Judges = None,
    leaderboard: Annotated[
        str | None, typer.Option(metavar="FILE", help="Compare with it: CSV, JSON or Parquet with model and value.")
    ] = None,
    value: Annotated[str | None, typer.Option(metavar="COLUMN", help="Its column, such as win_rate.")] = None,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of tables, figures and kept scores.")
    ] = "runs/ranking",
    columns: Columns = None,
    sets: Sets = None,
    draws: Draws = 1000,
    seed: Seed = 0,
) -> None:
    """Rank models by the mean score of their outputs for the same instructions, and compare with a leaderboard.

    Length stands beside every judge, and every judge once more with length held equal. Scores are kept in the folder,
    so that the same command goes on after a kill.

    Example: `selfj rank results/ --judge general --leaderboard leaderboard.csv --out runs/ranking`
    """
    from selfj import ranking
    from selfj.judging import parse_columns
    from selfj.ranking import rank_pages
    from selfj.terminal import Bars

    bars = Bars()
    try:
        found = ranking.rank(
            files,
            judges or ["general"],
            leaderboard=leaderboard,
            value=value,
            out=out,
            columns=parse_columns(columns or []),
            overrides=sets or [],
            draws=draws,
            seed=seed,
            progress=bars,
        )
        inputs = [*files, *([leaderboard] if leaderboard else [])]
        page = ranking.write_ranking(found, out, inputs=inputs, command=_command())
    finally:
        bars.close()
    _print_grid(rank_pages.model_grid(found, found.scorers[0]))
    if found.board is not None:
        _print_grid(rank_pages.agreement_grid(found))
    _print_sentences(rank_pages.sentences(found), str(page))


@app.command()
def rerank(
    files: Files,
    judges: Judges = None,
    gold: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Quality or preference of a row; says what picking gains.")
    ] = None,
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder of picks, tables and kept scores.")] = "runs/rerank",
    columns: Columns = None,
    sets: Sets = None,
    draws: Draws = 1000,
    seed: Seed = 0,
) -> None:
    """Pick the best of several candidates for each instruction, by the first judge named.

    With a gold column, say what the pick of each judge gains over a random candidate as their number grows.

    Example: `selfj rerank candidates.jsonl --judge general --gold quality --out runs/rerank`
    """
    from selfj import ranking
    from selfj.judging import parse_columns
    from selfj.ranking import rerank_pages
    from selfj.terminal import Bars

    bars = Bars()
    try:
        found = ranking.rerank(
            files,
            judges or ["general"],
            gold=gold,
            out=out,
            columns=parse_columns(columns or []),
            overrides=sets or [],
            draws=draws,
            seed=seed,
            progress=bars,
        )
        page = ranking.write_reranking(found, out, inputs=files, command=_command())
    finally:
        bars.close()
    if found.curves:
        _print_grid(rerank_pages.gain_grid(found))
    _print_sentences(rerank_pages.sentences(found), str(page))


def _command() -> str:
    return shlex.join(["selfj", *sys.argv[1:]])


def _print_grid(grid: "Grid") -> None:
    from selfj.report.grid import show
    from selfj.report.text import plain
    from selfj.terminal import print_table

    rows = [[plain(name), *(show(cell) for cell in cells)] for name, cells in grid.rows]
    print_table(grid.headers, rows)


def _print_sentences(sentences: tuple[str, ...], page: str) -> None:
    from selfj.report.text import plain
    from selfj.terminal import OUT

    for sentence in sentences:
        OUT.print(f"• {plain(sentence)}", markup=False, highlight=False, soft_wrap=True)
    OUT.print(f"\nPage: {page}", markup=False, highlight=False, soft_wrap=True)
