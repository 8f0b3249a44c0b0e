"""Labelled drafts from a file, for the thresholds of a policy.

One row for each answer: the instruction, the response, its quality, and in `step` who gave it and when: `answer` for
the first, `resample` for each further draft, `escalate` for the model that is asked last.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from selfj.collect.columns import RowError, recognise
from selfj.collect.files import read_rows
from selfj.collect.parts import read_parts
from selfj.errors import ConfigError, InputError
from selfj.label import TOP
from selfj.policy_risk import STEPS, Steps
from selfj.records import Instruction, content_id
from selfj.serve.drafts import Drawn, Said
from selfj.settings import FileSource

_MAX_CHARS = 100_000
_FIRST = 100


@dataclass(frozen=True, slots=True)
class Read:
    """What a file of drafts holds."""

    drawn: list[Drawn]
    bad_rows: int
    """Rows without an instruction that can be used."""
    incomplete: int
    """Instructions that lack one of the answers that the steps take."""

    def lines(self) -> list[str]:
        """What was left out, in words."""
        if not self.bad_rows and not self.incomplete:
            return []
        return [
            f"left out: {self.bad_rows:,} rows without an instruction, {self.incomplete:,} instructions without all of "
            "the answers that the steps take"
        ]


@dataclass(slots=True)
class _Group:
    instruction: Instruction
    answers: dict[str, list[Said]] = field(default_factory=lambda: {step: [] for step in STEPS})


def read_drafts(
    path: str | Path,
    steps: Steps,
    gold: str,
    scale: tuple[float, float],
    columns: Mapping[str, str] | None = None,
) -> Read:
    """Read drafts; instructions that lack one of the answers that the steps take are left out.

    Args:
        path: JSONL, JSON, CSV, TSV or Parquet.
        steps: What the gateway will do.
        gold: Column of the quality.
        scale: Worst and best gold.
        columns: From a word such as `response` to a column.

    Raises:
        ConfigError: A column is absent, or gold is outside its scale.
        InputError: The file cannot be read, or no instruction has all answers.
    """
    rows = read_rows(FileSource(path=str(path), max_chars=_MAX_CHARS))
    mapping = recognise([row.fields for row in islice(rows, _FIRST) if row.fields], dict(columns or {}))
    if not mapping.has_responses:
        raise ConfigError(f"No column of {path} holds the responses. Name it: --column response=COLUMN.")
    groups: dict[str, _Group] = {}
    bad = 0
    for row in rows:
        fields = row.fields
        if not fields:
            bad += 1
            continue
        step = fields.get("step")
        if step not in STEPS:
            raise ConfigError(
                f"{path}:{row.number}: step is {step!r}, expected {', '.join(STEPS)}: who gave the answer, and when."
            )
        try:
            parts = read_parts(fields, mapping, _MAX_CHARS)
        except RowError:
            bad += 1
            continue
        key = content_id("drafts", parts.text, parts.system, parts.turns)
        made = Instruction(key, parts.text, parts.system, parts.turns, parts.reference, split="calibration")
        group = groups.setdefault(key, _Group(made))
        reason = parts.response_error or ("empty_response" if not parts.response else None)
        value = _quality(fields.get(gold), gold, scale, f"{path}:{row.number}")
        group.answers[str(step)].append(Said(parts.response if reason is None else "", reason, value))
    drawn = [item for group in groups.values() if (item := _whole(group, steps)) is not None]
    if not drawn:
        raise InputError(
            f"None of the {len(groups):,} instructions of {path} has one row of step answer, {steps.n - 1} of resample"
            f"{' and one of escalate' if steps.escalation is not None else ''}, as the gateway's settings say."
        )
    return Read(drawn, bad, len(groups) - len(drawn))


def _whole(group: _Group, steps: Steps) -> Drawn | None:
    first, again, other = (group.answers[step] for step in STEPS)
    if not first or len(again) < steps.n - 1 or (steps.escalation is not None and not other):
        return None
    drafts = (first[0], *again[: steps.n - 1])
    return Drawn(group.instruction, drafts, other[0] if steps.escalation is not None else None)


def _quality(value: object, gold: str, scale: tuple[float, float], where: str) -> float | None:
    if value is None or value == "":
        return None
    low, high = scale
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        told = f"{where}: {gold} is {value!r}, expected a number from {low:g} to {high:g}."
        raise ConfigError(f"{told} Set --gold-scale.")
    return TOP * (number - low) / (high - low)
