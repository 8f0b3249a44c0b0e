"""Curves that go to a tracker by name as well, through the trackers of accelerate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from selfj.errors import MissingDependency


class Trackers:
    """Writes every figure to each of the trackers; without any it does nothing."""

    def __init__(self, names: Sequence[str], folder: Path, title: str):
        """Open trackers.

        Args:
            names: Such as `tensorboard`.
            folder: Where those that write files put them.
            title: Of the training.

        Raises:
            MissingDependency: The package of one is not installed.
        """
        self._open: list[Any] = []
        if names:
            PartialState()
        for name in names:
            where = {"tensorboard": {"logging_dir": str(folder)}}.get(name, {})
            try:
                tracker = LOGGER_TYPE_TO_CLASS[name](title, **where)
                tracker.start()
            except ImportError as error:
                raise MissingDependency(
                    f"tune.method.trackers names {name}, whose package {error.name} is not installed: "
                    f"pip install {name}, or leave it out."
                ) from error
            self._open.append(tracker)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write the figures of a step."""
        for tracker in self._open:
            tracker.log(dict(values), step=step)

    def close(self) -> None:
        """End what was opened."""
        for tracker in self._open:
            tracker.finish()
