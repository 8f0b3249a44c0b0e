"""From the raw table to the clean one."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.quality import filters, markup
from selfj.collection.quality.arrow import flags, mask_of, matches, text_column
from selfj.collection.quality.language import languages
from selfj.collection.quality.personal import mask
from selfj.collection.quality.repair import repair
from selfj.collection.quality.repetition import repetitive
from selfj.collection.quality.settings import Quality
from selfj.collection.quality.words import Bytes, Words, bytes_of, kinds, words

REASONS = (
    "empty_instruction",
    "too_long",
    "too_short",
    "mostly_symbols",
    "boilerplate",
    "repetition",
    "wrong_language",
    "truncated",
    "not_standalone",
    "toxic",
    "personal_data",
    "reference_too_long",
    "bad_reference",
)
"""Why a row is dropped, in the order in which the reasons are tried."""

_BATCH = 4_096
"""Rows looked at together: few enough for the cache of a processor. It never changes a result."""
_SIGN_WORDS = r"[\x{3041}-\x{30ff}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{e00}-\x{e7f}]"

_ROUNDS = 20
"""Most times that a row is repaired; what is not made on purpose needs two."""

Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int32]


def clean(table: pa.Table, settings: Quality) -> pa.Table:
    """The clean table of a raw one; a row's result depends on the row and the settings alone.

    Args:
        table: `source`, `position`, `instruction`, `reference`, `category`, `error`; of these only `instruction` must
            be there. Other columns pass through.
        settings: What is repaired and dropped.

    Returns:
        The same rows in the same order with `language` (string, code of two letters, `und` where it is only known not
        to be English, or null) and `masked` (int32, pieces of personal data masked). Rows whose `error` is set already
        are as they were.

    Raises:
        ConfigError: If the file of toxic words cannot be read.
    """
    if settings.toxic is not None:
        filters.toxic_pattern(settings.toxic)
    table = _complete(table)
    parts = [_clean(table.slice(begin, _BATCH), settings) for begin in range(0, max(table.num_rows, 1), _BATCH)]
    return pa.concat_tables(parts)


def _complete(table: pa.Table) -> pa.Table:
    for name in ("instruction", "reference", "error", "language"):
        column = text_column(table[name]) if name in table.column_names else pa.nulls(table.num_rows, pa.string())
        table = _with(table, name, column)
    held = table["masked"] if "masked" in table.column_names else pa.nulls(table.num_rows, pa.int32())
    return _with(table, "masked", pc.fill_null(held.cast(pa.int32()), 0))


def _with(table: pa.Table, name: str, column: Any) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.append_column(name, column) if at < 0 else table.set_column(at, name, column)


def _clean(table: pa.Table, settings: Quality) -> pa.Table:
    held = {name: table[name].combine_chunks() for name in ("instruction", "reference", "error", "language", "masked")}
    held = {name: pa.concat_arrays(c.chunks) if isinstance(c, pa.ChunkedArray) else c for name, c in held.items()}
    good = pc.is_null(held["error"])
    if good.true_count == len(good):
        new = _rows(held["instruction"], held["reference"], held["masked"], settings)
    else:
        part = {name: column.filter(good) for name, column in held.items()}
        cleaned = _rows(part["instruction"], part["reference"], part["masked"], settings)
        new = {name: pc.replace_with_mask(held[name], good, column) for name, column in cleaned.items()}
    for name, column in new.items():
        table = _with(table, name, column)
    return table


def _rows(instructions: pa.Array, references: pa.Array, masked: pa.Array, settings: Quality) -> dict[str, pa.Array]:
    instructions, references, personal = _repaired(instructions, references, settings)
    texts = bytes_of(instructions)
    spoken = words(texts)
    told = languages(instructions, spoken)
    behind = bytes_of(references)
    also_spoken = words(behind)
    useless = _bad_references(references, behind, also_spoken, settings)
    reasons = _reasons(instructions, texts, spoken, told, settings)
    if settings.toxic is not None:
        reasons["toxic"] = flags(filters.toxic(instructions, settings.toxic)) | flags(
            filters.toxic(references, settings.toxic)
        )
    reasons["reference_too_long"] = _over(
        references, also_spoken, settings.reference_max_chars, settings.reference_max_words
    )
    if settings.personal_data == "drop":
        reasons["personal_data"] = personal > 0
    if settings.bad_reference == "drop":
        reasons["bad_reference"] = useless & flags(pc.is_valid(references))
    else:
        references = pc.if_else(mask_of(useless), pa.scalar(None, pa.string()), references)
    return {
        "instruction": instructions,
        "reference": references,
        "error": _first(reasons, len(instructions)),
        "language": told,
        "masked": pc.add(masked, pa.array(personal, pa.int32())),
    }


def _repaired(
    instructions: pa.Array, references: pa.Array, settings: Quality, rounds: int = _ROUNDS
) -> tuple[pa.Array, pa.Array, Counts]:
    """Texts repaired and masked until a row stays as it is, and pieces masked per row, shape (n,).

    What one step changes can tell another how to read the row (whether it is about HTML), so whole rows are repeated.
    """
    whole = matches(instructions, markup.WHOLE)
    about = pc.and_not(matches(instructions, markup.ABOUT, ignore_case=True), whole)
    texts = [repair(instructions, settings.html, about), repair(references, settings.html, about)]
    counts = np.zeros(len(instructions), np.int32)
    if settings.personal_data != "keep":
        for place in (0, 1):
            texts[place], found = mask(texts[place], settings.personal)
            counts += found
    differ = pc.or_(_differ(texts[0], instructions), _differ(texts[1], references))
    if rounds and differ.true_count:
        *again, found = _repaired(texts[0].filter(differ), texts[1].filter(differ), settings, rounds - 1)
        texts = [pc.replace_with_mask(text, differ, new) for text, new in zip(texts, again, strict=True)]
        counts[flags(differ)] += found
    return texts[0], texts[1], counts


def _differ(one: pa.Array, other: pa.Array) -> pa.Array:
    return pc.fill_null(pc.not_equal(one, other), False)


def _reasons(
    instructions: pa.Array, texts: Bytes, spoken: Words, told: pa.Array, settings: Quality
) -> dict[str, Flags]:
    letters, digits, others = kinds(texts)
    signs = letters + digits + others
    chars = _chars(instructions)
    count = _word_count(instructions, spoken)
    reasons = {
        "empty_instruction": signs == 0,
        "too_long": _over(instructions, spoken, settings.max_chars, settings.max_words),
        "too_short": (chars < settings.min_chars) | (count < settings.min_words),
        "mostly_symbols": letters + digits < settings.min_wordlike * signs,
        "repetition": repetitive(texts, spoken, settings.max_repeated, settings.min_compressed),
    }
    if settings.boilerplate:
        reasons["boilerplate"] = flags(filters.boilerplate(instructions))
    if "any" not in settings.languages:
        mine = pc.is_in(told, value_set=pa.array(settings.languages, pa.string()))
        reasons["wrong_language"] = flags(pc.and_not(pc.is_valid(told), mine))
    if settings.truncated:
        reasons["truncated"] = flags(filters.truncated(instructions))
    if settings.not_standalone:
        reasons["not_standalone"] = flags(filters.not_standalone(instructions))
    return reasons


def _bad_references(references: pa.Array, texts: Bytes, spoken: Words, settings: Quality) -> Flags:
    found = flags(filters.no_reference(references)) | flags(filters.boilerplate(references))
    return found | repetitive(texts, spoken, settings.max_repeated, settings.min_compressed)


def _over(texts: pa.Array, spoken: Words, max_chars: int, max_words: int) -> Flags:
    found: Flags = (_chars(texts) > max_chars) | (spoken.counts > max_words)
    return found


def _chars(texts: pa.Array) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = pc.fill_null(pc.utf8_length(texts), 0).to_numpy().astype(np.int64)
    return counts


def _word_count(texts: pa.Array, spoken: Words) -> npt.NDArray[np.int64]:
    """Words; in scripts without blanks every sign is one."""
    foreign = matches(texts, _SIGN_WORDS)
    counts = spoken.counts
    at = np.flatnonzero(flags(foreign))
    if len(at):
        found = pc.count_substring_regex(texts.take(pa.array(at)), _SIGN_WORDS).to_numpy()
        counts = counts.copy()
        counts[at] = np.maximum(counts[at], found)
    return counts


def _first(reasons: dict[str, Flags], n: int) -> pa.Array:
    """The first reason of each row, in the order of `REASONS`; null where there is none."""
    first = np.full(n, -1)
    for place, reason in reversed(list(enumerate(REASONS))):
        if reason in reasons:
            first[reasons[reason]] = place
    names = pa.array(REASONS, pa.string())
    return names.take(pa.array(first, pa.int64(), mask=first < 0))
