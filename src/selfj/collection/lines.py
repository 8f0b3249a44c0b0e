"""Text files of a source: cut on the ends of lines, read in blocks.

A block of JSONL is read by Arrow. Where Arrow fails, or a line is not as it should be, the block is cut into pieces,
and these again, until few lines are left; those are read by Python, so that a bad line costs its own row.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from selfj.collect.cells import csv_rows, lines_of
from selfj.collect.files import json_row
from selfj.collection.fields import ColumnPath
from selfj.collection.values import ArrowColumns, Columns, RowColumns

_SCAN = 8 << 20
_BLOCK = 4 << 20
_MOST_BYTES = 256 << 20
_PIECES = 8
"""A block that Arrow refuses is cut into so many."""
_FEW = 64
"""So many lines are left to Python at once."""
_SAMPLE = 200
"""Lines whose values tell what kind each column is."""
_NEWLINE, _QUOTE, _BRACE, _RETURN = b'\n"{\r'


class Cut(NamedTuple):
    """A range of bytes, and its lines."""

    start: int
    stop: int
    first: int
    """Number of its first line, from 0."""
    lines: int


def cuts(path: Path, start: int, rows_per_part: int, *, quoted: bool, limit: int) -> list[Cut]:
    """Cut a file on the ends of lines, or for CSV of rows.

    Where a row of CSV seems longer than `limit`, a quote was never closed, and the file is one range.

    Args:
        path: The file.
        start: Where its lines begin.
        rows_per_part: Lines of a range; the last may have fewer, and one of large rows does.
        quoted: Whether an end of line inside quotes is none.
        limit: Longest row of CSV in bytes.
    """
    found: list[Cut] = []
    begin, first, lines, odd, at, last = start, 0, 0, False, start, start
    with path.open("rb") as handle:
        handle.seek(start)
        while chunk := handle.read(_SCAN):
            data = np.frombuffer(chunk, np.uint8)
            ends = np.flatnonzero(data == _NEWLINE) + 1
            outside = np.ones(len(ends), bool)
            if quoted:
                quotes = np.flatnonzero(data == _QUOTE)
                outside = (np.searchsorted(quotes, ends) + odd) % 2 == 0
                odd = bool((len(quotes) + odd) % 2)
            edges = at + ends[outside]
            numbers = lines + 1 + np.flatnonzero(outside)
            if quoted and np.diff(np.concatenate([[last], edges, [at + len(chunk)]])).max() > limit:
                return [_whole(path, start)]
            last = int(edges[-1]) if len(edges) else last
            while True:
                enough = np.searchsorted(numbers, first + rows_per_part)
                edge = int(min(enough, np.searchsorted(edges, begin + _MOST_BYTES)))
                if edge >= len(edges):
                    break
                found.append(Cut(begin, int(edges[edge]), first, int(numbers[edge]) - first))
                begin, first = int(edges[edge]), int(numbers[edge])
            lines += len(ends)
            at += len(chunk)
    if at > begin:
        unfinished = _unfinished(path)
        found.append(Cut(begin, at, first, lines + unfinished - first))
    return found


def _unfinished(path: Path) -> int:
    with path.open("rb") as handle:
        handle.seek(-1, io.SEEK_END)
        return int(handle.read(1) != b"\n")


def _whole(path: Path, start: int) -> Cut:
    lines = 0
    with path.open("rb") as handle:
        handle.seek(start)
        while chunk := handle.read(_SCAN):
            lines += chunk.count(b"\n")
    return Cut(start, path.stat().st_size, 0, lines + _unfinished(path))


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a text file."""

    columns: Columns
    lines: Any
    """Line of each row within the range, from 0, of shape (n,)."""
    errors: Any = None
    """Why each row could not be read, as a string array; None where all could."""


