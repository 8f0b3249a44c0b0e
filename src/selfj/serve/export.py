"""Decisions out of the store, as JSONL or Parquet, whole or not at all."""

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfj.errors import ConfigError
from selfj.files import writing
from selfj.progress import Progress, Quiet
from selfj.serve.chain import Stored
from selfj.serve.records import DecisionRow
from selfj.serve.store import Store

_CHUNK = 2000
_TYPES = {
    "str": pa.string(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "int": pa.int64(),
}
_VERDICT = pa.struct(
    [
        ("id", pa.int64()),
        ("good", pa.bool_()),
        ("quality", pa.float64()),
        ("who", pa.string()),
        ("at", pa.float64()),
        ("comment", pa.string()),
    ]
)


def parse_date(text: str) -> float:
    """Read a date or a time, in seconds since 1970; without a zone it is UTC.

    Raises:
        ConfigError: It is none.

    Example:
        >>> parse_date("1970-01-02")
        86400.0
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"A date is written as 2026-01-31 or 2026-01-31T12:00:00, got {text!r}.") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def export(
    store: Store,
    out: str | Path,
    *,
    since: float | None = None,
    until: float | None = None,
    with_feedback: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write decisions in the order of the chain.

    Args:
        store: Where they are.
        out: File that ends in `.jsonl` or `.parquet`.
        since: Leave out earlier ones, in seconds since 1970.
        until: Leave out those at or after it.
        with_feedback: Add each decision's verdicts as a list.
        progress: Receives the number of rows.

    Returns:
        Number of rows.

    Raises:
        ConfigError: The file's name ends otherwise.
        ArtefactError: It cannot be written.
        StoreUnavailable: The store cannot be read.
    """
    path, progress = Path(out), progress or Quiet()
    if path.suffix not in (".jsonl", ".parquet"):
        raise ConfigError(f"--out must end in .jsonl or .parquet, got {path.name!r}.")
    progress.start("export", None)
    count = 0
    with writing(path) as handle:
        table = pq.ParquetWriter(handle, _schema(with_feedback)) if path.suffix == ".parquet" else None
        for rows in _chunks(store, since, until, with_feedback):
            if table is None:
                handle.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
            else:
                table.write_table(pa.Table.from_pylist(rows, schema=_schema(with_feedback)))
            count += len(rows)
            progress.advance(len(rows))
        if table is not None:
            table.close()
    progress.finish(f"{count:,} decisions in {path}")
    return count


def _chunks(store: Store, since: float | None, until: float | None, feedback: bool) -> Iterator[list[dict[str, Any]]]:
    found = store.after(since=since, until=until)
    while some := list(islice(found, _CHUNK)):
        verdicts = store.feedback_of([stored.row.id for stored in some]) if feedback else {}
        rows = [as_json(stored) for stored in some]
        if feedback:
            for row in rows:
                of_row = [asdict(verdict) for verdict in verdicts.get(row["id"], [])]
                row["feedback"] = [{name: verdict[name] for name in _VERDICT.names} for verdict in of_row]
        yield rows


def as_json(stored: Stored) -> dict[str, Any]:
    """A decision with its place in the chain, as plain JSON values."""
    return {
        "position": stored.position,
        **asdict(stored.row),
        "body_digest": stored.body_digest,
        "body_salt": stored.body_salt,
        "hash": stored.hash,
    }


def _schema(feedback: bool) -> pa.Schema:
    columns = [("position", pa.int64())]
    for field in fields(DecisionRow):
        kind = field.type.__name__ if isinstance(field.type, type) else str(field.type).split(" ")[0]
        columns.append((field.name, _TYPES[kind]))
    columns += [(name, pa.string()) for name in ("body_digest", "body_salt", "hash")]
    columns += [("feedback", pa.list_(_VERDICT))] if feedback else []
    return pa.schema(columns)
