"""The calibrate stage: the lowest threshold whose risk is bounded, or the plain word that there is none."""

import math
from dataclasses import dataclass

import numpy as np

from selfj.errors import ArtefactError, Infeasible
from selfj.exchanges import Exchange, load_exchanges
from selfj.files import write_json, write_text
from selfj.gold import gold_of
from selfj.judge import read_judge
from selfj.metrics import Array
from selfj.progress import Progress, Quiet
from selfj.records import LABELS, SCORES, hash_fraction
from selfj.risk import Threshold, choose_threshold
from selfj.settings import Config
from selfj.store import open_artefact


@dataclass(frozen=True, slots=True)
class CalibrationRows:
    """What a threshold is chosen on: one exchange of each instruction."""

    scores: Array
    """Judge scores in [0, 9], shape (n,); NaN where there is none."""
    labels: Array
    """Quality in [0, 9], shape (n,)."""
    judge: str
    """Digest of the judge."""
    data: str
    """Digest of the scores."""


def calibrate(config: Config, *, force: bool = False, progress: Progress | None = None) -> Threshold:
    """Choose the threshold on the calibration split and write `threshold.json`.

    Raises:
        Infeasible: No threshold meets the target; `threshold.json` then says so, and every answer is declined.
        ArtefactError: There is no scored and labelled exchange to calibrate on.
    """
    progress = progress or Quiet()
    rows = calibration_rows(config, force=force)
    settings = config.calibrate
    path = config.path / "threshold.json"
    try:
        threshold = choose_threshold(
            rows.scores,
            rows.labels,
            max_risk=settings.max_risk,
            confidence=settings.confidence,
            min_quality=settings.min_quality,
            label=settings.label,
            judge=rows.judge,
            data=rows.data,
        )
    except Infeasible as error:
        write_json(path, {"schema": "threshold/1", "infeasible": str(error), "judge": rows.judge, "data": rows.data})
        raise
    write_text(path, threshold.to_json())
    progress.note(
        f"threshold {threshold.value:.2f} of 9: answers {threshold.coverage:.0%} of {threshold.n:,} calibration "
        f"exchanges, {threshold.risk:.1%} of them failures"
    )
    return threshold


def calibration_rows(config: Config, *, force: bool = False) -> CalibrationRows:
    """Read scores and labels of the calibration split.

    Raises:
        ArtefactError: There is no scored and labelled exchange to calibrate on.
        StaleArtefact: Scores are of other responses or of another judge.
    """
    exchanges = load_exchanges(config.path, force=force)
    scores = open_artefact(config.path, SCORES)
    scores.check_input("responses", exchanges.inputs["responses"], force=force)
    judge = str(read_judge(config.path / "judge")["digest"])
    scores.check_input("judge", judge, force=force)
    rows = exchanges.of("calibration")
    labels = _labels(config, rows)
    by_id = {row.id: row.score for row in scores.records() if row.method == "self_j"}
    used = _one_each([row for row in rows if row.id in by_id and not math.isnan(labels[row.id])])
    if not used:
        raise ArtefactError(
            f"Calibration needs exchanges with a score and a label, found none among {len(rows)} of the calibration "
            "split. Collect more instructions with references, or raise collect.calibration."
        )
    values = [by_id[row.id] for row in used]
    return CalibrationRows(
        np.array([math.nan if value is None else value for value in values]),
        np.array([labels[row.id] for row in used]),
        judge,
        scores.digest,
    )


def _one_each(rows: list[Exchange]) -> list[Exchange]:
    """One exchange of each instruction, by hash: the bound takes rows to be independent, answers to one are not."""
    kept: dict[str, Exchange] = {}
    for row in sorted(rows, key=lambda row: hash_fraction("calibrate", row.id)):
        kept.setdefault(row.instruction.id, row)
    return list(kept.values())


def _labels(config: Config, rows: list[Exchange]) -> dict[str, float]:
    name = config.calibrate.label
    if name != "z":
        gold = gold_of(rows, name, config.evaluate)
        return {row.id: value for row, value in zip(rows, gold, strict=True)}
    found = {row.id: row.z for row in open_artefact(config.path, LABELS).records() if row.z is not None}
    return {row.id: found.get(row.id, math.nan) for row in rows}
