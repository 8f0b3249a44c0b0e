"""Means, length control, correlations and resamples against brute force and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from selfj.ranking.agreement import correlations
from selfj.ranking.draws import percentile, weights
from selfj.ranking.means import bounded_lengths, in_order, means


@pytest.fixture
def table():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(5, 40))
    lengths = rng.lognormal(6, 0.6, size=(5, 40))
    scores[rng.random((5, 40)) < 0.1] = np.nan
    lengths[0, :3] = np.nan
    scores[0, :3] = np.nan
    return scores, lengths


def resample(column, weight):
    return np.repeat(column, weight.astype(int))


def test_means_of_resamples_are_those_of_the_drawn_instructions(table):
    scores, lengths = table
    (drawn,) = weights(40, 20, seed=1)
    found = means(scores, bounded_lengths(lengths), drawn)
    for weight, row in zip(drawn, found.plain, strict=True):
        np.testing.assert_allclose(row, [np.nanmean(resample(model, weight)) for model in scores], atol=1e-8)


def test_length_is_held_equal_by_the_least_squares_fit(table):
    scores, lengths = table
    bounded = bounded_lengths(lengths)
    (drawn,) = weights(40, 5, seed=2)
    found = means(scores, bounded, drawn)
    for weight, controlled, slope in zip(drawn, found.controlled, found.slope, strict=True):
        design, target = [], []
        for model in range(5):
            y, x = resample(scores[model], weight), resample(bounded[model], weight)
            for a, b in zip(y[~np.isnan(y)], x[~np.isnan(y)], strict=True):
                design.append([*(float(model == other) for other in range(5)), b])
                target.append(a)
        fitted, *_ = np.linalg.lstsq(np.array(design), np.array(target), rcond=None)
        np.testing.assert_allclose([*controlled, slope], fitted, atol=1e-8)


def test_a_planted_effect_of_length_is_taken_out():
    rng = np.random.default_rng(5)
    quality = np.array([1.0, 2.0, 3.0, 4.0])
    # The worse a model, the longer it writes.
    lengths = rng.lognormal(6, 0.5, size=(4, 600)) * np.array([3.0, 2.0, 1.5, 1.0])[:, None]
    bounded = bounded_lengths(lengths)
    scores = quality[:, None] + 5 * bounded + rng.normal(size=(4, 600))
    found = means(scores, bounded, np.ones((1, 600)))
    assert found.slope[0] == pytest.approx(5, abs=0.2)
    np.testing.assert_allclose(found.controlled[0], quality, atol=0.2)
    assert found.plain[0, 0] > found.plain[0, 3]


def test_lengths_are_relative_to_the_instruction_and_bounded():
    lengths = np.array([[100.0, 10.0, np.nan], [300.0, 30.0, 50.0]])
    bounded = bounded_lengths(lengths)
    spread = np.sqrt(np.mean(np.square([100, 100, 10, 10, 0])))
    np.testing.assert_allclose(
        bounded,
        [
            [-math.tanh(100 / spread), -math.tanh(10 / spread), np.nan],
            [math.tanh(100 / spread), math.tanh(10 / spread), 0],
        ],
    )


def test_where_length_tells_nothing_no_mean_is_corrected():
    found = means(np.array([[1.0, 2], [3, 4]]), bounded_lengths(np.full((2, 2), 7.0)), np.ones((1, 2)))
    np.testing.assert_array_equal(found.plain, [[1.5, 3.5]])
    assert np.isnan(found.controlled).all()
    assert np.isnan(found.slope).all()


def test_a_model_without_a_score_has_no_mean_and_spoils_no_other():
    scores = np.array([[1.0, 2, 3], [np.nan] * 3, [2, 2, np.nan]])
    found = means(scores, bounded_lengths(np.array([[1.0, 5, 2], [4, 4, 4], [2, 2, 9]])), np.ones((1, 3)))
    np.testing.assert_array_equal(found.plain, [[2, np.nan, 2]])
    assert not np.isnan(found.controlled[0, [0, 2]]).any()
    assert np.isnan(found.controlled[0, 1])


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_are_those_of_scipy(ties):
    rng = np.random.default_rng(7)
    rows, column = rng.normal(size=(6, 12)), rng.normal(size=12)
    if ties:
        rows, column = np.round(rows), np.round(column)
    rows[5, 2] = np.nan
    found = correlations(rows, column)
    for place, row in enumerate(rows):
        known = ~np.isnan(row)
        x, y = row[known], column[known]
        assert found["spearman"][place] == pytest.approx(stats.spearmanr(x, y).statistic)
        assert found["kendall"][place] == pytest.approx(stats.kendalltau(x, y).statistic)
        assert found["pearson"][place] == pytest.approx(stats.pearsonr(x, y).statistic)


def test_correlations_that_are_undefined_are_nan():
    constant = correlations(np.array([[1.0, 1, 1], [1, 2, 3]]), np.array([3.0, 2, 1]))
    for values in constant.values():
        np.testing.assert_allclose(values, [np.nan, -1])
    for values in correlations(np.ones((2, 1)), np.ones(1)).values():
        assert np.isnan(values).all()
    for values in correlations(np.ones((2, 0)), np.ones(0)).values():
        assert np.isnan(values).all()


def test_resamples_are_seeded_whole_and_independent_of_their_blocks(monkeypatch):
    first = np.concatenate(list(weights(9, 50, seed=4)))
    assert first.shape == (50, 9)
    assert (first.sum(axis=1) == 9).all()
    monkeypatch.setattr("selfj.ranking.draws._CELLS", 30)
    np.testing.assert_array_equal(first, np.concatenate(list(weights(9, 50, seed=4))))
    assert not np.array_equal(first, np.concatenate(list(weights(9, 50, seed=5))))
    assert list(weights(0, 5, seed=1)) == []


def test_percentiles_leave_out_what_is_undefined_up_to_a_tenth():
    found = np.arange(100.0)
    interval = percentile(50, found)
    assert (interval.low, interval.high) == pytest.approx((2.475, 96.525))
    found[:11] = np.nan
    assert math.isnan(percentile(50, found).low)
    assert math.isnan(percentile(50, np.array([])).low)


def test_order_counts_ties_half():
    assert in_order(np.array([2.0, 1, 0, np.nan]), np.array([1.0, 1, 1, 1])) == pytest.approx(0.5)
    assert math.isnan(in_order(np.array([np.nan]), np.array([1.0])))
