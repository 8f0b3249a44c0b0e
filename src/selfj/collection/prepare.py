"""From a part of a source to its prepared part: read, cleaned, keyed, categorised, and written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.categories import classify
from selfj.collection.evaluation import Index, open_index
from selfj.collection.faults import SourceFault
from selfj.collection.keys import bands, exact_keys, shingles
from selfj.collection.quality import Quality, clean
from selfj.collection.reading import PartSpec, read
from selfj.collection.settings import Categories, Matching
from selfj.collection.tokens import tokenise
from selfj.collection.work import belongs, one_array, write_table

TEXTS = ("source", "position", "instruction", "reference", "category", "error", "language", "masked", "category_by")


@dataclass(frozen=True, slots=True)
class Prepare:
    """One part to prepare."""

    spec: PartSpec
    path: Path
    """Where the prepared part goes."""
    key: str
    """Hash of everything that decides it."""
    quality: Quality
    matching: Matching
    categories: Categories
    index: Path | None = None
    """Folder of the evaluation sets' passages."""
    index_key: str = ""
    evaluation: bool = False
    """Whether this is part of an evaluation set: its rows are never filtered."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of a part."""

    rows: int = 0
    fault: str | None = None
    """Why its source could not be read; nothing was written then."""


def band_name(band: int) -> str:
    """Column of a band."""
    return f"band_{band:03d}"


def prepare(task: Prepare) -> Prepared:
    """Prepare a part, or find that an earlier try did."""
    rows = belongs(task.path, task.key)
    if rows is not None:
        return Prepared(rows)
    try:
        raw = read(task.spec)
    except SourceFault as fault:
        return Prepared(fault=fault.text)
    table = prepared_table(raw, task)
    names = [name for name in table.column_names if name not in ("instruction", "reference")]
    texts = ["instruction", "reference", "source", "category", "error", "language", "category_by"]
    write_table(
        task.path,
        table,
        task.key,
        compression={name: "zstd" if name in (*texts, "position") else "none" for name in (*names, *texts)},
        use_dictionary=texts[2:],
        write_statistics=False,
    )
    return Prepared(table.num_rows)


def prepared_table(raw: pa.Table, task: Prepare) -> pa.Table:
    """The prepared table of a raw one; a row's result depends on the row and the settings alone.

    Args:
        raw: The raw table of `docs/design/collecting.md`, n rows.
        task: Settings.

    Returns:
        The prepared table, n rows in the same order.
    """
    table = clean(raw, task.quality)
    if task.evaluation:
        table = _set(table, "error", pa.nulls(table.num_rows, pa.string()))
    table = _categorised(table, task.categories)
    index = None if task.index is None else open_index(task.index, task.index_key)
    return keyed(table.select(TEXTS), task.matching, index)


def _categorised(table: pa.Table, settings: Categories) -> pa.Table:
    given, error = one_array(table["category"]), one_array(table["error"])
    by = pc.if_else(pc.is_valid(given), "source", pa.scalar(None, pa.string()))
    asked = pc.and_(pc.is_null(given), pc.is_null(error))
    if asked.true_count:
        texts = one_array(table["instruction"]).filter(asked)
        given = pc.replace_with_mask(given, asked, classify(texts, settings.shares))
        by = pc.if_else(asked, "classifier", by)
    return _set(_set(table, "category", given), "category_by", by)


def keyed(table: pa.Table, matching: Matching, index: Index | None = None) -> pa.Table:
    """Add the columns by which rows are matched: `key`, `referenced`, `contained`, and one for each band.

    Args:
        table: Instructions, references and errors of n rows; a row with an error gets no keys.
        matching: How rows are matched.
        index: Passages of evaluation sets.
    """
    n = table.num_rows
    good = pc.is_null(one_array(table["error"]))
    tokens = tokenise(one_array(table["instruction"]).filter(good))
    rows = np.flatnonzero(good.to_numpy(zero_copy_only=False))
    keys, contained = np.zeros(n, np.uint64), np.full(n, -1, np.int64)
    keys[rows] = exact_keys(tokens)
    if index is not None:
        contained[rows] = index.contained(tokens)
    none = np.ones(n, bool)
    none[rows] = tokens.counts == 0
    table = table.append_column("key", pa.array(keys, pa.uint64(), mask=none))
    table = table.append_column("referenced", pc.is_valid(table["reference"]))
    table = table.append_column("contained", pa.array(contained, pa.int64(), mask=contained < 0))
    found = bands(shingles(tokens, matching.ngram), matching.bands, matching.band_rows, matching.seed)
    for band, values in enumerate(found):
        whole = np.zeros(n, np.uint64)
        whole[rows] = values
        table = table.append_column(band_name(band), pa.array(whole))
    return table


def _set(table: pa.Table, name: str, column: Any) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
