"""Sources cut into parts before anything is read, and the rows of one part as a raw table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from selfj.collection.sources import Source

RAW = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("reference", pa.string()),
        pa.field("category", pa.string()),
        pa.field("error", pa.string()),
    ]
)
"""Columns of a raw table; see `docs/design/collecting.md`. `instruction` is empty where `error` says why."""


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
    format: str
    """parquet, jsonl, csv or tsv."""
    first: int
    """Position in the source of the part's first row."""
    rows: int
    """Most rows that the part can give: exact for Parquet; lines for text, where blank ones and the rest of a row of
    several lines give none."""
    start: int
    """Where the range starts in the file: a row of Parquet, a byte of text."""
    stop: int
    """Where it stops, exclusive."""
    columns: tuple[str, ...] = ()
    """Header of CSV and TSV."""
    delimiter: str = ","


def parts_of(source: Source, files: Sequence[SourceFile], rows_per_part: int, index: int = 0) -> list[PartSpec]:
    """Cut a source into parts, in order; nothing but metadata, headers and line ends is read.

    Raises:
        SourceFault: A file is damaged, of no known format, or lacks a column that the source's entry names.
    """
    raise NotImplementedError


def read(spec: PartSpec) -> Any:
    """Read one part as a table with the schema `RAW`, rows in the order of the source.

    Raises:
        SourceFault: The file is gone, or no longer the one that was cut.
    """
    raise NotImplementedError
