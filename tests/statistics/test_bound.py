"""The promise as a promise: over many calibration sets, how often is the true risk above the target.

The scores live on a grid and failures have a known chance at each level, so the true risk of every threshold is a sum.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from selfj.errors import Infeasible
from selfj.risk import choose_threshold

DRAWS = 500


@dataclass(frozen=True)
class World:
    """How often a score comes, and how often an answer with it fails."""

    share: np.ndarray
    chance: np.ndarray

    @property
    def levels(self):
        return np.linspace(0, 9, len(self.share))

    def draw(self, rng, n):
        place = rng.choice(len(self.share), n, p=self.share)
        return self.levels[place], np.where(rng.random(n) < self.chance[place], 1.0, 8.0)

    def risks(self):
        """True risk of answering each level and all above."""
        answered = np.cumsum(self.share[::-1])[::-1]
        return np.cumsum((self.share * self.chance)[::-1])[::-1] / answered

    def risk(self, threshold):
        return self.risks()[np.searchsorted(self.levels, threshold)]


def world(curve, levels, target):
    """Failure chances by name; those named after the target sit just above it, where the promise is hardest."""
    x = np.linspace(0, 1, levels)
    share = np.full(levels, 1 / levels)
    above = target * 1.0001
    if curve == "informative":
        chance = 0.75 * (1 - x) ** 2
    elif curve == "uninformative":
        chance = np.full(levels, above)
    elif curve == "inverted":
        chance = np.clip(2 * target * x, 0, 1)
    elif curve == "good-bad-good":
        chance = np.where(x > 0.6, target / 2, np.where(x > 0.35, min(1.0, 2.2 * target), target))
    elif curve == "comb":
        chance = np.where(np.arange(levels) % 2, 0.0, 2 * above)
    else:
        assert curve == "lowest-level-breaks-it"
        chance = np.full(levels, target / 4)
        chance[0] = 1.0
        # Level 0 is as common as it takes for the risk of answering all to be just above the target.
        lowest = (above - target / 4) / (1 - target / 4)
        share = np.array([lowest, *np.full(levels - 1, (1 - lowest) / (levels - 1))])
    return World(share, chance)


def chosen(made, n, target, confidence, seed, draws=DRAWS, repeat=1):
    """Thresholds over many calibration sets; None where there is none."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        scores, labels = (np.repeat(column, repeat) for column in made.draw(rng, n // repeat))
        try:
            found.append(choose_threshold(scores, labels, max_risk=target, confidence=confidence).value)
        except Infeasible:
            found.append(None)
    return found


def broken(made, found, target):
    return sum(value is not None and made.risk(value) > target for value in found)


def most(draws, budget):
    """More broken promises than this come up once in a thousand times when each has the probability `budget`."""
    return stats.binom.ppf(0.999, draws, budget)


CURVES = ("informative", "uninformative", "inverted", "good-bad-good", "comb", "lowest-level-breaks-it")
# Ten levels, where nearly every row is tied with others, and so many that hardly any is.
TIED = [(curve, 10, n, target, sure) for curve in CURVES for n, target, sure in [(400, 0.1, 0.95), (150, 0.3, 0.8)]]
SPREAD = [(curve, 2000, 45, 0.25, 0.8) for curve in ("informative", "uninformative", "good-bad-good", "comb")]


@pytest.mark.parametrize(("curve", "levels", "n", "target", "confidence"), [*TIED, *SPREAD])
def test_the_promise_is_kept_as_often_as_it_says(curve, levels, n, target, confidence):
    made = world(curve, levels, target)
    found = chosen(made, n, target, confidence, seed=CURVES.index(curve))
    assert broken(made, found, target) <= most(DRAWS, 1 - confidence)


def test_the_budget_is_spent_where_the_promise_is_hardest():
    """The level of the test above is no accident of a threshold that is never chosen."""
    made = world("lowest-level-breaks-it", 10, 0.3)
    found = chosen(made, 400, 0.3, 0.8, seed=1)
    assert all(value is not None for value in found)
    assert 0.1 * DRAWS < broken(made, found, 0.3) <= most(DRAWS, 0.2)


@pytest.mark.parametrize(("levels", "n", "target", "confidence"), [(10, 500, 0.1, 0.95), (2000, 400, 0.2, 0.9)])
def test_informative_scores_get_a_useful_threshold(levels, n, target, confidence):
    made = world("informative", levels, target)
    best = made.share[made.risks() <= target].sum()
    found = chosen(made, n, target, confidence, seed=7, draws=100)
    answered = [0.0 if value is None else made.share[made.levels >= value].sum() for value in found]
    assert np.mean([value is not None for value in found]) > 0.9
    assert np.mean(answered) > 0.7 * best


def test_plug_in_risk_would_break_the_promise():
    """Why there is a bound at all, and that these simulations can tell."""
    made, rng = world("uninformative", 10, 0.1), np.random.default_rng(2)
    count = 0
    for _ in range(DRAWS):
        scores, labels = made.draw(rng, 400)
        risks = [np.mean(labels[scores >= level] < 5) for level in made.levels]
        count += min(risks) <= 0.1
    assert count > 5 * most(DRAWS, 0.05)


def test_rows_that_fail_together_would_break_it():
    """Four copies of each row count four times, so the bound no longer holds: rows must be independent."""
    made = world("uninformative", 10, 0.1)
    found = chosen(made, 400, 0.1, 0.95, seed=3, repeat=4)
    assert broken(made, found, 0.1) > 2 * most(DRAWS, 0.05)
