"""Grades by people: a file of scores joined with exchanges, averaged over raters, with their agreement."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selfj.collect.columns import printable, recognise
from selfj.collect.files import RawRow, read_rows
from selfj.errors import ConfigError, InputError
from selfj.grading.agreement import Agreement, agreement
from selfj.grading.rows import Row, check_out, finished, read_exchanges, write_rows
from selfj.records import content_id
from selfj.settings import FileSource

_WORDS = ("instruction", "response")
_RATER = "rater"
Key = tuple[str, ...]


class Given(NamedTuple):
    """One score."""

    key: Key
    rater: str
    value: float


@dataclass(frozen=True, slots=True)
class Joined:
    """Graded rows, as they were written, and what became of the scores."""

    rows: list[dict[str, Any]]
    graded: int
    failed: Counter[str]
    """Rows without a grade, by reason: `no_score`, `ambiguous_key`, and those for which a row cannot be read."""
    scores: int
    """Scores in the file, good or not."""
    used: int
    unused: Counter[str]
    """Scores that were not used, by reason: `unmatched`, `ambiguous_key`, `duplicate`, `empty`, `no_number`,
    `out_of_scale`, `no_key`, and those for which a row cannot be read."""
    agreement: Agreement | None
    """Between raters; None where no exchange has two scores."""
    scale: tuple[float, float]
    """As it was given, or the lowest and highest score that was used."""
    path: Path

    def lines(self) -> list[str]:
        """All of it in a few sentences."""
        failed = "".join(f", {n:,} {reason}" for reason, n in self.failed.most_common())
        unused = "".join(f", {n:,} {reason}" for reason, n in self.unused.most_common())
        found = [
            f"{len(self.rows):,} rows, {self.graded:,} graded{failed}",
            f"{self.scores:,} scores, {self.used:,} used{unused}",
        ]
        return [*found, "no exchange has two scores" if self.agreement is None else self.agreement.describe()]


def parse_scale(text: str) -> tuple[float, float]:
    """Read `LOW,HIGH`.

    Raises:
        ConfigError: It is malformed.

    Example:
        >>> parse_scale("1,5")
        (1.0, 5.0)
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise ConfigError(f"--scale must look like 1,5, lowest before highest, got {text!r}.")
    return low, high


def grade_by_people(
    source: str | Path,
    out: str | Path,
    scores: str | Path,
    *,
    key: str = "id",
    values: Sequence[str] = ("score",),
    rater: str | None = None,
    scale: tuple[float, float] | None = None,
    columns: AnyMapping[str, str] | None = None,
    limit: int | None = None,
) -> Joined:
    """Give exchanges the mean of their scores by people, and write them.

    Args:
        source: A file of exchanges, or a run's folder, whose test exchanges can be joined by `exchange_id`.
        out: JSONL: the same rows in order, with `grade`, `grade_reason`, `grade_sd`, `grade_raters` and `grader`.
        scores: JSONL, JSON, CSV, TSV or Parquet.
        key: Columns that both have, joined by `+`. `instruction` and `response` are found as in exchanges, whatever
            their columns are called.
        values: Columns with a score; each is a rater of its own.
        rater: Column that says whose score it is; by default `rater`, where there is one. Without it, several scores
            of one key are by several unnamed raters.
        scale: Lowest and highest score; one outside is not used. None takes any.
        columns: From a word such as `response` to a column of the exchanges.
        limit: Only the first so many exchanges.

    Raises:
        ConfigError: A column is absent, or no score fits any exchange.
        InputError: A file cannot be read.
        ArtefactError: The output cannot be written.
    """
    target = Path(out)
    check_out(target, source, scores)
    names = [name.strip() for name in key.split("+") if name.strip()]
    rows = read_exchanges(source, columns=columns, limit=limit)
    keys = _keys(rows, names)
    given, unused, total = _scores(scores, names, list(values), rater, scale)
    ambiguous = _ambiguous(rows, keys)
    known = {found for found in keys if found is not None}
    by_key: dict[Key, list[Given]] = defaultdict(list)
    for item in given:
        if item.key not in known:
            unused["unmatched"] += 1
        elif item.key in ambiguous:
            unused["ambiguous_key"] += 1
        else:
            by_key[item.key].append(item)
    if not by_key:
        raise ConfigError(
            f"No score of {scores} fits an exchange by {key}: {_counted(unused) or 'there is none'}. Check --key and "
            "--value."
        )
    used = [item for items in by_key.values() for item in items]
    grader = {"model": "people", "template": None, "key": _digest(used)}
    made = [_graded(row, found, by_key, ambiguous, grader) for row, found in zip(rows, keys, strict=True)]
    write_rows(target, made)
    failed = Counter(str(row["grade_reason"]) for row in made if row["grade"] is None)
    span = scale or (min(item.value for item in used), max(item.value for item in used))
    between = agreement(_matrix(by_key))
    return Joined(made, len(made) - failed.total(), failed, total, len(used), unused, between, span, target)


