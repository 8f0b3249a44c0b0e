"""Intervals from how often each group is drawn, against the same metrics on gathered rows."""

import math
import warnings

import numpy as np
import pytest

from selfj import bootstrap as module
from selfj import inversions, metrics, weighted
from selfj.bootstrap import bootstrap, bootstrap_difference, resamples, summarise

SEEDS = range(6)
CLOSE = 1e-9
SUMMARY = ("pearson", "spearman", "kendall", "auroc", "aurc", "prr")
AGREEMENT = {"pearson": weighted.pearson, "spearman": weighted.spearman, "kendall": inversions.kendall}
SELECTION = {"aurc": weighted.aurc, "prr": weighted.prr}


def sizes_of(kind, rng):
    if kind == "pairs":
        return np.full(15, 2)
    return rng.integers(1, 6, 25) if kind == "unequal" else np.ones(40, dtype=int)


def draw(seed, kind="unequal", levels=None, missing=0.0, infinite=0.0):
    """Scores and gold that agree somewhat, in groups scattered over the rows."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes := sizes_of(kind, rng))) * 7, sizes))
    gold = rng.normal(size=len(groups))
    scores = gold + rng.normal(size=len(groups))
    if levels:
        gold, scores = (np.clip(np.round(x * levels / 4), -levels, levels) for x in (gold, scores))
    scores[rng.random(len(groups)) < infinite] = math.inf
    scores[rng.random(len(groups)) < infinite] = -math.inf
    scores[rng.random(len(groups)) < missing] = math.nan
    gold[rng.random(len(groups)) < missing / 3] = math.nan
    return scores, gold, groups


DATA = [
    pytest.param(*draw(seed, **kind), id=f"{name}-{seed}")
    for seed in SEEDS
    for name, kind in {
        "single": {"kind": "single"},
        "pairs": {"kind": "pairs"},
        "unequal": {},
        "ties": {"levels": 3},
        "two-values": {"levels": 1},
        "missing": {"missing": 0.3},
        "ties-and-missing": {"levels": 4, "missing": 0.3},
        "mostly-missing": {"missing": 0.9},
        "infinite": {"infinite": 0.1, "missing": 0.1},
        "infinite-ties": {"infinite": 0.1, "missing": 0.2, "levels": 2},
    }.items()
]


@pytest.fixture(params=[4, 2**15], ids=["cut", "whole"])
def block(request, monkeypatch):
    """Sorted rows in many small parts, and in one."""
    monkeypatch.setattr(weighted, "_BLOCK", request.param)


def compare(make, statistic, groups, *columns):
    place = np.unique(groups, return_inverse=True)[1]
    number = len(set(groups.tolist()))
    of = make(place, number, *columns)
    assert of(np.ones(number, dtype=np.int64)) == pytest.approx(statistic(*columns), abs=CLOSE, rel=0, nan_ok=True)
    for rows in resamples(groups, 25, seed=3):
        times = np.zeros(number, dtype=np.int64)
        times[place[rows]] = np.bincount(rows, minlength=len(groups))[rows]
        wanted = statistic(*(column[rows] for column in columns))
        assert of(times) == pytest.approx(wanted, abs=CLOSE, rel=0, nan_ok=True)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize(("scores", "gold", "groups"), DATA)
def test_every_metric_is_that_of_the_gathered_rows(scores, gold, groups):
    for name, make in AGREEMENT.items():
        compare(make, getattr(metrics, name), groups, scores, gold)
    compare(weighted.auroc, metrics.auroc, groups, scores, gold >= 0)
    for loss in (gold < 0, 1 / (1 + np.exp(np.nan_to_num(gold)))):
        for name, make in SELECTION.items():
            compare(make, getattr(metrics, name), groups, scores, loss)
    compare(weighted.mean, metrics.mean, groups, gold)
    share = 1 / (1 + np.exp(-scores))
    compare(weighted.ece, metrics.ece, groups, share, np.clip(gold, 0, 1))


@pytest.mark.parametrize("shift", [0.0, 1e9, -1e-3])
@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1.0, 1e150])
def test_pearson_knows_no_scale_and_no_shift(shift, scale):
    scores, gold, groups = draw(0)
    compare(weighted.pearson, metrics.pearson, groups, (np.round(scores, 2) + shift) * scale, gold)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_row_far_from_all_others_costs_no_digits(seed):
    scores, gold, groups = draw(seed)
    scores[3] = 1e14
    compare(weighted.pearson, metrics.pearson, groups, scores, gold)
    compare(weighted.pearson, metrics.pearson, groups, gold, scores)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("seed", SEEDS)
def test_resamples_of_one_value_are_undefined(seed):
    """Few rows, nearly all alike: many resamples are constant, though the rows are not."""
    rng = np.random.default_rng(seed)
    scores, gold = np.full(6, 0.1), rng.normal(size=6)
    scores[0] = 0.3
    for name, make in AGREEMENT.items():
        compare(make, getattr(metrics, name), np.arange(6), scores, gold)
        compare(make, getattr(metrics, name), np.arange(6), gold, scores)
    compare(weighted.auroc, metrics.auroc, np.arange(6), gold, scores > 0.2)
    compare(weighted.prr, metrics.prr, np.arange(6), gold, scores > 0.2)


@pytest.mark.parametrize("scores", [[], [1.0], [math.nan], [math.inf], [2.0, 2.0, 2.0], [math.nan] * 3])
@pytest.mark.parametrize("fails", [False, True])
def test_the_edges_are_those_of_the_metrics(scores, fails):
    x, groups = np.array(scores, dtype=float), np.arange(len(scores))
    gold, failure = np.arange(float(len(x))), np.full(len(x), fails)
    for name, make in AGREEMENT.items():
        compare(make, getattr(metrics, name), groups, x, gold)
    compare(weighted.auroc, metrics.auroc, groups, x, failure)
    for name, make in SELECTION.items():
        compare(make, getattr(metrics, name), groups, x, failure)
    compare(weighted.ece, metrics.ece, groups, np.nan_to_num(x, posinf=1), gold)
    compare(weighted.mean, metrics.mean, groups, np.nan_to_num(x, nan=math.nan, posinf=1))
    found = summarise(x, gold, failure, groups, draws=10, seed=0)
    assert list(found) == list(SUMMARY)
    assert math.isnan(found["pearson"].value)


def gathered(statistic):
    """The same statistic under another name, so that its rows are gathered."""
    return lambda *columns: statistic(*columns)


def close(found, wanted):
    for name in ("value", "low", "high"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=CLOSE, rel=0, nan_ok=True)
    assert found.draws == wanted.draws


@pytest.mark.parametrize(("scores", "gold", "groups"), DATA)
def test_intervals_are_those_of_gathered_rows(scores, gold, groups):
    failure = gold < 0
    options = {"groups": groups, "draws": 40, "seed": 5}
    found = summarise(scores, gold, failure, groups, draws=40, seed=5)
    other = {"auroc": ~failure, "aurc": failure, "prr": failure}
    for name in SUMMARY:
        statistic, column = getattr(metrics, name), other.get(name, gold)
        wanted = bootstrap(gathered(statistic), scores, column, **options)
        close(found[name], wanted)
        close(bootstrap(statistic, scores, column, **options), wanted)
    close(bootstrap(metrics.mean, gold, **options), bootstrap(gathered(metrics.mean), gold, **options))
    for statistic in (metrics.pearson, metrics.spearman):
        pair = scores, -scores + gold, gold
        close(
            bootstrap_difference(statistic, *pair, **options),
            bootstrap_difference(gathered(statistic), *pair, **options),
        )


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(threads, monkeypatch):
    scores, gold, groups = draw(1, levels=4, missing=0.2)
    alone = summarise(scores, gold, gold < 0, groups, draws=210, seed=2)
    monkeypatch.setattr(module, "_ROWS_FOR_THREADS", 0)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(module, "_THREADS", threads)
    assert summarise(scores, gold, gold < 0, groups, draws=210, seed=2) == alone


def test_a_fault_in_a_thread_is_raised(monkeypatch):
    def fault(_):
        raise ValueError("no")

    monkeypatch.setattr(module, "_ROWS_FOR_THREADS", 0)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    with pytest.raises(ValueError, match="no"):
        module._drawn([(fault, 5)], 10, 10, 5, 0)


@pytest.mark.parametrize(
    "groups",
    [
        np.array(["b", "a", "b", "c"]),
        np.array([5, 3, 5, 9]),
        np.array([500, -3, 500, 2**40]),
        np.array([5, 3, 5, 9], "u1"),
    ],
    ids=["names", "small", "wide", "unsigned"],
)
def test_groups_are_numbered_in_their_order(groups):
    place, sizes = module._places(groups)
    assert (place.tolist(), sizes.tolist()) == ([1, 0, 1, 2], [1, 2, 1])


def test_kendall_of_two_rows():
    assert metrics.kendall(np.array([1.0, 2.0]), np.array([-math.inf, 0.0])) == 1
    assert metrics.kendall(np.array([1.0, 2.0, math.nan]), np.array([0.5, 0.0, 1.0])) == -1


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_pearson_of_an_infinite_score_is_undefined(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(metrics.pearson(np.array([1.0, 2.0, value]), np.array([1.0, 2.0, 3.0])))
    for metric in (metrics.spearman, metrics.kendall):
        assert metric(np.array([1.0, 2.0, value]), np.array([1.0, 2.0, math.copysign(3.0, value)])) == pytest.approx(
            1.0 if value > 0 else metric(np.array([1.0, 2.0, -3.0]), np.array([1.0, 2.0, -3.0]))
        )
