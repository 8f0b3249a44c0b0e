"""`publish` and `doctor`: what leaves this machine, and what works on it."""

from typing import Annotated

import typer

from selfj.cli.options import app


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
