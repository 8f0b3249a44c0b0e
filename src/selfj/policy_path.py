"""The path on which a policy's thresholds rise and fall together, learnt on instructions that test no threshold."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy.stats import binom

from selfj.errors import ConfigError
from selfj.metrics import Array, Flags
from selfj.policy_risk import Drafts, PolicyThreshold, Steps, choose_policy
from selfj.risk import answers

SHARE = 0.25
"""Of the calibration instructions, on which the path is laid out."""
OFF = 10.0
"""Added to a number from 0 to 9, a threshold that no score reaches: the step then lets nothing through."""
_RESAMPLE = (0.0, 0.5, 1.0, 1.5, 2.0, OFF)
"""The best of several has the better score by its choice alone, so it is held to no less than the first answer."""
_ESCALATE = (0.0, 0.5, 1.0, 2.0, -0.5, -1.0, -2.0, -3.0, -5.0, -9.0, OFF)
_NUMBERS = 40
"""Places on a path at which it is looked at."""


def lay_out(drafts: Drafts, steps: Steps, *, max_risk: float, confidence: float = 0.95) -> dict[str, float]:
    """Choose what is added to the number for each step: what answers most where the test could be passed.

    That is where as many times the failures and answers seen here as the other instructions are more would pass an
    exact binomial test. Nothing is promised here. The nearest to 0 is taken among equals.

    Args:
        drafts: Of instructions that take no part in the test.
        steps: What the gateway will do.
        max_risk: The target, in (0, 1).
        confidence: Of the promise, in (0, 1).
    """
    grids = {"answer": (0.0,), "resample": _RESAMPLE, "escalate": _ESCALATE}
    known = drafts.scores[~np.isnan(drafts.scores)]
    if not len(known):
        return dict.fromkeys(steps.names, 0.0)
    numbers = np.quantile(known, np.linspace(0, 1, _NUMBERS))
    passes = _passes(drafts, steps, {name: grids[name] for name in steps.names}, numbers)
    times = (1 - SHARE) / SHARE
    best, most = dict.fromkeys(steps.names, 0.0), -1
    for shifts in product(*(grids[name] for name in steps.names)):
        offsets = dict(zip(steps.names, shifts, strict=True))
        k, answered = counts_along([passes[name, shift] for name, shift in offsets.items()])
        within = answered[binom.cdf(times * k, times * answered, max_risk) <= 1 - confidence]
        found, size = int(within.max(initial=0)), sum(map(abs, shifts))
        if found > most or (found == most and size < sum(map(abs, best.values()))):
            best, most = offsets, found
    return best


def calibrate_policy(
    drafts: Drafts, steps: Steps, chances: Array, *, max_risk: float, confidence: float = 0.95, **more: Any
) -> PolicyThreshold:
    """Lay out a path on some instructions and choose the thresholds on the others.

    Args:
        drafts: Of m independent instructions.
        steps: What the gateway will do.
        chances: A number in [0, 1) for each instruction that depends on nothing else, such as a hash, shape (m,). Those
            below `SHARE` lay out the path; where there is one step alone there is nothing to lay out.
        max_risk: Largest share of failures among all that is let through, in (0, 1).
        confidence: Share of calibration sets for which the promise holds, in (0, 1).
        more: As for `choose_policy`.

    Raises:
        Infeasible: No thresholds on the path meet the target.
        ConfigError: An argument is out of range.
    """
    if chances.shape != (len(drafts.scores),):
        raise ConfigError(f"expected a chance for each of {len(drafts.scores)} instructions, got {chances.shape}.")
    if len(steps.names) == 1:
        return choose_policy(drafts, steps, max_risk=max_risk, confidence=confidence, **more)
    apart: Flags = chances < SHARE
    offsets = lay_out(drafts.some(apart), steps, max_risk=max_risk, confidence=confidence)
    return choose_policy(drafts.some(~apart), steps, max_risk=max_risk, confidence=confidence, offsets=offsets, **more)


def counts_along(passes: Sequence[tuple[Flags, Flags]]) -> tuple[Array, Array]:
    """Failures and answers at each number, shape (numbers,); as `selfj.policy_risk.outcome` counts them.

    Args:
        passes: For each step in order, which instructions reach its threshold at each number, shape (numbers, m), and
            whether what it would let through is a failure, shape (m,).
    """
    first, _ = passes[0]
    waiting = np.ones_like(first)
    k = answered = np.zeros(len(first), dtype=np.float64)
    for reached, failures in passes:
        let = reached & waiting
        waiting = waiting & ~reached
        k = k + (let & failures).sum(axis=1)
        answered = answered + let.sum(axis=1)
    return k, answered


def _passes(
    drafts: Drafts, steps: Steps, grids: Mapping[str, Sequence[float]], numbers: Array
) -> dict[tuple[str, float], tuple[Flags, Flags]]:
    found = {}
    for name, (scores, failures) in drafts.by_step(steps.unscored).items():
        for shift in grids.get(name, ()):
            reached = np.array([answers(scores, number + shift) for number in numbers])
            found[name, shift] = reached, failures
    return found
