"""Selecting rows of a collection for a run: by hash, to quotas of categories and sources, and far apart on request."""

import io
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from selfj.backends.base import Embedder
from selfj.collection.chance import Lowest, Tickets, tickets
from selfj.collection.diverse import embed, k_centre
from selfj.collection.finished import Finished, count_rows
from selfj.collection.quotas import By, Cell, Quotas, share_out
from selfj.collection.tally import NONE
from selfj.errors import ConfigError
from selfj.files import file_digest, write_json, writing
from selfj.progress import Progress, Quiet

_COLUMNS = ("id", "instruction", "reference", "category", "source", "position")
_READ = 500
"""Characters of an instruction that are embedded: what it is about stands at its beginning."""
_OUT = ("instruction", "reference", "category", "group", "id", "position")


@dataclass(frozen=True, slots=True)
class Selection:
    """What to select."""

    n: int
    by: By = "proportional"
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Rows of some categories or sources, where `by` names these."""
    with_reference: bool = False
    """Take only rows with a reference."""
    diverse: bool = False
    """Take rows whose embeddings lie far apart."""
    candidates: int = 4
    """With `diverse`: for each row wanted, so many are drawn by hash and embedded. Memory grows with n times this."""
    seed: int = 0


PRESETS = {
    "judge": Selection(30_000, with_reference=True),
    "sft": Selection(87_000, with_reference=True),
}
"""Sizes of the paper: the instructions of its judges and those of its instruction tuning. Here both need references."""


@dataclass(frozen=True, slots=True)
class Selected:
    """What was selected."""

    path: Path
    about: Path
    """JSON beside it: what was taken from where."""
    rows: int
    taken: dict[Cell, int]
    told: tuple[str, ...]


def select(
    collection: Finished,
    wanted: Selection,
    out: str | Path,
    *,
    embedder: Callable[[], Embedder] | None = None,
    progress: Progress | None = None,
) -> Selected:
    """Select rows and write them as Parquet that a run reads, with a JSON file beside it.

    The same collection and selection give the same bytes, however the rows lie in parts. Rows stand in the order of
    their hashes, so that any beginning of the file is a random part of it.

    Args:
        collection: A finished collection.
        wanted: How many, of what.
        out: The Parquet file: `instruction`, `reference`, `category`, `group` (the source), `id`, `position`.
        embedder: Makes the encoder; needed where `wanted.diverse`.
        progress: Told of rows.

    Raises:
        ConfigError: The selection is impossible.
        ArtefactError: A part cannot be read, or a file cannot be written.
    """
    out, progress = Path(out), progress or Quiet()
    if out.suffix != ".parquet":
        raise ConfigError(f"--out takes a Parquet file, such as instructions.parquet, got {out}.")
    if wanted.candidates < 1:
        raise ConfigError(f"--candidates must be at least 1, got {wanted.candidates}.")
    if wanted.diverse and embedder is None:
        raise ConfigError("A diverse selection needs an embedder.")
    available = _available(collection, wanted, progress)
    quotas = share_out(available, wanted.n, wanted.by, wanted.quotas)
    drawn = _draw(collection, wanted, quotas, progress)
    name = None
    kept = out.with_name(f".{out.name}.embeddings")
    if wanted.diverse and embedder is not None:
        encoder = embedder()
        name = encoder.name
        drawn = _spread(drawn, quotas, encoder, kept, progress)
    table = _joined(drawn)
    _write(table, out)
    about = out.with_suffix(".json")
    write_json(about, _about(collection, wanted, available, quotas, name, out, table.num_rows))
    shutil.rmtree(kept, ignore_errors=True)
    return Selected(out, about, table.num_rows, dict(quotas.cells), quotas.told)


def _fitting(table: pa.Table, wanted: Selection) -> pa.Table:
    table = table.set_column(3, "category", pc.fill_null(table["category"], NONE))
    if not wanted.with_reference:
        return table
    return table.filter(pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(table["reference"])), 0), False))


def _available(collection: Finished, wanted: Selection, progress: Progress) -> dict[Cell, int]:
    progress.start("count", count_rows(collection.parts))
    counts: Counter[Cell] = Counter()
    for table in collection.batches(_COLUMNS):
        fitting = _fitting(table, wanted).select(["category", "source"])
        found = fitting.group_by(["category", "source"]).aggregate([([], "count_all")])
        keys = zip(found["category"].to_pylist(), found["source"].to_pylist(), strict=True)
        counts.update(dict(zip(keys, found["count_all"].to_pylist(), strict=True)))
        progress.advance(table.num_rows)
    progress.finish(f"{counts.total():,} rows fit")
    return dict(sorted(counts.items()))


def _draw(
    collection: Finished, wanted: Selection, quotas: Quotas, progress: Progress
) -> dict[Cell, tuple[Tickets, pa.Table]]:
    """Of each cell the rows with the lowest hashes: as many as wanted, or candidates for them."""
    times = wanted.candidates if wanted.diverse else 1
    lowest = {cell: Lowest(rows * times) for cell, rows in quotas.cells.items() if rows}
    progress.start("draw", count_rows(collection.parts))
    for table in collection.batches(_COLUMNS):
        fitting = _fitting(table, wanted)
        found = tickets(fitting["source"], fitting["position"], wanted.seed)
        for cell, places in _by_cell(fitting):
            if cell in lowest:
                lowest[cell].add(found[places], fitting.take(pa.array(places)))
        progress.advance(table.num_rows)
    made = {}
    for cell, held in lowest.items():
        numbers, rows = held.rows()
        if rows is not None:
            made[cell] = (numbers, rows)
    progress.finish(f"{sum(rows.num_rows for _, rows in made.values()):,} rows drawn")
    return made


def _by_cell(table: pa.Table) -> list[tuple[Cell, Any]]:
    """The places of each category and source in a table."""
    coded = [pc.dictionary_encode(table[name]).combine_chunks() for name in ("category", "source")]
    if not table.num_rows:
        return []
    names = [column.dictionary.to_pylist() for column in coded]
    codes = coded[0].indices.to_numpy().astype(np.int64) * len(names[1]) + coded[1].indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    pieces = np.split(order, starts[1:])
    return [
        ((names[0][codes[piece[0]] // len(names[1])], names[1][codes[piece[0]] % len(names[1])]), piece)
        for piece in pieces
    ]


def _spread(
    drawn: dict[Cell, tuple[Tickets, pa.Table]], quotas: Quotas, encoder: Embedder, kept: Path, progress: Progress
) -> dict[Cell, tuple[Tickets, pa.Table]]:
    """Of each cell's candidates those far apart, and far from what other sources gave to the category."""
    made: dict[Cell, tuple[Tickets, pa.Table]] = {}
    cells = sorted(drawn)
    # All at once: the encoder's batches have a fixed size, and a small cell would pay for a whole one.
    heads = [pc.utf8_slice_codeunits(drawn[cell][1]["instruction"], 0, _READ).to_pylist() for cell in cells]
    whole = embed([text for texts in heads for text in texts], encoder, kept, progress)
    progress.start("spread", sum(min(quotas.cells[cell], drawn[cell][1].num_rows) for cell in cells))
    category, start = None, 0
    chosen = np.zeros((0, whole.shape[1]), np.float32)
    for cell in cells:
        numbers, rows = drawn[cell]
        vectors = whole[start : start + rows.num_rows].astype(np.float32)
        start += rows.num_rows
        if cell[0] != category:
            category, chosen = cell[0], chosen[:0]
        places = k_centre(vectors, min(quotas.cells[cell], rows.num_rows), chosen=chosen, progress=progress)
        chosen = np.concatenate([chosen, vectors[places]])
        places = np.sort(places)
        made[cell] = (numbers[places], rows.take(pa.array(places)))
    progress.finish(f"{sum(rows.num_rows for _, rows in made.values()):,} of {len(whole):,} rows")
    return made


