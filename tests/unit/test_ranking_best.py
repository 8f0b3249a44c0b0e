"""Best of N against the enumeration of all subsets."""

from itertools import combinations

import numpy as np
import pytest

from selfj.ranking.best import pick_weights, sizes_up_to, wins


def by_enumeration(scores, size):
    m = len(scores)
    filled = [-np.inf if np.isnan(score) else score for score in scores]
    weights = np.zeros(m)
    subsets = list(combinations(range(m), size))
    for subset in subsets:
        top = max(filled[place] for place in subset)
        best = [place for place in subset if filled[place] == top]
        for place in best:
            weights[place] += 1 / len(best) / len(subsets)
    return weights


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_weights_are_those_of_all_subsets(size):
    rng = np.random.default_rng(size)
    scores = rng.integers(0, 4, size=(6, 7)).astype(float)
    scores[rng.random((6, 7)) < 0.2] = np.nan
    scores[0] = np.nan
    scores[1] = rng.normal(size=7)
    found = pick_weights(scores, size)
    np.testing.assert_allclose(found, [by_enumeration(row, size) for row in scores], atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_candidate_without_a_score_is_never_picked_of_all():
    np.testing.assert_array_equal(pick_weights(np.array([[np.nan, 1.0, np.nan]]), 3), [[0, 1, 0]])
    np.testing.assert_array_equal(pick_weights(np.array([[np.nan, np.nan]]), 2), [[0.5, 0.5]])


def test_many_candidates_lose_no_precision():
    weights = pick_weights(np.arange(3000.0)[None], 1500)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights[0, -1] == pytest.approx(0.5, abs=1e-12)


def test_wins_count_ties_half():
    gold = np.array([[0.0, 1, 1, 2]])
    expected = [[np.mean([(a > b) + 0.5 * (a == b) for b in gold[0]]) for a in gold[0]]]
    np.testing.assert_allclose(wins(gold), expected)


def test_sizes():
    assert sizes_up_to(1) == (1,)
    assert sizes_up_to(3) == (1, 2, 3)
    assert sizes_up_to(8) == (1, 2, 4, 8)
