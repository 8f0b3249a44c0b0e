"""Counts over a finished collection in one pass, in memory that does not grow with its rows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.chance import Lowest, tickets
from selfj.collection.finished import DROPPED_COLUMNS, Finished
from selfj.progress import Progress

LONGEST = 40_000
"""Characters; longer texts are counted as of this length."""
NONE = "none"
SAMPLES = 3
"""Rows of each reason that are kept to look at."""
MASKS = ("EMAIL", "PHONE", "CREDIT_CARD", "IBAN", "IP", "SSN")
_MASKS = rf"\[(?:{'|'.join(MASKS)})\]"
_COLUMNS = ("instruction", "reference", "category", "category_by", "source", "position", "language", "copies")
_CATEGORY_COLUMNS = ("source", "category")

Counts = npt.NDArray[np.int64]


def _lengths() -> Counts:
    return np.zeros(LONGEST + 1, np.int64)


@dataclass(slots=True)
class Tally:
    """What was counted."""

    rows: int = 0
    by_source: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows kept, by source and category."""
    with_reference: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The same, of rows with a reference."""
    category_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows by what gave the category, and the category."""
    languages: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    """Rows that were dropped for one that was kept."""
    instruction_lengths: dict[str, Counts] = field(default_factory=dict)
    """Rows by category and characters of the instruction, shape (LONGEST + 1,)."""
    reference_lengths: dict[str, Counts] = field(default_factory=dict)
    masked: Counter[str] = field(default_factory=Counter)
    """Marks of masked personal data, by kind."""
    masked_rows: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows by source and reason."""
    duplicates: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Dropped rows by their source and that of the row that was kept instead."""
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """A few dropped rows of each reason, drawn by hash."""
    english: pa.Table | None = None
    """Instructions in English, drawn by hash: `instruction`, `category`."""
    english_rows: int = 0


def tally(collection: Finished, progress: Progress, *, sample: int, seed: int = 0) -> Tally:
    """Count.

    Args:
        collection: A finished collection.
        progress: Told of rows as they are counted.
        sample: Most English instructions drawn.
        seed: Of that draw, and of the dropped rows to look at.

    Raises:
        ArtefactError: A part cannot be read.
    """
    made = Tally()
    drawn = Lowest(sample)
    for table in collection.batches(_COLUMNS):
        _count_kept(made, table)
        _draw_english(made, drawn, table, seed)
        progress.advance(table.num_rows)
    _, made.english = drawn.rows()
    lowest: dict[str, Lowest] = {}
    for table in collection.dropped_batches(DROPPED_COLUMNS):
        _count_dropped(made, table)
        _draw_dropped(lowest, table, seed)
        progress.advance(table.num_rows)
    for reason in sorted(lowest):
        _, rows = lowest[reason].rows()
        made.samples[reason] = [] if rows is None else rows.to_pylist()
    return made


def _count_kept(made: Tally, table: pa.Table) -> None:
    made.rows += table.num_rows
    table = table.set_column(2, "category", pc.fill_null(table["category"], NONE))
    has = pc.is_valid(table["reference"])
    made.by_source.update(_grouped(table, _CATEGORY_COLUMNS))
    made.with_reference.update(_grouped(table.filter(has), _CATEGORY_COLUMNS))
    filled = table.set_column(3, "category_by", pc.fill_null(table["category_by"], NONE))
    made.category_by.update(_grouped(filled, ("category_by", "category")))
    languages = pc.value_counts(pc.fill_null(table["language"], NONE))
    made.languages.update({entry["values"]: entry["counts"] for entry in languages.to_pylist()})
    made.copies += pc.sum(table["copies"]).as_py() or 0
    marks = []
    for name, counts in (("instruction", made.instruction_lengths), ("reference", made.reference_lengths)):
        _count_lengths(counts, table[name], table["category"])
        marks.append(pc.fill_null(pc.match_substring_regex(table[name], _MASKS), False))
        _count_masks(made, table[name].filter(marks[-1]))
    made.masked_rows += pc.sum(pc.or_(*marks)).as_py() or 0


def _grouped(table: pa.Table, columns: tuple[str, str]) -> dict[tuple[str, str], int]:
    """Rows by the values of two columns."""
    found = table.select(list(columns)).group_by(list(columns)).aggregate([([], "count_all")])
    keys = zip(found[columns[0]].to_pylist(), found[columns[1]].to_pylist(), strict=True)
    return dict(zip(keys, found["count_all"].to_pylist(), strict=True))


def _count_lengths(counts: dict[str, Counts], texts: pa.ChunkedArray, categories: pa.ChunkedArray) -> None:
    lengths = np.minimum(pc.fill_null(pc.utf8_length(texts), -1).to_numpy(), LONGEST)
    coded = pc.dictionary_encode(categories).combine_chunks()
    codes = coded.indices.to_numpy()
    for code, category in enumerate(coded.dictionary.to_pylist()):
        here = lengths[(codes == code) & (lengths >= 0)]
        if len(here):
            held = counts.setdefault(category, _lengths())
            held += np.bincount(here, minlength=LONGEST + 1)


def _count_masks(made: Tally, texts: pa.ChunkedArray) -> None:
    for kind in MASKS if len(texts) else ():
        made.masked[kind] += pc.sum(pc.count_substring(texts, f"[{kind}]")).as_py() or 0


def _draw_english(made: Tally, drawn: Lowest, table: pa.Table, seed: int) -> None:
    english = table.filter(pc.fill_null(pc.equal(table["language"], "en"), False))
    made.english_rows += english.num_rows
    if english.num_rows:
        found = tickets(english["source"], english["position"], seed)
        drawn.add(found, english.select(["instruction", "category"]))


def _count_dropped(made: Tally, table: pa.Table) -> None:
    made.dropped.update(_grouped(table, ("source", "reason")))
    # What a contaminated row gives away is no source, but an evaluation set.
    doubled = table.filter(pc.and_(pc.is_valid(table["of_source"]), pc.not_equal(table["reason"], "contaminated")))
    made.duplicates.update(_grouped(doubled, ("source", "of_source")))


def _draw_dropped(lowest: dict[str, Lowest], table: pa.Table, seed: int) -> None:
    found = tickets(table["source"], table["position"], seed)
    coded = pc.dictionary_encode(table["reason"]).combine_chunks()
    codes = coded.indices.to_numpy()
    for code, reason in enumerate(coded.dictionary.to_pylist()):
        here = np.flatnonzero(codes == code)
        # Of a batch no more than these can be among the lowest.
        here = here[np.argsort(found[here], kind="stable")[:SAMPLES]]
        lowest.setdefault(reason, Lowest(SAMPLES)).add(found[here], table.take(pa.array(here)))


def quantiles(counts: Counts, shares: Iterable[float]) -> list[int]:
    """Lengths below or at which these shares of rows lie, from counts by length; 0 where there are none."""
    running = np.cumsum(counts)
    total = int(running[-1])
    return [0 if not total else int(np.searchsorted(running, share * total, side="left")) for share in shares]
