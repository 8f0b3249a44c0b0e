"""How long work tells a person where it stands; the command line draws it, everything else stays quiet."""

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Receives what a stage is doing."""

    def start(self, stage: str, total: int | None, done: int = 0) -> None:
        """A stage begins, with the number of rows or steps ahead where it is known, and those already done."""
        ...

    def advance(self, n: int) -> None:
        """So many more rows or steps are done."""
        ...

    def tell(self, values: Mapping[str, float | None]) -> None:
        """How the work goes: figures by name, such as a loss, shown beside the rate until there are newer ones."""
        ...

    def note(self, text: str) -> None:
        """Something a person should know, in one sentence."""
        ...

    def finish(self, summary: str) -> None:
        """The stage is done; one line says with what result."""
        ...


class Quiet:
    """Says nothing."""

    def start(self, stage: str, total: int | None, done: int = 0) -> None:
        """Ignore it."""

    def advance(self, n: int) -> None:
        """Ignore it."""

    def tell(self, values: Mapping[str, float | None]) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def finish(self, summary: str) -> None:
        """Ignore it."""
