"""The evaluate stage: every method against gold, and the report."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from selfj import config as configs
from selfj import evaluation, report
from selfj.errors import ArtefactError, StaleArtefact
from selfj.evaluation import Rows
from selfj.exchanges import Exchange, Exchanges, load_exchanges
from selfj.files import explained, read_json, write_json, write_text
from selfj.gold import gold_of
from selfj.judge import read_judge
from selfj.progress import Progress, Quiet
from selfj.records import INSTRUCTIONS, LABELS, RESPONSES, SCORES
from selfj.report import figures, page, training
from selfj.report.trust import trust_page
from selfj.risk import Threshold, load_threshold
from selfj.settings import Config
from selfj.store import Artefact, open_artefact, versions


def evaluate(config: Config, *, force: bool = False, progress: Progress | None = None) -> report.Report:
    """Compare all methods on the test split and write `report/`.

    Raises:
        ArtefactError: There is no test exchange with a score and gold.
        StaleArtefact: Scores or threshold belong to another judge or other responses, or the threshold to another
            promise.
    """
    progress = progress or Quiet()
    exchanges = load_exchanges(config.path, force=force)
    artefacts = {kind.name: open_artefact(config.path, kind) for kind in (INSTRUCTIONS, RESPONSES, LABELS, SCORES)}
    labels, scores = artefacts["labels"], artefacts["scores"]
    labels.check_input("responses", exchanges.inputs["responses"], force=force)
    scores.check_input("responses", exchanges.inputs["responses"], force=force)
    judge = read_judge(config.path / "judge")
    scores.check_input("judge", judge["digest"], force=force)
    threshold, infeasible = load_threshold(config.path / "threshold.json", data=scores.digest, force=force)
    if threshold is not None and not force:
        _check_promise(config, threshold)
    progress.start("evaluate", 4)
    rows = _rows(config, exchanges, labels, scores)
    made: report.Report = {
        "schema": "report/1",
        "name": config.name,
        "created_with": versions(),
        "seed": config.seed,
        "gold": {"name": config.evaluate.gold or "z", "description": ""},
        "label": config.calibrate.label,
        "target_model": _target(rows.exchanges),
        "judge": f"{judge['kind']} on {judge['base']}",
        "min_quality": config.calibrate.min_quality,
        "counts": _counts(exchanges, artefacts),
        "methods": evaluation.methods(rows, config),
        "differences": evaluation.differences(rows, config),
        "selective": evaluation.selection(rows, threshold, infeasible, config),
        "curves": evaluation.curves(rows, config),
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


def _check_promise(config: Config, threshold: Threshold) -> None:
    """Refuse to report a promise that the threshold was not chosen for."""
    for name in ("max_risk", "confidence", "min_quality", "label"):
        wanted, found = getattr(config.calibrate, name), getattr(threshold, name)
        if wanted != found:
            raise StaleArtefact(
                f"The threshold was chosen for calibrate.{name} = {found}, but the settings now say {wanted}. "
                "Run selfj calibrate again."
            )


def _rows(config: Config, exchanges: Exchanges, labels: Artefact, scores: Artefact) -> Rows:
    test = exchanges.of("test")
    by_id = {row.id: row for row in labels.records()}
    z = _column(test, {row.id: row.z for row in by_id.values()})
    gold = z if config.evaluate.gold is None else np.array(gold_of(test, config.evaluate.gold, config.evaluate))
    on = config.calibrate.label
    label = z if on == "z" else np.array(gold_of(test, on, config.evaluate))
    known = ~(np.isnan(gold) | np.isnan(label))
    if not known.any():
        raise ArtefactError(
            f"Evaluation needs test exchanges with gold and a label, found none among {len(test)}. Collect more "
            "instructions with references, or lower collect.train and collect.calibration."
        )
    found: dict[str, dict[str, float | None]] = {}
    for row in scores.records():
        found.setdefault(row.method, {})[row.id] = row.score
    columns = {method: _column(test, values) for method, values in found.items()}
    parts = {"self_eval_reference": "self_eval", "cosine": "cosine"}
    for method, name in parts.items():
        values = _column(test, {row.id: getattr(row, name) for row in by_id.values()})
        if not np.isnan(values).all():
            columns[method] = values
    if config.evaluate.gold is not None:
        columns["z"] = z
    columns = evaluation.with_bounds(columns, test, gold, config.seed)
    kept = [exchange for exchange, keep in zip(test, known, strict=True) if keep]
    return Rows(kept, {key: column[known] for key, column in columns.items()}, gold[known], label[known], z[known])


def _column(rows: Sequence[Exchange], values: Mapping[str, float | None]) -> evaluation.Array:
    found = [values.get(row.id) for row in rows]
    return np.array([math.nan if value is None else value for value in found], dtype=np.float64)


def _target(rows: Sequence[Exchange]) -> str:
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
