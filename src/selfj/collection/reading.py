"""Sources cut into parts before anything is read, and the rows of one part as a raw table.

Reasons in the column `error`, beside those of `selfj.collect.files`:

| reason | meaning |
|---|---|
| `not_selected` | a condition of the source's entry (`where`) is not met |
| `empty_instruction` | the instruction is absent or blank |
| `wrong_type` | a list or a record lies where text is expected |
| `unreadable` | the row lies in a damaged row group of Parquet |
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from selfj.collect.cells import csv_header
from selfj.collect.files import as_input_error, delimiter_of, format_of
from selfj.collection.faults import SourceFault
from selfj.collection.lines import Rows, cuts, read_csv, read_jsonl, sample
from selfj.collection.mapping import RAW, text_paths, to_raw, wanted
from selfj.collection.parquet import schema_and_cuts, tables
from selfj.collection.sources import Source
from selfj.collection.values import ArrowColumns, MissingColumn, RowColumns
from selfj.errors import InputError

__all__ = ["RAW", "PartSpec", "SourceFile", "parts_of", "read"]

_HEAD = 1 << 16
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source on this machine, unpacked and ready to be cut."""

    path: Path
    label: str
    """Its name in the repository, the folder or the address; the same on every machine."""
    sha256: str
    """Digest of the file as it was downloaded, before it was unpacked."""
    bytes: int
    """Size as it was downloaded."""


@dataclass(frozen=True, slots=True)
class PartSpec:
    """A range of rows of one file; it can be pickled and sent to another process that sees the same cache."""

    source: Source
    index: int
    """Place of the source among those of the collection, from 0."""
    path: str
    label: str
    format: Literal["parquet", "jsonl", "csv"]
    first: int
    """Position in the source of the part's first row."""
    rows: int
    """Most rows that the part can give: exact for Parquet; lines for text, where blank ones and the rest of a row of
    several lines give none."""
    start: int
    """Where the range starts in the file: a row of Parquet, a byte of text."""
    stop: int
    """Where it stops, exclusive."""
    size: int
    """Bytes of the file, to notice that it is another."""
    header: tuple[str, ...] = ()
    """Columns of CSV."""
    delimiter: str = ","


def parts_of(source: Source, files: Sequence[SourceFile], rows_per_part: int, index: int = 0) -> list[PartSpec]:
    """Cut a source into parts, in order; nothing but metadata, headers, first rows and line ends is read.

    An empty file gives no part. The position of a row is its place in the source; in text files, the line on which
    it starts (without the header), so that blank lines count.

    Args:
        source: The entry.
        files: What `fetch` brought.
        rows_per_part: Rows of a part, at least 1. Row groups of Parquet are kept whole where they are not far larger.
        index: Place of the source in the collection.

    Raises:
        SourceFault: A file is damaged, of no known format, or lacks a column that the source's entry names.
    """
    parts: list[PartSpec] = []
    for file in files:
        first = parts[-1].first + parts[-1].rows if parts else 0
        if source.limit is not None and first >= source.limit:
            break
        if file.path.stat().st_size:
            parts += _parts_of_file(source, file, rows_per_part, index, first)
    return parts if source.limit is None else _limited(parts, source.limit)


def _limited(parts: Iterable[PartSpec], limit: int) -> list[PartSpec]:
    kept = []
    for part in parts:
        rows = min(part.rows, limit - part.first)
        if rows > 0:
            stop = part.start + rows if part.format == "parquet" else part.stop
            kept.append(_with(part, rows=rows, stop=stop))
    return kept


def _with(part: PartSpec, *, rows: int, stop: int) -> PartSpec:
    return PartSpec(
        *(part.source, part.index, part.path, part.label, part.format, part.first, rows, part.start, stop, part.size),
        header=part.header,
        delimiter=part.delimiter,
    )


def _parts_of_file(source: Source, file: SourceFile, rows_per_part: int, index: int, first: int) -> list[PartSpec]:
    try:
        with as_input_error(file.path):
            return _cut(source, file, rows_per_part, index, first)
    except MissingColumn as missing:
        text = f"the file {file.label} no longer fits the entry: {missing}. Change instruction, reference or where."
        raise SourceFault(source.name, text) from None
    except InputError as error:
        text = f"the file {file.label} cannot be read as {_named(source)}. {error}"
        raise SourceFault(source.name, text) from error


def _named(source: Source) -> str:
    return "Parquet, JSONL, CSV or TSV" if source.format == "auto" else source.format


