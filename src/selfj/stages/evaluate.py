"""The evaluate stage: every method against gold, and the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfj import config as configs
from selfj import evaluation, report
from selfj.errors import ArtefactError, StaleArtefact
from selfj.evaluation import Rows
from selfj.exchanges import Exchange, Exchanges, load_exchanges
from selfj.files import explained, read_json, write_json, write_text
from selfj.following import following
from selfj.gold import gold_of
from selfj.judge import read_judge
from selfj.progress import Progress, Quiet
from selfj.records import INSTRUCTIONS, LABELS, RESPONSES, SCORES
from selfj.report import figures, page, training
from selfj.report.trust import trust_page
from selfj.risk import FEEDBACK, Threshold, load_threshold
from selfj.settings import Config
from selfj.store import Artefact, open_artefact, versions


@dataclass(frozen=True, slots=True)
class Scored:
    """A run whose exchanges are scored."""

    exchanges: Exchanges
    artefacts: Mapping[str, Artefact]
    """By name of their kind: instructions, responses, labels, scores."""
    judge: dict[str, Any]
    """The manifest of its judge."""


def open_scored(run: Path, *, force: bool = False) -> Scored:
    """Open the artefacts of a run, and check that they belong together.

    Raises:
        ArtefactError: One of them is absent or damaged.
        StaleArtefact: Labels or scores belong to other responses or another judge, and `force` is not set.
    """
    exchanges = load_exchanges(run, force=force)
    artefacts = {kind.name: open_artefact(run, kind) for kind in (INSTRUCTIONS, RESPONSES, LABELS, SCORES)}
    for name in ("labels", "scores"):
        artefacts[name].check_input("responses", exchanges.inputs["responses"], force=force)
    judge = read_judge(run / "judge")
    artefacts["scores"].check_input("judge", judge["digest"], force=force)
    return Scored(exchanges, artefacts, judge)


def evaluate(config: Config, *, force: bool = False, progress: Progress | None = None) -> report.Report:
    """Compare all methods on the test split and write `report/`.

    Raises:
        ArtefactError: There is no test exchange with a score and gold.
        StaleArtefact: Scores or threshold belong to another judge or other responses, or the threshold to another
            promise.
    """
    progress = progress or Quiet()
    run = open_scored(config.path, force=force)
    exchanges, artefacts, judge = run.exchanges, run.artefacts, run.judge
    labels, scores = artefacts["labels"], artefacts["scores"]
    threshold, infeasible = load_threshold(config.path / "threshold.json", data=scores.digest, force=force)
    if threshold is not None and not force:
        _check_promise(config, threshold, judge["digest"])
    progress.start("evaluate", 4)
    rows = _rows(config, exchanges, labels, scores)
    made: report.Report = {
        "schema": "report/1",
        "name": config.name,
        "created_with": versions(),
        "seed": config.seed,
        "gold": {"name": config.evaluate.gold or "z", "description": ""},
        "label": config.calibrate.label,
        "target_model": target_name(rows.exchanges),
        "judge": f"{judge['kind']} on {judge['base']}",
        "min_quality": config.calibrate.min_quality,
        "counts": _counts(exchanges, artefacts),
        "methods": evaluation.methods(rows, config),
        "differences": evaluation.differences(rows, config),
        "selective": evaluation.selection(rows, threshold, infeasible, config),
        "curves": evaluation.curves(rows, config),
        "selective_following": _following(rows, config),
        "threshold_point": None,
        "calibration": evaluation.reliability(rows),
        "histogram": evaluation.histogram(rows, config),
        "groups": evaluation.by_group(rows, threshold, config),
        "examples": evaluation.examples(rows, threshold, config),
        "timings": _timings(artefacts, judge),
        "training": training.training(judge),
        "interval_confidence": config.evaluate.confidence,
        "command": f"selfj run {config.path / 'run.toml'}",
        "settings": configs.dump(config),
    }
    made["threshold_point"] = evaluation.threshold_point(made["selective"])
    progress.advance(3)
    _write(config.path / "report", made)
    progress.advance(1)
    progress.finish(f"{len(rows.exchanges):,} test exchanges, {config.path / 'report' / 'report.html'}")
    return made


def _following(rows: Rows, config: Config) -> list[report.Following]:
    known = evaluation.titles(config).items()
    keys = [key for key, (_, group) in known if group == "without reference" and key in rows.scores]
    categories = [exchange.instruction.category for exchange in rows.exchanges]
    return following({key: rows.scores[key] for key in keys}, rows.gold < config.calibrate.min_quality, categories)


def _check_promise(config: Config, threshold: Threshold, judge: str) -> None:
    """Refuse to report a promise that the threshold was not chosen for."""
    if threshold.label == FEEDBACK:
        # Its promise is its own: about verdicts, and perhaps at another risk. Only what fails must be the same.
        wanted, found = config.calibrate.min_quality, threshold.min_quality
        if threshold.judge != judge or wanted != found:
            what = f"min_quality {found} instead of {wanted}" if wanted != found else "another judge"
            raise StaleArtefact(
                f"The threshold was chosen on the gateway's feedback for {what}. Run selfj recalibrate --apply again, "
                "or selfj calibrate."
            )
        return
    for name in ("max_risk", "confidence", "min_quality", "label"):
        wanted, found = getattr(config.calibrate, name), getattr(threshold, name)
        if wanted != found:
            raise StaleArtefact(
                f"The threshold was chosen for calibrate.{name} = {found}, but the settings now say {wanted}. "
                "Run selfj calibrate again."
            )


def _rows(config: Config, exchanges: Exchanges, labels: Artefact, scores: Artefact) -> Rows:
    test = exchanges.of("test")
    columns = score_columns(test, labels, scores)
    z = columns.pop("z")
    gold = z if config.evaluate.gold is None else np.array(gold_of(test, config.evaluate.gold, config.evaluate))
    on = config.calibrate.label
    label = z if on == "z" else np.array(gold_of(test, on, config.evaluate))
    known = ~(np.isnan(gold) | np.isnan(label))
    if not known.any():
        raise ArtefactError(
            f"Evaluation needs test exchanges with gold and a label, found none among {len(test)}. Collect more "
            "instructions with references, or lower collect.train and collect.calibration."
        )
    if config.evaluate.gold is not None:
        columns["z"] = z
    columns = evaluation.with_bounds(columns, test, gold, config.seed)
    kept = [exchange for exchange, keep in zip(test, known, strict=True) if keep]
    return Rows(kept, {key: column[known] for key, column in columns.items()}, gold[known], label[known], z[known])


def score_columns(rows: Sequence[Exchange], labels: Artefact, scores: Artefact) -> dict[str, evaluation.Array]:
    """What each method says of some exchanges: shape (n,), NaN where there is no score.

    `z` is always among them; the parts of the label, `self_eval_reference` and `cosine`, where any row has them.
    """
    found: dict[str, dict[str, float | None]] = {}
    for row in scores.records():
        found.setdefault(row.method, {})[row.id] = row.score
    columns = {method: _column(rows, values) for method, values in found.items()}
    by_id = {row.id: row for row in labels.records()}
    parts = {"self_eval_reference": "self_eval", "cosine": "cosine"}
    for method, name in parts.items():
        values = _column(rows, {row.id: getattr(row, name) for row in by_id.values()})
        if not np.isnan(values).all():
            columns[method] = values
    return {**columns, "z": _column(rows, {row.id: row.z for row in by_id.values()})}


def _column(rows: Sequence[Exchange], values: Mapping[str, float | None]) -> evaluation.Array:
    found = [values.get(row.id) for row in rows]
    return np.array([math.nan if value is None else value for value in found], dtype=np.float64)


def target_name(rows: Sequence[Exchange]) -> str:
    """Name of the model that answered."""
    names = sorted({row.response.model for row in rows if row.response.model})
    return ", ".join(names) or "not stated"


def _counts(exchanges: Exchanges, artefacts: Mapping[str, Artefact]) -> report.Counts:
    failed: dict[str, int] = {}
    for artefact in artefacts.values():
        for reason, n in artefact.manifest.failed.items():
            failed[reason] = failed.get(reason, 0) + n
    return report.Counts(
        instructions=artefacts["instructions"].manifest.rows,
        responses=len(exchanges.answers),
        train=len(exchanges.of("train")),
        calibration=len(exchanges.of("calibration")),
        test=len(exchanges.of("test")),
        failed=failed,
    )


def _timings(artefacts: Mapping[str, Artefact], judge: dict[str, Any]) -> list[report.Timing]:
    verbs = {"instructions": "collect", "responses": "sample", "labels": "label", "scores": "score"}
    made = [
        report.Timing(stage=verbs[name], seconds=artefact.manifest.seconds, rows=artefact.manifest.rows)
        for name, artefact in artefacts.items()
    ]
    made.insert(3, report.Timing(stage="tune", seconds=judge["seconds"], rows=judge["rows"]))
    return made


def _audit(run: Path) -> dict[str, Any] | None:
    """What `selfj audit --out RUN/audit` left, if anything."""
    path = run / "audit" / "audit.json"
    return read_json(path, "Run selfj audit again.") if path.is_file() else None


def _write(folder: Path, made: report.Report) -> None:
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", made)
    write_text(folder / "report.html", page.render(made))
    write_text(folder / "trust.html", trust_page(made, _audit(folder.parent)))
    with explained(folder):
        figures.to_png(figures.risk_coverage(made), folder / "risk_coverage.png")
        figures.to_png(figures.methods(made), folder / "methods.png")
        if made["training"] is not None:
            figures.to_png(training.draw(made), folder / "training.png")