def _keys(rows: Sequence[Row], names: Sequence[str]) -> list[Key | None]:
    if not names:
        raise ConfigError("--key must name a column, such as id, or several, such as instruction+response.")
    found = {name for row in rows for name in row.fields}
    for name in names:
        if name not in _WORDS and name not in found:
            listed = ", ".join(printable(column) for column in sorted(found))
            raise ConfigError(f"The exchanges have no column {name!r} for --key. Columns found: {listed}.")
    return [None if row.item is None else _key(_with_words(row), names) for row in rows]


def _with_words(row: Row) -> dict[str, Any]:
    return row.fields | {"instruction": row.asked, "response": row.item.response if row.item else ""}


def _key(fields: AnyMapping[str, object], names: Sequence[str]) -> Key | None:
    cells = [fields.get(name) for name in names]
    # A number in JSON and the same in CSV are one key.
    texts = [cell if isinstance(cell, str) else "" if cell is None else json.dumps(cell, default=str) for cell in cells]
    return tuple(text.strip() for text in texts) if all(text.strip() for text in texts) else None


def _ambiguous(rows: Sequence[Row], keys: Sequence[Key | None]) -> set[Key]:
    """Keys of several different exchanges: which of them was rated is not known."""
    seen: dict[Key, set[tuple[str, str]]] = defaultdict(set)
    for row, key in zip(rows, keys, strict=True):
        if key is not None and row.item is not None:
            seen[key].add((row.item.instruction, row.item.response))
    return {key for key, texts in seen.items() if len(texts) > 1}


def _scores(
    path: str | Path, names: Sequence[str], values: Sequence[str], rater: str | None, scale: tuple[float, float] | None
) -> tuple[list[Given], Counter[str], int]:
    raw = list(read_rows(FileSource(path=str(path))))
    columns = _columns(path, raw, names, values, rater)
    by = rater or (_RATER if any(_RATER in (row.fields or {}) for row in raw) else None)
    unused: Counter[str] = Counter()
    good: list[Given] = []
    unnamed: Counter[tuple[Key, str]] = Counter()
    seen: set[tuple[Key, str]] = set()
    for row in raw:
        key = None if row.fields is None else _key({name: row.fields.get(columns[name]) for name in names}, names)
        for value in values:
            reason = row.error or ("no_key" if key is None else None)
            number, fault = (None, reason) if reason or row.fields is None else _number(row.fields.get(value), scale)
            if number is None or key is None or row.fields is None:
                unused[str(fault)] += 1
                continue
            if by is None:
                unnamed[key, value] += 1
                who = f"{value} {unnamed[key, value]}"
            else:
                who = f"{row.fields.get(by)} {value}"
            if (key, who) in seen:
                unused["duplicate"] += 1
                continue
            seen.add((key, who))
            good.append(Given(key, who, number))
    return good, unused, len(raw) * len(values)


def _columns(
    path: str | Path, raw: Sequence[RawRow], names: Sequence[str], values: Sequence[str], rater: str | None
) -> dict[str, str]:
    """The column of the scores that each part of the key is in."""
    readable = [row.fields for row in raw if row.fields]
    found = list(dict.fromkeys(column for fields in readable for column in fields))
    if not found:
        raise InputError(f"{path} has no readable row of scores.")
    made = {name: name for name in names if name in found}
    if any(name in _WORDS and name not in made for name in names):
        mapping = recognise(readable[:100], {})
        named = {word: getattr(mapping, word) for word in _WORDS}
        made = {name: column for name, column in named.items() if column is not None} | made
    for name in [*(name for name in names if name not in made), *values, *([rater] if rater else [])]:
        if name not in found:
            listed = ", ".join(map(printable, found))
            raise ConfigError(
                f"{path} has no column {name!r}. Columns found: {listed}. See --key, --value and --rater."
            )
    return made


def _number(cell: object, scale: tuple[float, float] | None) -> tuple[float | None, str | None]:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None, "empty"
    try:
        value = math.nan if isinstance(cell, bool) else float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        return None, "no_number"
    if scale is not None and not scale[0] <= value <= scale[1]:
        return None, "out_of_scale"
    return value, None


def _graded(
    row: Row, key: Key | None, by_key: AnyMapping[Key, list[Given]], ambiguous: set[Key], grader: dict[str, Any]
) -> dict[str, Any]:
    scores = [item.value for item in by_key.get(key, [])] if key is not None else []
    reason = row.reason or (None if scores else "ambiguous_key" if key in ambiguous else "no_score")
    return finished(
        row,
        {
            "grade": round(math.fsum(scores) / len(scores), 6) if scores else None,
            "grade_reason": reason,
            "grade_text": None,
            "grade_sd": round(float(np.std(scores, ddof=1)), 6) if len(scores) > 1 else None,
            "grade_raters": len(scores),
            "grader": grader,
        },
    )


def _matrix(by_key: AnyMapping[Key, list[Given]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    raters = {who: place for place, who in enumerate(dict.fromkeys(g.rater for some in by_key.values() for g in some))}
    values = np.full((len(raters), len(by_key)), np.nan)
    for column, some in enumerate(by_key.values()):
        for item in some:
            values[raters[item.rater], column] = item.value
    return values


def _digest(used: Sequence[Given]) -> str:
    return content_id("people/1", [[*item.key, item.rater, item.value] for item in used])[:16]


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common())
