"""`export` and `recalibrate`: the gateway's decisions out of their store, and a new threshold from feedback."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from selfj.cli.options import app

if TYPE_CHECKING:
    from selfj.serve.store import Store

Since = Annotated[str | None, typer.Option(metavar="DATE", help="Leave out earlier decisions.")]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Leave out decisions at or after it.")]
_PLACE = "A file, sqlite:///PATH or postgresql://USER@HOST/DATABASE."


@app.command()
def export(
    url: Annotated[str, typer.Argument(help=_PLACE, metavar="STORE")],
    out: Annotated[str | None, typer.Option(help="Write decisions there: .jsonl or .parquet.")] = None,
    since: Since = None,
    until: Until = None,
    with_feedback: Annotated[bool, typer.Option("--with-feedback", help="Add the verdicts of each decision.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check the chains of decisions and verdicts first.")] = False,
    prune_before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Then remove decisions before it; the chain still verifies.")
    ] = None,
    bodies_only: Annotated[bool, typer.Option("--bodies-only", help="Remove bodies and keep the decisions.")] = False,
) -> None:
    """Write the decisions of a gateway to a file, check their chain, and remove what is too old.

    Example: `selfj export audit.sqlite --out decisions.jsonl --with-feedback --verify`

    Retention: `selfj export audit.sqlite --prune-before 2026-01-01`
    """
    from selfj.errors import ArtefactError, ConfigError
    from selfj.terminal import Bars

    if out is None and prune_before is None and not verify:
        raise ConfigError("Say what to do: --out FILE, --verify, --prune-before DATE, or several of them.")
    if bodies_only and prune_before is None:
        raise ConfigError("--bodies-only says what --prune-before removes; give its date.")
    store = _open(url)
    from selfj.serve import export as exporting

    start, end, limit = (None if text is None else exporting.parse_date(text) for text in (since, until, prune_before))
    if verify:
        found = store.verify()
        if not found.whole:
            good = found.rows if found.broken is not None else found.verdicts.rows
            raise ArtefactError(
                f"The chain of {store.name} is broken: {found.reason}. The {good:,} rows before it are as "
                "they were written. Compare with an earlier export or backup."
            )
        after = f" after {found.anchor:,} that were removed" if found.anchor else ""
        _show(
            [
                f"The chain is whole: {found.rows:,} decisions{after}. Head {found.head}",
                f"So is that of verdicts: {found.verdicts.rows:,}. Head {found.verdicts.head}",
            ]
        )
    if out is not None:
        bars = Bars()
        try:
            exporting.export(store, out, since=start, until=end, with_feedback=with_feedback, progress=bars)
        finally:
            bars.close()
    if limit is not None:
        gone = store.prune(limit, bodies_only=bodies_only)
        _show([f"Removed {gone.rows:,} decisions, and {gone.bodies:,} bodies of others. Anchor {gone.anchor}"])
    store.close()


@app.command()
def recalibrate(
    run: Annotated[str, typer.Argument(help="Folder of the run whose threshold is in use.")],
    url: Annotated[str, typer.Option("--store", help=_PLACE, metavar="STORE")],
    since: Since = None,
    until: Until = None,
    max_risk: Annotated[
        float | None, typer.Option(help="Another promise: at most this share of answers fails. Fix it beforehand.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Put it in place of threshold.json, which is kept beside it.")
    ] = False,
) -> None:
    """Choose a new threshold from decisions that people gave a verdict on, with the bound of `selfj calibrate`.

    Without `--apply` it is written beside the one in use, as `threshold.feedback.json`.

    Example: `selfj recalibrate runs/demo --store audit.sqlite`
    """
    store = _open(url)
    from selfj.serve import export as exporting
    from selfj.serve import recalibrate as recalibrating

    start, end = (None if text is None else exporting.parse_date(text) for text in (since, until))
    made = recalibrating.recalibrate(run, store, since=start, until=end, max_risk=max_risk, apply=apply)
    store.close()
    _show(made.lines())
    _show(["Restart the gateway to use it." if apply else "Nothing else was changed; put it in use with --apply."])


def _open(url: str) -> "Store":
    from selfj.errors import MissingDependency

    try:
        from selfj.serve.store import Store
    except ImportError as error:
        raise MissingDependency(f"The store needs a package: {error}. pip install 'selfj[serve]'.") from error
    return Store(url, create=False)


def _show(lines: Sequence[str]) -> None:
    from selfj.terminal import OUT

    for line in lines:
        OUT.print(line, markup=False, highlight=False, soft_wrap=True)
