"""The evaluator table: for each judge how well it agrees with gold, what it costs, how quick and how steady it is."""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from selfj.audit.material import Material, Pair, numbered
from selfj.audit.order import accuracy_parts, decisions
from selfj.audit.subject import Measure, Subject
from selfj.errors import ConfigError
from selfj.metrics import Array, pearson, spearman
from selfj.report.grid import Grid, GridCell, strongest

BASELINES = ("length", "random", "cosine")
"""Plain measures that stand in every table."""
TIMED = 64
"""Exchanges that are read for speed and steadiness, or all where there are fewer."""
TITLE = "Evaluators"


@dataclass(frozen=True, slots=True)
class Evaluator:
    """One row of the table."""

    name: str
    title: str
    agreement: Measure
    """Share of pairs of responses to one instruction that are ordered as gold orders them; ties of the score half."""
    spearman: Measure
    pearson: Measure
    price: float
    """Per 1,000 exchanges, in the currency of whoever gave it; 0 for what runs here."""
    seconds: float
    """Per 1,000 exchanges, measured here without kept scores."""
    length_bias: Measure
    """Share of pairs where the longer response is preferred, less the same share of gold."""
    deviation: Measure
    """Standard deviation of one exchange's score when it is read twice, in levels."""
    n: int
    missing: int
    """Exchanges without a score."""


def check(material: Material) -> None:
    """Refuse material without gold and without preferences.

    Raises:
        ConfigError: There is nothing to compare with.
    """
    if not has_gold(material):
        raise ConfigError(
            f"The evaluator table needs gold or preferences, and {material.name} has neither. Name a numeric column "
            "with --gold COLUMN, or give response_a, response_b and preference."
        )


def has_gold(material: Material) -> bool:
    """Whether there is something to compare a judge with."""
    return bool((~np.isnan(material.gold())).any()) or any(pair.preference is not None for pair in material.pairs)


def evaluator(subject: Subject, prices: Mapping[str, float] | None = None) -> Evaluator:
    """Measure one judge."""
    material, scores, gold = subject.material, subject.plain, subject.material.gold()
    pairs = [pair for pair in material.natural_pairs() if pair.preference is not None]
    both = ~(np.isnan(scores) | np.isnan(gold))
    groups = material.groups()[both]
    columns = scores[both], gold[both]
    seconds, deviation = _timed(subject)
    right, bias, pair_groups = _of_pairs(subject, pairs)
    return Evaluator(
        subject.name,
        subject.scorer.title,
        subject.mean("agreement", right, pair_groups, "share"),
        subject.measure("Spearman", spearman, *columns, groups=groups, unit="correlation"),
        subject.measure("Pearson", pearson, *columns, groups=groups, unit="correlation"),
        (prices or {}).get(subject.name, 0.0),
        seconds,
        subject.mean("length bias", bias, pair_groups, "share"),
        deviation,
        len(scores),
        int(np.isnan(scores).sum()),
    )


def table(rows: Sequence[Evaluator], material: Material) -> Grid:
    """The table of some judges, the best agreement first."""
    ranked = sorted(rows, key=lambda row: -_or(row.agreement.value, _or(row.spearman.value, -2.0)))
    columns = [
        [m.value for m in column]
        for column in zip(*((r.agreement, r.spearman, r.pearson) for r in ranked), strict=True)
    ]
    bold = strongest(columns)
    made = []
    for place, row in enumerate(ranked):
        agreement, rank, linear = (
            cell(measure, strong=flags[place])
            for measure, flags in zip((row.agreement, row.spearman, row.pearson), bold, strict=True)
        )
        made.append(
            (
                row.title,
                (
                    agreement, rank, linear, GridCell(row.price), GridCell(row.seconds), cell(row.length_bias),
                    GridCell(row.deviation.value, digits=4), GridCell(float(row.n), digits=0),
                    GridCell(float(row.missing), digits=0),
                ),
            )
        )  # fmt: skip
    headers = (
        "judge", "agreement", "Spearman", "Pearson", "price", "seconds", "length bias", "deviation",
        "n", "missing",
    )  # fmt: skip
    pairs = sum(pair.preference not in (None, 0.5) for pair in material.natural_pairs())
    notes = (
        f"Agreement: share of {pairs:,} pairs of responses to one instruction that the judge orders as gold does; "
        "pairs that gold ties are left out, a tie of the scores counts half, 0.5 is chance. Intervals of 95 % resample "
        "instructions.",
        "Length bias: share of pairs in which the longer response is preferred, less the same share of gold; 0 would "
        "be no bias. Deviation: standard deviation of a score over two readings, in levels; 0 would be a steady judge.",
        "Price and seconds are those of 1,000 exchanges. Price: 0 for what runs here, else as given. Seconds: measured "
        f"without kept scores, after one exchange to warm up, on {machine()}.",
    )
    return Grid(TITLE, headers, tuple(made), notes)


def cell(measure: Measure, *, strong: bool = False, digits: int = 2) -> GridCell:
    """A measure as a cell."""
    return GridCell(measure.value, measure.low, measure.high, strong=strong, digits=digits)


def machine() -> str:
    """The machine in words."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine() or 'an unknown processor'}, {os.cpu_count() or 1} cores, {platform.system()}"


def _of_pairs(subject: Subject, pairs: Sequence[Pair]) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """For each pair whether it is decided as by gold, how much more the longer one is preferred, and its group."""
    places = np.array([(pair.a, pair.b) for pair in pairs], dtype=np.int64).reshape(-1, 2)
    preference = np.array([pair.preference for pair in pairs], dtype=np.float64)
    decided = decisions(subject.plain[places])
    lengths = subject.material.lengths()[places]
    longer = np.sign(lengths[:, 0] - lengths[:, 1])
    # Of the two preferences in [0, 1] for the first response, that for the longer one: 0.5 ± half.
    bias = np.where(longer == 0, np.nan, longer * (decided - preference))
    groups = numbered(subject.material.exchanges[pair.a].input.instruction for pair in pairs)
    return accuracy_parts(decided, preference), bias, groups


def _timed(subject: Subject) -> tuple[float, Measure]:
    """Seconds for 1,000 exchanges, and the deviation over two readings."""
    inputs = subject.material.inputs
    draw = np.random.default_rng(subject.seed)
    places = np.sort(draw.permutation(len(inputs))[:TIMED])
    chosen = [inputs[place] for place in places]
    subject.read(chosen[:1])
    began = time.perf_counter()
    first = subject.read(chosen)
    seconds = (time.perf_counter() - began) / len(chosen) * 1000
    change = subject.levels(subject.read(chosen)) - subject.levels(first)
    there = ~np.isnan(change)
    groups = subject.material.groups()[places][there]
    return seconds, subject.measure("deviation", _deviation, change[there], groups=groups)


def _deviation(change: Array) -> float:
    """Of a reading, from differences of two."""
    return float(np.sqrt(np.mean(change**2) / 2)) if len(change) else float("nan")


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
