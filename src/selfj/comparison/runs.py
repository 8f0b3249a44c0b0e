"""Finished runs as sources: their test exchanges, their gold, and the scores of their methods."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from selfj import config as configs
from selfj.comparison.columns import check_scale, numbers, score_columns
from selfj.comparison.records import Asked, Method, Source
from selfj.comparison.roster import KEYS, LAST, ROSTER, filled_by
from selfj.errors import ArtefactError
from selfj.evaluation import titles
from selfj.gold import gold_values
from selfj.label import TOP, combine
from selfj.metrics import Array
from selfj.peers import method_of
from selfj.settings import Config
from selfj.stages.evaluate import open_scored, target_name
from selfj.stages.evaluate import score_columns as scores_of_run


def read_run(name: str, asked: Asked) -> Source:
    """Read a finished run.

    Raises:
        ConfigError: There is no such run, or its gold is no number.
        ArtefactError: It is not finished.
        StaleArtefact: Its parts do not belong together.
    """
    config = configs.load(name, asked.overrides)
    path = Path(name) if Path(name).is_dir() else config.path
    run = open_scored(path, force=asked.force)
    test = run.exchanges.of("test")
    if not test:
        raise ArtefactError(f"The run {name} has no test exchanges; lower collect.train or collect.calibration.")
    columns = scores_of_run(test, run.artefacts["labels"], run.artefacts["scores"])
    scale: tuple[float, float] | None = (0.0, TOP)
    gold_name = asked.gold or config.evaluate.gold or "z"
    if gold_name == "z":
        gold = columns["z"]
    else:
        gold = numbers(gold_values(test, gold_name), gold_name, name)
        own = config.evaluate.gold_range if gold_name == config.evaluate.gold else None
        scale = asked.gold_scale or own
        check_scale(gold, scale, gold_name, name)
    absent = dict(_absent(config, columns))
    if gold_name == "z":
        del columns["z"]
        absent["z"] = "is the gold"
    notes = _fill(columns, absent, config, name)
    given, more = score_columns(test, asked.scores, name)
    known = {key: (title, group == "with reference") for key, (title, group) in titles(config).items()}
    further = [Method(key, *known[key]) for key in columns if key in known and key not in (*KEYS, *LAST)]
    return Source(
        name=name,
        model=target_name(test),
        exchanges=test,
        gold=gold,
        gold_name=gold_name,
        scale=scale,
        scores={**columns, **given},
        absent=absent,
        further=(*further, *more),
        seed=config.seed,
        notes=tuple(notes),
    )


def _fill(columns: dict[str, Array], absent: dict[str, str], config: Config, name: str) -> list[str]:
    """Move the scores of further judges into the rows that they fill, and say which judge fills which."""
    notes = []
    for key, peer in filled_by(config).items():
        method = method_of(peer)
        if method not in columns:
            absent[key] = f"judge {peer.name} left no scores"
            continue
        columns[key] = columns.pop(method)
        title = next(row.title for row in ROSTER if row.key == key)
        model = getattr(peer.backend, "model", None) or f"a backend of kind {peer.backend.kind}"
        sees = " with reference" if key == "gpt35_reference" else ""
        notes.append(f"{name}: the row {title}{sees} is the judge {peer.name}, {model}.")
    if "gpt35_reference" in columns and "cosine" in columns:
        pairs = zip(columns["gpt35_reference"], columns["cosine"], strict=True)
        columns["gpt35_cosine"] = np.array([_combined(a, b, config.label.weight) for a, b in pairs])
    for key, column in list(columns.items()):
        if np.isnan(column).all():
            del columns[key]
            absent[key] = "no row has a usable score"
    return notes


def _combined(verdict: float, cosine: float, weight: float) -> float:
    if np.isnan(verdict) or np.isnan(cosine):
        return np.nan
    return float(combine(float(verdict), float(cosine), weight) or 0.0)


def _absent(config: Config, columns: Mapping[str, Array]) -> Mapping[str, str]:
    """Why each row of the paper's tables could have no scores; rows that have them are not looked at."""
    found = {row.key: row.needs for row in ROSTER}
    off = {"ppl", "vro", "self_eval"} - set(config.score.methods)
    found |= {key: f'needs "{key}" in score.methods' for key in off}
    if config.label.cosine:
        found["cosine"] = "needs references"
    if "cosine" in columns:
        found["gpt35_cosine"] = "needs GPT-3.5-turbo with reference"
    return found
