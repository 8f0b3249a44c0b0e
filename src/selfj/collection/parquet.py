"""Parquet files of a source: cut by row groups, read with only the columns that are wanted."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_LARGE = 4
"""A row group with more than so many parts' rows is cut inside; each of its parts reads it from its start."""
_BATCH = 8192
_MOST_BYTES = 256 << 20


def schema_and_cuts(path: Path, rows_per_part: int) -> tuple[Any, list[tuple[int, int]]]:
    """The Arrow schema of a file, and its row ranges [start, stop), from metadata alone.

    Raises:
        OSError, pa.ArrowException: It is damaged.
    """
    with pq.ParquetFile(path) as file:
        meta = file.metadata
        groups = [(meta.row_group(i).num_rows, meta.row_group(i).total_byte_size) for i in range(meta.num_row_groups)]
        return file.schema_arrow, list(_cuts(groups, rows_per_part))


def _cuts(groups: Sequence[tuple[int, int]], rows_per_part: int) -> Iterator[tuple[int, int]]:
    start = stop = size = 0
    for rows, weight in groups:
        if stop > start and (stop - start + rows > rows_per_part or size + weight > _MOST_BYTES):
            yield start, stop
            start, size = stop, 0
        if rows > _LARGE * rows_per_part:
            pieces = -(-rows // (_LARGE * rows_per_part))
            edges = [stop + rows * k // pieces for k in range(pieces + 1)]
            yield from pairwise(edges)
            start, size = stop + rows, 0
        stop += rows
        size += weight if start < stop else 0
    if stop > start:
        yield start, stop


def tables(path: Path, columns: Sequence[str], start: int, stop: int) -> Iterator[tuple[int, int, Any]]:
    """Read a row range; gives first row, number of rows and table, or None for rows that are damaged.

    Raises:
        OSError, pa.ArrowException: The file's metadata are damaged.
    """
    with pq.ParquetFile(path, memory_map=True) as file:
        counts = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        ends = np.cumsum(counts)
        for group, (end, count) in enumerate(zip(ends.tolist(), counts, strict=True)):
            low, high = max(start, end - count), min(stop, end)
            if low < high:
                skip = low - (end - count)
                yield low, high - low, _range(file, group, columns, skip, high - low, count)


def _range(file: Any, group: int, columns: Sequence[str], skip: int, rows: int, count: int) -> Any:
    try:
        if rows == count:
            table = file.read_row_group(group, columns=list(columns), use_threads=False)
        else:
            table = _some(file, group, columns, skip, rows)
    except (OSError, ValueError, pa.ArrowException):
        return None
    return table if table.num_rows == rows else None


def _some(file: Any, group: int, columns: Sequence[str], skip: int, rows: int) -> Any:
    kept, seen = [], 0
    batches = file.iter_batches(batch_size=_BATCH, row_groups=[group], columns=list(columns), use_threads=False)
    for batch in batches:
        low, high = max(skip - seen, 0), min(skip + rows - seen, batch.num_rows)
        if low < high:
            kept.append(batch.slice(low, high - low))
        seen += batch.num_rows
        if seen >= skip + rows:
            break
    return pa.Table.from_batches(kept)
