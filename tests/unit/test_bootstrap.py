import math

import numpy as np
import pytest

from selfj import metrics
from selfj.bootstrap import bootstrap, bootstrap_difference, resamples, summarise

GROUPS = {
    "one-row-each": np.arange(12),
    "unequal-and-scattered": np.array([3, 1, 3, 2, 2, 3, 3, 7, 1, 9]),
    "names": np.array(["b", "a", "b", "c", "a", "a"]),
    "one-group": np.zeros(5, dtype=int),
}


def mean(x):
    return float(x.mean())


def paired_rows(seed, groups=40, size=3, spread=1.0):
    """Rows of a group share most of their value; the true mean is 0."""
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(groups), size)
    return rng.normal(size=groups)[names] + spread * rng.normal(size=len(names)), names


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_groups_are_drawn_whole(groups):
    names = sorted(set(groups.tolist()))
    for rows in resamples(groups, 50, seed=1):
        times = np.bincount(rows, minlength=len(groups))
        by_group = {name: set(times[groups == name].tolist()) for name in names}
        assert all(len(found) == 1 for found in by_group.values())
        assert sum(found.pop() for found in by_group.values()) == len(names)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_every_group_is_drawn_equally_often(groups):
    times = sum(np.bincount(rows, minlength=len(groups)) for rows in resamples(groups, 2000, seed=2))
    assert times / 2000 == pytest.approx(np.ones(len(groups)), abs=0.12)


def test_the_seed_decides():
    values, groups = paired_rows(0)
    first, again, other = (bootstrap(mean, values, groups=groups, draws=50, seed=seed) for seed in (4, 4, 5))
    assert first == again
    assert first.value == other.value
    assert (first.low, first.high) != (other.low, other.high)


def test_the_interval_is_that_of_the_resamples():
    values, groups = paired_rows(1)
    found = bootstrap(mean, values, groups=groups, draws=99, confidence=0.8, seed=3)
    means = [values[rows].mean() for rows in resamples(groups, 99, 3)]
    assert (found.value, found.draws) == (values.mean(), 99)
    assert sum(found.low <= item <= found.high for item in means) == pytest.approx(0.8 * 99, abs=1)
    assert (found.low, found.high) == (pytest.approx(np.quantile(means, 0.1)), pytest.approx(np.quantile(means, 0.9)))


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    by_instruction = by_row = 0
    for seed in range(300):
        values, groups = paired_rows(seed, spread=0.3)
        whole = bootstrap(mean, values, groups=groups, draws=200, seed=seed)
        single = bootstrap(mean, values, groups=np.arange(len(values)), draws=200, seed=seed)
        by_instruction += whole.low <= 0 <= whole.high
        by_row += single.low <= 0 <= single.high
    assert 0.90 <= by_instruction / 300 <= 0.985
    # Rows drawn one by one, as if they were independent, promise far too much.
    assert by_row / 300 < 0.82


def test_a_difference_uses_the_same_resamples_for_both():
    values, groups = paired_rows(2)
    gold = values + np.random.default_rng(0).normal(size=len(values))
    worse = values + 0.2 * np.random.default_rng(1).normal(size=len(values))
    found = bootstrap_difference(metrics.pearson, values, worse, gold, groups=groups, draws=200, seed=6)
    by_hand = [
        metrics.pearson(values[rows], gold[rows]) - metrics.pearson(worse[rows], gold[rows])
        for rows in resamples(groups, 200, 6)
    ]
    assert found.value == metrics.pearson(values, gold) - metrics.pearson(worse, gold)
    assert (found.low, found.high) == tuple(pytest.approx(q) for q in np.quantile(by_hand, [0.025, 0.975]))
    alone = bootstrap(metrics.pearson, values, gold, groups=groups, draws=200, seed=6)
    assert found.high - found.low < 0.6 * (alone.high - alone.low)


def test_nothing_differs_from_itself():
    values, groups = paired_rows(3)
    found = bootstrap_difference(metrics.pearson, values, values, values**3, groups=groups, draws=50, seed=0)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_summary_is_every_metric_by_itself():
    scores, groups = paired_rows(4)
    gold = scores + np.random.default_rng(2).normal(size=len(scores))
    scores[::7] = math.nan
    failure = gold < 0
    found = summarise(scores, gold, failure, groups, draws=220, seed=8)
    options = {"groups": groups, "draws": 220, "seed": 8}
    assert list(found) == ["pearson", "spearman", "kendall", "auroc", "aurc", "prr"]
    for name in ("pearson", "spearman"):
        assert found[name] == bootstrap(getattr(metrics, name), scores, gold, **options)
    for name in ("aurc", "prr"):
        assert found[name] == bootstrap(getattr(metrics, name), scores, failure, **options)
    assert found["auroc"] == bootstrap(metrics.auroc, scores, ~failure, **options)
    assert found["kendall"] == bootstrap(metrics.kendall, scores, gold, **{**options, "draws": 200})


@pytest.mark.parametrize(("undefined", "defined"), [(0.03, True), (0.3, False)])
def test_few_undefined_resamples_are_left_out_and_many_leave_no_interval(undefined, defined):
    rng = np.random.default_rng(0)

    def sometimes(x):
        # The statistic of the rows themselves comes first and is defined.
        sometimes.calls += 1
        return math.nan if sometimes.calls > 1 and rng.random() < undefined else mean(x)

    sometimes.calls = 0
    values, groups = paired_rows(5)
    found = bootstrap(sometimes, values, groups=groups, draws=400, seed=0)
    assert found.value == values.mean()
    assert found.draws == pytest.approx(400 * (1 - undefined), abs=40)
    assert found.draws < 400
    assert (not math.isnan(found.low), not math.isnan(found.high)) == (defined, defined)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_undefined_value_has_no_interval(rows):
    values = np.arange(float(rows))
    found = bootstrap(metrics.pearson, values, values, groups=np.arange(rows), draws=20, seed=0)
    assert all(math.isnan(item) for item in (found.value, found.low, found.high))
    assert found.draws == 0