def read_jsonl(path: Path, start: int, stop: int, paths: Sequence[ColumnPath], limit: int) -> Iterator[Sequence[Rows]]:
    """Read lines of JSON objects in a range of bytes; each block's rows come together, not in their order."""
    schema: Any = None
    line = 0
    for place, block in enumerate(_blocks(path, start, stop, limit)):
        if place == 0:
            schema = _schema(block, paths, limit)
        yield list(_read_block(block, schema, limit).all(line))
        line += block.count(b"\n") + (not block.endswith(b"\n"))


def _blocks(path: Path, start: int, stop: int, limit: int) -> Iterator[bytes]:
    """Blocks of whole lines; of a line that is too long, only so much that this shows."""
    with path.open("rb") as handle:
        handle.seek(start)
        while (at := handle.tell()) < stop:
            block = handle.read(min(_BLOCK, stop - at))
            if not block:
                return
            if not block.endswith(b"\n") and handle.tell() < stop:
                tail = handle.readline(limit + 1)
                block += tail
                while tail and not tail.endswith(b"\n"):
                    tail = handle.readline(1 << 16)
                block += b"" if block.endswith(b"\n") else b"\n"
            yield block


@dataclass(slots=True)
class _Found:
    """What was read of a block so far: pieces by Arrow, and rows by Python."""

    tables: list[Any] = field(default_factory=list)
    places: list[Any] = field(default_factory=list)
    """Lines of the rows of each table."""
    rows: list[dict[str, object] | None] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def all(self, first: int) -> Iterator[Rows]:
        """The rows by Arrow, then those by Python; a block starts at line `first`."""
        if self.tables:
            yield Rows(ArrowColumns(pa.concat_tables(self.tables)), np.concatenate(self.places) + first)
        if self.rows:
            lines = np.array(self.lines, np.int64) + first
            yield Rows(RowColumns(self.rows), lines, pa.array(self.errors, pa.string()))


def _read_block(block: bytes, schema: Any, limit: int) -> _Found:
    found = _Found()
    if schema is None:
        _slowly(found, block, 0, limit)
        return found
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE) + 1
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    _pieces(found, block, ends, 0, len(ends), schema, limit)
    return found


