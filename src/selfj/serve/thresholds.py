"""Which threshold a request is held to: the run's, the operator's own, or one that the request may choose."""

import dataclasses
import math
from pathlib import Path

from selfj.errors import ConfigError
from selfj.risk import Threshold, load_threshold
from selfj.serve.errors import invalid
from selfj.serve.requests import Asked
from selfj.serve.settings import ServeSettings


class Thresholds:
    """The thresholds of one gateway; None stands for "no threshold meets the promise", and declines all."""

    def __init__(self, settings: ServeSettings, judge: str):
        """Load them.

        Args:
            settings: Name them.
            judge: Digest of the judge that they must have been chosen for.

        Raises:
            ArtefactError: One of them is absent or malformed.
            StaleArtefact: One was chosen for another judge.
            ConfigError: A number is outside [0, 9].
        """
        self._judge = judge
        self._bounds = settings.bounds
        run = Path(settings.run) / "threshold.json"
        self.default = self._load(run) if settings.threshold is None else self._given(settings.threshold)
        resample, escalate = settings.resample, settings.escalate
        self.resample = self._given(resample.threshold) if resample else None
        named = escalate.threshold if escalate else None
        self.escalate = self.default if named is None else self._given(named)
        self.gate = own(settings.gate.threshold) if settings.gate else None
        promises = [*([self.default] if self.default and self.default.n else [])]
        promises += [found for path in self._bounds.risks if (found := self._load(Path(path))) is not None]
        self._promises = sorted(promises, key=lambda threshold: threshold.max_risk)

    def chosen(self, asked: Asked) -> Threshold | None:
        """The threshold of the first answer to a request.

        Raises:
            ApiError: The request chose one outside the operator's bounds; status 400.
        """
        if asked.threshold is not None:
            _within("threshold", asked.threshold, self._bounds.threshold)
            return own(asked.threshold)
        if asked.max_risk is None:
            return self.default
        _within("max_risk", asked.max_risk, self._bounds.max_risk)
        kept = [threshold for threshold in self._promises if threshold.max_risk <= asked.max_risk]
        if not kept:
            least = f"the least here is {self._promises[0].max_risk:g}" if self._promises else "there is none here"
            raise invalid(f"No promise keeps the risk at or below {asked.max_risk:g}; {least}.", param="selfj.max_risk")
        return kept[-1]

    def _given(self, value: float | str) -> Threshold | None:
        return self._load(Path(value)) if isinstance(value, str) else own(value)

    def _load(self, path: Path) -> Threshold | None:
        threshold, _ = load_threshold(path, judge=self._judge)
        return threshold


def own(value: float) -> Threshold:
    """A threshold that is somebody's own number: no promise, no calibration.

    Raises:
        ConfigError: It is outside [0, 9].
    """
    if not 0 <= value <= 9:
        raise ConfigError(f"A threshold must lie in [0, 9], got {value:g}.")
    return dataclasses.replace(_OWN, value=float(value))


_OWN = Threshold(
    value=math.inf,
    max_risk=1.0,
    confidence=0.0,
    min_quality=5.0,
    coverage=0.0,
    risk=0.0,
    risk_bound=1.0,
    n=0,
    answered=0,
    label="own",
    judge="",
    data="",
)


def stricter(one: Threshold | None, other: Threshold | None) -> Threshold | None:
    """The one that answers less; None, which answers nothing, is the strictest."""
    if one is None or other is None:
        return None
    return one if one.value >= other.value else other


def _within(name: str, value: float, bounds: tuple[float, float] | None) -> None:
    if bounds is None:
        raise invalid(f"A request may not choose its {name} here.", param=f"selfj.{name}", code="out_of_bounds")
    low, high = bounds
    if not low <= value <= high:
        told = f"{name} must be from {low:g} to {high:g} here, got {value:g}."
        raise invalid(told, param=f"selfj.{name}", code="out_of_bounds")
