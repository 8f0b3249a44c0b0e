"""Files made ready to be cut: compressed ones unpacked, arrays of JSON as lines, once, into the cache."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from selfj.collect.files import format_of, read_rows
from selfj.collection.faults import SourceFault
from selfj.collection.sources import Source
from selfj.errors import InputError
from selfj.files import explained, writing
from selfj.settings import FileSource

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 4 << 20
_HEAD = 1 << 16
_ENDINGS = (".gz", ".gzip", ".zst", ".zstd")


def ready(source: Source, path: Path, digest: str, folder: Path) -> Path:
    """The file itself, or an unpacked copy of it in `folder`, made where it is not there yet.

    A copy is named after the digest of the original. With `limit`, only so many lines of text are unpacked.

    Raises:
        SourceFault: The file is damaged, or is JSON without rows.
        ArtefactError: The folder cannot be written.
    """
    with explained(path, "read"), path.open("rb") as handle:
        head = handle.read(_HEAD)
    packed = head.startswith((_GZIP, _ZSTD))
    if not packed and not _is_array(source, path, head):
        return path
    name = path.name
    while packed and name.lower().endswith(_ENDINGS):
        name = name.rpartition(".")[0]
    cut = "" if source.limit is None else f"-{source.limit}"
    target = folder / f"{digest[:40]}{cut}-{name}"
    if packed and not target.exists():
        with _damage(source, path), _unpacked(path, head) as stream, writing(target) as copy:
            _copy(stream, copy, source.limit)
    if packed:
        path = target
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
    return _lines(source, path, head, folder / f"{digest[:40]}{cut}.jsonl")


def _is_array(source: Source, path: Path, head: bytes) -> bool:
    if source.format != "auto":
        return source.format == "json"
    try:
        return bool(head) and format_of(path, head) == "json"
    except InputError:
        return False


def _lines(source: Source, path: Path, head: bytes, target: Path) -> Path:
    """JSON in one piece as lines; any other file as it is. The whole file is held in memory once."""
    if not _is_array(source, path, head):
        return path
    if not target.exists():
        with _damage(source, path), writing(target) as copy:
            for row in read_rows(FileSource(path=str(path), format="json", limit=source.limit)):
                # A wrong byte goes on as it was, and fails its own row when that is read.
                text = json.dumps(row.fields, ensure_ascii=False)
                copy.write(text.encode("utf-8", "surrogateescape" if _escaped(text) else "surrogatepass") + b"\n")
    return target


def _escaped(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _damage(source: Source, path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException, InputError) as error:
        text = f"{path.name} is damaged or incomplete: {error}. Remove it from the cache, and fetch it again."
        raise SourceFault(source.name, text) from error


@contextmanager
def _unpacked(path: Path, head: bytes) -> Iterator[IO[bytes]]:
    if head.startswith(_GZIP):
        with gzip.open(path, "rb") as stream:
            yield stream  # type: ignore[misc]
        return
    with pa.input_stream(str(path), compression="zstd") as raw:
        yield io.BufferedReader(_Stream(raw))


class _Stream(io.RawIOBase):
    """Arrow's stream as Python's."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            data = self._raw.read(len(target))
        except OSError as error:
            # Not a fault of the disk, which an OSError means elsewhere.
            raise pa.ArrowInvalid(str(error)) from error
        target[: len(data)] = data
        return len(data)


def _copy(stream: IO[bytes], copy: IO[bytes], limit: int | None) -> None:
    """Copy all, or for a limit only so many lines and a header."""
    lines = 0
    while piece := stream.read(_PIECE):
        copy.write(piece)
        lines += piece.count(b"\n") if limit is not None else 0
        if limit is not None and lines > limit:
            return