def _pieces(found: _Found, block: bytes, ends: Any, low: int, high: int, schema: Any, limit: int) -> None:
    """Read the lines from `low` to `high` of a block."""
    if low == high:
        return
    begin = int(ends[low - 1]) if low else 0
    piece = block[begin : int(ends[high - 1])]
    read = _fast(piece, ends[low:high] - begin, schema, limit)
    if read is not None:
        found.tables.append(read[0])
        found.places.append(read[1] + low)
    elif high - low > _FEW:
        edges = [low + (high - low) * k // _PIECES for k in range(_PIECES + 1)]
        for start, stop in pairwise(edges):
            _pieces(found, block, ends, start, stop, schema, limit)
    else:
        _slowly(found, piece, low, limit)


def _fast(piece: bytes, ends: Any, schema: Any, limit: int) -> tuple[Any, Any] | None:
    """Read a piece by Arrow as a table, and its rows' lines; None where a line is not one JSON object in UTF-8."""
    starts = np.concatenate([[0], ends[:-1]])
    if (ends - starts).max() > limit:
        return None
    first = np.frombuffer(piece, np.uint8)[starts]
    empty = (first == _NEWLINE) | (first == _RETURN)
    if not np.all(empty | (first == _BRACE)):
        return None
    full = np.flatnonzero(~empty)
    if not len(full):
        return schema.empty_table(), full
    try:
        piece.decode("utf-8")
        table = pj.read_json(
            pa.BufferReader(piece),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(piece) + 1),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (UnicodeDecodeError, pa.ArrowException):
        return None
    return (table, full) if table.num_rows == len(full) else None


def _slowly(found: _Found, piece: bytes, low: int, limit: int) -> None:
    for place, line in enumerate(lines_of(io.BufferedReader(io.BytesIO(piece)), limit), start=low):
        if line is None or line.strip():
            row = None if line is None else json_row(place, line)
            found.rows.append(None if row is None else row.fields)
            found.errors.append("line_too_long" if row is None else row.error)
            found.lines.append(place)


def sample(path: Path, start: int, limit: int, lines: int = 1000) -> list[dict[str, object]]:
    """The rows among the first lines of a file that can be read."""
    rows = []
    with path.open("rb") as handle:
        handle.seek(start)
        for place, line in enumerate(lines_of(handle, limit)):
            if place >= lines:
                break
            fields = json_row(place, line).fields if line is not None and line.strip() else None
            rows += [fields] if fields is not None else []
    return rows


def _schema(block: bytes, paths: Sequence[ColumnPath], limit: int) -> Any:
    """The kinds of the columns that are wanted, from the first lines; None where they are not of one kind each.

    Arrow would find them itself, but takes text for a time, and a deep value ends the process.
    """
    rows: list[dict[str, object]] = []
    for line in block.split(b"\n", _SAMPLE)[:_SAMPLE]:
        fields = json_row(0, line).fields if line.strip() and len(line) <= limit else None
        rows += [fields] if fields is not None else []
    steps: dict[str, list[tuple[str | int, ...]]] = {}
    for path in paths:
        steps.setdefault(path.column, []).append(path.steps)
    kinds = {name: _kind([row.get(name) for row in rows], wanted) for name, wanted in steps.items()}
    return None if any(kind is None for kind in kinds.values()) else pa.schema(list(kinds.items()))


def _kind(values: Sequence[object], paths: Sequence[tuple[str | int, ...]]) -> Any:
    """The Arrow type of some values, as far as paths lead; None where they differ."""
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if len(kinds) > 1 and kinds != {int, float}:
        return None
    if not kinds or kinds == {str}:
        return pa.string() if not any(paths) or kinds else None
    if kinds == {list}:
        inner = [path[1:] if path and isinstance(path[0], int) else path for path in paths]
        items = [item for value in values if isinstance(value, list) for item in value]
        kind = _kind(items, inner)
        return None if kind is None else pa.list_(kind)
    if kinds == {dict}:
        if not all(path and isinstance(path[0], str) for path in paths):
            return None
        names = list(dict.fromkeys(path[0] for path in paths))
        fields = []
        for name in names:
            inside = [value.get(name) for value in values if isinstance(value, dict)]
            kind = _kind(inside, [path[1:] for path in paths if path[0] == name])
            if kind is None:
                return None
            fields.append((name, kind))
        return pa.struct(fields)
    if kinds == {bool}:
        return pa.bool_()
    return pa.int64() if kinds == {int} else pa.float64()


class _Window(io.RawIOBase):
    """A range of a file's bytes, as a stream."""

    def __init__(self, handle: Any, start: int, stop: int) -> None:
        handle.seek(start)
        self._handle, self._left = handle, stop - start

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = self._handle.read(min(len(target), self._left))
        target[: len(data)] = data
        self._left -= len(data)
        return len(data)


def read_csv(
    path: Path,
    start: int,
    stop: int,
    wanted: Sequence[str],
    *,
    header: Sequence[str],
    delimiter: str,
    limit: int,
) -> Rows:
    """Read rows of CSV in a range of bytes; an empty cell is an absent value."""
    with path.open("rb") as handle:
        stream: Any = io.BufferedReader(_Window(handle, start, stop))
        cells: dict[str, list[Any]] = {name: [] for name in wanted}
        errors, lines = [], []
        for row in csv_rows(stream, path, delimiter, limit, header):
            for name, values in cells.items():
                values.append(None if row.fields is None else row.fields.get(name) or None)
            errors.append(row.error)
            lines.append(row.number - 1)
    table = pa.table({name: pa.array(values, pa.string()) for name, values in cells.items()})
    return Rows(ArrowColumns(table), np.array(lines, np.int64), pa.array(errors, pa.string()))
