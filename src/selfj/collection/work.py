"""The folder of a collection while it is made: where things lie, and Parquet files that name the work they belong to.

Several processes may write at once, perhaps one that a killed run left behind; each writes under a name of its own and
renames, so a file is whole or absent, and whoever comes last has written the same bytes.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selfj.errors import ArtefactError
from selfj.files import explained, sync_folder

_KEY = b"selfj.key"


@dataclass(frozen=True, slots=True)
class Folder:
    """Places in a collection's folder."""

    path: Path

    @property
    def settings(self) -> Path:
        """The settings, with every default."""
        return self.path / "collection.toml"

    @property
    def manifest(self) -> Path:
        """What the collection holds; it is written last."""
        return self.path / "manifest.json"

    @property
    def work(self) -> Path:
        """Prepared parts and matches."""
        return self.path / "work"

    def prepared(self, number: int, evaluation: bool = False) -> Path:
        """Prepared part of a source, or of an evaluation set."""
        return self.work / ("evaluation" if evaluation else "prepared") / _name(number)

    def part(self, number: int) -> Path:
        """Rows that are kept."""
        return self.path / "parts" / _name(number)

    def dropped(self, number: int) -> Path:
        """Rows that are dropped."""
        return self.path / "dropped" / _name(number)


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give the name of a new file that takes the place of `path` when it is complete and on disk."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_table(path: Path, table: pa.Table, key: str, **options: Any) -> None:
    """Write a table whole or not at all, with the key of the work that it belongs to."""
    table = table.replace_schema_metadata({_KEY: key})
    with whole(path) as temporary:
        pq.write_table(table, temporary, **{"compression": "zstd", "write_page_checksum": True, **options})


def belongs(path: Path, key: str) -> int | None:
    """Rows of a table that an earlier try of the same work left, else None."""
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return None
    if (metadata.metadata or {}).get(_KEY) != key.encode():
        return None
    return int(metadata.num_rows)


def read_columns(path: Path, columns: list[str]) -> pa.Table:
    """Read some columns of a table.

    Raises:
        ArtefactError: It is absent or damaged.
    """
    try:
        return pq.read_table(path, columns=columns, partitioning=None, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise ArtefactError(f"{path} cannot be read: {error}. Delete it and run the same command again.") from error


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array, however many chunks it has."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays whole or not at all, each readable alone and in part: a folder of `NAME.npy`."""
    for name, array in arrays.items():
        with whole(path / f"{name}.npy") as temporary, temporary.open("wb") as handle:
            np.save(handle, np.ascontiguousarray(array), allow_pickle=False)


def open_array(path: Path, name: str) -> Any:
    """Open one array without reading it into memory."""
    file = path / f"{name}.npy"
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{file} cannot be read: {error}. Delete it and run the same command again.") from error
    return found


def clear_partial(folder: Path) -> None:
    """Remove what killed processes left half written."""
    with explained(folder):
        for path in folder.rglob(".*.partial"):
            path.unlink(missing_ok=True)
