"""A circuit breaker: after several failures in a row nothing is sent for a while, then one request tries again."""

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Counts failures in a row; for use in one event loop."""

    def __init__(self, failures: int, pause_s: float, *, clock: Callable[[], float] = time.monotonic):
        """Start closed.

        Args:
            failures: So many in a row open it.
            pause_s: After so many seconds one request may try again.
            clock: Gives seconds.
        """
        self._most = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failed = 0
        self._opened_at: float | None = None
        self._probing_since: float | None = None

    @property
    def state(self) -> State:
        """`closed` lets all through, `open` none, `half_open` one."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self.wait_s() == 0 else "open"

    def wait_s(self) -> float:
        """Seconds until a request may try again; 0 where one may."""
        if self._opened_at is None:
            return 0.0
        since = self._opened_at if self._probing_since is None else self._probing_since
        return max(0.0, since + self._pause_s - self._clock())

    def admit(self) -> bool:
        """Whether a request may be sent; its outcome must then be told, or the pause passes once more."""
        if self._opened_at is None:
            return True
        if self.wait_s() > 0:
            return False
        self._probing_since = self._clock()
        return True

    def succeed(self) -> None:
        """A request went well."""
        self._failed, self._opened_at, self._probing_since = 0, None, None

    def fail(self) -> None:
        """A request failed in a way that speaks against the server."""
        self._failed += 1
        if self._failed >= self._most or self._opened_at is not None:
            self._opened_at, self._probing_since = self._clock(), None
