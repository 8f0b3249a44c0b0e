"""`calibrate`: the threshold of a run, or the thresholds of all steps of a gateway together."""

from typing import Annotated

import typer

from selfj.cli.options import Dry, Force, On, Retry, Sets, Target, app
from selfj.cli.stages import perform_stage


@app.command()
def calibrate(
    target: Target = "demo",
    policy: Annotated[
        str | None, typer.Option(metavar="FILE", help="Settings of a gateway: calibrate all its steps together.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --policy: the model, as requests will name it.")
    ] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="With --policy: the model's server, where FILE names none.")
    ] = None,
    drafts: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --policy: answers that there are, with a column step.")
    ] = None,
    gold: Annotated[str | None, typer.Option(metavar="COLUMN", help="With --drafts: their quality.")] = None,
    gold_scale: Annotated[str, typer.Option(metavar="LOW,HIGH", help="With --drafts: worst and best quality.")] = "0,9",
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="WORD=COLUMN", help="With --drafts: response=output.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --policy; threshold.policy.json in the run by default.")
    ] = None,
    sets: Sets = None,
    force: Force = False,
    retry: Retry = False,
    dry: Dry = False,
    device: On = None,
) -> None:
    """Choose the lowest threshold whose risk is bounded with confidence.

    With `--policy` the thresholds of answer, resample and escalate, so that the risk of whatever the gateway lets
    through is bounded. Calibration instructions are sent to its upstreams, or come answered and graded in a file.

    Example: `selfj calibrate runs/demo`

    Example: `selfj calibrate runs/demo --policy gateway.toml --model my-model`

    Example: `selfj calibrate runs/demo --policy gateway.toml --drafts drafts.jsonl --gold quality`
    """
    from selfj.errors import ConfigError, MissingDependency

    if policy is None:
        given = {"--model": model, "--upstream": upstream, "--drafts": drafts, "--gold": gold, "--out": out}
        if odd := [name for name, value in given.items() if value is not None]:
            raise ConfigError(f"{odd[0]} is for the policy of a gateway. Give its settings with --policy FILE.")
        perform_stage("calibrate", target, sets, force=force, retry=retry, dry=dry, device=device)
        return
    if dry or retry or device:
        raise ConfigError("--dry-run, --retry-failed and --device are for the threshold of a run, not with --policy.")
    if (drafts is None) != (gold is None):
        raise ConfigError("--drafts and --gold go together: a file of answers, and the column of their quality.")
    try:
        from selfj.serve import calibrating, drafts_file, server, thresholds
    except ModuleNotFoundError as error:
        raise MissingDependency(f"The gateway needs {error.name}: pip install 'selfj[serve]'.") from error
    from selfj import config
    from selfj.cli.evaluating import parse_pairs, parse_scale
    from selfj.terminal import OUT, Bars

    settings = config.load(target, sets or [])
    gateway = server.load_settings(policy, {"run": str(settings.path), "upstream.base_url": upstream})
    drawn, notes = None, []
    if drafts is not None and gold is not None:
        scale = parse_scale(gold_scale) or (0.0, 9.0)
        named = parse_pairs(columns, "--column")
        read = drafts_file.read_drafts(drafts, thresholds.steps_of(gateway), gold, scale, named)
        drawn, notes = read.drawn, read.lines()
    bars = Bars()
    try:
        found = calibrating.calibrate_gateway(
            settings, gateway, model=model, drawn=drawn, label=gold, out=out, progress=bars
        )
    finally:
        bars.close()
    for line in [*notes, *found.lines()]:
        OUT.print(line, markup=False, highlight=False, soft_wrap=True)
