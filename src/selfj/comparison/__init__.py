"""The paper's table: every method's agreement with gold on every target model, over runs and files of exchanges."""

from dataclasses import dataclass
from pathlib import Path

from selfj.comparison import tables
from selfj.comparison.correlate import correlate
from selfj.comparison.gather import gather
from selfj.comparison.records import Asked, Metric, Source
from selfj.comparison.selecting import selective
from selfj.comparison.write import write
from selfj.progress import Progress
from selfj.report.grid import Grid

__all__ = ["Asked", "Compared", "Metric", "Source", "compare"]


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison that is written."""

    grids: dict[str, Grid]
    """By the stem of its CSV file, in the order of the page."""
    page: Path


def compare(asked: Asked, progress: Progress | None = None) -> Compared:
    """Make the table and write it to `asked.out` as `comparison.html`, `.md`, `.tex`, `.json`, and a CSV file each.

    Raises:
        ConfigError: A source, a column or a scorer is absent, a column holds no numbers, or nothing can be compared.
        ArtefactError: A run is not finished, or a file cannot be read or written.

    Example: `compare(Asked(("runs/vicuna", "runs/wizard")))`
    """
    sources = gather(asked, progress)
    table = correlate(
        sources,
        asked.metric,
        min_quality=asked.min_quality,
        draws=asked.draws,
        confidence=asked.confidence,
        seed=asked.seed,
        progress=progress,
    )
    grids = dict(zip(("with_reference", "without_reference"), tables.blocks(sources, table, asked), strict=True))
    more = {
        "differences": tables.differences(sources, table, f"{tables.NAMES[asked.metric]} x {tables.SCALE}"),
        "seeds": tables.seeds(sources, table, asked),
        **selective(sources, table.methods, asked, progress),
    }
    grids |= {name: grid for name, grid in more.items() if grid is not None}
    return Compared(grids, write(grids, sources, asked))
