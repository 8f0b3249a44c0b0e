"""Outputs of many models, or many candidates, for the same instructions, from files as people have them.

Read are AlpacaEval's own `model_outputs.json`, a folder with one such file per model, and flat JSONL, JSON, CSV, TSV
and Parquet. Rows that cannot be used are counted with their reason and left out:

| reason | meaning |
|---|---|
| `empty_instruction`, `no_response`, `empty_response` | a text is absent or blank |
| `no_model` | the model's column is empty |
| `duplicate` | the model has a response to this instruction already; the first is kept |
| others | as in `selfj.collect.files` and `selfj.collect.parts` |
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from selfj.backends.base import JudgeInput
from selfj.collect import columns as known_columns
from selfj.collect.columns import RowError, printable, recognise
from selfj.collect.files import RawRow, Rows, read_rows
from selfj.collect.parts import Parts, read_parts
from selfj.errors import ConfigError, InputError
from selfj.judging.rows import judge_input
from selfj.settings import FileSource

OUTPUTS_FILE = "model_outputs.json"
"""What AlpacaEval calls the outputs of one model."""
WORDS = (*known_columns.WORDS, "model")
"""What `--column` can name."""
_FIRST = 100
_EITHER = ("answer", "answers", "output")
"""Columns that `recognise` takes for the reference where nothing says that they are responses."""
_MAX_CHARS = 100_000


class Candidate(NamedTuple):
    """One usable row."""

    model: str
    place: int
    """Which of the instructions it answers."""
    input: JudgeInput
    fields: Mapping[str, object]
    """The row as it was read; empty where only the texts were asked for."""


@dataclass(slots=True)
class Candidates:
    """The usable rows of all files, in their order, and what became of the others."""

    rows: list[Candidate] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    """Each once, as a judge reads it, in the order of their first appearance."""
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows left out, by model (empty where it is not known) and reason."""
    where: dict[str, str] = field(default_factory=dict)
    """For each reason the first row that has it, as `file:number`."""
    aliases: dict[str, str] = field(default_factory=dict)
    """The other name that a model's rows give it: AlpacaEval's `generator` beside the name of its folder."""
    columns: set[str] = field(default_factory=set)
    """Of all rows."""

    @property
    def models(self) -> list[str]:
        """Each once, in the order of their first appearance."""
        return list(dict.fromkeys(row.model for row in self.rows))

    def reasons(self) -> Counter[str]:
        """Rows left out, by reason."""
        found: Counter[str] = Counter()
        for (_, reason), n in self.faults.items():
            found[reason] += n
        return found


class _File(NamedTuple):
    path: Path
    name: str
    """The model where no column says it, or where `fixed`."""
    fixed: bool


def read_candidates(
    paths: Sequence[str | Path], columns: Mapping[str, str] | None = None, *, once: bool, whole: bool = False
) -> Candidates:
    """Read files of outputs.

    Args:
        paths: Files, or folders with one folder per model that holds `model_outputs.json`.
        columns: From a word of `WORDS` to a column, before what is recognised.
        once: Keep the first response of a model to an instruction only, and count the others as `duplicate`.
        whole: Keep each row as it was read.

    Raises:
        ConfigError: A column is absent or not recognised.
        InputError: A path cannot be read, or no row can be used.
    """
    named = dict(columns or {})
    unknown = [word for word in named if word not in WORDS]
    if unknown:
        raise ConfigError(f"--column {unknown[0]}: expected one of {', '.join(WORDS)}.")
    files = [file for path in paths for file in _files(Path(path))]
    if not files:
        raise ConfigError("No file of outputs was named.")
    reader = _Reader(once, whole)
    for file in files:
        reader.read(file, named)
    found = reader.found
    if not found.rows:
        told = ", ".join(f"{n:,} {reason}" for reason, n in found.reasons().most_common())
        raise InputError(f"No row of {', '.join(str(path) for path in paths)} can be used: {told}.")
    return found


def _files(path: Path) -> Iterator[_File]:
    if not path.is_dir():
        model = path.parent.name if path.name == OUTPUTS_FILE and path.parent.name else path.stem
        yield _File(path, model, fixed=False)
        return
    inside = sorted(path.glob(f"*/{OUTPUTS_FILE}"))
    if inside:
        yield from (_File(file, file.parent.name, fixed=True) for file in inside)
    elif (path / OUTPUTS_FILE).is_file():
        yield _File(path / OUTPUTS_FILE, path.name, fixed=False)
    else:
        raise InputError(f"{path} holds no {OUTPUTS_FILE}, nor any folder with one: name the files of outputs.")


