"""Values of columns as text, for many rows at once: from an Arrow table, or from rows that Arrow cannot read.

Both give the same for the same rows. Numbers and truth values become text (`2`, `2.5`, `true`), a whole number
without its `.0`. A list or a record where text is expected is `wrong_type`; bytes that are not UTF-8 are `bad_utf8`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collect.cells import is_utf8
from selfj.collection.fields import ColumnPath

_TEXTS = pa.list_(pa.string())


class MissingColumn(Exception):
    """A path leads nowhere in a file's schema; the text says where."""


class Columns(Protocol):
    """Values of some rows."""

    size: int
    """Number of rows."""
    errors: dict[str, Any]
    """Rows that failed so far, as a boolean array of length `size` by reason."""

    def text(self, path: ColumnPath) -> Any:
        """One text or null per row, as a string array."""
        ...

    def texts(self, path: ColumnPath) -> Any:
        """One list of texts or null per row, as an array of lists of strings."""
        ...


class ArrowColumns:
    """Columns of an Arrow table."""

    def __init__(self, table: Any) -> None:
        self.size = table.num_rows
        self.errors: dict[str, Any] = {}
        self._table = table
        self._found: dict[ColumnPath, Any] = {}

    def text(self, path: ColumnPath) -> Any:
        """One text or null per row."""
        if path not in self._found:
            array, bad = _as_text(self._walk(path))
            for reason, mask in bad.items():
                _fail(self.errors, reason, mask)
            self._found[path] = array
        return self._found[path]

    def texts(self, path: ColumnPath) -> Any:
        """One list of texts or null per row."""
        array = self._walk(path)
        if pa.types.is_null(array.type):
            return pa.nulls(self.size, _TEXTS)
        if not _is_list(array.type):
            _fail(self.errors, "wrong_type", _mask(pc.is_valid(array)))
            return pa.nulls(self.size, _TEXTS)
        array = _plain_list(array)
        flat, bad = _as_text(array.flatten())
        lengths = _lengths(array)
        parents = np.repeat(np.arange(self.size), lengths)
        for reason, mask in bad.items():
            rows = np.zeros(self.size, bool)
            rows[parents[mask]] = True
            _fail(self.errors, reason, rows)
        return _lists(lengths, flat, _mask(array.is_null()))

    def kind(self, path: ColumnPath) -> Any:
        """The Arrow type to which a path leads."""
        return self._walk(path).type

    def _walk(self, path: ColumnPath) -> Any:
        if path.column not in self._table.column_names:
            found = ", ".join(self._table.column_names[:30]) or "none"
            raise MissingColumn(f"there is no column {path.column!r}; found {found}")
        array = self._table[path.column].combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0)
        for step in path.steps:
            array, wrong = _element(array, step) if isinstance(step, int) else _field(array, step)
            if wrong is not None:
                _fail(self.errors, "wrong_type", wrong)
        return array


def _fail(errors: dict[str, Any], reason: str, mask: Any) -> None:
    if mask.any():
        errors[reason] = errors[reason] | mask if reason in errors else mask


def _mask(array: Any) -> Any:
    return array.to_numpy(zero_copy_only=False)


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _plain_list(array: Any) -> Any:
    """A list of another kind as a plain one."""
    return array if pa.types.is_list(array.type) else array.cast(pa.list_(array.type.value_type))


def _lengths(array: Any) -> Any:
    return np.asarray(pc.fill_null(pc.list_value_length(array), 0)).astype(np.int64)


def _nothing(array: Any) -> tuple[Any, Any]:
    return pa.nulls(len(array)), _mask(pc.is_valid(array))


def _field(array: Any, name: str) -> tuple[Any, Any]:
    """A field of each record; of a list of records, the list of the field."""
    kind = array.type
    if pa.types.is_struct(kind):
        if kind.get_field_index(name) < 0:
            raise MissingColumn(f"there is no field {name!r} among {', '.join(field.name for field in kind)}")
        return pc.struct_field(array, name), None
    if _is_list(kind) and (pa.types.is_struct(kind.value_type) or pa.types.is_null(kind.value_type)):
        array = _plain_list(array)
        child, _ = _field(array.flatten(), name)
        return _lists(_lengths(array), child, _mask(array.is_null())), None
    return (array, None) if pa.types.is_null(kind) else _nothing(array)


