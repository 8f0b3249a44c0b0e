"""Recording without holding up the gateway: one thread commits whatever waits, together."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from selfj.errors import SelfjError, StoreUnavailable
from selfj.serve.records import DecisionRow
from selfj.serve.store import Store

GROUP = 1000
"""Most rows of one commit."""
WAITING = 20_000
"""Most rows that may wait; beyond that the store is said to be too slow."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    row: DecisionRow
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"


class StoreRecorder:
    """A `Recorder` over a store; `record` returns when its row is on disk."""

    def __init__(
        self,
        store: Store,
        *,
        keep_bodies: bool = False,
        group: int = GROUP,
        waiting: int = WAITING,
    ) -> None:
        """Take a store, which stays the caller's to close.

        Args:
            store: Where rows go.
            keep_bodies: Keep bodies; otherwise they are dropped before anything is written.
            group: Most rows of one commit.
            waiting: Most rows that may wait.
        """
        self.store = store
        self.written = 0
        """Rows that this recorder was acknowledged for."""
        self.refused = 0
        """Rows that were not kept."""
        self.counted: Callable[[int, int], None] = _nothing
        """Called with the numbers of rows that were kept and refused, from any thread."""
        self._keep_bodies = keep_bodies
        self._group = group
        self._most = waiting
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Rows that wait for their commit."""
        return len(self._queue)

    async def record(self, row: DecisionRow) -> None:
        """Keep one decision; returns when it is on disk.

        Raises:
            StoreUnavailable: It was not kept: the store is locked, down, full, closed, or too far behind.
            ArtefactError: Another decision has its identifier.
            ConfigError: It holds a time that is not a number.
        """
        loop = asyncio.get_running_loop()
        kept = row if self._keep_bodies else replace(row, body=None)
        entry = _Waiting(kept, loop, loop.create_future())
        with self._wake:
            if self._closed:
                raise StoreUnavailable("The store is closed; the decision was not kept.")
            if len(self._queue) >= self._most:
                self._count(0, 1)
                raise StoreUnavailable(
                    f"The store {self.store.name} is {len(self._queue):,} rows behind; the decision was not kept. "
                    "Give it a faster disk or server."
                )
            self._queue.append(entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="selfj-store", daemon=True)
                self._thread.start()
            self._wake.notify()
        await entry.done

    async def close(self) -> None:
        """Commit what still waits, and end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closed:
                    self._wake.wait()
                group = [self._queue.popleft() for _ in range(min(self._group, len(self._queue)))]
                if not group:
                    return
            outcomes: list[SelfjError | None]
            try:
                outcomes = self.store.append([entry.row for entry in group])
            except SelfjError as error:
                outcomes = [error] * len(group)
            except Exception as error:
                # Whoever waits must hear of it; a thread that died in silence would stop the gateway.
                text = f"The store {self.store.name} failed with {type(error).__name__}; the decision was not kept."
                outcomes = [StoreUnavailable(text)] * len(group)
            self._tell(group, outcomes)

    def _count(self, kept: int, refused: int) -> None:
        self.written += kept
        self.refused += refused
        self.counted(kept, refused)

    def _tell(self, group: list[_Waiting], outcomes: list[SelfjError | None]) -> None:
        failed = sum(outcome is not None for outcome in outcomes)
        self._count(len(group) - failed, failed)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[None], SelfjError | None]]] = {}
        for entry, outcome in zip(group, outcomes, strict=True):
            by_loop.setdefault(entry.loop, []).append((entry.done, outcome))
        for loop, ends in by_loop.items():
            # A loop that has closed meanwhile has nobody waiting.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, ends)


def _settle(ends: list[tuple["asyncio.Future[None]", SelfjError | None]]) -> None:
    for done, outcome in ends:
        if done.done():
            continue
        if outcome is None:
            done.set_result(None)
        else:
            # Each waits with an error of its own: one raised twice would gather both tracebacks.
            done.set_exception(type(outcome)(str(outcome)))


def _nothing(kept: int, refused: int) -> None:
    """Count nothing."""
