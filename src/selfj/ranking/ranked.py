"""Models ranked by the mean score of their outputs, and how well the ranking agrees with a leaderboard."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfj.bootstrap import Interval
from selfj.errors import ConfigError
from selfj.judging.scorers import NamedScorer, ScoreColumn
from selfj.metrics import Array
from selfj.progress import Progress, Quiet
from selfj.ranking.agreement import STATISTICS, correlations
from selfj.ranking.draws import percentile, weights
from selfj.ranking.leaderboard import Leaderboard, Match, match, read_leaderboard
from selfj.ranking.means import Means, bounded_lengths, in_order, means
from selfj.ranking.read import Candidates, read_candidates
from selfj.ranking.scoring import LENGTH, load_scorers, score_candidates

DRAWS = 1000
JUDGES = ("general",)
"""Who scores where nobody is named."""


@dataclass(frozen=True, slots=True)
class RankedModel:
    """One model under one scorer."""

    name: str
    n: int
    """Outputs with a score."""
    unscored: int
    """Outputs without one."""
    missing: int
    """Instructions without a usable output."""
    mean: Interval
    """Mean score."""
    controlled: Interval
    """Mean score with length held equal; NaN for the scorer `length`."""
    above_next: float
    """Share of resamples of the instructions in which it is above the next model, ties half; NaN for the last."""
    characters: float
    """Mean length of its outputs."""
    value: float
    """On the leaderboard; NaN where it is not on it."""


@dataclass(frozen=True, slots=True)
class ScorerRanking:
    """All models under one scorer, the best first; those without a score come last."""

    scorer: str
    title: str
    models: tuple[RankedModel, ...]
    slope: Interval
    """Growth of the score with the bounded length difference; NaN for the scorer `length`."""
    reasons: Mapping[str, int]
    """Why outputs have no score."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One order of the models against the leaderboard."""

    scorer: str
    title: str
    controlled: bool
    """Whether length was held equal."""
    models: int
    spearman: Interval
    kendall: Interval
    pearson: Interval
    over_length: Interval
    """By how much its Spearman is above that of plain length, on the same resamples."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What `selfj rank` found."""

    scorers: tuple[ScorerRanking, ...]
    """In the order they were asked for, `length` among them."""
    agreement: tuple[Agreement, ...]
    """Empty without a leaderboard."""
    instructions: int
    outputs: int
    faults: Mapping[tuple[str, str], int]
    """Rows left out, by model and reason."""
    where: Mapping[str, str]
    """The first row of each reason."""
    board: Leaderboard | None
    match: Match | None
    draws: int
    seed: int


