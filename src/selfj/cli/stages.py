"""The verbs of a run, one command each, and `run`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from selfj.cli.options import Dry, Force, On, Retry, Sets, Target, app

if TYPE_CHECKING:
    from pathlib import Path

    from selfj.report import Report

_STAGES = {
    "collect": "Read instructions, or exchanges one already has, and split them by hash.",
    "sample": "Let the target model answer the instructions.",
    "label": "Rate the answers against the references: self-evaluation and semantic similarity, no people.",
    "sft": "Tune a base model on instructions and replies, before all else; no part of `run`.",
    "tune": "Tune the judge on the labels, with self-distillation from teacher to student.",
    "score": "Score calibration and test exchanges with the judge and every baseline.",
}


def foretell(verbs: list[str], target: str, sets: list[str] | None, device: str | None) -> None:
    """Print what verbs would do; nothing is done."""
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


def perform_stage(
    verb: str, target: str, sets: list[str] | None, *, force: bool, retry: bool, dry: bool, device: str | None
) -> None:
    """Perform one stage, or say what it would do."""
    from selfj import config, pipeline
    from selfj.terminal import Bars

    if dry:
        foretell([verb], target, sets, device)
        return
    bars = Bars()
    try:
        settings = config.load(target, sets or [])
        pipeline.perform(verb, settings, force=force, retry_failed=retry, progress=bars)
    finally:
        bars.close()


def _stage(verb: str, text: str) -> Callable[..., None]:
    def command(
        target: Target = "demo",
        sets: Sets = None,
        force: Force = False,
        retry: Retry = False,
        dry: Dry = False,
        device: On = None,
    ) -> None:
        perform_stage(verb, target, sets, force=force, retry=retry, dry=dry, device=device)

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
        foretell(list(pipeline.VERBS), target, sets, device)
        return
    bars = Bars()
    try:
        settings = config.load(target, sets or [])
        outcome = pipeline.run(settings, force=force, retry_failed=retry, progress=bars)
    finally:
        bars.close()
    show_report(outcome.report, outcome.path)


def show_report(report: "Report", path: "Path") -> None:
    """Print a report; where nothing can be promised, the command ends with exit code 4."""
    from selfj.report import text
    from selfj.terminal import OUT, print_table

    table = text.table(report)
    print_table(table.headers, table.rows)
    for sentence in text.summary(report):
        OUT.print(f"• {sentence}", markup=False, highlight=False)
    OUT.print(f"\nReport: {path / 'report' / 'report.html'}", markup=False, highlight=False)
    if report["selective"]["infeasible"]:
        raise typer.Exit(4)
