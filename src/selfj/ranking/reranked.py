"""The best of several candidates for each instruction by a score, and what that gains where the quality is known."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfj.bootstrap import Interval
from selfj.collect.columns import printable
from selfj.errors import ConfigError
from selfj.judging.scorers import NamedScorer, ScoreColumn
from selfj.metrics import Array
from selfj.progress import Progress, Quiet
from selfj.ranking.best import pick_weights, sizes_up_to, wins
from selfj.ranking.draws import percentile, weights
from selfj.ranking.ranked import DRAWS, JUDGES
from selfj.ranking.read import Candidates, read_candidates
from selfj.ranking.scoring import LENGTH, load_scorers, score_candidates

RANDOM, ORACLE = "random sample", "oracle"


@dataclass(frozen=True, slots=True)
class Pick:
    """The best candidate for one instruction by the first scorer."""

    instruction: str
    row: Mapping[str, object]
    """The row as it was read."""
    score: float
    candidates: int
    scored: int
    """Candidates with a score."""
    tied: int
    """Candidates that share the highest score, the pick among them; the first in the files is picked."""


@dataclass(frozen=True, slots=True)
class Unscored:
    """An instruction for which there is no pick, because none of its candidates has a score."""

    instruction: str
    candidates: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Point:
    """What the pick out of `size` random candidates is worth, as a mean over instructions."""

    size: int
    gold: Interval
    gain: Interval
    """Its gold less that of a random candidate."""
    win_rate: Interval
    """Chance that its gold is above that of a random candidate of the same instruction, ties half."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How a way to pick gains with the number of candidates."""

    scorer: str
    title: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Reranking:
    """What `selfj rerank` found."""

    judge: str
    """The scorer that picks."""
    title: str
    picks: tuple[Pick, ...]
    unscored: tuple[Unscored, ...]
    reasons: Mapping[str, int]
    """Why candidates have no score."""
    curves: tuple[Curve, ...]
    """Scorers, the random sample and the oracle; empty without gold."""
    used: int
    """Instructions that the curves are over: those with at least as many candidates as the greatest size."""
    instructions: int
    candidates: int
    without_gold: int
    """Candidates left out of the curves, because they have no gold."""
    faults: Mapping[tuple[str, str], int]
    where: Mapping[str, str]
    gold: str | None
    draws: int
    seed: int


