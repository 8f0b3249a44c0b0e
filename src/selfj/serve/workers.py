"""Several processes that serve one address: started, watched, started again when one dies, and ended together.

The parent makes the socket and hands it down, so that whoever is free takes the next connection and a worker that dies
takes no waiting one with it. It loads no judge and answers nothing. See `docs/design/gateway.md`.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from selfj import errors
from selfj.errors import SelfjError
from selfj.serve.logs import configure, log
from selfj.serve.server import address_of, listen, store_address
from selfj.serve.settings import ServeSettings
from selfj.serve.shared import VARIABLE, State, write_state
from selfj.serve.store import Store

FIRST_PAUSE_S = 0.5
"""Before a worker that died is started again; it doubles with each death."""
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A worker that served for so long has earned the first pause again."""
_GRACE_S = 10.0
"""Beyond `drain_s`, for rows that still wait for their commit; who is not done then is killed."""


def serve_workers(settings: ServeSettings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve with `settings.workers` processes until SIGTERM or SIGINT.

    Args:
        settings: All of them.
        ready: Called with the address once every worker serves.

    Raises:
        ConfigError: The address is taken or cannot be had.
        SelfjError: Whatever a worker was refused for before it served; the others are ended then.
    """
    if settings.store != "none":
        # The tables are made once, and a store that cannot be used is told before anything is started.
        Store(store_address(settings)).close()
    with listen(settings.host, settings.port) as listening, tempfile.TemporaryDirectory(prefix="selfj-") as folder:
        configure()
        asyncio.run(_Crew(settings, listening, Path(folder)).serve(ready))
    log("stop")


class _Crew:
    """The workers of one gateway."""

    def __init__(self, settings: ServeSettings, listening: socket.socket, folder: Path):
        self._settings = settings
        self._listening = listening
        self._folder = folder
        self._running: dict[int, Process] = {}
        self._up: set[int] = set()
        self._restarts = 0
        self._ending = asyncio.Event()
        self._fault: SelfjError | None = None
        self._all_up = asyncio.Event()

    async def serve(self, ready: Callable[[str], None] | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, number)
        self._write()
        keeping = [asyncio.create_task(self._keep(place)) for place in range(self._settings.workers)]
        started = asyncio.create_task(self._all_up.wait())
        ended = asyncio.create_task(self._ending.wait())
        await asyncio.wait([started, ended], return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            address = address_of(self._listening)
            log("start", address=address, run=self._settings.run, workers=self._settings.workers)
            if ready is not None:
                ready(address)
        started.cancel()
        await ended
        # From now on a caller is refused rather than left waiting.
        self._listening.close()
        await self._end()
        await asyncio.gather(*keeping)
        if self._fault is not None:
            raise self._fault

    def _told(self, number: int) -> None:
        log("drain", signal=signal.Signals(number).name)
        self._ending.set()

    async def _end(self) -> None:
        for process in self._running.values():
            _send(process, signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()) for process in self._running.values()]
        if not waits:
            return
        _, late = await asyncio.wait(waits, timeout=self._settings.drain_s + _GRACE_S)
        if late:
            log("killed", workers=len(late))
            for process in self._running.values():
                _send(process, signal.SIGKILL)

    async def _keep(self, place: int) -> None:
        """Run the worker of a place, again and again, until the end."""
        pause = FIRST_PAUSE_S
        while not self._ending.is_set():
            began = time.monotonic()
            process, error = await self._run(place)
            if self._ending.is_set():
                return
            if error is not None and not self._all_up.is_set():
                # A setup fault: it would be the same again.
                self._fault = error
                self._ending.set()
                return
            lasted = time.monotonic() - began
            pause = FIRST_PAUSE_S if lasted > STEADY_S else pause
            told: dict[str, Any] = {} if error is None else {"error": str(error)}
            log("worker_died", worker=place, pid=process.pid, exit=process.returncode, again_in_s=pause, **told)
            self._restarts += 1
            self._write()
            try:
                await asyncio.wait_for(self._ending.wait(), pause)
            except TimeoutError:
                pause = min(LONGEST_PAUSE_S, 2 * pause)

    async def _run(self, place: int) -> tuple[Process, SelfjError | None]:
        """Start a worker and wait for its end; gives what it was refused for, where it said so."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "selfj.serve.worker"),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=[self._listening.fileno()],
            env=self._environment(),
        )
        self._running[place] = process
        if self._ending.is_set():
            _send(process, signal.SIGTERM)
        error: SelfjError | None = None
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("a worker has no pipes")
            order = {"number": place, "socket": self._listening.fileno(), "folder": str(self._folder)}
            line = json.dumps(order | {"settings": self._settings.model_dump(mode="json")})
            process.stdin.write(line.encode() + b"\n")
            # It stays open: when it closes, the worker knows that its parent is gone.
            async for told in process.stdout:
                value = json.loads(told)
                if "error" in value:
                    error = _error(value)
                else:
                    self._serves(place, process)
            await process.wait()
        finally:
            self._up.discard(place)
            self._running.pop(place, None)
            mark_process_dead(process.pid, str(self._folder))  # type: ignore[no-untyped-call]
            self._write()
        return process, error

    def _serves(self, place: int, process: Process) -> None:
        self._up.add(place)
        self._write()
        log("worker_up", worker=place, pid=process.pid)
        if len(self._up) == self._settings.workers:
            self._all_up.set()

    def _write(self) -> None:
        write_state(self._folder, State(self._settings.workers, len(self._up), self._restarts))

    def _environment(self) -> dict[str, str]:
        # Each judge would otherwise take every core for itself.
        threads = str(max(1, (os.cpu_count() or 1) // self._settings.workers))
        return {"OMP_NUM_THREADS": threads} | os.environ | {VARIABLE: str(self._folder)}


def _send(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)


def _error(value: dict[str, Any]) -> SelfjError:
    """The error that a worker told."""
    kind = getattr(errors, str(value["error"]), None)
    known = isinstance(kind, type) and issubclass(kind, SelfjError)
    made: SelfjError = kind(value["message"]) if known and kind is not None else SelfjError(value["message"])
    return made
