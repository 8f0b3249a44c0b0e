"""The run behind a gateway: its promise, and what its threshold was chosen on."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from selfj import config as configs
from selfj.errors import ArtefactError
from selfj.metrics import Array
from selfj.policy_risk import PolicyThreshold
from selfj.risk import Threshold, load_threshold
from selfj.serve.drift import ALPHA, DriftMonitor
from selfj.serve.store import Store
from selfj.stages.calibrate import calibration_rows


def _none() -> Array:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class ServedRun:
    """What the page and the alarm know of a run."""

    name: str
    threshold: Threshold | None
    """None where no threshold meets the promise, and all is declined."""
    infeasible: str | None
    """Why there is none."""
    max_risk: float | None
    """The promised risk, in (0, 1)."""
    min_quality: float
    """A label below this is a failure, in [0, 9]."""
    scores: Array
    """Judge scores of calibration in [0, 9], shape (n,); NaN where there is none. Empty where they are not known."""
    labels: Array
    """Their quality in [0, 9], shape (n,)."""
    policy: PolicyThreshold | None = None
    """Thresholds of all steps, where they decide; `threshold` is then that of the first answer among them."""

    @classmethod
    def unknown(cls, name: str = "no run") -> "ServedRun":
        """A gateway without a run: no threshold, no promise, no calibration."""
        return cls(name, None, "the gateway has no run with a threshold", None, 5.0, _none(), _none())

    def monitor(self, store: Store, alpha: float = ALPHA) -> DriftMonitor:
        """Tests of the promise and of the scores over what is in a store."""
        return DriftMonitor(
            store,
            threshold=None if self.threshold is None else self.threshold.value,
            max_risk=None if self.threshold is None else self.threshold.max_risk,
            min_quality=self.min_quality,
            calibration=self.scores,
            alpha=alpha,
            policy=None if self.policy is None else self.policy.values,
        )


def with_policy(run: ServedRun, policy: PolicyThreshold | None) -> ServedRun:
    """The same run where a policy decides; None, where no thresholds of it meet the promise, declines everything."""
    if policy is None:
        return replace(run, threshold=None, infeasible="no thresholds of the policy meet the promised risk")
    first = policy.of("answer")
    return replace(
        run, threshold=first, infeasible=None, max_risk=policy.max_risk, min_quality=policy.min_quality, policy=policy
    )


def load_served_run(folder: str | Path) -> ServedRun:
    """Read a run's threshold, and the calibration scores and labels where they are still there.

    Args:
        folder: Of a run that was calibrated.

    Raises:
        ArtefactError: There is no threshold.
    """
    # Where the folder was moved, its settings still name the place of before.
    place = Path(folder).resolve()
    config = configs.load(folder, [f"dir={json.dumps(str(place.parent))}", f"name={json.dumps(place.name)}"])
    threshold, infeasible = load_threshold(config.path / "threshold.json")
    settings = config.calibrate
    try:
        rows = calibration_rows(config)
        scores, labels = rows.scores, rows.labels
    except ArtefactError:
        # A folder that holds only a judge and its threshold serves as well; the page then has no curve.
        scores, labels = _none(), _none()
    return ServedRun(
        name=config.path.name,
        threshold=threshold,
        infeasible=infeasible,
        max_risk=settings.max_risk if threshold is None else threshold.max_risk,
        min_quality=settings.min_quality if threshold is None else threshold.min_quality,
        scores=scores,
        labels=labels,
    )
