"""The promise and the decision: a threshold with a bounded risk, and the one rule that applies it.

Arithmetic only. `docs/design/risk.md` has the reasoning behind the bound.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import stats

from selfj.errors import ArtefactError, ConfigError, Infeasible, StaleArtefact
from selfj.files import read_json
from selfj.metrics import Array, Flags

SCHEMA = "threshold/1"
FEEDBACK = "gateway_feedback"
"""Label of a threshold that was chosen on what people said of a gateway's decisions; see `selfj recalibrate`."""
_CANDIDATES = 100
_STARTS = (0.4, 0.15, 0.15, 0.15, 0.15)
"""How the error budget is shared among the places where the search may start; see `choose_threshold`."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest score that is answered, and the promise that comes with it."""

    value: float
    """Lowest judge score in [0, 9] that is answered."""
    max_risk: float
    """The promise: at most this share of answered exchanges are failures, in (0, 1)."""
    confidence: float
    """Share of calibration sets for which the promise holds."""
    min_quality: float
    """An exchange whose label is below this is a failure, in [0, 9]."""
    coverage: float
    """Share of the calibration exchanges that it answers."""
    risk: float
    """Share of those that are failures."""
    risk_bound: float
    """Upper bound of the risk at this threshold alone, by Clopper and Pearson, at `confidence`."""
    n: int
    """Calibration exchanges."""
    answered: int
    label: str
    """The label that the promise is about."""
    judge: str
    """Digest of the judge."""
    data: str
    """Digest of the scores it was learnt on."""

    def to_json(self) -> str:
        """Write it as a JSON object."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Threshold":
        """Rebuild it from a JSON object.

        Raises:
            ArtefactError: It is of another version, or a field is absent, unknown or of the wrong type.
        """
        given = dict(value)
        if (found := given.pop("schema", None)) != SCHEMA:
            raise ArtefactError(f"The threshold is of version {found}, expected {SCHEMA}. Run selfj calibrate again.")
        wanted = {field.name: field.type for field in fields(cls)}
        if set(given) != set(wanted):
            odd = sorted(set(given) ^ set(wanted))
            raise ArtefactError(f"The threshold's fields are not those expected: {odd}. Run selfj calibrate again.")
        for name, kind in wanted.items():
            allowed = (int, float) if kind is float else kind
            if not isinstance(given[name], allowed):  # type: ignore[arg-type]
                raise ArtefactError(f"The threshold's {name} is {given[name]!r}. Run selfj calibrate again.")
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the assistant does with one exchange."""

    action: Literal["answer", "decline"]
    score: float | None
    """Judge score in [0, 9]; None where there is none."""
    threshold: float | None
    """None where no threshold meets the promise, and all is declined."""
    reason: str
    label_mass: float | None = None
    answer: str | None = None
    """The response, where it is given."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def decide(
    score: float | None,
    threshold: Threshold | None,
    *,
    response: str | None = None,
    label_mass: float | None = None,
    unscored: str = "unscored",
) -> Decision:
    """Answer if and only if there is a score and it reaches the threshold.

    Args:
        score: Judge score in [0, 9]; None or NaN declines.
        threshold: None declines everything: no threshold meets the promise.
        response: The response, passed on if it is to be given.
        label_mass: Of the reading, passed on.
        unscored: Why there is no score.

    Example:
        >>> decide(None, None).action
        'decline'
    """
    value = None if threshold is None else threshold.value
    if score is None or math.isnan(score):
        return Decision("decline", None, value, unscored, label_mass)
    if value is None:
        return Decision("decline", score, None, "no threshold meets the promised risk", label_mass)
    if not answers(np.array([score]), value)[0]:
        reason = f"the expected quality {score:.2f} is below the threshold {value:.2f}"
        return Decision("decline", score, value, reason, label_mass)
    reason = f"the expected quality {score:.2f} reaches the threshold {value:.2f}"
    return Decision("answer", score, value, reason, label_mass, response)


def answers(scores: Array, value: float) -> Flags:
    """Which scores are answered at a threshold: those at or above it; a missing score (NaN) never is."""
    reached: Flags = np.greater_equal(scores, value, where=~np.isnan(scores), out=np.zeros(len(scores), dtype=bool))
    return reached


def choose_threshold(
    scores: Array,
    labels: Array,
    *,
    max_risk: float,
    confidence: float = 0.95,
    min_quality: float = 5.0,
    label: str = "z",
    judge: str = "",
    data: str = "",
) -> Threshold:
    """Find the lowest threshold whose risk is at most `max_risk`, with confidence.

    Candidate thresholds are tested from the strictest down, each with an exact binomial test of "the risk is above
    `max_risk`". The error budget `1 - confidence` is laid out in advance over a few starting places and passed on
    from each rejected candidate to the next (the fallback procedure of Wiens 2003, which is fixed-sequence testing
    with several starts), so the chance that any accepted threshold breaks the promise is at most the budget
    (Angelopoulos et al. 2021, "Learn then Test"). Candidates are laid out by the scores, never by the labels.

    Args:
        scores: Judge scores in [0, 9], higher is better; NaN is never answered.
        labels: Quality in [0, 9] of the same rows, from exchanges like those to come.
        max_risk: Largest share of failures among answered exchanges, in (0, 1).
        confidence: Share of calibration sets for which the promise holds, in (0, 1).
        min_quality: A label below this is a failure.
        label: Name of the label, for the artefact.
        judge: Digest of the judge, for the artefact.
        data: Digest of the scores, for the artefact.

    Raises:
        Infeasible: No threshold meets the target on these rows.
        ConfigError: An argument is out of range, or the lengths differ.

    Example:
        >>> scores = np.linspace(0, 9, 400)
        >>> choose_threshold(scores, scores, max_risk=0.1).value < 5
        True
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    _check(scores, labels, max_risk, confidence)
    failure = labels < min_quality

    def outcome(value: float) -> tuple[int, int]:
        answered = answers(scores, value)
        return int(failure[answered].sum()), int(answered.sum())

    accepted = lowest_accepted(scores, outcome, max_risk=max_risk, confidence=confidence)
    if accepted is None:
        raise Infeasible(_infeasible(scores, failure, max_risk, confidence))
    k, n = outcome(accepted)
    return Threshold(
        value=accepted,
        max_risk=max_risk,
        confidence=confidence,
        min_quality=min_quality,
        coverage=round(n / len(scores), 6),
        risk=round(k / n, 6),
        risk_bound=round(upper_bound(k, n, confidence), 6),
        n=len(scores),
        answered=n,
        label=label,
        judge=judge,
        data=data,
    )


