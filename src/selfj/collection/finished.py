"""A finished collection as it lies in its folder, read a batch at a time."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfj.collection.manifest import Manifest, read_manifest
from selfj.collection.sources import Source, parse
from selfj.errors import ArtefactError, ConfigError

PART = pa.schema(
    [
        ("id", pa.string()),
        ("instruction", pa.string()),
        ("reference", pa.string()),
        ("category", pa.string()),
        ("category_by", pa.string()),
        ("source", pa.string()),
        ("position", pa.int64()),
        ("language", pa.string()),
        ("copies", pa.int32()),
        ("copy_sources", pa.list_(pa.string())),
    ]
)
PART_COLUMNS = tuple(PART.names)
DROPPED_COLUMNS = ("source", "position", "reason", "instruction", "of_source", "of_position", "similarity")
_BATCH = 65_536
_REMEDY = "Run selfj collect again; finished parts are kept."


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished collection: where its tables lie, and what is known of its sources."""

    folder: Path
    parts: tuple[Path, ...]
    dropped: tuple[Path, ...]
    manifest: Manifest
    sources: tuple[Source, ...]
    """In the order of the collection's file; empty where there is none."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Rows that were kept, in the order of the parts; at most 65,536 at a time.

        Raises:
            ArtefactError: A part is damaged, or lacks a column.
        """
        for path in self.parts:
            yield from read(path, columns)

    def dropped_batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Rows that were dropped, in the same way."""
        for path in self.dropped:
            yield from read(path, columns)


def open_collection(folder: str | Path) -> Finished:
    """Open the folder of a collection.

    Raises:
        ArtefactError: It is no collection, is not finished, or its files cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtefactError(f"{folder} is no folder: expected a collection made by selfj collect.")
    if not (folder / "manifest.json").is_file():
        started = (folder / "work").is_dir() or (folder / "collection.toml").is_file()
        found = "is not finished: run the same selfj collect again to go on" if started else "holds no collection"
        raise ArtefactError(f"{folder} {found}; expected {folder / 'manifest.json'}.")
    manifest = read_manifest(folder)
    listed = [tuple(folder / part.name for part in parts) for parts in (manifest.parts, manifest.dropped_parts)]
    for path in (path for paths in listed for path in paths):
        if not path.is_file():
            raise ArtefactError(f"{path} is absent. {_REMEDY}")
    parts, dropped = listed
    for path in parts:
        lacking = [name for name in PART_COLUMNS if name not in _schema(path).names]
        if lacking:
            raise ArtefactError(f"{path} lacks the column {lacking[0]}. {_REMEDY}")
    return Finished(folder, parts, dropped, manifest, _sources(folder / "collection.toml"))


def read(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Rows of one Parquet file; see `Finished.batches`."""
    try:
        with pq.ParquetFile(path) as file:
            lacking = [name for name in columns if name not in file.schema_arrow.names]
            if lacking:
                raise ArtefactError(f"{path} lacks the column {lacking[0]}. {_REMEDY}")
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(columns)):
                if batch.num_rows:
                    yield _plain(pa.Table.from_batches([batch])).select(list(columns))
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}. {_REMEDY}") from error


def count_rows(paths: Sequence[Path]) -> int:
    """Rows of Parquet files, from their footers."""
    return sum(_footer(path).num_rows for path in paths)


def _plain(table: pa.Table) -> pa.Table:
    """Strings as plain strings, whatever encoding the writer chose."""
    for place, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    return table


def _footer(path: Path) -> Any:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(f"{path} is no Parquet file. {_REMEDY}") from error


def _schema(path: Path) -> pa.Schema:
    return _footer(path).schema.to_arrow_schema()


def _sources(path: Path) -> tuple[Source, ...]:
    if not path.is_file():
        return ()
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(parse(tree.get("sources"), str(path)))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ConfigError) as error:
        raise ArtefactError(f"{path} cannot be read: {error} {_REMEDY}") from error
