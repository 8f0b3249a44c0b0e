"""From the columns of a source to the raw table: instruction, reference, category, and why a row is none."""

import fnmatch
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.fields import Choices, ColumnPath, Text, parse_path, parse_template, paths_of
from selfj.collection.sources import MIXED, CategoryBy, Filter, Scalar, Source
from selfj.collection.values import Columns, number_text, pick

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
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


def wanted(source: Source) -> list[ColumnPath]:
    """Every path that a source's entry reads, each once."""
    by = source.category
    found = [*paths_of(source.instruction), *paths_of(source.reference)]
    found += [parse_path(condition.column) for condition in source.where]
    found += [parse_path(by.column)] if isinstance(by, CategoryBy) and by.column is not None else []
    return list(dict.fromkeys(found))


def text_paths(source: Source) -> list[ColumnPath]:
    """The paths that must lead to text, and not to a list or a record."""
    specs = [spec for spec in (source.instruction, source.reference) if not isinstance(spec, Choices)]
    return [path for spec in specs for path in paths_of(spec)]


def to_raw(source: Source, label: str, columns: Columns, positions: Any, errors: Any = None) -> Any:
    """Build the raw table of some rows.

    Args:
        source: The entry.
        label: Name of the file, for a category by file.
        columns: Values of n rows.
        positions: Their positions in the source, int64 of shape (n,).
        errors: String array of n reasons why rows could not be read at all; null where they were.

    Raises:
        MissingColumn: The entry names a column that is not there.
    """
    size = columns.size
    instruction = _text(source.instruction, columns)
    reference = _reference(source.reference, columns)
    category = _category(source.category, label, columns)
    selected = reduce(np.logical_and, (_meets(w, columns) for w in source.where), np.ones(size, bool))
    reason = pa.nulls(size, pa.string()) if errors is None else errors
    for name in ("bad_utf8", "wrong_type"):
        if name in columns.errors:
            reason = _where_absent(reason, columns.errors[name], name)
    reason = _where_absent(reason, ~selected, "not_selected")
    reason = _where_absent(reason, _bools(pc.is_null(instruction)), "empty_instruction")
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(source.name), size),
            pa.array(positions, pa.int64()),
            pc.fill_null(instruction, ""),
            reference,
            category,
            reason,
        ],
        schema=RAW,
    )


def _bools(array: Any) -> Any:
    return np.asarray(pc.fill_null(array, False))


def _where_absent(reason: Any, mask: Any, name: str) -> Any:
    return pc.if_else(pa.array(mask), pc.fill_null(reason, name), reason) if mask.any() else reason


def _text(spec: str | Text, columns: Columns) -> Any:
    """Text of each row; null where there is none or it is blank."""
    parts = parse_template(spec if isinstance(spec, str) else spec.text)
    if len(parts) == 1 and isinstance(parts[0], ColumnPath):
        text = columns.text(parts[0])
    else:
        arrays = {part: columns.text(part) for part in parts if isinstance(part, ColumnPath)}
        filled = [part if isinstance(part, str) else pc.fill_null(arrays[part], "") for part in parts]
        joined = pc.binary_join_element_wise(*filled, "")
        absent = reduce(np.logical_and, (_bools(pc.is_null(array)) for array in arrays.values()))
        text = pc.if_else(pa.array(absent), pa.scalar(None, pa.string()), pc.utf8_trim_whitespace(joined))
    if isinstance(spec, Text):
        if spec.remove is not None:
            text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, spec.remove, ""))
        if spec.none:
            meaningless = pc.is_in(pc.utf8_trim_whitespace(text), value_set=pa.array(spec.none))
            text = pc.if_else(meaningless, pa.scalar(None, pa.string()), text)
    blank = pc.fill_null(pc.match_substring_regex(text, r"^\s*$"), False)
    return pc.if_else(blank, pa.scalar(None, pa.string()), text) if pc.any(blank).as_py() else text


