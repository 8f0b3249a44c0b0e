"""What the modules of this room share about Arrow arrays of texts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_ROUNDS = 40


def matches(texts: pa.Array, pattern: str, ignore_case: bool = False) -> pa.Array:
    """Whether an RE2 pattern occurs in each text; False for null."""
    return pc.fill_null(pc.match_substring_regex(texts, pattern, ignore_case=ignore_case), False)


def some(mask: pa.Array) -> bool:
    """Whether anything is true."""
    return bool(pc.any(mask, min_count=0).as_py())


def where(texts: pa.Array, mask: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The texts, those of the mask changed."""
    if not some(mask):
        return texts
    return pc.replace_with_mask(texts, mask, change(texts.filter(mask)))


def each(change: Callable[[str], str]) -> Callable[[pa.Array], pa.Array]:
    """A function of one text, over an array without nulls."""
    return lambda texts: pa.array([change(text) for text in texts.to_pylist()], pa.string())


def settled(texts: pa.Array, change: Callable[[pa.Array], pa.Array], rounds: int = _ROUNDS) -> pa.Array:
    """The texts changed again and again, until a change leaves them as they are."""
    changed = change(texts)
    differ = pc.fill_null(pc.not_equal(changed, texts), False)
    if not rounds:
        return changed
    return where(changed, differ, lambda rest: settled(rest, change, rounds - 1))


def flags(mask: pa.Array) -> npt.NDArray[np.bool_]:
    """A mask as a numpy array."""
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)


def mask_of(found: npt.NDArray[np.bool_]) -> pa.Array:
    """A numpy array as a mask."""
    return pa.array(found, pa.bool_())


def text_column(column: Any) -> pa.Array:
    """A column as one string array of valid UTF-8."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.type != pa.string():
        array = array.cast(pa.string(), safe=not pa.types.is_binary(array.type))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        held = array.cast(pa.binary()).to_pylist()
        array = pa.array([None if text is None else text.decode("utf-8", "replace") for text in held], pa.string())
    return array
