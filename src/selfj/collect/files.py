"""Rows of a file of the user's, in constant memory except for JSON arrays.

A fault of the whole file raises `InputError`; a fault of one row becomes a row with a reason:

| reason | meaning |
|---|---|
| `bad_utf8` | the row is not UTF-8 |
| `bad_json`, `not_an_object` | the line is not JSON, or not a JSON object |
| `line_too_long` | the line, or the row of several lines, has more bytes than `line_limit` |
| `wrong_field_count`, `bad_csv` | the row does not match the header, or cannot be read as CSV |
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfj.collect.cells import RawRow, csv_rows, is_utf8, lines_of
from selfj.errors import InputError
from selfj.settings import FileSource

__all__ = [
    "RawRow",
    "Rows",
    "as_input_error",
    "delimiter_of",
    "format_of",
    "is_utf8",
    "json_row",
    "line_limit",
    "lines_of",
    "read_rows",
    "unpacked",
]

_EXTENSIONS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_FORMATS = "jsonl, json, csv, tsv or parquet"
_WRAPPERS = ("data", "rows", "examples", "instances", "records")
_BOM = b"\xef\xbb\xbf"
_HEAD = 1 << 16
_BATCH = 256


class Rows:
    """The rows of one file; every iteration reads the file anew from its start."""

    def __init__(self, path: Path, kind: str, start: Callable[[], Iterator[RawRow]], limit: int | None = None) -> None:
        self.path = path
        self.kind = kind
        self._start = start
        self._limit = limit

    def __iter__(self) -> Iterator[RawRow]:
        with as_input_error(self.path):
            yield from islice(self._start(), self._limit)


def read_rows(source: FileSource) -> Rows:
    """Open a file of rows, and check at once that it can be read and has a row.

    Raises:
        InputError: The path is no readable file, or the file is corrupt, of no known format, or without rows.

    Example:
        >>> [row.fields for row in read_rows(FileSource(path="questions.jsonl", limit=1))]
        [{'question': 'What is 6 times 7?', 'answer': '42'}]
    """
    path = Path(source.path)
    with as_input_error(path):
        if path.is_dir():
            raise InputError(f"{path} is a folder: expected a file ({_FORMATS}).")
        if not path.exists():
            raise InputError(f"{path} does not exist: collect.source.path must be a file ({_FORMATS}).")
        if not path.is_file():
            # Rows are read more than once, which a pipe cannot do.
            raise InputError(f"{path} is not a regular file: expected a file ({_FORMATS}).")
        head = _head(path)
        kind = format_of(path, head) if source.format == "auto" else source.format
        rows = Rows(path, kind, _starter(path, kind, head, line_limit(source.max_chars)), source.limit)
    if next(iter(rows), None) is None:
        raise InputError(f"{path} has no rows: expected at least one.")
    return rows


def line_limit(max_chars: int) -> int:
    """Longest line in bytes; a small `max_chars` still leaves room for a row's other columns."""
    return max(8 * max_chars, _HEAD)


@contextmanager
def as_input_error(path: Path) -> Iterator[None]:
    """Turn a fault of the file, such as a damaged compression, into an InputError."""
    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise InputError(f"Cannot read {path}: {error}. Check that it is complete and readable.") from error


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open for reading bytes; see `unpacked`."""
    with path.open("rb") as raw:
        yield unpacked(raw)


def unpacked(raw: io.BufferedReader) -> io.BufferedReader:
    """A stream of bytes after any byte order mark, through gzip where it starts like it."""
    inner: Any = gzip.GzipFile(fileobj=raw)
    stream = io.BufferedReader(inner) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
    if stream.peek(3)[:3] == _BOM:
        stream.read(3)
    return stream


def _head(path: Path) -> bytes:
    with _opened(path) as stream:
        head = stream.read(_HEAD)
    if not head:
        raise InputError(f"{path} is empty: expected rows ({_FORMATS}).")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path} is UTF-16: save it as UTF-8.")
    return head


def format_of(path: Path, head: bytes) -> str:
    """The format of a file: jsonl, json, csv, tsv or parquet, by its name and its first bytes.

    Raises:
        InputError: It is none of these.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = _EXTENSIONS.get(suffixes[-1]) if suffixes else None
    if kind not in (None, "json"):
        return kind or ""
    text = head.lstrip()
    if text.startswith(b"["):
        return "json"
    if text.startswith(b"{"):
        return _json_or_lines(text, kind)
    line = text.partition(b"\n")[0]
    if kind is None and b"\0" not in head:
        if b"\t" in line:
            return "tsv"
        if b"," in line or b";" in line:
            return "csv"
    if kind == "json":
        return kind
    raise InputError(f"The format of {path} is unknown: expected {_FORMATS}; set collect.source.format.")


