"""Which thresholds a request is held to, and what they promise: the run's, a policy's, or the operator's own."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfj.errors import ConfigError
from selfj.policy_risk import FILE, PolicyThreshold, Steps, load_policy
from selfj.risk import Threshold, load_threshold
from selfj.serve.errors import invalid
from selfj.serve.requests import Asked
from selfj.serve.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Promise:
    """At most `max_risk` of the answers that some steps let through fail, with `confidence`."""

    max_risk: float
    confidence: float
    steps: tuple[str, ...]
    """The steps that it covers, together."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"max_risk": self.max_risk, "confidence": self.confidence, "steps": list(self.steps)}


@dataclass(frozen=True, slots=True)
class Held:
    """What one request is held to; a threshold that is None declines."""

    answer: Threshold | None
    resample: Threshold | None = None
    escalate: Threshold | None = None
    promise: Promise | None = None
    """None where nothing is promised."""


class Thresholds:
    """The thresholds of one gateway; None stands for "no threshold meets the promise", and declines all."""

    def __init__(self, settings: ServeSettings, judge: str):
        """Load them.

        Args:
            settings: Name them.
            judge: Digest of the judge that they must have been chosen for.

        Raises:
            ArtefactError: One of them is absent or malformed.
            StaleArtefact: One was chosen for another judge, or for other steps.
            ConfigError: A number is outside [0, 9], or a step has no threshold.
        """
        self._judge = judge
        self._settings = settings
        self._bounds = settings.bounds
        self._steps = steps_of(settings)
        self.gate = own(settings.gate.threshold) if settings.gate else None
        run = Path(settings.run) / "threshold.json"
        self.policy = policy_file(settings)
        # A stream that goes out as it comes has no later step, so the promise of a policy is not about it.
        self._streamed: Held | None = None
        self._in_force: PolicyThreshold | None = None
        self._policies: list[PolicyThreshold] = []
        self._promises: list[Threshold] = []
        if self.policy is not None:
            found, _ = load_policy(self.policy, steps=self._steps, judge=judge)
            self.held = _of_policy(found)
            self._in_force = found
            known = [found, *(self._policy(path) for path in self._bounds.risks)]
            self._policies = sorted((policy for policy in known if policy is not None), key=_risk)
            if settings.streaming == "early":
                self._streamed = self._first(self._load(run))
            return
        default = self._load(run) if settings.threshold is None else self._given(settings.threshold)
        promises = [*([default] if default and default.n else [])]
        promises += [more for path in self._bounds.risks if (more := self._load(Path(path))) is not None]
        self._promises = sorted(promises, key=_risk)
        resample, escalate = settings.resample, settings.escalate
        if resample is not None and resample.threshold is None:
            raise ConfigError(
                "resample has no threshold, and the first answer's does not hold for the best of several. Run selfj "
                "calibrate RUN --policy FILE with this config, or set resample.threshold, which carries no promise."
            )
        named = escalate.threshold if escalate else None
        self.held = dataclasses.replace(
            self._first(default),
            resample=self._given(resample.threshold) if resample and resample.threshold is not None else None,
            escalate=default if named is None else self._given(named),
        )

    @property
    def default(self) -> Threshold | None:
        """Of the first answer, where a request chooses nothing."""
        return self.held.answer

    @property
    def covered(self) -> dict[str, bool]:
        """Whether a promise covers the answers of each step, where a request chooses nothing."""
        promise = None if self._settings.mode == "observe" else self.held.promise
        return {step: promise is not None and step in promise.steps for step in self._steps.names}

    def chosen(self, asked: Asked, *, early: bool = False) -> Held:
        """What a request is held to.

        Args:
            asked: The request.
            early: Whether its answer goes out as it comes.

        Raises:
            ApiError: The request chose a threshold or a risk outside the operator's bounds; status 400.
        """
        if asked.threshold is not None:
            _within("threshold", asked.threshold, self._bounds.threshold)
            return self._stricter(own(asked.threshold), None)
        if asked.max_risk is not None:
            _within("max_risk", asked.max_risk, self._bounds.max_risk)
            held = self._promised(asked, asked.max_risk)
            # What many steps promise together is nothing about the first one alone.
            return dataclasses.replace(held, promise=None) if early and self._policies else held
        if early and self._streamed is not None:
            return self._streamed
        return self._for_model(self.held, asked, self._in_force)

    def _promised(self, asked: Asked, max_risk: float) -> Held:
        known = [policy.max_risk for policy in self._policies] + [promise.max_risk for promise in self._promises]
        if not any(risk <= max_risk for risk in known):
            least = f"the least here is {min(known):g}" if known else "there is none here"
            raise invalid(f"No promise keeps the risk at or below {max_risk:g}; {least}.", param="selfj.max_risk")
        kept = [policy for policy in self._policies if policy.max_risk <= max_risk]
        if kept:
            return self._for_model(_of_policy(kept[-1]), asked, kept[-1])
        first = [threshold for threshold in self._promises if threshold.max_risk <= max_risk][-1]
        return self._stricter(first, self._first(first).promise)

    def _stricter(self, first: Threshold, promise: Promise | None) -> Held:
        """A request that chose for itself never gets a laxer threshold later than it chose."""
        held = self.held
        return Held(first, stricter(held.resample, first), stricter(held.escalate, first), promise)

    def _first(self, threshold: Threshold | None) -> Held:
        """A threshold of first answers; its promise is not about those that a gate has picked."""
        if threshold is None or not threshold.n or self.gate is not None:
            return Held(threshold)
        return Held(threshold, promise=Promise(threshold.max_risk, threshold.confidence, ("answer",)))

    def _for_model(self, held: Held, asked: Asked, policy: PolicyThreshold | None) -> Held:
        """The same without its promise, where that was made for another model than a request names."""
        other = policy is not None and policy.model is not None and policy.model != asked.model
        return dataclasses.replace(held, promise=None) if other else held

    def _given(self, value: float | str) -> Threshold | None:
        return self._load(Path(value)) if isinstance(value, str) else own(value)

    def _load(self, path: Path) -> Threshold | None:
        threshold, _ = load_threshold(path, judge=self._judge)
        return threshold

    def _policy(self, path: str) -> PolicyThreshold | None:
        found, _ = load_policy(Path(path), steps=self._steps, judge=self._judge)
        return found


def steps_of(settings: ServeSettings) -> Steps:
    """The steps of a gateway, as the thresholds of a policy name them."""
    resample, escalate = settings.resample, settings.escalate
    return Steps(
        n=resample.n if resample else 1,
        temperature=resample.temperature if resample else None,
        escalation=escalate.model if escalate else None,
        gate=settings.gate.threshold if settings.gate else None,
        unscored="escalate" if settings.on_failure == "escalate" else "decline",
    )


def policy_file(settings: ServeSettings) -> Path | None:
    """The file of a gateway's policy; None where its steps have thresholds of their own."""
    if settings.policy is not None:
        return Path(settings.policy)
    steps = [step for step in (settings.resample, settings.escalate) if step is not None]
    path = Path(settings.run) / FILE
    own_numbers = settings.threshold is not None or any(step.threshold is not None for step in steps)
    return path if steps and not own_numbers and path.exists() else None


def _risk(promise: PolicyThreshold | Threshold) -> float:
    return promise.max_risk


def _of_policy(policy: PolicyThreshold | None) -> Held:
    if policy is None:
        return Held(None)
    promise = Promise(policy.max_risk, policy.confidence, policy.steps.names)
    return Held(policy.of("answer"), policy.of("resample"), policy.of("escalate"), promise)


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
