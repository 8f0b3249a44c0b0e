"""The chain of hashes over decisions: how a row is made clean, written canonically and hashed."""

import hashlib
import json
import math
import os
from dataclasses import dataclass, fields, replace

from selfj.errors import ConfigError
from selfj.serve.records import DecisionRow

START = "0" * 64
"""The hash before the first row."""
_FLOATS = ("at", "total_ms", "upstream_ms", "judge_ms")
_KNOWN_FLOATS = ("score", "threshold", "label_mass")
_HASHED = tuple(field.name for field in fields(DecisionRow) if field.name != "body")


@dataclass(frozen=True, slots=True)
class Stored:
    """A decision at its place in the chain."""

    position: int
    """From 1, in the order of commits, without gaps."""
    hash: str
    """SHA-256 over the hash before and this row, in hexadecimal."""
    body_digest: str | None
    """Salted digest of the body that there was; it stays when the body goes."""
    body_salt: str | None
    row: DecisionRow


def clean(row: DecisionRow) -> DecisionRow:
    """Bring a row into the form that every database gives back unchanged.

    Characters that no database keeps become U+FFFD, and a score that is not a number becomes None.

    Raises:
        ConfigError: A time is not a finite number, or the identifier is empty.
    """
    texts = {
        field.name: clean_text(value) for field in fields(row) if isinstance(value := getattr(row, field.name), str)
    }
    numbers: dict[str, float | None] = {}
    for name in _FLOATS:
        value = float(getattr(row, name))
        if not math.isfinite(value):
            raise ConfigError(f"{name} of a decision must be a finite number, got {value}.")
        numbers[name] = value + 0.0
    for name in _KNOWN_FLOATS:
        known = getattr(row, name)
        numbers[name] = float(known) + 0.0 if known is not None and math.isfinite(known) else None
    if not row.id:
        raise ConfigError("A decision needs an identifier, got an empty one.")
    return replace(row, **texts, **numbers, observed=bool(row.observed), attempts=int(row.attempts))  # type: ignore[arg-type]


def clean_text(value: str) -> str:
    """A text with U+FFFD for what no database keeps."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def link(row: DecisionRow, position: int, previous: str) -> Stored:
    """Put a clean row at the end of the chain."""
    salt = None if row.body is None else os.urandom(16).hex()
    digest = None if row.body is None or salt is None else body_digest(row.body, salt)
    return Stored(position, row_hash(row, position, previous, digest), digest, salt, row)


def body_digest(body: str, salt: str) -> str:
    """Commit to a body, so that it can be removed later and cannot be guessed then."""
    return hashlib.sha256(f"{salt}\n{body}".encode()).hexdigest()


def row_hash(row: DecisionRow, position: int, previous: str, digest: str | None) -> str:
    """SHA-256 over the hash before, a line end, and the row as JSON with sorted keys and without spaces."""
    values = {name: getattr(row, name) for name in _HASHED}
    if row.judge_digest is None:
        # Rows of before it was recorded keep their hash.
        del values["judge_digest"]
    text = json.dumps(
        {**values, "position": position, "body_digest": digest},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def fault(stored: Stored, position: int, previous: str) -> str | None:
    """What is wrong with a row that should stand at a position, after a hash; None where nothing is."""
    if stored.position != position:
        return f"row {position} is missing"
    if row_hash(stored.row, position, previous, stored.body_digest) != stored.hash:
        return f"row {position} (decision {stored.row.id}) was changed, or a row before it"
    if stored.row.body is not None and (
        stored.body_salt is None or body_digest(stored.row.body, stored.body_salt) != stored.body_digest
    ):
        return f"the body of row {position} (decision {stored.row.id}) was changed"
    return None
