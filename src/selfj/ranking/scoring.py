"""Candidates scored by several scorers, with what is kept between runs."""

from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from selfj.judging.score_cache import ScoreCache
from selfj.judging.scorers import NamedScorer, ScoreColumn, load_scorer, score_all
from selfj.progress import Progress
from selfj.ranking.read import Candidate

LENGTH = "length"
"""The measure that stands beside every judge."""
CACHE = "scores.sqlite"


def load_scorers(names: Sequence[str], overrides: Sequence[str]) -> list[NamedScorer]:
    """Find scorers, each once, with `length` after them.

    Raises:
        ConfigError: One does not exist.
        ArtefactError: One is malformed.
    """
    return [load_scorer(name, overrides) for name in dict.fromkeys([*names, LENGTH])]


def score_candidates(
    scorers: Sequence[NamedScorer], rows: Sequence[Candidate], out: Path | None, progress: Progress
) -> list[ScoreColumn]:
    """Score every row by every scorer; what `scores.sqlite` in the folder holds is not computed again.

    Args:
        scorers: From `load_scorers`.
        rows: n candidates.
        out: Folder of the scores that are kept; None keeps none.
        progress: Told of every chunk.
    """
    inputs = [row.input for row in rows]
    with nullcontext(None) if out is None else closing(ScoreCache(out / CACHE)) as cache:
        # Lengths and random numbers are made faster than they are looked up.
        kept = [None if scorer.name in (LENGTH, "random") else cache for scorer in scorers]
        return [score_all(scorer, inputs, where, progress) for scorer, where in zip(scorers, kept, strict=True)]