class _Reader:
    def __init__(self, once: bool, whole: bool) -> None:
        self.found = Candidates()
        self._once, self._whole = once, whole
        self._places: dict[str, int] = {}
        self._seen: set[tuple[str, int]] = set()
        self._names: dict[str, set[str]] = {}

    def read(self, file: _File, named: Mapping[str, str]) -> None:
        rows = read_rows(FileSource(path=str(file.path), max_chars=_MAX_CHARS))
        model_column = named.get("model")
        mapping = _mapping(file, rows, {word: name for word, name in named.items() if word != "model"}, model_column)
        for row in rows:
            model = file.name
            try:
                if row.fields is None or not row.fields:
                    raise RowError(row.error or "empty_instruction")
                self.found.columns.update(row.fields)
                column = model_column or mapping.model
                if column is not None and not file.fixed:
                    model = ""
                    model = _name(row.fields.get(column))
                parts = read_parts(row.fields, mapping, _MAX_CHARS)
                self._add(model, parts, row.fields)
            except RowError as fault:
                known = model if row.fields else (file.name if file.fixed else "")
                self.found.faults[known, fault.reason] += 1
                self.found.where.setdefault(fault.reason, f"{file.path}:{row.number}")
            else:
                other = parts.model if file.fixed else row.fields.get("generator")
                if isinstance(other, str):
                    self._alias(model, other)

    def _add(self, model: str, parts: Parts, fields: dict[str, object]) -> None:
        if not model:
            raise RowError("no_model")
        if parts.response_error is not None:
            raise RowError(parts.response_error)
        if not parts.response.strip():
            raise RowError("empty_response")
        item = judge_input(parts, use_reference=True)
        place = self._places.setdefault(item.instruction, len(self._places))
        if place == len(self.found.instructions):
            self.found.instructions.append(item.instruction)
        if self._once and (model, place) in self._seen:
            raise RowError("duplicate")
        self._seen.add((model, place))
        # The same text from 100 models is kept once.
        item = replace(item, instruction=self.found.instructions[place])
        self.found.rows.append(Candidate(model, place, item, fields if self._whole else {}))

    def _alias(self, model: str, other: str) -> None:
        names = self._names.setdefault(model, set())
        names.add(other)
        if len(names) == 1 and other != model:
            self.found.aliases[model] = other
        else:
            self.found.aliases.pop(model, None)


def _name(value: object) -> str:
    if value is not None and not isinstance(value, str | int):
        raise RowError("wrong_type")
    return "" if value is None else str(value).strip()


def _mapping(file: _File, rows: Rows, named: dict[str, str], model: str | None) -> known_columns.Mapping:
    first: list[dict[str, object]] = [row.fields for row in islice(_readable(rows), _FIRST) if row.fields]
    if model is not None and first and not any(model in row for row in first):
        columns = dict.fromkeys(column for row in first for column in row)
        raise ConfigError(
            f"--column model={model}: none of the first rows of {file.path} has that column. Columns found: "
            f"{', '.join(map(printable, columns))}."
        )
    try:
        # A column of another name that holds the model still says that `output` is a response.
        mapping = recognise([{**row, "model": row[model]} if model in row else row for row in first], named)
    except ConfigError as error:
        raise ConfigError(f"{file.path}: {error} Here a column is named by --column WORD=COLUMN.") from error
    taken = (mapping.reference or "").strip().casefold()
    if not mapping.has_responses and "reference" not in named and taken in _EITHER:
        mapping = replace(mapping, response=mapping.reference, reference=None, has_responses=True)
    if not mapping.has_responses:
        columns = dict.fromkeys(column for row in first for column in row)
        raise ConfigError(
            f"No column of {file.path} holds the responses. Columns found: {', '.join(map(printable, columns))}; "
            f"taken as {mapping.describe()}. Name it, such as --column response=COLUMN."
        )
    return mapping


def _readable(rows: Rows) -> Iterator[RawRow]:
    return (row for row in rows if row.fields)