def _json_or_lines(text: bytes, kind: str | None) -> str:
    """Tell lines of JSON objects from one JSON object, by the first line; many .json files hold lines."""
    line, newline, _ = text.partition(b"\n")
    if not newline:
        return kind or "jsonl"
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return "json" if len(line) < 3 or kind == "json" else "jsonl"
    return "json" if _wrapped(first) is not None else "jsonl"


def _wrapped(document: object) -> list[object] | None:
    """The rows inside an object such as {"data": [...]}."""
    if isinstance(document, dict):
        for name in _WRAPPERS:
            rows = document.get(name)
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                return rows
    return None


def _starter(path: Path, kind: str, head: bytes, limit: int) -> Callable[[], Iterator[RawRow]]:
    if kind == "parquet":
        return partial(_parquet_rows, path)
    if kind == "jsonl":
        return partial(_jsonl_rows, path, limit)
    if kind == "json":
        rows = _json_rows(path)
        return lambda: iter(rows)
    return partial(_csv_rows, path, delimiter_of(kind, head), limit)


def delimiter_of(kind: str, head: bytes) -> str:
    """What separates the cells of CSV or TSV, by the header in the file's first bytes."""
    line = head.lstrip().partition(b"\n")[0].decode("utf-8", "replace")
    return "\t" if kind == "tsv" else max((",", ";", "\t"), key=line.count)


def _jsonl_rows(path: Path, limit: int) -> Iterator[RawRow]:
    with _opened(path) as stream:
        for number, line in enumerate(lines_of(stream, limit), start=1):
            if line is None:
                yield RawRow(number, None, "line_too_long")
            elif line.strip():
                yield json_row(number, line)


def json_row(number: int, line: bytes) -> RawRow:
    """Read one line of JSONL; a line that is no JSON object becomes a row with the reason."""
    try:
        return _object_row(number, json.loads(line.decode("utf-8")))
    except UnicodeDecodeError:
        return RawRow(number, None, "bad_utf8")
    except (ValueError, RecursionError):
        return RawRow(number, None, "bad_json")


def _object_row(number: int, value: object) -> RawRow:
    if isinstance(value, dict):
        return RawRow(number, value)
    return RawRow(number, None, "not_an_object")


def _json_rows(path: Path) -> list[RawRow]:
    with _opened(path) as stream:
        # A wrong byte becomes a lone surrogate, so that it fails its own row and not the file.
        text = stream.read().decode("utf-8", "surrogateescape")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON: {error}. Set collect.source.format if it is of another format."
        ) from error
    if isinstance(document, dict):
        document = _wrapped(document) or [document]
    if not isinstance(document, list):
        raise InputError(f"{path} must hold an array of objects, got {type(document).__name__}.")
    return [_object_row(number, value) for number, value in enumerate(document, start=1)]


def _csv_rows(path: Path, delimiter: str, limit: int) -> Iterator[RawRow]:
    with _opened(path) as stream:
        yield from csv_rows(stream, path, delimiter, limit)


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            for fields, error in _batch_rows(batch):
                number += 1
                yield RawRow(number, fields, error)


def _batch_rows(batch: Any) -> Iterator[tuple[dict[str, object] | None, str | None]]:
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        yield from (_slow_row(batch, index) for index in range(batch.num_rows))
    else:
        yield from ((row, None) for row in rows)


def _slow_row(batch: Any, index: int) -> tuple[dict[str, object] | None, str | None]:
    """Convert cell by cell; a value that Python cannot hold, such as a nanosecond, is left out."""
    fields: dict[str, object] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            fields[name] = column[index].as_py()
        except UnicodeDecodeError:
            return None, "bad_utf8"
        except (ValueError, OverflowError, pa.ArrowException):
            continue
    return fields, None
