"""Callers that hang up: work for them ends at once, so that nobody pays for an answer that nobody reads."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any


class HungUp(Exception):
    """The caller is gone."""


class Caller:
    """Whoever waits for a reply; `async with caller` ends its body with HungUp when they leave.

    It may be entered again and again, by the task of the request alone, once the request's body was read.
    """

    def __init__(self, receive: Callable[[], Awaitable[MutableMapping[str, Any]]]):
        """Take ASGI's `receive`."""
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None
        self._working: asyncio.Task[Any] | None = None
        self._left = False
        self._ended = False

    def close(self) -> None:
        """Watch no longer."""
        if self._watching is not None:
            self._watching.cancel()

    async def __aenter__(self) -> None:
        """Begin work for them.

        Raises:
            HungUp: They are gone already.
        """
        if self._left:
            raise HungUp
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        self._working = asyncio.current_task()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it.

        Raises:
            HungUp: They left meanwhile.
        """
        working, self._working = self._working, None
        if working is None or not self._ended:
            return
        self._ended = False
        # Somebody else may want the task to end too, such as a server that stops; that goes first.
        if working.uncancel() == 0 and kind is asyncio.CancelledError:
            raise HungUp from None

    async def _watch(self) -> None:
        if (await self._receive())["type"] != "http.disconnect":
            return
        self._left = True
        if self._working is not None:
            self._ended = True
            self._working.cancel()
