"""From the raw table to the clean one."""

import pyarrow as pa

from selfj.collection.quality.settings import Quality

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


def clean(table: pa.Table, settings: Quality) -> pa.Table:
    """The clean table of a raw one; a row's result depends on the row and the settings alone.

    Args:
        table: `source`, `position`, `instruction`, `reference`, `category`, `error`; of these only `instruction` must
            be there. Other columns pass through.
        settings: What is repaired and dropped.

    Returns:
        The same rows in the same order with `language` (string, code of two letters or null) and `masked` (int32,
        pieces of personal data masked). Rows whose `error` is set already are as they were.
    """
    raise NotImplementedError
