"""Whether the threshold's promise still holds: tests that may be looked at as often as one likes.

Both are bets. Wealth starts at 1 and cannot be expected to grow as long as the hypothesis holds, so the chance that it
ever reaches 1/alpha is at most alpha, whenever one looks or stops (Ville 1939). See `docs/design/audit-store.md`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from selfj.errors import ConfigError
from selfj.metrics import Array
from selfj.records import hash_fraction
from selfj.risk import upper_bound
from selfj.serve.distinct import Distinct
from selfj.serve.records import DecisionRow
from selfj.serve.store import Store

ALPHA = 0.05
"""Most chance of ever raising a false alarm, for each test."""
_RISKS = (1.25, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Risks that are betted on, as multiples of the promised one in odds."""
_BINS = 5
_STEPS = 9000
"""Scores are ranked in steps of a thousandth."""
_KEPT = 400
"""Points of a path that are kept for drawing."""


class RiskBet:
    """Wealth staked on "the risk is above the promised one", by one outcome after another.

    A mixture over larger risks, and over the time since which they hold: a bet that starts at outcome j has the weight
    1/(j(j+1)), and what has not started yet is held as cash. Every part is a nonnegative supermartingale while each
    outcome fails with probability at most `max_risk` given those before; so is their sum.
    """

    def __init__(self, max_risk: float) -> None:
        """Take the promised risk, in (0, 1).

        Raises:
            ConfigError: It is outside.
        """
        if not 0 < max_risk < 1:
            raise ConfigError(f"max_risk must be above 0 and below 1, got {max_risk}.")
        odds = np.array(_RISKS) * max_risk / (1 - max_risk)
        risks = odds / (1 + odds)
        self._if_failure = np.log(risks / max_risk)
        self._if_good = np.log((1 - risks) / (1 - max_risk))
        # Logarithms, so that a long good record neither vanishes nor a long bad one overflows.
        self._started = np.full(len(risks), -np.inf)
        self.n = 0

    def add(self, failure: bool) -> float:
        """Bet on one outcome; gives the logarithm of the wealth after it."""
        self.n += 1
        starting = -math.log(self.n * (self.n + 1)) - math.log(len(_RISKS))
        gain = self._if_failure if failure else self._if_good
        self._started = np.logaddexp(self._started, starting) + gain
        return float(np.logaddexp(np.logaddexp.reduce(self._started), -math.log(self.n + 1)))


class ScoreBet:
    """Wealth staked on "scores now differ from those of calibration".

    A conformal martingale (Vovk, Gammerman and Shafer 2005): the rank of each new score among calibration and earlier
    scores, ties broken at random, is uniform and independent of those before while all are exchangeable. The stake in
    each fifth of the ranks is its share so far (Krichevsky and Trofimov 1981). Such bets start at the scores 1, 2, 4,
    8 and so on; the k-th has the weight 1/(k(k+1)), and what has not started yet is held as cash. So a long quiet time
    costs little, and a change after it is still found.
    """

    def __init__(self, calibration: Array) -> None:
        """Take the scores of calibration, in [0, 9]; NaN is left out."""
        self._below = _Counts(_STEPS + 1)
        for value in calibration[~np.isnan(calibration)]:
            self._below.add(_step(float(value)))
        self.calibration = self._below.total
        self._seen = np.empty((0, _BINS))
        self._logs = np.empty(0)
        self.n = 0

    def add(self, score: float, chance: float) -> float:
        """Bet on one score in [0, 9]; `chance` in [0, 1) breaks ties. Gives the logarithm of the wealth after it."""
        self.n += 1
        if self.n & (self.n - 1) == 0:
            k = self.n.bit_length()
            self._seen = np.vstack([self._seen, np.full(_BINS, 0.5)])
            self._logs = np.append(self._logs, -math.log(k * (k + 1)))
        place = _step(score)
        self._below.add(place)
        less, equal = self._below.before(place), self._below.at(place)
        rank = (less + chance * equal) / self._below.total
        fifth = min(_BINS - 1, int(rank * _BINS))
        self._logs += np.log(self._seen[:, fifth] * _BINS / self._seen.sum(axis=1))
        self._seen[:, fifth] += 1
        return float(np.logaddexp(np.logaddexp.reduce(self._logs), -math.log(len(self._logs) + 1)))


class _Counts:
    """Counts by place with their running sums, both in logarithmic time (Fenwick 1994)."""

    def __init__(self, size: int) -> None:
        self._tree = [0] * (size + 1)
        self._at = [0] * size
        self.total = 0

    def add(self, place: int) -> None:
        self.total += 1
        self._at[place] += 1
        node = place + 1
        while node < len(self._tree):
            self._tree[node] += 1
            node += node & -node

    def at(self, place: int) -> int:
        return self._at[place]

    def before(self, place: int) -> int:
        total, node = 0, place
        while node:
            total += self._tree[node]
            node -= node & -node
        return total