def _cut(source: Source, file: SourceFile, rows_per_part: int, index: int, first: int) -> list[PartSpec]:
    size = file.path.stat().st_size
    with file.path.open("rb") as handle:
        head = handle.read(_HEAD)
    kind = format_of(file.path, head) if source.format == "auto" else source.format
    if kind == "parquet":
        schema, ranges = schema_and_cuts(file.path, rows_per_part)
        _check(source, ArrowColumns(schema.empty_table()), file.label)
        return [
            PartSpec(source, index, str(file.path), file.label, "parquet", first + low, high - low, low, high, size)
            for low, high in ranges
        ]
    start = len(_BOM) if head.startswith(_BOM) else 0
    header: tuple[str, ...] = ()
    delimiter = ","
    limit = source.max_line_bytes
    if kind in {"csv", "tsv"}:
        delimiter = delimiter_of(kind, head[start:])
        header, start = _header(file.path, start, delimiter, limit)
        _check(source, ArrowColumns(pa.schema([(name, pa.string()) for name in header]).empty_table()), file.label)
    else:
        _check_sample(source, sample(file.path, start, limit))
    name: Literal["jsonl", "csv"] = "csv" if header else "jsonl"
    found = cuts(file.path, start, rows_per_part, quoted=bool(header), limit=limit)
    return [
        PartSpec(
            *(source, index, str(file.path), file.label, name, first + cut.first, cut.lines, cut.start, cut.stop, size),
            header=header,
            delimiter=delimiter,
        )
        for cut in found
    ]


def _header(path: Path, start: int, delimiter: str, limit: int) -> tuple[tuple[str, ...], int]:
    """Names of the columns, and where the rows begin; a header lies on one line."""
    with path.open("rb") as handle:
        handle.seek(start)
        line = handle.readline(limit)
    try:
        cells = next(csv.reader([line.decode("utf-8")], delimiter=delimiter))
    except (UnicodeDecodeError, StopIteration, csv.Error):
        raise InputError("Its first line is no header: expected the names of the columns.") from None
    return tuple(csv_header(path, cells)), start + len(line)


def _check(source: Source, columns: ArrowColumns, label: str) -> None:
    to_raw(source, label, columns, np.arange(0))
    for path in text_paths(source):
        kind = columns.kind(path)
        if pa.types.is_nested(kind):
            steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path.steps)
            name = path.column + steps
            raise MissingColumn(f"{name} holds {kind} where text is expected; name an element or a field of it")


def _check_sample(source: Source, rows: Sequence[dict[str, object]]) -> None:
    if not rows:
        raise InputError("None of its first 1000 lines is a JSON object.")
    columns = {name for row in rows for name in row}
    for path in wanted(source):
        if path.column not in columns:
            found = ", ".join(sorted(columns)[:30])
            raise MissingColumn(f"none of its first 1000 rows has a column {path.column!r}; found {found}")


def read(spec: PartSpec) -> Any:
    """Read one part as a table with the schema `RAW`, rows in the order of the source.

    Raises:
        SourceFault: The file is gone, or no longer the one that was cut.
    """
    path = Path(spec.path)
    try:
        size = path.stat().st_size
        if size != spec.size:
            raise SourceFault(spec.source.name, f"{path} has {size} bytes, and had {spec.size} when it was cut.")
        found = list(_read_parquet(spec, path) if spec.format == "parquet" else _read_text(spec, path))
    except (OSError, pa.ArrowException) as error:
        raise SourceFault(spec.source.name, f"{path} cannot be read: {error}.") from error
    except MissingColumn as missing:
        raise SourceFault(spec.source.name, f"{path} no longer fits the entry: {missing}.") from None
    return pa.concat_tables(found or [RAW.empty_table()]).combine_chunks()


def _read_parquet(spec: PartSpec, path: Path) -> Iterable[Any]:
    columns = list(dict.fromkeys(column.column for column in wanted(spec.source)))
    for start, count, table in tables(path, columns, spec.start, spec.stop):
        positions = np.arange(count) + (spec.first + start - spec.start)
        if table is None:
            broken = pa.repeat(pa.scalar("unreadable"), count)
            yield to_raw(spec.source, spec.label, RowColumns([None] * count), positions, broken)
        else:
            yield to_raw(spec.source, spec.label, ArrowColumns(table), positions)


def _read_text(spec: PartSpec, path: Path) -> Iterable[Any]:
    source = spec.source
    paths = wanted(source)
    if spec.format == "csv":
        names = list(dict.fromkeys(column.column for column in paths))
        where: dict[str, Any] = {"header": spec.header, "delimiter": spec.delimiter, "limit": source.max_line_bytes}
        blocks: Iterable[Sequence[Rows]] = [[read_csv(path, spec.start, spec.stop, names, **where)]]
    else:
        blocks = read_jsonl(path, spec.start, spec.stop, paths, source.max_line_bytes)
    for block in blocks:
        tables = [to_raw(source, spec.label, rows.columns, rows.lines + spec.first, rows.errors) for rows in block]
        if not tables:
            continue
        table = pa.concat_tables(tables)
        if len(tables) > 1:
            table = table.sort_by("position")
        within = int(np.searchsorted(table["position"].to_numpy(), spec.first + spec.rows))
        yield table.slice(0, within)
        if within < table.num_rows:
            return
