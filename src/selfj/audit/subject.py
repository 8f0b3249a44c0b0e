"""A judge under audit, and what a probe finds."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from selfj.audit.material import TOP, Material
from selfj.backends.base import JudgeInput
from selfj.bootstrap import bootstrap
from selfj.judging.score_cache import ScoreCache
from selfj.judging.scorers import NamedScorer, ScoreColumn, score_all
from selfj.metrics import Array
from selfj.progress import Progress, Quiet

DRAWS = 1000
"""Resamples of an interval."""
_LEAST_FOR_INTERVAL = 2
_BLOCK = 1_000_000
"""Picked groups in memory."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number."""

    name: str
    value: float | None
    """None where it is undefined."""
    low: float | None = None
    high: float | None = None
    """Ends of its 95 % interval; None where there is none."""
    unit: str = "levels"
    n: int = 0
    """Rows that it rests on."""


@dataclass(frozen=True, slots=True)
class Example:
    """One text before and after, with both scores in the judge's own unit."""

    instruction: str
    before: str
    after: str
    score_before: float
    score_after: float
    what: str
    """What was done."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found."""

    probe: str
    title: str
    reading: str
    """How the first number is read, and what would be good."""
    measures: tuple[Measure, ...] = ()
    """The first is the number of the probe; the others tell more."""
    example: Example | None = None
    absent: str | None = None
    """Why the probe says nothing, or less."""

    @property
    def number(self) -> Measure | None:
        """The one number."""
        return self.measures[0] if self.measures else None


@dataclass(slots=True)
class Subject:
    """A judge with the exchanges that it is audited on. Scores are made once for each text and kept."""

    name: str
    scorer: NamedScorer
    material: Material
    cache: ScoreCache | None = None
    progress: Progress = field(default_factory=Quiet)
    seed: int = 0
    draws: int = DRAWS
    plain: Array = field(init=False)
    """Shape (n,): scores of the exchanges as they are, in the judge's own unit."""
    reasons: Counter[str] = field(init=False)
    """Why exchanges have none."""
    low: float = field(init=False)
    span: float = field(init=False)
    asked: int = field(init=False, default=0)
    """Edited texts that were to be scored, and how many have no score."""
    unscored: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Score the exchanges as they are."""
        column = self._column(self.material.inputs)
        self.plain, self.reasons = column.values, column.reasons
        self.low, self.span = 0.0, TOP
        known = self.plain[~np.isnan(self.plain)]
        if not self.scorer.quality:
            self.low = float(known.min()) if len(known) else 0.0
            self.span = float(known.max() - known.min()) if len(known) and known.max() > known.min() else 1.0

    def levels(self, scores: Array) -> Array:
        """Scores on the levels: as they are where they are qualities, else with 0 and 9 at the ends of `plain`."""
        return np.asarray(TOP * (scores - self.low) / self.span, dtype=np.float64)

    def score(self, inputs: Sequence[JudgeInput], what: str) -> Array:
        """Scores of edited texts, shape (n,), NaN where there is none; kept texts are not scored again.

        Args:
            inputs: Exchanges with edited responses.
            what: The probe, for progress.
        """
        values = self._column(inputs, what).values
        self.asked += len(values)
        self.unscored += int(np.isnan(values).sum())
        return values

    def read(self, inputs: Sequence[JudgeInput]) -> Array:
        """Scores made anew in one call of the judge, in this order."""
        found = self.scorer.read([self._seen(item) for item in inputs]) if inputs else []
        return np.array([np.nan if value is None else value for value, _ in found], dtype=np.float64)

    def measure(
        self,
        name: str,
        statistic: Callable[..., float],
        *columns: npt.NDArray[Any],
        groups: npt.NDArray[Any],
        unit: str = "levels",
        n: int | None = None,
    ) -> Measure:
        """A number with the interval of its resampled groups."""
        rows = len(groups)
        if not rows:
            return Measure(name, None, unit=unit)
        found = bootstrap(statistic, *columns, groups=groups, draws=self.draws, seed=self.seed)
        few = len(np.unique(groups)) < _LEAST_FOR_INTERVAL
        low, high = (None, None) if few else (known(found.low), known(found.high))
        return Measure(name, known(found.value), low, high, unit, rows if n is None else n)

    def mean(self, name: str, values: Array, groups: npt.NDArray[Any], unit: str = "levels") -> Measure:
        """The mean of those values that are known."""
        there = ~np.isnan(values)
        values, groups = values[there], groups[there]
        if not len(values):
            return Measure(name, None, unit=unit)
        low, high = _mean_interval(values, groups, self.draws, self.seed)
        return Measure(name, known(float(values.mean())), low, high, unit, len(values))

    def _column(self, inputs: Sequence[JudgeInput], what: str = "as they are") -> ScoreColumn:
        return score_all(self.scorer, inputs, self.cache, _Named(self.progress, f"{self.scorer.title}: {what}"))

    def _seen(self, item: JudgeInput) -> JudgeInput:
        return item if self.scorer.reference else JudgeInput(item.instruction, item.response)


@dataclass(frozen=True, slots=True)
class _Named:
    """Progress whose stages say which probe they belong to."""

    inner: Progress
    stage: str

    def start(self, stage: str, total: int | None, done: int = 0) -> None:
        self.inner.start(self.stage, total, done)

    def advance(self, n: int) -> None:
        self.inner.advance(n)

    def tell(self, values: Mapping[str, float | None]) -> None:
        self.inner.tell(values)

    def note(self, text: str) -> None:
        self.inner.note(text)

    def finish(self, summary: str) -> None:
        self.inner.finish(summary.replace(f" by {self.stage.partition(':')[0]}", ""))


def _mean_interval(values: Array, groups: npt.NDArray[Any], draws: int, seed: int) -> tuple[float | None, float | None]:
    """What `bootstrap` gives for a mean, from sums of groups: an audit has a hundred of them."""
    place = np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(place, weights=values), np.bincount(place)
    n = len(sizes)
    if n < _LEAST_FOR_INTERVAL:
        return None, None
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // n)
    means = []
    for start in range(0, draws, block):
        picked = rng.integers(0, n, (min(block, draws - start), n))
        means.append(sums[picked].sum(axis=1) / sizes[picked].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def known(value: float) -> float | None:
    """The value, None where it is undefined."""
    return float(value) if math.isfinite(value) else None


def largest(
    inputs: Sequence[JudgeInput], after: Sequence[str], before_scores: Array, after_scores: Array, what: Sequence[str]
) -> Example | None:
    """The example whose score changes most; the first of several. None where no row has both scores."""
    change = np.abs(after_scores - before_scores)
    if not len(change) or np.isnan(change).all():
        return None
    place = int(np.nanargmax(change))
    item = inputs[place]
    scores = float(before_scores[place]), float(after_scores[place])
    return Example(item.instruction, item.response, after[place], *scores, what[place])