def rank(
    paths: Sequence[str | Path],
    judges: Sequence[str] = JUDGES,
    *,
    leaderboard: str | Path | None = None,
    value: str | None = None,
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Ranking:
    """Score the outputs of many models, and rank the models by their mean scores.

    Args:
        paths: Files of outputs, or AlpacaEval's folder of results; see `selfj.ranking.read`.
        judges: Names of scorers; `length` is added.
        leaderboard: A file to compare with.
        value: Its column; by default `win_rate`, or the only column of numbers.
        out: Folder whose `scores.sqlite` keeps scores; None keeps none.
        columns: From a word such as `response` to a column.
        overrides: Settings such as `embedder.kind=fake`.
        draws: Resamples of the instructions, for the intervals.
        seed: Of the resamples.
        progress: Told how the work goes.

    Raises:
        ConfigError: A name, column or setting is wrong.
        InputError: A file cannot be used.
        BackendError: A model failed.
    """
    progress = progress or Quiet()
    board = None if leaderboard is None else read_leaderboard(leaderboard, value)
    if board is None and value is not None:
        raise ConfigError("--value names a column of a leaderboard: give its file with --leaderboard.")
    scorers = load_scorers(judges, overrides)
    progress.start("read", None)
    found = read_candidates(paths, columns, once=True)
    models = found.models
    progress.finish(
        f"{len(found.rows):,} outputs of {len(models):,} models for {len(found.instructions):,} instructions"
    )
    matched = None if board is None else match(models, found.aliases, board)
    scored = score_candidates(scorers, found.rows, None if out is None else Path(out), progress)
    return _ranking(found, models, scorers, scored, board, matched, draws, seed)


def _ranking(
    found: Candidates,
    models: list[str],
    scorers: Sequence[NamedScorer],
    scored: Sequence[ScoreColumn],
    board: Leaderboard | None,
    matched: Match | None,
    draws: int,
    seed: int,
) -> Ranking:
    numbers = {name: number for number, name in enumerate(models)}
    places = (
        np.array([numbers[row.model] for row in found.rows]),
        np.array([row.place for row in found.rows]),
        (len(models), len(found.instructions)),
    )
    characters = _matrix(np.array([len(row.input.response) for row in found.rows], dtype=np.float64), places)
    bounded = bounded_lengths(characters)
    values = np.array([matched.values.get(name, math.nan) if matched else math.nan for name in models])
    rankings, agreements = [], []
    floor = correlations_of(_resampled(characters, bounded, draws, seed).plain, values)["spearman"]
    for scorer, column in zip(scorers, scored, strict=True):
        matrix = _matrix(column.values, places)
        resampled = _resampled(matrix, bounded, draws, seed)
        if scorer.name == LENGTH:
            # Held equal, nothing but the misfit of the bounded curve would be left of it.
            blank = np.full_like(resampled.plain, math.nan)
            resampled = Means(resampled.plain, blank, np.full(len(blank), math.nan))
        rankings.append(_scorer_ranking(scorer, column, models, matrix, characters, values, resampled))
        if board is not None:
            orders = [(False, resampled.plain)]
            orders += [] if scorer.name == LENGTH else [(True, resampled.controlled)]
            agreements += [_agreement(scorer, kind, order, values, floor) for kind, order in orders]
    return Ranking(
        tuple(rankings),
        tuple(agreements),
        len(found.instructions),
        len(found.rows),
        dict(found.faults),
        found.where,
        board,
        matched,
        draws,
        seed,
    )


def _matrix(values: Array, places: tuple[np.ndarray, np.ndarray, tuple[int, int]]) -> Array:
    model, instruction, shape = places
    made = np.full(shape, math.nan)
    made[model, instruction] = values
    return made


def _resampled(matrix: Array, bounded: Array, draws: int, seed: int) -> Means:
    """The means over all instructions, then those of every resample below them."""
    n = matrix.shape[1]
    parts = [means(matrix, bounded, some) for some in (np.ones((1, n)), *weights(n, draws, seed))]
    return Means(
        np.concatenate([part.plain for part in parts]),
        np.concatenate([part.controlled for part in parts]),
        np.concatenate([part.slope for part in parts]),
    )


def _interval(column: Array) -> Interval:
    return percentile(float(column[0]), column[1:])


def _scorer_ranking(
    scorer: NamedScorer,
    column: ScoreColumn,
    models: Sequence[str],
    matrix: Array,
    characters: Array,
    values: Array,
    resampled: Means,
) -> ScorerRanking:
    outputs = ~np.isnan(characters)
    has = ~np.isnan(matrix)
    first = np.nan_to_num(resampled.plain[0], nan=-np.inf)
    order = [int(number) for number in np.argsort(-first, kind="stable")]
    rows = []
    for place, number in enumerate(order):
        below = order[place + 1] if place + 1 < len(order) else None
        plain = resampled.plain[1:]
        rows.append(
            RankedModel(
                models[number],
                n=int(has[number].sum()),
                unscored=int((outputs[number] & ~has[number]).sum()),
                missing=int((~outputs[number]).sum()),
                mean=_interval(resampled.plain[:, number]),
                controlled=_interval(resampled.controlled[:, number]),
                above_next=math.nan if below is None else in_order(plain[:, number], plain[:, below]),
                characters=float(characters[number][outputs[number]].mean()),
                value=float(values[number]),
            )
        )
    return ScorerRanking(
        scorer.name, scorer.title, tuple(rows), _interval(resampled.slope), dict(sorted(column.reasons.items()))
    )


def correlations_of(order: Array, values: Array) -> dict[str, Array]:
    """Correlations of means with a leaderboard over the models that are on it.

    Args:
        order: Shape (d, models), from `means`.
        values: Shape (models,), NaN where a model is not on the leaderboard.
    """
    on = ~np.isnan(values)
    return correlations(order[:, on], values[on])


def _agreement(scorer: NamedScorer, kind: bool, order: Array, values: Array, floor: Array) -> Agreement:
    found = correlations_of(order, values)
    intervals = {name: _interval(found[name]) for name in STATISTICS}
    used = ~np.isnan(values) & ~np.isnan(order[0])
    return Agreement(
        scorer.name,
        scorer.title,
        kind,
        int(used.sum()),
        over_length=_interval(found["spearman"] - floor),
        **intervals,
    )