def lowest_accepted(
    reached: Array, outcome: Callable[[float], tuple[int, int]], *, max_risk: float, confidence: float
) -> float | None:
    """Walk down candidate thresholds and find the lowest whose risk is at most `max_risk`, with confidence.

    Args:
        reached: Highest threshold at which each exchange is answered, shape (n,), NaN for never. Candidates are laid
            out by these alone.
        outcome: Failures and answers at a threshold, among independent exchanges whose answering depends on no label.
        max_risk: In (0, 1).
        confidence: In (0, 1).

    Returns:
        The threshold; None where none is accepted.
    """
    accepted: float | None = None
    carried = 0.0
    for value, weight in _candidates(reached, max_risk, confidence):
        failures, answered = outcome(value)
        budget = weight * (1 - confidence) + carried
        carried = budget if float(stats.binom.cdf(failures, answered, max_risk)) <= budget else 0.0
        if carried and (accepted is None or value < accepted):
            accepted = value
    return accepted


def upper_bound(failures: int, answered: int, confidence: float) -> float:
    """Upper confidence bound of a failure rate, one-sided and exact (Clopper and Pearson 1934)."""
    if failures >= answered:
        return 1.0
    return float(stats.beta.ppf(confidence, failures + 1, answered - failures))


@dataclass(frozen=True, slots=True)
class Selective:
    """What a threshold does with some exchanges."""

    coverage: float
    """Share answered; NaN without rows."""
    risk: float
    """Share of failures among the answered; NaN where none is answered."""
    answered: int
    declined: int
    """Scored below the threshold."""
    unscored: int
    n: int


