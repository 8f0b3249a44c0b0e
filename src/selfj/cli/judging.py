"""`ask` and `judge`: one question, and exchanges one already has."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from selfj.cli.options import Folder, Sets, app

if TYPE_CHECKING:
    from selfj.judging import Verdict


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask the assistant.")],
    folder: Folder = "runs/demo",
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Answer a question, or decline when the judge expects a bad answer.

    Example: `selfj ask "What is the capital of Peru?" --run runs/demo`
    """
    from selfj.assistant import load
    from selfj.terminal import OUT

    decision = load(folder).ask(question)
    if as_json:
        typer.echo(json.dumps(decision.to_dict(), ensure_ascii=False))
        return
    score = "none" if decision.score is None else f"{decision.score:.2f}"
    threshold = "none" if decision.threshold is None else f"{decision.threshold:.2f}"
    mass = "none" if decision.label_mass is None else f"{decision.label_mass:.3f}"
    if decision.action == "answer":
        OUT.print(decision.answer, markup=False, highlight=False)
    else:
        OUT.print(f"Declined: {decision.reason}.", markup=False, highlight=False)
    OUT.print(
        f"{decision.action} · score {score} of 9 · threshold {threshold} · label mass {mass}",
        style="dim",
        highlight=False,
    )


@app.command()
def judge(
    path: Annotated[str | None, typer.Argument(help="JSONL file; without one, standard input.", metavar="FILE")] = None,
    folder: Annotated[str | None, typer.Option("--run", help="Take this run's judge and threshold.")] = None,
    judge_folder: Annotated[str | None, typer.Option("--judge", help="Take the tuned judge in this folder.")] = None,
    config: Annotated[str | None, typer.Option(help="Take this config's target model, untuned.")] = None,
    sets: Sets = None,
    adapter: Annotated[str | None, typer.Option(help="PEFT adapter on top of the untuned model.")] = None,
    instruction: Annotated[str | None, typer.Option(help="Judge this one exchange: its instruction.")] = None,
    response: Annotated[str | None, typer.Option(help="Its response.")] = None,
    reference: Annotated[str | None, typer.Option(help="Its reference, where there is one.")] = None,
    system: Annotated[str | None, typer.Option(help="Its system text, where there is one.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="WORD=COLUMN", help="Such as response=output.")
    ] = None,
    ignore_reference: Annotated[
        bool, typer.Option("--ignore-reference", help="Judge as if no row had a reference.")
    ] = False,
    out: Annotated[str | None, typer.Option(help="Append to this file, and go on where it ends.")] = None,
    chunk: Annotated[int | None, typer.Option(min=1, help="Rows judged together; 1 answers each line at once.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict of one exchange as JSON.")] = False,
) -> None:
    """Judge exchanges one already has: JSONL in, the same lines with a verdict out, in order and constant memory.

    The judge is that of `--run`, the one in the folder `--judge`, the untuned model that `--config` or
    `--set target...` names, or else the general judge that ships with selfj. Settings are overridden by `--set`.

    Example: `selfj judge exchanges.jsonl --run runs/demo --out judged.jsonl`
    """
    from selfj import judging
    from selfj.terminal import Bars

    one = {"instruction": instruction, "response": response, "reference": reference, "system": system}
    single = judging.single_row(one, path)
    untuned = config or adapter or any(word.startswith("target") for word in sets or [])
    if not (folder or judge_folder or untuned):
        judge_folder = "general"
    loaded = judging.load_judging(
        run=folder,
        judge=judge_folder,
        config=config,
        adapter=adapter,
        overrides=sets or [],
        columns=judging.parse_columns(columns or []),
        use_reference=not ignore_reference,
        chunk_rows=chunk,
        few=single is not None,
    )
    if single is not None:
        _show_verdict(next(judging.judge_rows([single], loaded))["selfj"], as_json=as_json)
        return
    bars = Bars()
    try:
        tally = judging.judge_file(path, out, loaded, progress=bars)
    except BrokenPipeError:
        # The reader has had enough. What is still buffered must not be tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
    finally:
        bars.close()
    tally.check(loaded.max_failed)


def _show_verdict(verdict: "Verdict", *, as_json: bool) -> None:
    from selfj.terminal import OUT

    if as_json:
        typer.echo(json.dumps(verdict))
    else:
        number = {name: "none" if (found := verdict.get(name)) is None else f"{found:.2f}" for name in _SHOWN}
        text = f"{verdict.get('decision') or 'judged'} · score {number['score']} of 9"
        text += f" · label mass {number['label_mass']}"
        text += f" · threshold {number['threshold']}" if verdict.get("decision") else ""
        text += f" · {verdict['reason']}" if verdict["reason"] else ""
        OUT.print(text, markup=False, highlight=False)
    if verdict["score"] is None:
        raise typer.Exit(5)


_SHOWN = ("score", "label_mass", "threshold")
