"""Exchanges to grade, from a file or a run, and the file of graded ones."""

import json
import math
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfj.backends.base import JudgeInput
from selfj.collect.columns import Mapping, RowError, printable, recognise
from selfj.collect.files import RawRow, is_utf8, read_rows
from selfj.collect.parts import read_parts
from selfj.errors import ArtefactError, ConfigError
from selfj.exchanges import load_exchanges
from selfj.files import explained, writing
from selfj.judging.rows import RECOGNISED_FROM, judge_input
from selfj.settings import FileSource

_MAX_CHARS = 100_000
_ALWAYS = ("grade", "grader")
"""Keys of every graded row."""
OWN = (*_ALWAYS, "grade_reason", "grade_text", "grade_sd", "grade_repeats", "grade_raters")
"""Keys that a grading may write; those of an earlier one give way."""


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange with everything that its row holds."""

    fields: dict[str, Any]
    """As they are written again, in order."""
    item: JudgeInput | None
    reason: str | None = None
    """Why it cannot be graded, where `item` is None."""
    asked: str = ""
    """The instruction alone, without system text and earlier turns."""


def read_exchanges(
    source: str | Path,
    *,
    columns: AnyMapping[str, str] | None = None,
    use_reference: bool = True,
    limit: int | None = None,
) -> list[Row]:
    """Read the exchanges of a file, or the test exchanges of a run's folder.

    A row that cannot be read is kept with its reason.

    Args:
        source: JSONL, JSON, CSV, TSV or Parquet, or a run's folder.
        columns: From a word such as `response` to a column, before what is recognised.
        use_reference: Show the grader the reference where a row has one.
        limit: Only the first so many.

    Raises:
        InputError: The file does not exist, is damaged, or has no rows.
        ConfigError: No column holds the instruction or the response, or a column `grade` is somebody else's.
        ArtefactError: The run has no test exchanges.
    """
    if Path(source).is_dir():
        if columns:
            raise ConfigError("--column names columns of a file; the exchanges of a run need none.")
        return _of_run(Path(source), use_reference, limit)
    raw = list(read_rows(FileSource(path=str(source), limit=limit)))
    readable = [row.fields for row in raw if row.fields][:RECOGNISED_FROM]
    mapping = _recognised(readable, dict(columns or {})) if readable else None
    return [_of_file(row, mapping, use_reference) for row in raw]


def _recognised(readable: list[dict[str, object]], columns: dict[str, str]) -> Mapping:
    mapping = recognise(readable, columns)
    found = list(dict.fromkeys(column for row in readable for column in row))
    if not mapping.has_responses:
        raise ConfigError(
            f"No column holds the response to grade. Columns found: {', '.join(map(printable, found[:30]))}; taken as "
            f"{mapping.describe()}. Name it, such as --column response=COLUMN."
        )
    if "grade" in found and "grader" not in found:
        raise ConfigError("The file has a column grade that selfj grade did not write; give it another name first.")
    return mapping


def _of_file(row: RawRow, mapping: Mapping | None, use_reference: bool) -> Row:
    if not row.fields or mapping is None:
        fields: dict[str, Any] = {"line": row.number} if row.fields is None else dict(row.fields)
        return Row(fields, None, row.error or "empty_instruction")
    try:
        parts = read_parts(row.fields, mapping, _MAX_CHARS)
        if parts.response_error is not None:
            raise RowError(parts.response_error)
    except RowError as fault:
        return Row(dict(row.fields), None, fault.reason)
    return Row(dict(row.fields), judge_input(parts, use_reference=use_reference), asked=parts.text)


def _of_run(run: Path, use_reference: bool, limit: int | None) -> list[Row]:
    test = load_exchanges(run).of("test")[:limit]
    if not test:
        raise ArtefactError(f"The run {run} has no test exchanges: run selfj sample on it, or lower collect.train.")
    rows = []
    for exchange in test:
        shown = exchange.judge_input(with_reference=True)
        fields = {
            "exchange_id": exchange.id,
            "instruction": shown.instruction,
            "response": shown.response,
            "reference": shown.reference,
            "category": exchange.instruction.category,
            "group": exchange.instruction.group,
            "model": exchange.response.model,
        }
        kept = {name: value for name, value in fields.items() if value is not None}
        given = exchange.judge_input(with_reference=use_reference)
        rows.append(Row(kept, given, asked=exchange.instruction.text))
    return rows


def check_out(out: Path, *sources: str | Path) -> None:
    """Refuse to write over anything but an earlier file of grades.

    Raises:
        ConfigError: It is the input, or no file of grades.
        ArtefactError: It cannot be read.
    """
    if not out.exists():
        return
    if any(Path(source).exists() and out.samefile(source) for source in sources):
        raise ConfigError(f"--out {out} is the input itself; choose another file.")
    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder; choose a file.")
    with explained(out, "read"), out.open("rb") as stream:
        line = stream.readline(1 << 24)
    try:
        first = json.loads(line) if line.strip() else dict.fromkeys(_ALWAYS)
    except ValueError:
        first = None
    if not isinstance(first, dict) or not set(_ALWAYS) <= set(first):
        raise ConfigError(f"--out {out} is there and no file of grades; choose another, or remove it.")


def finished(row: Row, made: dict[str, Any]) -> dict[str, Any]:
    """The row with what a grading made of it; what an earlier one made gives way."""
    return {name: value for name, value in row.fields.items() if name not in OWN} | made


def write_rows(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as JSONL, whole or not at all.

    Raises:
        ArtefactError: The file cannot be written.
    """
    with writing(out) as handle:
        for row in rows:
            handle.write(_line(row).encode() + b"\n")


def _line(row: dict[str, Any]) -> str:
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(row), ensure_ascii=False, allow_nan=False, default=str)
    return text if is_utf8(text) else json.dumps(json.loads(text))


def _finite(value: Any) -> Any:
    """The value with null for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
