"""The promise of a whole policy: over many calibration sets, how often is the true risk of what it lets through above.

A world is a population of instructions, each with its drafts, their scores and failures; a calibration set is drawn
from it with replacement, so the risk over the population is the true one.
"""

import numpy as np
import pytest
from scipy import stats

from selfj.errors import Infeasible
from selfj.policy_path import calibrate_policy
from selfj.policy_risk import Drafts, Steps, choose_policy, outcome
from selfj.risk import choose_threshold

POPULATION, DRAWS, N = 4000, 200, 3
STEPS = Steps(N, 1.0, "other", None, "decline")


def world(kind, target, seed=0):
    """A population by name; where the judge is useless, failures are a little more frequent than the target."""
    rng = np.random.default_rng(seed)
    shape = (POPULATION, N)
    if kind == "useless":
        scores, other = rng.uniform(0, 9, shape), rng.uniform(0, 9, POPULATION)
        failures, other_failures = (exactly(rng, size, target * 1.01) for size in (shape, POPULATION))
    elif kind == "useless other":
        # A good judge of the first model, and one that knows nothing of the other, which fails often.
        hard = rng.random(POPULATION)
        failures = rng.random(shape) < hard[:, None] ** 2
        scores = np.clip(9 * (1 - hard[:, None]) + rng.normal(0, 1.5, shape), 0, 9)
        other, other_failures = rng.uniform(6, 9, POPULATION), exactly(rng, POPULATION, 3 * target)
    elif kind == "drafts hide":
        # Scores of failures are noise, so that the best of several is more often a failure than any one.
        failures = rng.random(shape) < 0.4
        scores = np.where(failures, rng.uniform(0, 9, shape), rng.normal(6, 0.5, shape).clip(0, 9))
        other, other_failures = np.full(POPULATION, 5.0), exactly(rng, POPULATION, target / 2)
    else:
        assert kind == "informative"
        hard = rng.random(POPULATION)
        failures = rng.random(shape) < hard[:, None]
        scores = np.clip(9 * (1 - hard[:, None]) + rng.normal(0, 1.5, shape) - failures, 0, 9)
        other_failures = rng.random(POPULATION) < 0.5 * hard
        other = np.clip(6 - 3 * hard + rng.normal(0, 1.0, POPULATION), 0, 9)
    scores[rng.random(shape) < 0.02] = np.nan
    return Drafts(scores, failures, other, other_failures, rng.random(POPULATION) < 0.02)


def exactly(rng, shape, share):
    """Failures of just this share."""
    size = int(np.prod(shape))
    return rng.permutation(np.arange(size) < np.ceil(share * size)).reshape(shape)


def deployments(made, choose, m, target, draws=DRAWS, seed=1):
    """True risk and coverage of what many calibration sets lead to; NaN and 0 where everything is declined."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        rows = rng.integers(0, POPULATION, m)
        try:
            values = choose(made.some(rows), rng.random(m))
        except Infeasible:
            found.append((np.nan, 0.0))
            continue
        k, answered = outcome(made, values).counts()
        found.append((k / answered, answered / POPULATION))
    return np.array(found).T


def whole(target, confidence):
    return lambda drafts, chances: (
        calibrate_policy(drafts, STEPS, chances, max_risk=target, confidence=confidence).values
    )


def first_for_all(target, confidence):
    """The threshold of first answers at every step."""

    def choose(drafts, chances):
        labels = np.where(drafts.failures[:, 0], 0.0, 9.0)
        value = choose_threshold(drafts.scores[:, 0], labels, max_risk=target, confidence=confidence).value
        return dict.fromkeys(STEPS.names, value)

    return choose


def most(draws, budget):
    """More broken promises than this come up once in a thousand times when each has the probability `budget`."""
    return stats.binom.ppf(0.999, draws, budget)


@pytest.mark.parametrize("kind", ["informative", "useless", "useless other", "drafts hide"])
@pytest.mark.parametrize(("m", "target", "confidence"), [(400, 0.2, 0.95), (150, 0.3, 0.8)])
def test_the_promise_of_the_policy_is_kept_as_often_as_it_says(kind, m, target, confidence):
    risks, _ = deployments(world(kind, target), whole(target, confidence), m, target)
    assert np.sum(risks > target) <= most(DRAWS, 1 - confidence)


def test_the_threshold_of_first_answers_does_not_hold_for_the_policy():
    """Why the steps are calibrated together, and that this simulation can tell."""
    risks, _ = deployments(world("useless other", 0.2), first_for_all(0.2, 0.95), 400, 0.2, draws=100)
    assert np.sum(risks > 0.2) > 5 * most(100, 0.05)


def test_the_steps_buy_answers():
    made = world("drafts hide", 0.2)
    _, together = deployments(made, whole(0.2, 0.95), 600, 0.2, draws=60)
    alone = Steps(1, None, None, None, "decline")
    first = Drafts(made.scores[:, :1], made.failures[:, :1], made.other_scores, made.other_failures, made.shut)
    _, single = deployments(
        first, lambda drafts, _: choose_policy(drafts, alone, max_risk=0.2).values, 600, 0.2, draws=60
    )
    assert together.mean() > single.mean() + 0.4