def _reference(spec: str | Text | Choices | None, columns: Columns) -> Any:
    if spec is None:
        return pa.nulls(columns.size, pa.string())
    return _choice(spec, columns) if isinstance(spec, Choices) else _text(spec, columns)


def _choice(spec: Choices, columns: Columns) -> Any:
    places = _places(spec, columns)
    if isinstance(spec.choices, str):
        return pick(columns.texts(parse_path(spec.choices)), np.where(places < 0, np.iinfo(np.int32).max, places))
    options = [columns.text(parse_path(path)) for path in spec.choices]
    outside = (places < 0) | (places >= len(options))
    return pc.choose(pa.array(np.where(outside, 0, places), pa.int64(), mask=outside), *options)


def _places(spec: Choices, columns: Columns) -> Any:
    """Place of the answer among the choices, -1 where it is none."""
    answer = columns.text(parse_path(spec.answer))
    if isinstance(spec.labels, list):
        return np.asarray(pc.fill_null(pc.index_in(answer, value_set=pa.array(spec.labels)), -1)).astype(np.int64)
    if spec.labels is None:
        numbers = np.asarray(_number(answer))
        whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 1 << 31)
        return np.where(whole, np.where(whole, numbers, 0).astype(np.int64) - spec.first, -1)
    labels = columns.texts(parse_path(spec.labels))
    lengths = np.asarray(pc.fill_null(pc.list_value_length(labels), 0)).astype(np.int64)
    rows = np.repeat(np.arange(columns.size), lengths)
    hits = np.flatnonzero(_bools(pc.equal(labels.flatten(), answer.take(pa.array(rows)))))
    found, first = np.unique(rows[hits], return_index=True)
    places = np.full(columns.size, -1, np.int64)
    places[found] = hits[first] - (np.cumsum(lengths) - lengths)[found]
    return places


def _number(text: Any) -> Any:
    """Numbers of texts, as float64; NaN where a text is none."""
    good = pc.fill_null(pc.match_substring_regex(text, _NUMBER), False)
    plain = pc.replace_substring_regex(pc.utf8_trim_whitespace(text), r"^\+", "")
    return pc.fill_null(pc.if_else(good, plain, pa.scalar(None, pa.string())).cast(pa.float64()), float("nan"))


def _category(by: str | CategoryBy, label: str, columns: Columns) -> Any:
    if isinstance(by, CategoryBy) and by.column is not None:
        names = [None if name == MIXED else name for name in [*by.values.values(), by.otherwise]]
        text = columns.text(parse_path(by.column))
        places = pc.fill_null(pc.index_in(text, value_set=pa.array(list(by.values))), len(by.values))
        return pa.array(names, pa.string()).take(places)
    if isinstance(by, CategoryBy):
        fitting = (name for pattern, name in by.values.items() if fnmatch.fnmatchcase(label, pattern))
        by = next(fitting, by.otherwise)
    return pa.repeat(pa.scalar(None if by == MIXED else by, pa.string()), columns.size)


def _meets(condition: Filter, columns: Columns) -> Any:
    text = columns.text(parse_path(condition.column))
    met = np.ones(columns.size, bool)
    among = condition.among if condition.equals is None else [condition.equals, *(condition.among or [])]
    if among is not None:
        met &= np.asarray(pc.is_in(text, value_set=pa.array([_written(value) for value in among])))
    if condition.unlike is not None:
        met &= ~np.asarray(pc.is_in(text, value_set=pa.array([_written(value) for value in condition.unlike])))
    if condition.least is not None or condition.most is not None:
        numbers = np.asarray(_number(text))
        met &= numbers >= (-np.inf if condition.least is None else condition.least)
        met &= numbers <= (np.inf if condition.most is None else condition.most)
    if condition.present is not None:
        met &= _bools(pc.greater(pc.binary_length(text), 0)) == condition.present
    return met


def _written(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(number_text(value))
