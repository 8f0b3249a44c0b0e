"""From rows to records: identifiers, splits, duplicates, and a reason for every row that fails.

| reason | meaning |
|---|---|
| those of `collect.files` | the row could not be read |
| `empty_instruction` | the instruction is absent or blank |
| `wrong_type` | a text is neither text nor, except for instruction and system, a number |
| `too_long` | a text has more than `max_chars` characters |
| `bad_utf8` | a text has a lone surrogate |
| `no_user_message`, `bad_messages`, `not_text` | messages with no question, tools after it, or images |
| `no_response` | the response is absent, in a file of exchanges; an empty one is a legitimate bad answer |
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from selfj.collect.columns import Mapping, RowError, identity, recognise
from selfj.collect.files import RawRow, is_utf8, read_rows
from selfj.collect.parts import Parts, read_parts
from selfj.errors import InputError
from selfj.records import Instruction, Response, content_id, hash_fraction
from selfj.settings import Collect, FileSource

_MAX_CHARS = 100_000
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True)
_LOOKED_AT = 1000
_RECOGNISED_FROM = 100


class Collected(NamedTuple):
    """One row of the input as records."""

    instruction: Instruction
    response: Response | None
    new: bool = True
    """False where an earlier row had the same instruction: then only the response is new."""


@dataclass(slots=True)
class Counts:
    """What was met while collecting."""

    rows: int = 0
    """All rows of the input; known as soon as the first record comes."""
    instructions: int = 0
    responses: int = 0
    duplicates: int = 0
    """Rows left out because an earlier one says the same."""
    duplicate_ids: int = 0
    """Rows whose column `id` repeats an earlier one; they are kept."""
    without_reference: int = 0
    """Good instructions for which no row has a reference."""
    failed: dict[str, int] = field(default_factory=dict)
    """Failed instructions and responses by reason; they are among the counts above."""

    def fail(self, reason: str) -> None:
        """Count one failure."""
        self.failed[reason] = self.failed.get(reason, 0) + 1


class Collector:
    """Yields the records of some rows; `counts` is complete once an iteration has ended.

    The rows are read twice, so a fault of the whole file raises before the first record, and an instruction
    that first appears without a reference is yielded as the first row that has one. Memory holds identifiers
    and such late references, not rows; rows from a one-time iterator are first put in a list.
    """

    def __init__(
        self,
        rows: Iterable[RawRow],
        mapping: Mapping,
        *,
        name: str,
        collect: Collect,
        max_chars: int = _MAX_CHARS,
    ) -> None:
        self.mapping = mapping
        self.counts = Counts()
        self._rows = list(rows) if isinstance(rows, Iterator) else rows
        self._name = name
        self._collect = collect
        self._max_chars = max_chars

    def __iter__(self) -> Iterator[Collected]:
        counts = self.counts = Counts()
        late, counts.rows = self._survey()
        indices: dict[str, int] = {}
        answers: set[str] = set()
        user_ids: set[str] = set()
        for row in self._rows:
            instruction, parts = self._instruction(row)
            if parts is None:
                counts.fail(str(instruction.error))
                counts.instructions += 1
                yield Collected(instruction, None)
                continue
            counts.duplicate_ids += _is_repeated(row, user_ids)
            new = instruction.id not in indices
            index = indices.setdefault(instruction.id, 0)
            response = self._response(instruction.id, index, parts)
            if response is None:
                duplicate = not new
            else:
                key = content_id(instruction.id, response.model, response.text)
                duplicate = response.error is None and key in answers
                if response.error is None:
                    answers.add(key)
            if duplicate:
                counts.duplicates += 1
                continue
            instruction = late.get(instruction.id, instruction)
            indices[instruction.id] += 1
            counts.instructions += new
            counts.without_reference += new and instruction.reference is None
            if response is not None:
                counts.responses += 1
                if response.error is not None:
                    counts.fail(response.error)
            yield Collected(instruction, response, new)

    def _survey(self) -> tuple[dict[str, Instruction], int]:
        """Read all rows once, for their number and for references that come later than their instruction."""
        total = 0
        late: dict[str, Instruction] = {}
        bare: set[str] = set()
        settled: set[str] = set()
        references = self.mapping.reference is not None or self.mapping.messages is not None
        for row in self._rows:
            total += 1
            if not references or row.fields is None:
                continue
            try:
                parts = read_parts(row.fields, self.mapping, self._max_chars)
            except RowError:
                continue
            key = _instruction_id(parts)
            if key in settled:
                continue
            if parts.reference is None:
                bare.add(key)
                continue
            settled.add(key)
            if key in bare:
                late[key] = self._good(parts)
        return late, total

    def _instruction(self, row: RawRow) -> tuple[Instruction, Parts | None]:
        reason = row.error or "bad_row"
        if row.fields is not None:
            try:
                parts = read_parts(row.fields, self.mapping, self._max_chars)
            except RowError as fault:
                reason = fault.reason
            else:
                return self._good(parts), parts
        row_id = content_id("row", self._name, row.number)
        return Instruction(id=row_id, text="", source=self._name, error=reason), None

    def _good(self, parts: Parts) -> Instruction:
        # In a file of exchanges the other columns, such as verdicts, say something of the response.
        meta = parts.references if self.mapping.has_responses else {**parts.other, **parts.references}
        return Instruction(
            id=_instruction_id(parts),
            text=parts.text,
            system=parts.system,
            turns=parts.turns,
            reference=parts.reference,
            category=parts.category,
            group=parts.group,
            source=self._name,
            split=split_of(parts.text, self._collect),
            meta=_as_json(meta),
        )

    def _response(self, instruction_id: str, index: int, parts: Parts) -> Response | None:
        if not self.mapping.has_responses:
            return None
        return Response(
            id=content_id("response", instruction_id, index, parts.response),
            instruction_id=instruction_id,
            index=index,
            text=parts.response,
            model=parts.model,
            meta=_as_json(parts.other),
            error=parts.response_error,
        )


def from_file(source: FileSource, collect: Collect) -> Collector:
    """Collect a file: read its rows, recognise its columns, make records.

    Raises:
        InputError: The file cannot be used.
        ConfigError: The columns cannot be recognised, or `source.columns` is wrong.

    Example:
        >>> collector = from_file(FileSource(path="questions.jsonl"), Collect())
        >>> [item.instruction.reference for item in collector]
        ['42']
    """
    rows = read_rows(source)
    looked_at = list(islice(rows, _LOOKED_AT))
    readable = [row.fields for row in looked_at if row.fields is not None]
    if not readable:
        reasons = Counter(row.error for row in looked_at)
        found = ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
        raise InputError(
            f"No row of {source.path} can be read as {rows.kind}: {found} in the first {len(looked_at)}. "
            "Set collect.source.format if it is of another format."
        )
    mapping = recognise(readable[:_RECOGNISED_FROM], source.columns)
    return to_records(rows, mapping, source=source, collect=collect)


def to_records(rows: Iterable[RawRow], mapping: Mapping, *, source: FileSource, collect: Collect) -> Collector:
    """Turn the rows of a file into instructions and, in a file of exchanges, responses."""
    name = source.path.replace("\\", "/").rsplit("/", 1)[-1]
    return Collector(rows, mapping, name=name, collect=collect, max_chars=source.max_chars)


def world_records(
    rows: Iterable[AnyMapping[str, object]],
    *,
    collect: Collect,
    name: str,
    max_chars: int = _MAX_CHARS,
) -> Collector:
    """Turn rows of the world or of a plugin into records.

    Args:
        rows: Keys are `instruction` and, as far as there are any, `reference`, `response`, `system`,
            `messages`, `category`, `group`, `model`; any other goes to `meta`.
        collect: Settings of the split.
        name: Becomes `Instruction.source`.
        max_chars: A longer text fails its row.

    Raises:
        InputError: There is no row.
        ConfigError: No row has an instruction.
    """
    raw = [_plain_row(number, row) for number, row in enumerate(rows, start=1)]
    if not raw:
        raise InputError(f"The source {name} gave no rows: expected at least one.")
    mapping = identity(row.fields for row in raw if row.fields is not None)
    return Collector(raw, mapping, name=name, collect=collect, max_chars=max_chars)


def split_of(text: str, collect: Collect) -> str:
    """Assign an instruction to train, calibration or test by its text, whatever its case and spacing.

    Example:
        >>> split_of("What is it?", Collect()) == split_of("what  is IT?", Collect())
        True
    """
    fraction = hash_fraction("split", collect.name, " ".join(text.casefold().split()))
    if fraction < collect.train:
        return "train"
    return "calibration" if fraction < collect.train + collect.calibration else "test"


def _instruction_id(parts: Parts) -> str:
    turns = [[turn.role, turn.content] for turn in parts.turns]
    return content_id("instruction", parts.system, turns, parts.text)


def _as_json(columns: dict[str, object]) -> str:
    """Write scalars and lists as one JSON object; what JSON cannot hold is left out, NaN becomes null."""
    kept = []
    for column, value in sorted(columns.items()):
        if isinstance(value, dict) or not _is_shallow(value):
            continue
        try:
            cell = _ENCODER.encode(_plain(value))
        except (TypeError, ValueError):
            continue
        kept.append(f"{_ENCODER.encode(column)}: {cell}")
    text = "{" + ", ".join(kept) + "}"
    return text if is_utf8(text) else json.dumps(json.loads(text))


def _is_shallow(value: object, depth: int = 20) -> bool:
    """Whether every reader can load the value again, however deep its own stack is."""
    if isinstance(value, list | dict):
        items = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_shallow(item, depth - 1) for item in items)
    return True


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def _is_repeated(row: RawRow, seen: set[str]) -> bool:
    value = (row.fields or {}).get("id")
    if not isinstance(value, str | int):
        return False
    key = content_id(value)
    if key in seen:
        return True
    seen.add(key)
    return False


def _plain_row(number: int, row: object) -> RawRow:
    if not isinstance(row, AnyMapping):
        return RawRow(number, None, "not_an_object")
    return RawRow(number, {str(key): value for key, value in row.items()})
