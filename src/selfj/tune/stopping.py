"""A training that is told to stop ends its step, keeps a checkpoint and goes; told again, it goes at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from selfj.errors import Stopped
from selfj.progress import Progress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Request:
    """Whether somebody asked for a stop, and how."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def obey(self, step: int) -> None:
        """Leave as the signal asks.

        Raises:
            KeyboardInterrupt: A person asked.
            Stopped: The system asked.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(f"Stopped after step {step:,}; the checkpoint is kept. Run the same command to go on.")


@contextmanager
def stoppable(progress: Progress) -> Iterator[Request]:
    """Turn SIGINT and SIGTERM into a request while this is open; the second of them acts as it would elsewhere."""
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        request.signal = number
        for one, handler in before.items():
            signal.signal(one, handler)
        progress.note("Stopping after this step, to keep a checkpoint; ask again to stop at once.")

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
