"""`serve`: the gateway before a model."""

from typing import Annotated

import typer

from selfj.cli.options import Sets, app


@app.command()
def serve(
    run: Annotated[str, typer.Argument(help="Folder of a finished run.", metavar="RUN")],
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="The model's server, such as http://127.0.0.1:8000/v1.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable that holds the upstream's key.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="8400 by default; 0 takes a free one.")] = None,
    host: Annotated[str | None, typer.Option(help="127.0.0.1 by default; another needs keys.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that serve the address, each with a judge of its own; 1 by default."),
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="TOML file with settings of the gateway.")] = None,
    observe: Annotated[bool, typer.Option("--observe", help="Judge and record; change no reply.")] = False,
    sets: Sets = None,
) -> None:
    """Serve OpenAI's HTTP interface before a model, letting through only what the run's judge expects to be good.

    A client changes its address and nothing else. Ends on SIGTERM, after what is under way.

    Example: `selfj serve runs/demo --upstream http://127.0.0.1:8000/v1`
    """
    from selfj.errors import MissingDependency

    try:
        from selfj.serve import server
        from selfj.serve.workers import serve_workers
    except ModuleNotFoundError as error:
        raise MissingDependency(f"The gateway needs {error.name}: pip install 'selfj[serve]'.") from error
    from selfj.terminal import ERR

    given = {
        "run": run,
        "upstream.base_url": upstream,
        "upstream.api_key_env": api_key_env,
        "port": port,
        "host": host,
        "workers": workers,
        "mode": "observe" if observe else None,
    }
    settings = server.load_settings(config, given, sets or [])

    def ready(address: str) -> None:
        ERR.print(f"Serving on {address}", markup=False, highlight=False, soft_wrap=True)

    if settings.workers > 1:
        serve_workers(settings, ready=ready)
        return
    judge = server.load_run_judge(run)
    if settings.store == "none":
        server.serve(settings, judge, ready=ready)
    else:
        server.serve_kept(settings, judge, ready=ready)