def _step(score: float) -> int:
    return min(_STEPS, max(0, round(score * _STEPS / 9)))


@dataclass(slots=True)
class Path:
    """The way of a bet's wealth, and whether it ever reached the alarm."""

    alpha: float
    n: int = 0
    log_wealth: float = 0.0
    highest: float = 0.0
    """Highest logarithm of wealth so far."""
    alarm_at: int | None = None
    """Number of the outcome that raised the alarm; it is not taken back."""
    points: list[tuple[int, float]] = field(default_factory=list)
    """Number and logarithm of wealth, thinned evenly as they become many."""
    _every: int = 1

    def add(self, log_wealth: float) -> None:
        """Go on to the wealth after the next outcome."""
        self.n += 1
        self.log_wealth = log_wealth
        self.highest = max(self.highest, log_wealth)
        if self.alarm_at is None and log_wealth >= -math.log(self.alpha):
            self.alarm_at = self.n
        if self.n % self._every == 0:
            self.points.append((self.n, round(log_wealth, 4)))
        if len(self.points) > _KEPT:
            self._every *= 2
            self.points = [point for point in self.points if point[0] % self._every == 0]

    @property
    def alarm(self) -> bool:
        """Whether wealth ever reached 1/alpha."""
        return self.alarm_at is not None


@dataclass(frozen=True, slots=True)
class Drift:
    """What both tests say now."""

    max_risk: float | None
    """The promised risk; None where there is no promise."""
    threshold: float | None
    risk: Path
    failures: int
    """Among the answered decisions with a verdict, of which there are `risk.n`."""
    low: float | None
    """Lower bound of their risk at 95 %, for this moment alone."""
    high: float | None
    scores: Path
    calibration: int
    """Scores of calibration."""
    later: bool = False
    """Whether answers were drawn again or elsewhere, so that the scores of first answers are no longer all there."""

    @property
    def alarm(self) -> bool:
        """Whether the promise no longer holds."""
        return self.risk.alarm

    def sentences(self) -> list[str]:
        """What is known, in words."""
        found = []
        share = f"{self.failures} of {self.risk.n} answered decisions with a verdict were bad"
        if self.max_risk is None:
            found.append("There is no threshold, so there is no promise to test.")
        elif self.risk.alarm:
            found.append(
                f"The promise no longer holds: {share}, against at most {100 * self.max_risk:.3g} % promised. Were it "
                f"kept, the chance of ever raising this alarm would be at most {100 * self.risk.alpha:.3g} %. "
                "Calibrate again: selfj recalibrate."
            )
        elif not self.risk.n:
            found.append("No answered decision has a verdict yet, so nothing is known of the promise.")
        else:
            found.append(f"Nothing speaks against the promise of at most {100 * self.max_risk:.3g} %: {share}.")
        if self.max_risk is not None:
            found.append("This holds for verdicts given whatever the answer is like, not for complaints alone.")
        if not self.calibration:
            found.append("There are no calibration scores to compare with.")
        elif self.later:
            found.append(
                "Answers are drawn again or elsewhere where the first was not good enough, so the scores of first "
                "answers are not all there; scores were compared with those of calibration only until then."
            )
        elif self.scores.alarm:
            found.append(
                f"Scores differ from those of calibration (noticed at the {self.scores.alarm_at:,}th): other "
                "questions, or another model. That alone does not break the promise; verdicts show whether it does."
            )
        elif not self.scores.n:
            found.append("There is no score yet to compare with those of calibration.")
        else:
            found.append(f"Scores so far ({self.scores.n:,}) show no difference from those of calibration.")
        return found