def _element(array: Any, place: int) -> tuple[Any, Any]:
    """An element of each list; null where the list is shorter."""
    if not _is_list(array.type):
        return (array, None) if pa.types.is_null(array.type) else _nothing(array)
    return pick(_plain_list(array), np.full(len(array), place)), None


def pick(lists: Any, places: Any) -> Any:
    """One element of each list.

    Args:
        lists: List array of n rows.
        places: Place in each list, of shape (n,); below 0 counts from the end. What lies outside gives null.
    """
    offsets = np.asarray(lists.offsets).astype(np.int64)
    starts, stops = offsets[:-1], offsets[1:]
    at = np.where(places >= 0, starts + places, stops + places)
    outside = (at < starts) | (at >= stops) | _mask(lists.is_null())
    return lists.values.take(pa.array(np.where(outside, 0, at), mask=outside))


def _lists(lengths: Any, values: Any, absent: Any) -> Any:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(absent))


def _as_text(array: Any) -> tuple[Any, dict[str, Any]]:
    """Text of every value, and the rows that have none although they have a value."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_nested(kind):
        return pa.nulls(len(array), pa.string()), {"wrong_type": _mask(pc.is_valid(array))}
    if pa.types.is_floating(kind):
        return pa.array([number_text(v) for v in array.to_pylist()], pa.string()), {}
    if kind == pa.string() or pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or _is_binary(kind):
        try:
            array = array.cast(pa.string())
            array.validate(full=True)
        except pa.ArrowInvalid:
            return _only_utf8(array)
        return array, {}
    return array.cast(pa.string()), {}


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _only_utf8(array: Any) -> tuple[Any, dict[str, Any]]:
    values = [value.as_buffer().to_pybytes() if value.is_valid else None for value in array]
    bad = np.array([value is not None and not _decodes(value) for value in values], bool)
    kept = [None if value is None or wrong else value.decode() for value, wrong in zip(values, bad, strict=True)]
    return pa.array(kept, pa.string()), {"bad_utf8": bad}


def _decodes(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def number_text(value: float | None) -> str | None:
    """Write a number as text; a whole one without a point.

    Example:
        >>> number_text(2.0), number_text(0.5)
        ('2', '0.5')
    """
    if value is None:
        return None
    return repr(value).removesuffix(".0")


class _Wrong(Exception):
    """A value is of another kind than the path expects; the text is the reason."""


class RowColumns:
    """The same from rows as Python has read them, None for a row that could not be read."""

    def __init__(self, rows: Sequence[dict[str, object] | None]) -> None:
        self.size = len(rows)
        self.errors: dict[str, Any] = {}
        self._rows = rows

    def text(self, path: ColumnPath) -> Any:
        """One text or null per row."""
        return pa.array(self._each(path, _text_of), pa.string())

    def texts(self, path: ColumnPath) -> Any:
        """One list of texts or null per row."""
        return pa.array(self._each(path, _texts_of), _TEXTS)

    def _each(self, path: ColumnPath, convert: Any) -> list[Any]:
        found: list[Any] = []
        failed: dict[str, list[int]] = {}
        for place, row in enumerate(self._rows):
            value = None
            if row is not None:
                try:
                    value = convert(_follow(row.get(path.column), path.steps))
                except _Wrong as wrong:
                    failed.setdefault(str(wrong), []).append(place)
            found.append(value)
        for reason, places in failed.items():
            mask = np.zeros(self.size, bool)
            mask[places] = True
            _fail(self.errors, reason, mask)
        return found


def _follow(value: object, steps: Sequence[str | int]) -> object:
    for step in steps:
        if value is None:
            return None
        if isinstance(step, int):
            if not isinstance(value, list):
                raise _Wrong("wrong_type")
            value = value[step] if -len(value) <= step < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and all(item is None or isinstance(item, dict) for item in value):
            value = [None if item is None else item.get(step) for item in value]
        else:
            raise _Wrong("wrong_type")
    return value


def _text_of(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if not is_utf8(value):
            raise _Wrong("bad_utf8")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 1 << 63:
        return str(value)
    if isinstance(value, float):
        return number_text(value)
    raise _Wrong("wrong_type")


def _texts_of(value: object) -> list[str | None] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise _Wrong("wrong_type")
    return [_text_of(item) for item in value]
