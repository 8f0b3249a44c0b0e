"""Rows in, verdicts out: in chunks that fill the judge's batches, in the order of the input, none left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from selfj.backends.base import JudgeInput
from selfj.collect.columns import Mapping, RowError, printable, recognise
from selfj.collect.files import RawRow
from selfj.collect.parts import Parts, read_parts
from selfj.errors import ConfigError, TooManyFailures
from selfj.judge import Judge, Score
from selfj.records import Instruction
from selfj.risk import Threshold, decide

Verdict: TypeAlias = dict[str, Any]
"""What stands under `selfj` in a judged row; see `docs/design/judging.md`."""

KEY = "selfj"
RECOGNISED_FROM = 100
"""Columns are recognised from as many rows, or from the first chunk where it has fewer."""
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Line(RawRow):
    """A row with the line that it was read from."""

    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Judging:
    """A judge, and everything else that decides what it says of a row."""

    judge: Judge
    key: str
    """Identifies judge and settings; stands in every verdict."""
    threshold: Threshold | None = None
    decides: bool = False
    """Whether there is a decision: with `threshold` None it is to decline, as no threshold meets the promise."""
    use_reference: bool = True
    """Read a row that has a reference as the teacher."""
    columns: AnyMapping[str, str] = field(default_factory=dict)
    """From a word of `collect.columns.WORDS` to a column, before what is recognised."""
    chunk_rows: int = 1024
    """Rows that are judged together."""
    max_chars: int = 100_000
    """A longer text fails its row."""
    max_failed: float = 0.01
    """Greatest share of rows without a score that is no error."""


@dataclass(slots=True)
class Tally:
    """What came of the rows so far."""

    rows: int = 0
    kept: int = 0
    """Rows that had been judged before."""
    truncated: int = 0
    with_reference: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    """Rows without a score, by reason."""

    def add(self, verdict: Verdict, *, kept: bool = False) -> None:
        """Count one row."""
        self.rows += 1
        self.kept += kept
        self.truncated += bool(verdict["truncated"])
        self.with_reference += bool(verdict["with_reference"])
        if verdict["score"] is None:
            self.failed[str(verdict["reason"])] += 1
        if verdict.get("decision") is not None:
            self.decisions[verdict["decision"]] += 1

    def describe(self) -> str:
        """All counts in one line."""
        parts = [f"{self.rows:,} rows", f"{self.rows - self.failed.total():,} scored"]
        parts += [f"{n:,} {reason}" for reason, n in self.failed.most_common()]
        parts += [f"{n:,} {decision}" for decision, n in sorted(self.decisions.items())]
        more = {"cut to fit": self.truncated, "there already": self.kept}
        return ", ".join([*parts, *(f"{n:,} {what}" for what, n in more.items() if n)])

    def check(self, max_failed: float) -> None:
        """Refuse too many rows without a score.

        Raises:
            TooManyFailures: More than the share `max_failed` have none.
        """
        failed = self.failed.total()
        if failed > max_failed * self.rows:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.failed.most_common())
            raise TooManyFailures(
                f"{failed} of {self.rows} rows have no score ({reasons}); max_failed allows {max_failed:.1%}. Each is "
                "in the output with its reason: mend the cause, or allow more with --set max_failed="
                f"{min(1.0, failed / self.rows + 0.01):.2f}."
            )


class Judged(NamedTuple):
    """A row with its verdict; `kept` where the verdict had been there before."""

    row: RawRow
    verdict: Verdict
    kept: bool


def judge_rows(rows: Iterable[object], judging: Judging) -> Iterator[dict[str, Any]]:
    """Judge rows lazily: each comes back in order, as a new dict with the verdict under `selfj`.

    Args:
        rows: Mappings with the columns that `selfj.collect.columns` recognises; anything else becomes a row with
            the reason `not_an_object`.
        judging: From `load_judging`.

    Raises:
        ConfigError: No column holds the instruction, or none the response.
        BackendError: The judge's model or server failed.
    """
    for chunk in judged(_raw(rows), judging):
        for row, verdict, _ in chunk:
            yield {**(row.fields or {}), KEY: verdict}


def judged(
    rows: Iterable[RawRow], judging: Judging, known: Callable[[RawRow], Verdict | None] = lambda row: None
) -> Iterator[list[Judged]]:
    """Judge raw rows, and yield them chunk by chunk; see `judge_rows`.

    Args:
        rows: As they were read.
        judging: The judge and its settings.
        known: Asked once for each row in order; what it returns is taken as the row's verdict.
    """
    mapping: Mapping | None = None
    for chunk in _chunks(rows, judging.chunk_rows):
        mapping = mapping or _recognised(chunk, judging)
        before = [known(row) for row in chunk]
        ahead = [row for row, verdict in zip(chunk, before, strict=True) if verdict is None]
        fresh = iter(_verdicts(ahead, mapping, judging))
        yield [
            Judged(row, next(fresh) if verdict is None else verdict, verdict is not None)
            for row, verdict in zip(chunk, before, strict=True)
        ]


def _chunks(rows: Iterable[RawRow], size: int) -> Iterator[list[RawRow]]:
    """Rows in lists of at most `size`, shorter where texts are so long that they would take much memory."""
    chunk: list[RawRow] = []
    held = 0
    for row in rows:
        chunk.append(row)
        held += _bytes(row)
        if len(chunk) == size or held > _CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _bytes(row: RawRow) -> int:
    if isinstance(row, Line):
        return len(row.raw)
    return sum(len(cell) for cell in (row.fields or {}).values() if isinstance(cell, str))


def _recognised(chunk: Sequence[RawRow], judging: Judging) -> Mapping | None:
    """The columns, from the first rows that can be read; None while there is none."""
    readable = [row.fields for row in chunk if row.fields][:RECOGNISED_FROM]
    if not readable:
        return None
    mapping = recognise(readable, dict(judging.columns))
    if not mapping.has_responses:
        columns = list(dict.fromkeys(column for row in readable for column in row))[:30]
        raise ConfigError(
            f"No column holds the response to judge. Columns found: {', '.join(map(printable, columns))}; taken as "
            f"{mapping.describe()}. Name it, such as --column response=COLUMN."
        )
    return mapping


def _verdicts(rows: Sequence[RawRow], mapping: Mapping | None, judging: Judging) -> list[Verdict]:
    inputs: list[JudgeInput] = []
    found: list[str | int] = []
    """For each row the reason why it cannot be judged, or the place of its input."""
    for row in rows:
        try:
            inputs.append(_input(row, mapping, judging))
            found.append(len(inputs) - 1)
        except RowError as fault:
            found.append(fault.reason)
    scores = judging.judge.score(inputs)
    made = []
    for row, item in zip(rows, found, strict=True):
        if isinstance(item, int):
            made.append(verdict_of(scores[item], judging, with_reference=inputs[item].reference is not None))
        else:
            made.append(_unjudged(row, item, judging))
    return made


def _input(row: RawRow, mapping: Mapping | None, judging: Judging) -> JudgeInput:
    if not row.fields or mapping is None:
        raise RowError(row.error or "empty_instruction")
    parts = read_parts(row.fields, mapping, judging.max_chars)
    if parts.response_error is not None:
        raise RowError(parts.response_error)
    return judge_input(parts, use_reference=judging.use_reference)


def judge_input(parts: Parts, *, use_reference: bool) -> JudgeInput:
    """What a judge reads of a row: the whole conversation with its system text, the response, the reference."""
    asked = Instruction(id="", text=parts.text, system=parts.system, turns=parts.turns)
    return JudgeInput(asked.question(), parts.response, parts.reference if use_reference else None)


def verdict_of(score: Score, judging: Judging, *, with_reference: bool) -> Verdict:
    """Write a score as a verdict; the threshold is for scores without the reference, so only those get a decision."""
    verdict: Verdict = {
        "score": score.value,
        "probabilities": None if score.levels is None else list(score.levels),
        "label_mass": score.label_mass,
        "truncated": score.truncated,
        "with_reference": with_reference,
        "reader": score.reader,
        "reason": score.reason,
    }
    if judging.decides:
        decision = decide(score.value, judging.threshold)
        verdict["decision"] = None if with_reference else decision.action
        verdict["threshold"] = decision.threshold
    return {**verdict, "judge": judging.key}


def _unjudged(row: RawRow, reason: str, judging: Judging) -> Verdict:
    score = Score(None, None, None, judging.judge.name, reason)
    verdict = verdict_of(score, judging, with_reference=False)
    # Without its columns a row can only be found by its line.
    return verdict if row.fields is not None else {**verdict, "line": row.number}


def _raw(rows: Iterable[object]) -> Iterator[RawRow]:
    for number, row in enumerate(rows, start=1):
        if isinstance(row, AnyMapping):
            yield RawRow(number, {str(key): value for key, value in row.items()})
        else:
            yield RawRow(number, None, "not_an_object")