def selective(scores: Array, failure: Flags, value: float) -> Selective:
    """Apply a threshold, by the rule of `decide`, to scored exchanges."""
    given = answers(scores, value)
    answered, unscored, n = int(given.sum()), int(np.isnan(scores).sum()), len(scores)
    risk = float(failure[given].mean()) if answered else math.nan
    return Selective(answered / n if n else math.nan, risk, answered, n - answered - unscored, unscored, n)


def load_threshold(
    path: Path, *, data: str | None = None, judge: str | None = None, force: bool = False
) -> tuple[Threshold | None, str | None]:
    """Read `threshold.json`: a threshold, or the reason why there is none.

    Args:
        path: The file.
        data: Digest of the scores that it must have been learnt on; None does not ask. One that was chosen on
            feedback was learnt on decisions of the gateway, and is not asked either.
        judge: Digest of the judge that it must have been chosen for; None does not ask.
        force: Take a stale one.

    Raises:
        ArtefactError: It is absent or malformed.
        StaleArtefact: It was learnt on other scores, or chosen for another judge.
    """
    value = read_json(path, "Run selfj calibrate first.")
    here = value.get("label") != FEEDBACK
    if data is not None and here and value.get("data") != data and not force:
        raise StaleArtefact(f"{path} was learnt on other scores than those here now. Run selfj calibrate again.")
    if value.get("schema") == SCHEMA and isinstance(value.get("infeasible"), str):
        return None, value["infeasible"]
    threshold = Threshold.from_json(value)
    if judge is not None and threshold.judge != judge and not force:
        raise StaleArtefact(
            f"The threshold {path} was chosen for judge {threshold.judge[:12]}, but the judge there is {judge[:12]}. "
            "Run selfj score and selfj calibrate again."
        )
    return threshold, None


def _check(scores: Array, labels: Array, max_risk: float, confidence: float) -> None:
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ConfigError(f"scores and labels must be of one length, got {scores.shape} and {labels.shape}.")
    for name, value in (("max_risk", max_risk), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ConfigError(f"{name} must be above 0 and below 1, got {value}.")
    if np.isnan(labels).any():
        raise ConfigError(f"labels must have no missing value, found {int(np.isnan(labels).sum())}.")
    known = scores[~np.isnan(scores)]
    if ((labels < 0) | (labels > 9)).any() or ((known < 0) | (known > 9)).any():
        raise ConfigError("scores and labels must lie in [0, 9]; found values outside.")


def _candidates(scores: Array, max_risk: float, confidence: float) -> list[tuple[float, float]]:
    """Thresholds from the strictest down, each with its share of the error budget."""
    known = np.sort(scores[~np.isnan(scores)])[::-1]
    # Below this many answers not even a spotless record could pass.
    least = math.ceil(math.log((1 - confidence) * _STARTS[0]) / math.log(1 - max_risk))
    # Twice as many for the first start, so that a single early failure does not end the search there.
    first = min(2 * least, len(known))
    if not len(known):
        return []
    ranks = np.unique(np.linspace(first, len(known), min(_CANDIDATES, len(known))).round().astype(int))
    values = list(dict.fromkeys(float(known[rank - 1]) for rank in ranks))
    starts = [round(i * (len(values) - 1) / len(_STARTS)) for i in range(len(_STARTS))]
    weights = [0.0] * len(values)
    for place, share in zip(starts, _STARTS, strict=True):
        weights[place] += share
    return list(zip(values, weights, strict=True))


def _infeasible(scores: Array, failure: Flags, max_risk: float, confidence: float) -> str:
    known = ~np.isnan(scores)
    scored = int(known.sum())
    rate = f"{failure[known].mean():.1%}" if scored else "none"
    return (
        f"No threshold keeps the risk at or below {max_risk:.1%} with confidence {confidence:.0%} on "
        f"{scored} scored calibration exchanges, of which {rate} fail. Raise calibrate.max_risk, calibrate on more "
        "exchanges, or improve the model or the judge."
    )