def rerank(
    paths: Sequence[str | Path],
    judges: Sequence[str] = JUDGES,
    *,
    gold: str | None = None,
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reranking:
    """Pick the best candidate for each instruction, and with a gold column say what that gains.

    Args:
        paths: Files of candidates; see `selfj.ranking.read`.
        judges: Names of scorers; the first one picks, the others and `length` are compared with it.
        gold: Column with the quality of a row, a number or true and false, higher is better.
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
    scorers = load_scorers(judges, overrides)
    progress.start("read", None)
    found = read_candidates(paths, columns, once=False, whole=True)
    progress.finish(f"{len(found.rows):,} candidates for {len(found.instructions):,} instructions")
    quality = None if gold is None else _gold(found, gold)
    scored = score_candidates(scorers, found.rows, None if out is None else Path(out), progress)
    groups: list[list[int]] = [[] for _ in found.instructions]
    for number, row in enumerate(found.rows):
        groups[row.place].append(number)
    picks, unscored = _picks(found, groups, scored[0], scorers[0])
    curves, used = ((), 0) if quality is None else _curves(scorers, scored, quality, groups, draws, seed)
    return Reranking(
        scorers[0].name,
        scorers[0].title,
        picks,
        unscored,
        dict(sorted(scored[0].reasons.items())),
        curves,
        used,
        len(found.instructions),
        len(found.rows),
        0 if quality is None else int(np.isnan(quality).sum()),
        dict(found.faults),
        found.where,
        gold,
        draws,
        seed,
    )


def _gold(found: Candidates, column: str) -> Array:
    if column not in found.columns:
        listed = ", ".join(map(printable, sorted(found.columns)))
        raise ConfigError(f"There is no gold column {column!r}. Columns found: {listed}.")
    quality = np.array([_quality(row.fields.get(column)) for row in found.rows])
    if np.isnan(quality).all():
        raise ConfigError(f"No candidate has a number in the gold column {column!r}: expected a quality or preference.")
    return quality


def _quality(value: object) -> float:
    words = {"true": 1.0, "false": 0.0}
    if isinstance(value, str) and value.strip().casefold() in words:
        return words[value.strip().casefold()]
    if not isinstance(value, bool | int | float | str):
        return math.nan
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _picks(
    found: Candidates, groups: Sequence[Sequence[int]], column: ScoreColumn, scorer: NamedScorer
) -> tuple[tuple[Pick, ...], tuple[Unscored, ...]]:
    picks, unscored = [], []
    for text, members in zip(found.instructions, groups, strict=True):
        scores = column.values[members]
        if np.isnan(scores).all():
            inputs = [found.rows[number].input for number in members]
            reasons = Counter(
                "no_reference" if scorer.reference and item.reference is None else "no_score" for item in inputs
            )
            unscored.append(Unscored(text, len(members), dict(reasons)))
            continue
        best = int(np.nanargmax(scores))
        top = float(scores[best])
        known, tied = int((~np.isnan(scores)).sum()), int((scores == top).sum())
        picks.append(Pick(text, found.rows[members[best]].fields, top, len(members), known, tied))
    return tuple(picks), tuple(unscored)


def _curves(
    scorers: Sequence[NamedScorer],
    scored: Sequence[ScoreColumn],
    quality: Array,
    groups: Sequence[Sequence[int]],
    draws: int,
    seed: int,
) -> tuple[tuple[Curve, ...], int]:
    known = [[number for number in members if not math.isnan(quality[number])] for members in groups]
    counts = sorted(len(members) for members in known if members)
    # At least half of the instructions have as many.
    most = counts[len(counts) // 2]
    used = [members for members in known if len(members) >= most]
    sizes = sizes_up_to(most)
    ways = [
        (scorer.name, "Longest" if scorer.name == LENGTH else scorer.title, column.values)
        for scorer, column in zip(scorers, scored, strict=True)
    ]
    ways += [(RANDOM, "Random sample", np.zeros_like(quality)), (ORACLE, "Oracle", quality)]
    worth = np.stack([_worth(scores, quality, used, sizes) for _, _, scores in ways])
    means = [worth.mean(axis=1)[None]]
    flat = worth.transpose(1, 0, 2, 3).reshape(len(used), -1)
    for some in weights(len(used), draws, seed):
        means.append((some @ flat / len(used)).reshape(len(some), len(ways), len(sizes), 2))
    found = np.concatenate(means)
    gains = found[..., 0] - found[:, -2:-1, :, 0]
    curves = []
    for number, (name, title, _) in enumerate(ways):
        points = [
            Point(
                size,
                _interval(found[:, number, place, 0]),
                _interval(gains[:, number, place]),
                _interval(found[:, number, place, 1]),
            )
            for place, size in enumerate(sizes)
        ]
        curves.append(Curve(name, title, tuple(points)))
    return tuple(curves), len(used)


def _worth(scores: Array, quality: Array, used: Sequence[Sequence[int]], sizes: Sequence[int]) -> Array:
    """Expected gold and win rate of the pick, shape (instructions, sizes, 2)."""
    made = np.empty((len(used), len(sizes), 2))
    for count in sorted({len(members) for members in used}):
        places = np.array([place for place, members in enumerate(used) if len(members) == count])
        rows = np.array([used[place] for place in places])
        gold = quality[rows]
        won = wins(gold)
        for number, size in enumerate(sizes):
            chance = pick_weights(scores[rows], size)
            made[places, number, 0] = np.sum(chance * gold, axis=1)
            made[places, number, 1] = np.sum(chance * won, axis=1)
    return np.round(made, 12)


def _interval(column: Array) -> Interval:
    return percentile(float(column[0]), column[1:])