class DriftMonitor:
    """Follows a store and brings both tests up to what is in it; the same store gives the same result.

    Only decisions with the present threshold count. One decision of each instruction counts, because answers to one
    question fail together, and the first verdict on it, because a bet is not taken back.
    """

    def __init__(
        self,
        store: Store,
        *,
        threshold: float | None,
        max_risk: float | None,
        min_quality: float = 5.0,
        calibration: Array | Sequence[float] = (),
        alpha: float = ALPHA,
        policy: Mapping[str, float] | None = None,
    ) -> None:
        """Follow a store from its beginning.

        Args:
            store: Where decisions and verdicts are.
            threshold: The present one; None where everything is declined.
            max_risk: The promised risk, in (0, 1); None where nothing is promised.
            min_quality: A verdict below this is a failure, in [0, 9].
            calibration: Scores in [0, 9] on which the threshold was chosen.
            alpha: Most chance of ever raising a false alarm, for each of the two tests, in (0, 1).
            policy: Threshold of each step by its name, where the promise is about all that they let through.

        Raises:
            ConfigError: A value is out of range.
        """
        if not 0 < alpha < 1:
            raise ConfigError(f"alpha must be above 0 and below 1, got {alpha}.")
        self._store = store
        self._threshold, self._max_risk, self._min_quality = threshold, max_risk, min_quality
        self._risk_bet = RiskBet(0.5 if max_risk is None else max_risk)
        self._score_bet = ScoreBet(np.asarray(calibration, dtype=np.float64))
        self._risk, self._scores = Path(alpha), Path(alpha)
        self._failures = 0
        self._policy = None if policy is None else dict(policy)
        # Where a policy decides, first answers that were not good enough leave no row of their own.
        self._later = policy is not None and len(policy) > 1
        self._verdict = self._position = 0
        self._judged, self._scored = Distinct(), Distinct()

    def update(self) -> Drift:
        """Read what is new in the store and say how both tests stand.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        self._read_scores()
        self._read_verdicts()
        n, k = self._risk.n, self._failures
        low = 1 - upper_bound(n - k, n, 0.975) if n else None
        high = upper_bound(k, n, 0.975) if n else None
        calibration = self._score_bet.calibration
        return Drift(self._max_risk, self._threshold, self._risk, k, low, high, self._scores, calibration, self._later)

    def _read_scores(self) -> None:
        for stored in self._store.after(self._position, threshold=self._threshold, bodies=False):
            self._position = stored.position
            score, key = stored.row.score, stored.row.instruction_digest or stored.row.id
            self._later = self._later or stored.row.step in LATER or stored.row.attempts > 1
            if self._later or score is None or not self._score_bet.calibration or not first_answer(stored.row):
                continue
            if self._scored.add(key):
                self._scores.add(self._score_bet.add(score, hash_fraction("drift", stored.row.id)))

    def _read_verdicts(self) -> None:
        if self._max_risk is None or self._threshold is None:
            return
        new = list(self._store.feedback_after(self._verdict))
        rows = self._store.some(list(dict.fromkeys(verdict.decision_id for verdict in new)))
        for verdict in new:
            self._verdict = verdict.id
            stored = rows.get(verdict.decision_id)
            if stored is None or not _promised(stored.row, self._threshold, self._policy):
                continue
            key = stored.row.instruction_digest or stored.row.id
            if not self._judged.add(key):
                continue
            failure = verdict.value < self._min_quality
            self._failures += failure
            self._risk.add(self._risk_bet.add(failure))


LATER = ("resample", "escalate")
"""Steps whose answer is not the first."""


def first_answer(row: DecisionRow) -> bool:
    """Whether a decision was made on the target model's first answer, as calibration was."""
    return row.action in ("answer", "decline") and row.step in ("answer", "decline") and row.attempts <= 1


def _promised(row: DecisionRow, threshold: float, policy: Mapping[str, float] | None) -> bool:
    """Whether the promise is about this decision: a first answer, or that of a policy's step, that reached it."""
    if policy is not None:
        return let_through(row, policy)
    reached = row.score is not None and row.score >= threshold
    return first_answer(row) and row.action == "answer" and row.threshold == threshold and reached


def let_through(row: DecisionRow, policy: Mapping[str, float]) -> bool:
    """Whether a decision is an answer that a step of a policy let through, by its thresholds."""
    limit = policy.get(row.step)
    if limit is None or row.score is None or row.threshold != limit:
        return False
    return row.action == "answer" and row.score >= limit


def drift_metrics(drift: Drift) -> str:
    """Write both tests for `/metrics`, in the text format of Prometheus."""
    lines: list[str] = []

    def put(name: str, text: str, value: float | None) -> None:
        if value is not None:
            lines.extend((f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value:.10g}"))

    put("selfj_promise_alarm", "1 once the threshold's promise is known not to hold.", float(drift.risk.alarm))
    put("selfj_promise_log_wealth", "Natural logarithm of the wealth betted against it.", drift.risk.log_wealth)
    put("selfj_promise_alarm_log_wealth", "Where the alarm is raised.", -math.log(drift.risk.alpha))
    put("selfj_promised_risk", "Largest share of failures among answers that is promised.", drift.max_risk)
    put("selfj_feedback_answers", "Answered decisions with a verdict, one of each instruction.", drift.risk.n)
    put("selfj_feedback_failures", "Bad ones among them.", drift.failures)
    put("selfj_scores_alarm", "1 once scores are known to differ from calibration.", float(drift.scores.alarm))
    put("selfj_scores_log_wealth", "Natural logarithm of the wealth betted on that.", drift.scores.log_wealth)
    put("selfj_threshold", "Lowest score that is answered.", drift.threshold)
    return "\n".join(lines) + "\n"


def first_alarm(bets: Iterable[float], alpha: float) -> int | None:
    """Number of the first outcome whose log wealth reaches 1/alpha; None where none does."""
    return next((n for n, value in enumerate(bets, 1) if value >= -math.log(alpha)), None)
