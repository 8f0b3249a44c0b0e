"""What the page shows, as plain JSON values."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats

from selfj.metrics import Array, Flags, risk_coverage
from selfj.serve.chain import fault
from selfj.serve.drift import Drift, Path
from selfj.serve.export import as_json
from selfj.serve.feedback import label
from selfj.serve.run import ServedRun
from selfj.serve.store import Store

DAY_S = 86_400.0
_POINTS = 250
"""Points of a curve."""
_STEPS = np.arange(901) / 100
"""Thresholds over [0, 9] that the page can be asked about."""
_BINS = 36
"""Bins of the distributions over [0, 9]."""
_VERDICTS = 5000
"""Verdicts that the curve by feedback looks at, the last ones."""


def recent(store: Store, run: ServedRun, after: int, limit: int) -> dict[str, Any]:
    """The last decisions behind a position, newest first.

    Args:
        store: Where they are.
        run: The run behind the gateway.
        after: Position of the last decision that the page knows; 0 for none.
        limit: Most decisions.
    """
    found = [stored for stored in store.latest(limit) if stored.position > after]
    verdicts = store.feedback_of([stored.row.id for stored in found])
    rows = []
    for stored in found:
        row = as_json(stored)
        for name in ("body", "body_salt", "body_digest", "hash", "instruction_digest"):
            del row[name]
        rows.append({**row, "feedback": _number(label(verdicts.get(stored.row.id, [])))})
    return {
        "decisions": rows,
        "last": found[0].position if found else after,
        "min_quality": run.min_quality,
    }


def day(store: Store, now: float) -> dict[str, Any]:
    """How many decisions of each action there were in a day, and how long they took on average."""
    tally = store.tally(now - DAY_S)
    return {**asdict(tally), "actions": dict(tally.actions)}


def one(store: Store, key: str) -> dict[str, Any] | None:
    """One decision in full, with its verdicts and whether it is as it was written; None where there is none."""
    stored = store.get(key)
    if stored is None:
        return None
    before = store.hash_before(stored.position)
    wrong = "the row before it is missing" if before is None else fault(stored, stored.position, before)
    row = as_json(stored)
    del row["body_salt"]
    verdicts = store.feedback_of([stored.row.id]).get(stored.row.id, [])
    return {**row, "fault": wrong, "feedback": [asdict(verdict) for verdict in verdicts]}


def curve(store: Store, run: ServedRun, now: float) -> dict[str, Any]:
    """Risk against coverage by calibration and by feedback, and what each threshold would answer of a day."""
    threshold = run.threshold
    value = None if threshold is None else threshold.value
    confidence = threshold.confidence if threshold else 0.95
    scores = np.array(store.scores(now - DAY_S), dtype=np.float64)
    live = _table(scores, np.zeros(len(scores), dtype=bool), value)
    return {
        "name": run.name,
        "threshold": value,
        "infeasible": run.infeasible,
        "max_risk": run.max_risk,
        "confidence": None if threshold is None else threshold.confidence,
        "min_quality": run.min_quality,
        "calibration": _known(run.scores, run.labels < run.min_quality, value, confidence),
        "feedback": _feedback_curve(store, run, value),
        "live": {"n": len(scores), "table": live},
    }


def _feedback_curve(store: Store, run: ServedRun, value: float | None) -> dict[str, Any]:
    last = store.last_feedback(_VERDICTS)
    verdicts: dict[str, list[Any]] = {}
    for verdict in last:
        verdicts.setdefault(verdict.decision_id, []).append(verdict)
    rows = store.some(list(verdicts))
    known = [(rows[key].row, label(of)) for key, of in verdicts.items() if key in rows]
    used = [(row.score, quality, row.action) for row, quality in known if row.score is not None]
    scores, labels = np.array([row[0] for row in used]), np.array([row[1] for row in used])
    found = _known(scores, labels < run.min_quality, value, 0.95)
    return {**found, "declined": sum(action == "decline" for _, _, action in used)}


def _known(scores: Array, failure: Flags, value: float | None, confidence: float) -> dict[str, Any]:
    """What is known of scores whose labels are known: the curve, and its figures at each threshold."""
    if not len(scores):
        return {
            "n": 0,
            "threshold": [],
            "coverage": [],
            "risk": [],
            "bound": [],
            "table": _table(scores, failure, value),
        }
    found = risk_coverage(scores, failure)
    keep = np.flatnonzero(np.isfinite(found.threshold))
    if len(keep) > _POINTS:
        keep = keep[np.unique(np.linspace(0, len(keep) - 1, _POINTS).round().astype(int))]
    answered = np.rint(found.coverage[keep] * len(scores))
    table = _table(scores, failure, value)
    bounds = _bounds(np.array(table["failures"]), np.array(table["answered"]), confidence)
    return {
        "n": len(scores),
        "threshold": found.threshold[keep].round(6).tolist(),
        "coverage": found.coverage[keep].round(5).tolist(),
        "risk": found.risk[keep].round(5).tolist(),
        "bound": _bounds(np.rint(found.risk[keep] * answered), answered, confidence),
        "table": {**table, "bound": bounds},
    }


def _table(scores: Array, failure: Flags, value: float | None) -> dict[str, Any]:
    """How many exchanges each threshold answers and how many of those fail, by the rule of `selfj.risk.answers`.

    Args:
        scores: Shape (n,), NaN where there is none.
        failure: Shape (n,).
        value: The threshold in use; None where there is none.

    Returns:
        `first`, the step of `_STEPS` from which on figures are given, all before it being equal to it; `answered` and
        `failures`, one figure for each step, up to the last that answers anything, and last of all for `value`.
    """
    answered, failures = (_reaching(scores[of], _STEPS) for of in (np.ones(len(scores), dtype=bool), failure))
    some = np.flatnonzero(answered)
    first = int(np.flatnonzero(answered == answered[0])[-1]) if len(some) else 0
    steps = np.arange(first, some[-1] + 1) if len(some) else np.arange(0)
    used = [np.inf if value is None else value]
    return {
        "first": first,
        "answered": [*answered[steps].tolist(), *_reaching(scores, used).tolist()],
        "failures": [*failures[steps].tolist(), *_reaching(scores[failure], used).tolist()],
    }


def _reaching(scores: Array, steps: Array | Sequence[float]) -> Any:
    known = np.sort(scores[~np.isnan(scores)])
    return len(known) - np.searchsorted(known, steps, side="left")


def _bounds(failures: Array, answered: Array, confidence: float) -> list[float]:
    """`selfj.risk.upper_bound` of many; 1 where all failed or none was answered."""
    all_failed = failures >= answered
    bound = stats.beta.ppf(confidence, failures + 1, np.where(all_failed, 1, answered - failures))
    rounded: list[float] = np.where(all_failed, 1.0, bound).round(5).tolist()
    return rounded


def histogram(store: Store, run: ServedRun, now: float) -> dict[str, Any]:
    """Scores of the last day beside those of calibration: shares of bins of equal width over [0, 9]."""
    live = np.array(store.scores(now - DAY_S), dtype=np.float64)
    known = run.scores[~np.isnan(run.scores)]
    return {
        "edges": np.linspace(0, 9, _BINS + 1).tolist(),
        "live": _shares(live),
        "calibration": _shares(known),
        "live_n": len(live),
        "calibration_n": len(known),
        "live_mean": _number(float(live.mean())) if len(live) else None,
        "calibration_mean": _number(float(known.mean())) if len(known) else None,
    }


def _shares(values: Array | Sequence[float]) -> list[float]:
    counts = np.histogram(values, bins=_BINS, range=(0, 9))[0]
    shares: list[float] = (counts / max(1, counts.sum())).round(5).tolist()
    return shares


def drift(found: Drift) -> dict[str, Any]:
    """Both tests, with the way of their wealth."""
    return {
        "sentences": found.sentences(),
        "alarm": found.alarm,
        "max_risk": found.max_risk,
        "failures": found.failures,
        "low": found.low,
        "high": found.high,
        "calibration": found.calibration,
        "risk": _path(found.risk),
        "scores": _path(found.scores),
    }


def _path(path: Path) -> dict[str, Any]:
    return {
        "n": path.n,
        "log_wealth": round(path.log_wealth, 4),
        "highest": round(path.highest, 4),
        "alarm_log": -math.log(path.alpha),
        "alpha": path.alpha,
        "alarm_at": path.alarm_at,
        "points": path.points,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


class Kept:
    """A value that is made again when it is old, so that many pages cost as much as one.

    What takes long to make is kept for longer: making it takes at most a twentieth of the time.
    """

    def __init__(self, make: Callable[[], Any], seconds: float) -> None:
        """Keep what `make` gives for some seconds."""
        self._make, self._seconds = make, seconds
        self._value: Any = None
        self._until = -math.inf
        self._lock = threading.Lock()

    def get(self) -> Any:
        """The value; may be called from several threads."""
        with self._lock:
            began = time.monotonic()
            if began >= self._until:
                self._value = self._make()
                took = time.monotonic() - began
                self._until = began + took + max(self._seconds, 19 * took)
            return self._value
