"""One promise for a whole policy: thresholds of answer, resample and escalate whose common risk is bounded.

Arithmetic and the file that keeps the result. `docs/design/policy-risk.md` has the reasoning.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from selfj.errors import ArtefactError, ConfigError, Infeasible, StaleArtefact
from selfj.files import read_json
from selfj.metrics import Array, Flags
from selfj.records import content_id
from selfj.risk import Threshold, answers, lowest_accepted, upper_bound

SCHEMA = "policy-threshold/1"
FILE = "threshold.policy.json"
"""What it is called in the folder of a run."""
NONE, ANSWER, RESAMPLE, ESCALATE = range(4)
STEPS = ("answer", "resample", "escalate")


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that thresholds hold for: whatever changes which answers are let through, besides the thresholds."""

    n: int
    """Answers to choose from, the first among them; 1 where nothing is drawn again."""
    temperature: float | None
    """Of the further answers; None is the request's own."""
    escalation: str | None
    """The model that is asked last; None asks none."""
    gate: float | None
    """Threshold of the instruction alone; None has no gate."""
    unscored: str
    """`escalate` where a first answer without a score is escalated; else `decline`, for it is never an answer."""

    @property
    def digest(self) -> str:
        """Tells policies apart."""
        return content_id("policy", asdict(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The steps that can let an answer through."""
        return tuple(
            name for name, on in zip(STEPS, (True, self.n > 1, self.escalation is not None), strict=True) if on
        )

    def differences(self, other: "Steps") -> list[str]:
        """In which settings they differ, in words: here, then there."""
        return [
            f"{field.name} is {getattr(self, field.name)!r}, calibrated was {getattr(other, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]


@dataclass(frozen=True, slots=True)
class Drafts:
    """What models say to m independent instructions, judged and labelled; n drafts of the first model."""

    scores: Array
    """Judge scores of the drafts in the order drawn, in [0, 9], shape (m, n); NaN where there is none."""
    failures: Flags
    """Whether each is a failure, shape (m, n)."""
    other_scores: Array
    """Of the model that is asked last, shape (m,); NaN where there is none."""
    other_failures: Flags
    """Shape (m,)."""
    shut: Flags
    """Instructions that no step answers whatever the thresholds, shape (m,): the gate holds them back, or the first
    answer is nothing that a judge reads."""

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises:
            ConfigError: Shapes do not fit, or a score is outside [0, 9].
        """
        m = len(self.scores)
        shapes = [self.failures.shape == self.scores.shape and self.scores.ndim == 2 and self.scores.shape[1] >= 1]
        shapes += [column.shape == (m,) for column in (self.other_scores, self.other_failures, self.shut)]
        if not all(shapes):
            raise ConfigError(
                f"drafts of {m} instructions must be of shapes (m, n) and (m,), got {self.scores.shape}, "
                f"{self.failures.shape}, {self.other_scores.shape}, {self.other_failures.shape}, {self.shut.shape}."
            )
        for column in (self.scores, self.other_scores):
            known = column[~np.isnan(column)]
            if ((known < 0) | (known > 9)).any():
                raise ConfigError("scores must lie in [0, 9]; found values outside.")

    def some(self, rows: Array | Flags) -> "Drafts":
        """Those of some instructions, by their places or by flags."""
        return Drafts(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def best(self) -> Array:
        """Place of the best draft of each instruction, the first of equals, shape (m,)."""
        places: Array = np.where(np.isnan(self.scores), -1.0, self.scores).argmax(axis=1)
        return places

    def by_step(self, unscored: str = "decline") -> dict[str, tuple[Array, Flags]]:
        """What each step would let through: its scores, NaN for never, and whether it is a failure, shape (m,) each.

        Args:
            unscored: See `Steps`.
        """
        rows, best = np.arange(len(self.scores)), self.best
        first = self.scores[:, 0]
        gone = np.isnan(first)
        shut_last = gone & (unscored != "escalate")
        columns = (
            (first, self.failures[:, 0]),
            # Without a score of the first answer nothing is drawn again.
            (np.where(gone, math.nan, self.scores[rows, best]), self.failures[rows, best]),
            (np.where(shut_last, math.nan, self.other_scores), self.other_failures),
        )
        return {
            name: (np.where(self.shut, math.nan, scores), failures)
            for name, (scores, failures) in zip(STEPS, columns, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy does with m instructions."""

    step: Array
    """The step that lets an answer through, shape (m,): ANSWER, RESAMPLE, ESCALATE, or NONE where it is declined."""
    failed: Flags
    """Whether what was let through is a failure, shape (m,)."""

    @property
    def answered(self) -> Flags:
        """Which instructions get an answer."""
        return np.asarray(self.step != NONE)

    def counts(self) -> tuple[int, int]:
        """Failures, and answers."""
        return int(self.failed.sum()), int(self.answered.sum())

    def by_step(self) -> dict[str, tuple[int, int]]:
        """Failures and answers of each step, by its name."""
        return {
            name: (int(self.failed[self.step == place].sum()), int((self.step == place).sum()))
            for place, name in enumerate(STEPS, start=ANSWER)
        }


def outcome(drafts: Drafts, values: Mapping[str, float], *, unscored: str = "decline") -> Outcome:
    """Apply a policy's thresholds, by the rule of `selfj.risk.answers`, in the order of the gateway's steps.

    Args:
        drafts: Of m instructions.
        values: Lowest score that a step lets through, by the step's name; a step without one is off.
        unscored: See `Steps`.
    """
    m = len(drafts.scores)
    step, failed = np.full(m, NONE), np.zeros(m, dtype=bool)
    for place, (name, (scores, failures)) in enumerate(drafts.by_step(unscored).items(), start=ANSWER):
        let = answers(scores, values.get(name, math.inf)) & (step == NONE)
        step[let], failed[let] = place, failures[let]
    return Outcome(step, failed)


@dataclass(frozen=True, slots=True)
class PolicyThreshold:
    """Lowest scores that are let through by each step, and the promise that they keep together."""

    values: dict[str, float]
    """By step; a step that is off has none."""
    steps: Steps
    model: str | None
    """The first model, as requests name it; None where the drafts do not say."""
    max_risk: float
    """The promise: at most this share of what is let through, by whatever step, are failures; in (0, 1)."""
    confidence: float
    """Share of calibration sets for which the promise holds."""
    min_quality: float
    """An exchange whose label is below this is a failure, in [0, 9]."""
    coverage: float
    """Share of the calibration instructions that get an answer."""
    risk: float
    """Share of failures among those."""
    risk_bound: float
    """Upper bound of the risk of these thresholds alone, by Clopper and Pearson, at `confidence`."""
    n: int
    """Calibration instructions that the thresholds were tested on."""
    answered: int
    by_step: dict[str, list[int]]
    """Failures and answers of each step among them."""
    label: str
    """The label that the promise is about."""
    judge: str
    """Digest of the judge."""
    data: str
    """Digest of the drafts, their scores and labels."""

    @property
    def digest(self) -> str:
        """Of the steps that it holds for."""
        return self.steps.digest

    def of(self, step: str) -> Threshold | None:
        """The threshold of one step, with the promise of all; None where the step is off."""
        if step not in self.values:
            return None
        kept = {field.name for field in fields(Threshold)} - {"value"}
        return Threshold(value=self.values[step], **{name: getattr(self, name) for name in kept})

    def to_json(self) -> str:
        """Write it as a JSON object."""
        value = {"schema": SCHEMA, **asdict(self), "digest": self.digest}
        return json.dumps(value, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PolicyThreshold":
        """Rebuild it from a JSON object.

        Raises:
            ArtefactError: It is of another version, damaged, or does not fit its own digest.
        """
        again = "Run selfj calibrate RUN --policy again."
        given = dict(value)
        if (found := given.pop("schema", None)) != SCHEMA:
            raise ArtefactError(f"The thresholds of the policy are of version {found}, expected {SCHEMA}. {again}")
        digest = given.pop("digest", None)
        try:
            made = cls(**{**given, "steps": Steps(**given["steps"])})
            values = [*made.values.values(), made.max_risk, made.confidence, made.min_quality]
            fits = set(made.values) == set(made.steps.names) and all(map(_is_number, values))
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtefactError(
                f"The thresholds of the policy lack a field or have an odd one: {error}. {again}"
            ) from error
        if not fits or made.digest != digest:
            raise ArtefactError(f"The thresholds of the policy do not fit the steps that they name. {again}")
        return made


def choose_policy(
    drafts: Drafts,
    steps: Steps,
    *,
    max_risk: float,
    confidence: float = 0.95,
    min_quality: float = 5.0,
    offsets: Mapping[str, float] | None = None,
    model: str | None = None,
    label: str = "z",
    judge: str = "",
    data: str = "",
) -> PolicyThreshold:
    """Find the lowest thresholds of a whole policy whose common risk is at most `max_risk`, with confidence.

    The thresholds lie on one path: those of all steps rise and fall together. What the policy does with an
    instruction is then a function of one number, and the rule of `selfj.risk.choose_threshold` tests that number.

    Args:
        drafts: Of independent instructions like those to come, drawn as the gateway will draw them.
        steps: What the gateway will do.
        max_risk: Largest share of failures among all that is let through, in (0, 1).
        confidence: Share of calibration sets for which the promise holds, in (0, 1).
        min_quality: As the drafts' failures were told, for the file.
        offsets: What is added to the number for a step, by its name; 0 unless given. Fixed beforehand, or learnt on
            other instructions.
        model: The first model, for the file.
        label: Name of the label, for the file.
        judge: Digest of the judge, for the file.
        data: Digest of the drafts, for the file.

    Raises:
        Infeasible: No thresholds on the path meet the target on these instructions.
        ConfigError: An argument is out of range, or drafts are of another number than the steps draw.
    """
    for name, value in (("max_risk", max_risk), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ConfigError(f"{name} must be above 0 and below 1, got {value}.")
    if drafts.scores.shape[1] != steps.n:
        raise ConfigError(f"the policy chooses from {steps.n} answers, found {drafts.scores.shape[1]} drafts of each.")
    shifts = {name: (offsets or {}).get(name, 0.0) for name in steps.names}

    def at(number: float) -> Outcome:
        values = {name: number + shift for name, shift in shifts.items()}
        return outcome(drafts, values, unscored=steps.unscored)

    reached = _reached(drafts, shifts, steps.unscored)
    number = lowest_accepted(reached, lambda value: at(value).counts(), max_risk=max_risk, confidence=confidence)
    if number is None:
        scored = int((~np.isnan(reached)).sum())
        raise Infeasible(
            f"No thresholds of {', '.join(shifts)} keep the risk at or below {max_risk:.1%} with confidence "
            f"{confidence:.0%} on {len(reached)} calibration instructions, {scored} of them with a score. Raise "
            "calibrate.max_risk, calibrate on more instructions, or leave a step out."
        )
    found = at(number)
    k, answered = found.counts()
    return PolicyThreshold(
        values={name: number + shift for name, shift in shifts.items()},
        steps=steps,
        model=model,
        max_risk=max_risk,
        confidence=confidence,
        min_quality=min_quality,
        coverage=round(answered / len(reached), 6),
        risk=round(k / answered, 6),
        risk_bound=round(upper_bound(k, answered, confidence), 6),
        n=len(reached),
        answered=answered,
        by_step={name: list(counts) for name, counts in found.by_step().items() if name in shifts},
        label=label,
        judge=judge,
        data=data,
    )


def load_policy(path: Path, *, steps: Steps, judge: str) -> tuple[PolicyThreshold | None, str | None]:
    """Read thresholds of a policy, or the reason why there are none.

    Args:
        path: The file.
        steps: What the gateway does now.
        judge: Digest of the judge there now.

    Raises:
        ArtefactError: It is absent or malformed.
        StaleArtefact: It was chosen for other steps or another judge.
    """
    again = "Run selfj calibrate RUN --policy again."
    value = read_json(path, "Run selfj calibrate RUN --policy FILE first.")
    if value.get("schema") == SCHEMA and isinstance(value.get("infeasible"), str):
        return None, value["infeasible"]
    found = PolicyThreshold.from_json(value)
    if found.judge != judge:
        raise StaleArtefact(
            f"The thresholds {path} were chosen for judge {found.judge[:12]}, but the judge there is {judge[:12]}. "
            f"{again}"
        )
    if found.digest != steps.digest:
        told = "; ".join(steps.differences(found.steps))
        raise StaleArtefact(
            f"The thresholds {path} were chosen for other steps: {told}. {again} Or give each step a threshold of your "
            "own, which carries no promise."
        )
    return found, None


def _reached(drafts: Drafts, shifts: Mapping[str, float], unscored: str) -> Array:
    """Highest number on the path at which each instruction gets an answer, shape (m,); NaN for never."""
    scores = drafts.by_step(unscored)
    highest: Array = np.fmax.reduce([scores[name][0] - shift for name, shift in shifts.items()])
    return highest


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
