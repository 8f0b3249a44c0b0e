"""Running the gateway: the judge of a run, a socket, signals."""

import asyncio
import gc
import signal
import socket
import tomllib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from selfj import config as configs
from selfj.backends.base import JudgeInput
from selfj.errors import ConfigError
from selfj.judge import Judge, load_judge
from selfj.policy_risk import load_policy
from selfj.serve import tracing
from selfj.serve.app import Gateway, create_app
from selfj.serve.http import ExtraRoute
from selfj.serve.logs import configure, log
from selfj.serve.metrics import Metrics
from selfj.serve.page import Page
from selfj.serve.protocol import protocol
from selfj.serve.recorder import StoreRecorder
from selfj.serve.records import DecisionRow, Recorder
from selfj.serve.run import ServedRun, load_served_run, with_policy
from selfj.serve.secrets import secret
from selfj.serve.settings import ServeSettings
from selfj.serve.shared import Shared
from selfj.serve.store import Store
from selfj.serve.thresholds import policy_file, steps_of

_BACKLOG = 1024
_PROBE = JudgeInput("What is 2 + 2?", "4")


class NoRecorder:
    """Keeps nothing: the log alone tells of decisions."""

    async def record(self, row: DecisionRow) -> None:
        """Let it go."""

    async def close(self) -> None:
        """Nothing is under way."""


def load_settings(file: str | None, given: dict[str, Any], overrides: Sequence[str] = ()) -> ServeSettings:
    """Read settings from a file, from arguments of the command, and from overrides, each over the one before.

    Args:
        file: A TOML file, or None.
        given: Settings by dotted name; None is left out.
        overrides: Such as `resample.n=3`.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown, absent or out of range.
    """
    tree: dict[str, Any] = {}
    if file is not None:
        try:
            tree = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot read the config {file}: {error}.") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"The config {file} is not valid TOML: {error}.") from error
    for name, value in given.items():
        if value is None:
            continue
        *parents, last = name.split(".")
        table = tree
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{name} cannot be set: {parent} is a value, not a table.")
        table[last] = value
    if not isinstance(tree.get("upstream"), dict) and not any(word.startswith("upstream") for word in overrides):
        raise ConfigError("Expected the address of the model's server. Give it as --upstream http://127.0.0.1:8000/v1.")
    return configs.build(ServeSettings, tree, overrides)


def load_run_judge(run: str) -> Judge:
    """Load the judge of a finished run, as `selfj ask` does.

    Raises:
        ConfigError: There is no such run.
        ArtefactError: It has no judge.
    """
    return load_judge(Path(run) / "judge", configs.load(run))


def serve(
    settings: ServeSettings,
    judge: Judge,
    recorder: Recorder | None = None,
    *,
    extra_routes: Sequence[ExtraRoute] = (),
    open_paths: Collection[str] = (),
    more_metrics: Sequence[Callable[[], str]] = (),
    metrics: Metrics | None = None,
    ready: Callable[[str], None] | None = None,
    listening: socket.socket | None = None,
    shared: Shared | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are then ended, for at most `drain_s`.

    Args:
        settings: All of them.
        judge: The judge.
        recorder: Keeps decisions; None keeps none.
        extra_routes: See `create_app`.
        open_paths: See `create_app`.
        more_metrics: See `create_app`.
        metrics: See `create_app`.
        ready: Called with the address once requests are answered.
        listening: A socket that listens already; None makes one.
        shared: See `create_app`.

    Raises:
        ConfigError: The address is taken or cannot be had.
    """
    kept = recorder or NoRecorder()
    app = create_app(
        settings,
        judge,
        kept,
        extra_routes,
        open_paths=open_paths,
        more_metrics=more_metrics,
        metrics=metrics,
        shared=shared,
        tracing=tracing.start(settings.otel_endpoint),
    )
    # A judge that cannot work says so now, and what it loads on its first use is there.
    judge.score([_PROBE])
    listening = listening or listen(settings.host, settings.port)
    configure(**({} if shared is None else {"worker": shared.number}))
    address = address_of(listening)

    def serving() -> None:
        log("start", address=address, run=settings.run, judge=judge.name, mode=settings.mode)
        if ready is not None:
            ready(address)

    server = _Server(uvicorn_config(app, settings), app, serving)
    # What is there now stays: to look through it again and again would only make some replies late.
    gc.collect()
    gc.freeze()
    with listening, asyncio.Runner(loop_factory=_loop()) as runner:
        runner.run(server.serve(sockets=[listening]))
    log("stop")


def serve_kept(
    settings: ServeSettings,
    judge: Judge,
    *,
    ready: Callable[[str], None] | None = None,
    listening: socket.socket | None = None,
    shared: Shared | None = None,
) -> None:
    """Serve as `serve` does, with every decision kept in the store of the settings, and the page over it.

    Args:
        settings: All of them.
        judge: The judge.
        ready: See `serve`.
        listening: See `serve`.
        shared: See `serve`.

    Raises:
        ConfigError: The store's address is wrong, or its variable is empty.
        StoreUnavailable: The store cannot be reached or written.
        ArtefactError: The run has no threshold, or the store is of a later version.
    """
    with Store(store_address(settings)) as store:
        recorder = StoreRecorder(store, keep_bodies=settings.keep_bodies)
        page = Page(store, _served_run(settings, judge))
        metrics = Metrics(shared)
        recorder.counted = metrics.watch_store(lambda: recorder.waiting)
        serve(
            settings,
            judge,
            recorder,
            extra_routes=page.routes(),
            open_paths=["/"],
            more_metrics=[page.metrics],
            metrics=metrics,
            ready=ready,
            listening=listening,
            shared=shared,
        )


def _served_run(settings: ServeSettings, judge: Judge) -> ServedRun:
    """What the page and the alarm are told of: the policy where one decides, else the run's threshold."""
    run, path = load_served_run(settings.run), policy_file(settings)
    if path is None:
        return run
    found, _ = load_policy(path, steps=steps_of(settings), judge=judge.digest)
    return with_policy(run, found)


def store_address(settings: ServeSettings) -> str:
    """Where decisions are kept.

    Raises:
        ConfigError: The environment variable that should hold it, or name its file, is not set.
    """
    if settings.store_env is not None:
        return secret(settings.store_env, "store_env")
    return settings.store or str(Path(settings.run) / "audit.sqlite")


def uvicorn_config(app: Gateway, settings: ServeSettings) -> uvicorn.Config:
    """How uvicorn is to run the gateway."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="on",
        ws="none",
        http=protocol(settings.limits.header_bytes),
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=settings.limits.header_bytes,
    )


class _Server(uvicorn.Server):
    """Ends with exit code 0 when told to, after what is under way."""

    def __init__(self, config: uvicorn.Config, app: Gateway, serving: Callable[[], None]):
        super().__init__(config)
        self._gateway = app
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._serving()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        try:
            await self._serve(sockets)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _end(self, number: int) -> None:
        log("drain", signal=signal.Signals(number).name)
        self._gateway.draining = True
        self.handle_exit(number, None)


def address_of(listening: socket.socket) -> str:
    """Where a socket listens, as a caller writes it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """Make a socket that listens.

    Raises:
        ConfigError: The address is taken or cannot be had.
    """
    listening = None
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        if listening is not None:
            listening.close()
        told = error.strerror or str(error)
        raise ConfigError(f"Cannot listen on {host} port {port}: {told}. Choose another --port or --host.") from error
    return listening


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made
