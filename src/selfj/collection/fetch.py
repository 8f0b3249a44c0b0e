"""From sources to files on this machine: downloaded once, checked, resumed, unpacked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.collection.reading import SourceFile
from selfj.collection.sources import Source
from selfj.progress import Progress, Quiet


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one source: its files, or the fault."""

    source: Source
    files: tuple[SourceFile, ...] = ()
    fault: str | None = None
    """One plain sentence; the other sources go on."""
    revision: str | None = None
    """Commit that the hub's revision stood for."""


def fetch(
    sources: Sequence[Source], cache: Path, *, offline: bool = False, progress: Progress | None = None
) -> list[Fetched]:
    """Bring the files of every source into the cache, in the order of the sources.

    Raises:
        ArtefactError: The cache cannot be written.
    """
    progress = progress or Quiet()
    raise NotImplementedError
