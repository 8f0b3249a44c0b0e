"""`grade`: gold scores by a strong model behind a server, or by people from a file."""

import shlex
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from selfj.cli.options import app


@app.command()
def grade(
    path: Annotated[str, typer.Argument(help="A file of exchanges, or a run's folder.", metavar="FILE|RUN")],
    out: Annotated[str, typer.Option(help="Write the graded rows there, as JSONL.")],
    model: Annotated[str | None, typer.Option(help="Name of the grader at the server.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of the server, mostly ending in /v1.")] = None,
    api_key_env: Annotated[str | None, typer.Option(metavar="NAME", help="Variable that holds the key.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as preset=levels, max_tokens=512.")
    ] = None,
    with_reference: Annotated[
        bool, typer.Option("--with-reference/--ignore-reference", help="Show references, where there are any.")
    ] = True,
    repeats: Annotated[int, typer.Option(min=1, help="Grade so many times; the grade is the mean.")] = 1,
    max_cost: Annotated[float | None, typer.Option(metavar="USD", help="Most that this command may spend.")] = None,
    price_in: Annotated[float | None, typer.Option(metavar="USD_PER_M", help="Price of a million tokens in.")] = None,
    price_out: Annotated[float | None, typer.Option(metavar="USD_PER_M", help="Of a million tokens out.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="WORD=COLUMN", help="Such as response=output.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take; send nothing.")] = False,
    scores: Annotated[str | None, typer.Option("--from", metavar="FILE", help="Take grades by people from it.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Column, or several as in instruction+response, by which --from is joined.")
    ] = None,
    values: Annotated[
        list[str] | None, typer.Option("--value", metavar="COLUMN", help="Holds a score; several for several raters.")
    ] = None,
    rater: Annotated[str | None, typer.Option(metavar="COLUMN", help="Says who gave the score.")] = None,
    scale: Annotated[str | None, typer.Option(metavar="LOW,HIGH", help="Scores outside are not used.")] = None,
) -> None:
    """Grade exchanges by a strong model through an OpenAI-compatible interface, or by people from a file.

    Before anything is sent it says about what that takes; `--max-cost` is a cap. Run it again to go on after an end.

    Example: `selfj grade exchanges.jsonl --out graded.jsonl --model gpt-4.1 --base-url https://api.openai.com/v1
    --api-key-env OPENAI_API_KEY --max-cost 5`

    By people: `selfj grade exchanges.jsonl --out graded.jsonl --from scores.csv --key id --value score --scale 1,5`
    """
    from selfj import grading, judging
    from selfj.errors import ConfigError
    from selfj.terminal import Bars

    if scores is not None:
        if model is not None or base_url is not None:
            raise ConfigError("Name one grader: --from for people, or --model and --base-url.")
        joined = grading.grade_by_people(
            path,
            out,
            scores,
            key=key or "id",
            values=values or ["score"],
            rater=rater,
            scale=None if scale is None else grading.parse_scale(scale),
            columns=judging.parse_columns(columns or []),
            limit=limit,
        )
        _show(joined.lines())
        _show(grading.how_to_evaluate(path, joined.path, joined.scale))
        return
    if key or values or rater or scale:
        raise ConfigError("--key, --value, --rater and --scale are for scores by people; name their file with --from.")
    if model is None or base_url is None:
        raise ConfigError("A grader needs --model and --base-url; scores by people need --from.")
    job = grading.prepare(
        path,
        out,
        model=model,
        base_url=base_url,
        api_key_env=api_key_env,
        overrides=sets or [],
        columns=judging.parse_columns(columns or []),
        use_reference=with_reference,
        repeats=repeats,
        limit=limit,
        max_cost=max_cost,
        price_in=price_in,
        price_out=price_out,
        dry_run=dry_run,
    )
    _show(job.plan.lines())
    if dry_run:
        return
    bars = Bars()
    try:
        made = grading.perform(job, bars)
    finally:
        bars.close()
    _show(made.summary.lines())
    _show(grading.how_to_evaluate(path, made.path, made.scale))
    if made.summary.stopped:
        _show([f"Go on with: {shlex.join(['selfj', *sys.argv[1:]])}"])
    made.check()


def _show(lines: Sequence[str]) -> None:
    from selfj.terminal import OUT

    for line in lines:
        OUT.print(line, markup=False, highlight=False, soft_wrap=True)
