"""From what was asked to sources with all their scores."""

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from selfj import config as configs
from selfj.comparison.exchange_files import read_files
from selfj.comparison.records import Asked, Method, Source
from selfj.comparison.roster import KEYS, LAST
from selfj.comparison.runs import read_run
from selfj.errors import ConfigError
from selfj.judging.score_cache import ScoreCache
from selfj.judging.scorers import NamedScorer, load_scorer, score_all
from selfj.progress import Progress, Quiet
from selfj.records import hash_fraction

CACHE = "scores.sqlite"
_LONGEST_CONFIG = 1 << 20
"""In bytes."""
_ROWS = {"cosine+reference": "cosine", "cosine": "cosine_instruction"}
"""Keys of scorers that are named otherwise; `cosine` is the paper's, with the reference."""


def is_run(name: str) -> bool:
    """Whether a source is a run: a folder, a config or the name of one; anything else is a file of exchanges.

    Raises:
        ConfigError: There is nothing of this name.
    """
    path = Path(name)
    if path.is_dir() or name.endswith(".toml") or (not path.exists() and name in configs.builtin_configs()):
        return True
    if not path.exists():
        raise ConfigError(f"There is no {name}: expected the folder of a finished run, or a file of exchanges.")
    return not path.suffix and _is_config(path)


def _is_config(path: Path) -> bool:
    """Whether a file without an extension is a config, which may have any name."""
    if not path.is_file() or path.stat().st_size > _LONGEST_CONFIG:
        return False
    try:
        with path.open("rb") as handle:
            return bool(tomllib.load(handle))
    except (OSError, ValueError):
        return False


def gather(asked: Asked, progress: Progress | None = None) -> list[Source]:
    """Read all sources, compute what `judges` asks for, and give each target model a column of its own.

    Raises:
        ConfigError: A source, a column or a scorer is absent, or no method has scores in every column.
        ArtefactError: A run is not finished, or a file cannot be used.
    """
    if not asked.sources:
        raise ConfigError("A table needs at least one source: the folder of a finished run, or a file of exchanges.")
    repeated = sorted({name for name in asked.sources if asked.sources.count(name) > 1})
    if repeated:
        raise ConfigError(f"The source {repeated[0]} stands there twice; name it once.")
    scorers = [_scorer(name, asked.overrides) for name in asked.judges]
    runs = [name for name in asked.sources if is_run(name)]
    files = [name for name in asked.sources if name not in runs]
    sources = [read_run(name, asked) for name in runs] + (read_files(files, asked) if files else [])
    sources = [source.known() for source in sources]
    _check_scores(sources, asked)
    sources = [_with_floor(source) for source in _named_apart(sources)]
    if scorers:
        with closing(ScoreCache(asked.out / CACHE)) as cache:
            for key, scorer in scorers:
                sources = [_judged(source, key, scorer, cache, progress or Quiet()) for source in sources]
    _check_common(sources)
    return sources


def _scorer(name: str, overrides: Sequence[str]) -> tuple[str, NamedScorer]:
    """Load a scorer, `NAME` or `ROW=NAME`, and give the key of its row."""
    row, separator, rest = name.partition("=")
    if separator and row in KEYS:
        return row, load_scorer(rest, overrides)
    if separator:
        raise ConfigError(f"--judge {name}: {row!r} is no row of the table; the rows are {', '.join(KEYS)}.")
    return _ROWS.get(name, name), load_scorer(name, overrides)


def _check_scores(sources: Sequence[Source], asked: Asked) -> None:
    for name, column in asked.scores.items():
        if not any(name in source.scores for source in sources):
            raise ConfigError(
                f"--score {name}={column}: no source has a column {column!r} with a number. The rows of the paper's "
                f"tables are {', '.join(KEYS)}; any other name gets a row of its own."
            )


def _named_apart(sources: Sequence[Source]) -> list[Source]:
    """Let sources share a column only where they are runs of one target model that differ in their seed."""
    by_model: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        by_model[source.model].append(source)
    made = []
    for source in sources:
        same = by_model[source.model]
        seeds = {other.seed for other in same}
        apart = len(same) > 1 and (None in seeds or len(seeds) < len(same))
        made.append(replace(source, model=f"{source.model} ({source.name})") if apart else source)
    return made


def _with_floor(source: Source) -> Source:
    """Add the length of the response and random scores, where they are not there."""
    floor = {
        "length": np.array([float(len(exchange.response.text)) for exchange in source.exchanges]),
        "random": np.array([hash_fraction("random", source.seed or 0, exchange.id) for exchange in source.exchanges]),
    }
    missing = [Method(key, title, reference=False) for key, title in LAST.items()]
    return replace(source, scores={**floor, **source.scores}, further=(*source.further, *missing))


def _judged(source: Source, key: str, scorer: NamedScorer, cache: ScoreCache, progress: Progress) -> Source:
    if key in source.scores:
        return source
    inputs = [exchange.judge_input(with_reference=True) for exchange in source.exchanges]
    column = score_all(scorer, inputs, cache, progress)
    if np.isnan(column.values).all():
        reason = next(iter(column.reasons), "no_score").replace("_", " ")
        return replace(source, absent={**source.absent, key: reason}, further=_more(source, key, scorer))
    return replace(source, scores={**source.scores, key: column.values}, further=_more(source, key, scorer))


def _more(source: Source, key: str, scorer: NamedScorer) -> tuple[Method, ...]:
    if key in KEYS:
        return source.further
    return (*source.further, Method(key, scorer.title, scorer.reference))


def _check_common(sources: Sequence[Source]) -> None:
    """Refuse columns that share nothing but the floor."""
    models = list(dict.fromkeys(source.model for source in sources))
    found = [{key for s in sources if s.model == model for key in s.scores} - set(LAST) for model in models]
    if not set.union(*found):
        raise ConfigError(
            "No source has scores of any method. Name columns with --score NAME=COLUMN, or compute scores with --judge "
            "general."
        )
    if not set.intersection(*found):
        listed = "; ".join(f"{m}: {', '.join(sorted(keys)) or 'none'}" for m, keys in zip(models, found, strict=True))
        raise ConfigError(f"No method has scores for every target model, so there is nothing to compare ({listed}).")
