"""From a prepared part and the decisions about its rows to what is kept and what is dropped of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.match import CONTAMINATED, KEPT, REASONS, Decisions
from selfj.collection.tokens import Places
from selfj.collection.work import belongs, open_array, read_columns, write_arrays, write_table
from selfj.files import file_digest

SHOWN = 500
"""Characters of a dropped instruction that are kept to be looked at."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Task: one prepared part."""

    prepared: Path
    first: int
    """Row number of the part's first row."""
    part: Path
    dropped: Path
    key: str
    folder: Path
    """Where `write_decisions` wrote."""
    names: tuple[str, ...]
    """Names of evaluation sets and sources, by number."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of a part."""

    read: int
    kept: int
    dropped: dict[str, int]
    """By reason."""
    categories: dict[str, int]
    """Kept rows by category."""
    sha256: tuple[str, str]
    """Of the part and of what was dropped."""


def write_decisions(folder: Path, made: Decisions, position: Places, source: Places) -> None:
    """Write the decisions where every worker can read those of its part.

    Args:
        folder: Where.
        made: Decisions about n rows.
        position: Position of each row in its source, shape (n,).
        source: Number of the source or evaluation set of each row, shape (n,).
    """
    n = len(made.reason)
    copies = np.flatnonzero((made.reason != KEPT) & (made.reason != CONTAMINATED))
    of = made.of[copies]
    counts = np.bincount(of, minlength=n).astype(np.int32)
    width = int(source.max()) + 1 if n else 1
    origins = np.unique(of * width + source[copies])
    starts = np.searchsorted(origins, np.arange(n + 1, dtype=np.int64) * width)
    at = np.maximum(made.of, 0)
    write_arrays(
        folder,
        reason=made.reason,
        similarity=made.similarity,
        of_position=position[at] if n else position,
        of_source=np.where(made.of < 0, -1, source[at]) if n else source,
        copies=counts,
        origins=origins % width,
        starts=starts,
    )


def keep(task: Keep) -> Kept:
    """Write a part's kept and dropped rows, or find that an earlier try did."""
    if belongs(task.part, task.key) is None or belongs(task.dropped, task.key) is None:
        _write(task)
    categories = _counts(read_columns(task.part, ["category"])["category"])
    dropped = _counts(read_columns(task.dropped, ["reason"])["reason"])
    kept = sum(categories.values())
    digests = (file_digest(task.part), file_digest(task.dropped))
    return Kept(kept + sum(dropped.values()), kept, dropped, categories, digests)


def _write(task: Keep) -> None:
    columns = ["source", "position", "instruction", "reference", "category", "category_by", "language", "error"]
    table = read_columns(task.prepared, columns)
    rows = slice(task.first, task.first + table.num_rows)
    reason = np.array(open_array(task.folder, "reason")[rows])
    error = table["error"]
    gone = pc.or_(pc.is_valid(error), pa.array(reason != KEPT))
    write_table(task.dropped, _dropped(table, task, rows, reason).filter(gone), task.key)
    write_table(
        task.part, _kept(table.append_column("number", pa.array(np.arange(table.num_rows))), task, rows, gone), task.key
    )


def _kept(table: pa.Table, task: Keep, rows: slice, gone: Any) -> pa.Table:
    table = table.filter(pc.invert(gone))
    chosen = table["number"].to_numpy() + rows.start
    starts, origins = open_array(task.folder, "starts"), open_array(task.folder, "origins")
    low, high = starts[chosen], starts[chosen + 1]
    sizes = high - low
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    places = np.arange(offsets[-1]) + np.repeat(low - offsets[:-1], sizes)
    names = pa.array(task.names, pa.string()).take(pa.array(origins[places], pa.int64()))
    return pa.table(
        {
            "id": pa.array([text_id(text) for text in table["instruction"].to_pylist()], pa.string()),
            "instruction": table["instruction"],
            "reference": table["reference"],
            "category": table["category"],
            "category_by": table["category_by"],
            "source": table["source"],
            "position": table["position"],
            "language": table["language"],
            "copies": pa.array(open_array(task.folder, "copies")[chosen], pa.int32()),
            "copy_sources": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names),
        }
    )


def _dropped(table: pa.Table, task: Keep, rows: slice, reason: Any) -> pa.Table:
    names = pa.array([REASONS.get(number) for number in range(max(REASONS) + 1)], pa.string())
    of = np.array(open_array(task.folder, "of_source")[rows])
    position = np.array(open_array(task.folder, "of_position")[rows])
    similarity = np.array(open_array(task.folder, "similarity")[rows])
    return pa.table(
        {
            "source": table["source"],
            "position": table["position"],
            "reason": pc.coalesce(table["error"], names.take(pa.array(reason))),
            "instruction": pc.utf8_slice_codeunits(pc.fill_null(table["instruction"], ""), 0, SHOWN),
            "of_source": pa.array(task.names, pa.string()).take(pa.array(of, mask=of < 0)),
            "of_position": pa.array(position, pa.int64(), mask=of < 0),
            "similarity": pa.array(similarity, pa.float32(), mask=np.isnan(similarity)),
        }
    )


def text_id(text: str) -> str:
    """Hash of an instruction, 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(column).to_pylist()
    return {str(entry["values"]): entry["counts"] for entry in sorted(counted, key=lambda entry: str(entry["values"]))}
