"""The application that every verb joins, and the options that several of them share."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

ORDER = (
    *("run", "ask", "collect", "sample", "label", "tune", "score", "calibrate", "evaluate", "judge", "serve", "export"),
    *("recalibrate", "describe", "select", "release", "grade", "rank", "rerank", "audit", "sft", "publish", "doctor"),
)
"""How the help lists the verbs: the road first."""


class Ordered(TyperGroup):
    """The group of all verbs, in their order."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the verbs; one that has no place comes last."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = typer.Typer(
    cls=Ordered,
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