def _joined(drawn: dict[Cell, tuple[Tickets, pa.Table]]) -> pa.Table:
    numbers = np.concatenate([found for found, _ in drawn.values()])
    table = pa.concat_tables([rows for _, rows in drawn.values()])
    table = table.take(pa.array(np.argsort(numbers, kind="stable")))
    category = pc.if_else(pc.equal(table["category"], NONE), pa.scalar(None, pa.string()), table["category"])
    table = table.set_column(table.schema.get_field_index("category"), "category", category)
    return table.append_column("group", table["source"]).select(list(_OUT)).combine_chunks()


def _write(table: pa.Table, out: Path) -> None:
    made = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), made, compression="zstd")
    with writing(out) as handle:
        handle.write(made.getvalue())


def _about(
    collection: Finished, wanted: Selection, available: Mapping[Cell, int], quotas: Quotas,
    embedder: str | None, out: Path, rows: int,
) -> dict[str, Any]:  # fmt: skip
    return {
        "file": out.name,
        "sha256": file_digest(out),
        "rows": rows,
        "collection": {"name": collection.name, "digest": collection.manifest.digest},
        "selection": {**asdict(replace(wanted, quotas=dict(wanted.quotas))), "embedder": embedder},
        "taken": [
            {"category": category, "source": source, "rows": taken, "fitting": available[category, source]}
            for (category, source), taken in sorted(quotas.cells.items())
        ],
        "told": list(quotas.told),
    }
