"""Lines of a file within a limit, and rows of CSV, one at a time; `files` tells what the reasons mean."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.errors import InputError

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it lies in the file, or the reason why it cannot be read."""

    number: int
    """Line in JSONL, CSV and TSV (for a row of several lines, the first), else position; both from 1."""
    fields: dict[str, object] | None
    error: str | None = None


def lines_of(stream: io.BufferedReader, limit: int) -> Iterator[bytes | None]:
    """Lines of at most `limit` bytes; None for a longer one, which is skipped in small pieces."""
    while chunk := stream.readline(limit + 1):
        if chunk.endswith(b"\n") or len(chunk) <= limit:
            yield chunk
            continue
        while chunk and not chunk.endswith(b"\n"):
            chunk = stream.readline(_PIECE)
        yield None


class _LineError(Exception):
    """A row of CSV, of one line or several, has more bytes than the limit."""


class _CsvLines:
    """Lines for `csv.reader`; not a generator, because reading must go on after a row that is too long."""

    def __init__(self, lines: Iterator[bytes | None], limit: int) -> None:
        self.number = 0
        self._lines = lines
        self._limit = limit
        self._room = limit

    def start_row(self) -> int:
        """The number of the line on which the next row starts."""
        self._room = self._limit
        return self.number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self._room -= 0 if line is None else len(line)
        # Without this a quote that is never closed would take in the rest of the file.
        if line is None or self._room < -1:
            raise _LineError
        return line.decode("utf-8", "surrogateescape")


def csv_rows(
    stream: io.BufferedReader, path: Path, delimiter: str, limit: int, header: Sequence[str] | None = None
) -> Iterator[RawRow]:
    """Rows of CSV; a row that cannot be read becomes one with the reason.

    Args:
        stream: Starts at the header, or at a row where `header` is given.
        path: For errors.
        delimiter: What separates cells.
        limit: Most bytes of a row.
        header: Names of the columns.

    Raises:
        InputError: The first line is no header.
    """
    # This limit belongs to the process, so it is only ever raised; `_CsvLines` keeps the stricter one.
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    lines = _CsvLines(lines_of(stream, limit), limit)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        number = lines.start_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_LineError, csv.Error) as error:
            if header is None:
                raise InputError(f"The first line of {path} is no header of column names.") from error
            reason = "line_too_long" if isinstance(error, _LineError) else "bad_csv"
            yield RawRow(number, None, reason)
            continue
        if not cells:
            continue
        if header is None:
            header = csv_header(path, cells)
        else:
            yield _csv_row(number, header, cells)


def csv_header(path: Path, cells: list[str]) -> list[str]:
    """Names of the columns from the cells of the first line.

    Raises:
        InputError: It is no header, or repeats a name.
    """
    names = [cell.strip() for cell in cells]
    text = "".join(names)
    faulty = "\0" in text or not is_utf8(text) or max(map(len, names)) > 200
    if faulty or not text or all(_is_number(name) for name in names if name):
        raise InputError(f"The first line of {path} is no header: expected the names of the columns.")
    # pandas writes its index under an empty name.
    names = [name or f"column_{position}" for position, name in enumerate(names, start=1)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"The header of {path} repeats {', '.join(repeated)}: column names must differ.")
    return names


def _csv_row(number: int, header: Sequence[str], cells: list[str]) -> RawRow:
    text = "".join(cells)
    if "\0" in text:
        return RawRow(number, None, "bad_csv")
    if not is_utf8(text):
        return RawRow(number, None, "bad_utf8")
    if len(cells) != len(header):
        return RawRow(number, None, "wrong_field_count")
    return RawRow(number, dict(zip(header, cells, strict=True)))


def is_utf8(text: str) -> bool:
    """Tell whether text can be written as UTF-8, which text with a lone surrogate cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
