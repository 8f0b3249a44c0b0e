"""The command line: verbs to stages. The only module that prints, with `terminal` to draw for it."""

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from selfj.errors import SelfjError

if TYPE_CHECKING:
    from pathlib import Path

    from selfj.judging import Verdict
    from selfj.report import Report

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Train a judge for your own language model, and let your assistant decline when its answer would be bad.",
)

Target = Annotated[
    str, typer.Argument(help="A TOML config, the folder of a run, or a config that ships with selfj.", metavar="CONFIG")
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. label.weight=0.7.")
]
Force = Annotated[bool, typer.Option("--force", help="Make it again, even from stale input.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Make the failed rows again, and only those.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, with a plan of a tuning; do nothing.")]
On = Annotated[
    str | None,
    typer.Option("--device", help="Plan for h100, h200, a100 or cpu; 4xh100, 4xh100/fsdp.", metavar="DEVICE"),
]
Folder = Annotated[str, typer.Option("--run", help="Folder of a finished run.")]

_STAGES = {
    "collect": "Read instructions, or exchanges one already has, and split them by hash.",
    "sample": "Let the target model answer the instructions.",
    "label": "Rate the answers against the references: self-evaluation and semantic similarity, no people.",
    "sft": "Tune a base model on instructions and replies, before all else; no part of `run`.",
    "tune": "Tune the judge on the labels, with self-distillation from teacher to student.",
    "score": "Score calibration and test exchanges with the judge and every baseline.",
    "calibrate": "Choose the lowest threshold whose risk is bounded with confidence.",
    "evaluate": "Compare all methods, and write the report.",
}


def main() -> None:
    """Run the command line; a foreseen error ends it with its message and exit code."""
    try:
        app()
    except SelfjError as error:
        from selfj.terminal import print_error

        print_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        from selfj.terminal import print_error

        print_error("Stopped. Finished parts are kept: run the same command to go on.")
        sys.exit(130)


def _foresee(verbs: list[str], target: str, sets: list[str] | None, device: str | None) -> None:
    from selfj import config
    from selfj.foresight import foresee
    from selfj.terminal import OUT, print_table
    from selfj.tune.plan_text import plan_rows

    found = foresee(config.load(target, sets or []), verbs, device)
    print_table(["verb", "state", "what"], [(step.verb, step.state, step.what) for step in found.steps], wrap=True)
    if found.plan is not None:
        print_table(["tuning", "", "how it comes about"], plan_rows(found.plan), wrap=True)
        for note in found.plan.notes:
            OUT.print(f"· {note}", markup=False, highlight=False)


def _stage(verb: str, text: str) -> Callable[..., None]:
    def command(
        target: Target = "demo",
        sets: Sets = None,
        force: Force = False,
        retry: Retry = False,
        dry: Dry = False,
        device: On = None,
    ) -> None:
        from selfj import config, pipeline
        from selfj.terminal import Bars

        if dry:
            _foresee([verb], target, sets, device)
            return
        bars = Bars()
        try:
            settings = config.load(target, sets or [])
            result = pipeline.perform(verb, settings, force=force, retry_failed=retry, progress=bars)
        finally:
            bars.close()
        if verb == "evaluate":
            _show(result, settings.path)

    command.__doc__ = f"{text}\n\n    Example: `selfj {verb} runs/demo`"
    command.__name__ = verb
    return command


for _verb, _text in _STAGES.items():
    app.command(_verb)(_stage(_verb, _text))


@app.command()
def run(
    target: Target = "demo",
    sets: Sets = None,
    force: Force = False,
    retry: Retry = False,
    dry: Dry = False,
    device: On = None,
) -> None:
    """Perform every stage in order, and say how good the judge is; what is already done is left as it is.

    Example: `selfj run demo --set collect.source.n=1000 --set name=small`
    """
    from selfj import config, pipeline
    from selfj.terminal import Bars

    if dry:
        _foresee(list(pipeline.VERBS), target, sets, device)
        return
    bars = Bars()
    try:
        settings = config.load(target, sets or [])
        outcome = pipeline.run(settings, force=force, retry_failed=retry, progress=bars)
    finally:
        bars.close()
    _show(outcome.report, outcome.path)


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


@app.command()
def publish(
    source: Annotated[str, typer.Argument(help="Folder of a run, or of a tuned judge.", metavar="FOLDER")],
    merge: Annotated[str | None, typer.Option(metavar="DIR", help="Write merged whole weights there.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the merged weights: float32, bfloat16 or float16.")] = "float32",
    gguf: Annotated[str | None, typer.Option(metavar="FILE", help="Write the merged model as GGUF.")] = None,
    gguf_type: Annotated[str, typer.Option(help="Of its matrices: f32, f16 or q8_0.")] = "f16",
    push: Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Upload the folder to the model hub.")] = None,
    public: Annotated[bool, typer.Option("--public", help="For everyone to see; private without it.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Upload on top of what is there.")] = False,
    token_env: Annotated[str | None, typer.Option(metavar="NAME", help="Variable that holds the token.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be uploaded.")] = False,
) -> None:
    """Renew the judge's card; on request merge its weights, write them as GGUF, or upload the judge.

    Example: `selfj publish runs/demo --merge judge --gguf judge.gguf`
    """
    from selfj.publish import publish as perform
    from selfj.terminal import OUT

    made = perform(
        source,
        merge=merge,
        dtype=dtype,
        gguf=gguf,
        gguf_type=gguf_type,
        push=push,
        public=public,
        update=update,
        token_env=token_env,
        dry_run=dry_run,
    )
    for line in made.lines():
        OUT.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say what works on this machine, and what to install for the rest.

    Example: `selfj doctor`
    """
    from selfj.doctor import examine
    from selfj.terminal import print_table

    findings = examine()
    rows = [(item.name, "works" if item.works else "absent", item.found, item.remedy) for item in findings]
    print_table(["part", "state", "found", "what to do"], rows, wrap=True)
    if any(item.needed and not item.works for item in findings):
        raise typer.Exit(2)


def _show(report: "Report", path: "Path") -> None:
    from selfj.report import text
    from selfj.terminal import OUT, print_table

    table = text.table(report)
    print_table(table.headers, table.rows)
    for sentence in text.summary(report):
        OUT.print(f"• {sentence}", markup=False, highlight=False)
    OUT.print(f"\nReport: {path / 'report' / 'report.html'}", markup=False, highlight=False)
    if report["selective"]["infeasible"]:
        raise typer.Exit(4)
