"""A comparison as files: one page, Markdown, LaTeX and JSON of all its tables, and CSV of each."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from selfj.comparison import tables
from selfj.comparison.records import Asked, Source
from selfj.files import explained, write_json, write_text
from selfj.report.grid import Grid
from selfj.report.sheet import Block, Fact, Words, render_sheet
from selfj.report.text import inline
from selfj.store import versions

NAME = "comparison"
TABLES = (
    "with_reference",
    "without_reference",
    "differences",
    "seeds",
    "selective",
    "selective_differences",
    "selective_by_category",
)
"""Names of all tables there can be."""
_MOST_ROWS = 60
"""A longer table is not on the page, only in the other files."""


def write(grids: Mapping[str, Grid], sources: Sequence[Source], asked: Asked) -> Path:
    """Write all files to `asked.out`; gives the page.

    Raises:
        ArtefactError: A file cannot be written.
    """
    out = asked.out
    models = list(dict.fromkeys(source.model for source in sources))
    write_json(
        out / f"{NAME}.json",
        {
            "schema": "comparison/1",
            "created_with": versions(),
            "command": command(asked),
            "metric": asked.metric,
            "models": models,
            "sources": [_told(source) for source in sources],
            "tables": {name: grid.data() for name, grid in grids.items()},
        },
    )
    write_text(
        out / f"{NAME}.md", "\n".join(f"## {inline(grid.title)}\n\n{grid.markdown()}" for grid in grids.values())
    )
    write_text(out / f"{NAME}.tex", "\n".join(f"% {grid.title}\n{grid.latex()}" for grid in grids.values()))
    # A table that is there from before and is not made now would be taken for one of these.
    for name in set(TABLES) - set(grids):
        with explained(out / f"{name}.csv", "delete"):
            (out / f"{name}.csv").unlink(missing_ok=True)
    for name, grid in grids.items():
        write_text(out / f"{name}.csv", grid.csv())
    page = out / f"{NAME}.html"
    write_text(page, _page(grids, sources, models, asked))
    return page


def command(asked: Asked) -> str:
    """The command line that makes the comparison again."""
    words = ["selfj", "evaluate", *asked.sources]
    words += ["--gold", asked.gold] if asked.gold else []
    words += [word for name, column in asked.scores.items() for word in ("--score", f"{name}={column}")]
    words += [word for name in asked.judges for word in ("--judge", name)]
    words += ["--published"] if asked.published else []
    words += ["--model", asked.model] if asked.model else []
    words += [word for name, column in asked.columns.items() for word in ("--column", f"{name}={column}")]
    words += ["--metric", asked.metric]
    if asked.gold_scale is not None:
        words += ["--gold-scale", ",".join(f"{end:g}" for end in asked.gold_scale)]
    words += ["--min-quality", f"{asked.min_quality:g}", "--draws", str(asked.draws)]
    words += ["--confidence", f"{asked.confidence:g}", "--seed", str(asked.seed)]
    words += [word for setting in asked.overrides for word in ("--set", setting)]
    words += ["--force"] if asked.force else []
    return shlex.join([*words, "--out", str(asked.out)])


def _told(source: Source) -> dict[str, object]:
    return {
        "source": source.name,
        "model": source.model,
        "seed": source.seed,
        "exchanges": len(source.gold),
        "gold": source.gold_name,
        "gold_scale": None if source.scale is None else list(source.scale),
    }


def _page(grids: Mapping[str, Grid], sources: Sequence[Source], models: Sequence[str], asked: Asked) -> str:
    blocks: list[Block] = [
        grid if len(grid.rows) <= _MOST_ROWS else Words(grid.title, (f"{len(grid.rows)} rows, in {name}.csv.",))
        for name, grid in grids.items()
    ]
    n = sum(len(source.gold) for source in sources)
    facts = [
        Fact("Target models", str(len(models)), ", ".join(models)),
        Fact("Exchanges", f"{n:,}", "with gold"),
        Fact("Metric", tables.NAMES[asked.metric], "x 100, higher is better"),
    ]
    lead = "How well each method's scores agree with gold, with the reference in view and without it."
    return render_sheet("Methods on target models", lead, blocks, facts=facts, command=command(asked))
