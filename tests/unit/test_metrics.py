"""Every metric against scipy, scikit-learn and plain loops, and on the edges."""

import math
from functools import partial
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from selfj import metrics
from selfj.metrics import aurc, auroc, calibration_bins, ece, kendall, pearson, prr, risk_coverage, spearman

close = partial(pytest.approx, rel=1e-9, abs=1e-9)

SEEDS = range(4)
NAN = math.nan


def draw(seed, n=60, levels=None, missing=0.0):
    """Scores and gold that agree somewhat; on a grid of levels where these are given."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=n)
    scores = gold + rng.normal(size=n)
    if levels:
        gold, scores = (np.clip(np.round(x * levels / 4), -levels, levels) for x in (gold, scores))
    scores[rng.random(n) < missing] = NAN
    return scores, gold


DATA = [
    pytest.param(*draw(seed, **kind), id=f"{name}-{seed}")
    for seed in SEEDS
    for name, kind in {
        "continuous": {},
        "ties": {"levels": 4},
        "two-values": {"levels": 1},
        "missing": {"missing": 0.3},
        "ties-and-missing": {"levels": 3, "missing": 0.3},
        "few": {"n": 5},
    }.items()
]


def both_known(scores, gold):
    keep = [i for i in range(len(scores)) if not math.isnan(scores[i]) and not math.isnan(gold[i])]
    return scores[keep], gold[keep]


# Correlations


@pytest.mark.parametrize(("scores", "gold"), DATA)
def test_correlations_agree_with_scipy(scores, gold):
    x, y = both_known(scores, gold)
    assert pearson(scores, gold) == close(stats.pearsonr(x, y).statistic)
    assert spearman(scores, gold) == close(stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize(("scores", "gold"), DATA)
def test_kendall_counts_pairs(scores, gold):
    pairs = list(combinations(zip(*both_known(scores, gold), strict=True), 2))
    signs = [(np.sign(a - c), np.sign(b - d)) for (a, b), (c, d) in pairs]
    agreement = sum(s * t for s, t in signs)
    untied = math.prod(sum(pair[side] != 0 for pair in signs) for side in (0, 1))
    assert kendall(scores, gold) == close(agreement / math.sqrt(untied))


def test_missing_gold_is_left_out_too():
    scores, gold = np.array([1.0, 2, 3, NAN, 5]), np.array([2.0, NAN, 4, 9, 1])
    for metric in (pearson, spearman, kendall):
        assert metric(scores, gold) == metric(scores[[0, 2, 4]], gold[[0, 2, 4]])


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e9, 1e200])
def test_correlations_know_no_scale(scale):
    scores, gold = draw(0)
    for metric in (pearson, spearman, kendall):
        assert metric(scores * scale, gold) == close(metric(scores, gold))
        assert metric(scores * scale, -scores) == close(-1)


def test_pearson_stays_within_one():
    x = np.array([0.1, 0.2, 0.3]) * 7
    assert pearson(x, x / 3 + 0.1) <= 1.0


@pytest.mark.parametrize("metric", [pearson, spearman, kendall], ids=lambda metric: metric.__name__)
@pytest.mark.parametrize(
    ("scores", "gold"),
    [
        ([], []),
        ([1], [2]),
        ([3, 3, 3], [1, 2, 3]),
        ([1, 2, 3], [0.1, 0.1, 0.1]),
        ([NAN, NAN], [1, 2]),
        ([1, NAN], [1, 2]),
    ],
)
def test_undefined_correlations_are_nan(metric, scores, gold):
    assert math.isnan(metric(np.array(scores, dtype=float), np.array(gold, dtype=float)))


# AUROC


@pytest.mark.parametrize(("scores", "gold"), DATA)
def test_auroc_agrees_with_scikit_learn_and_counts_pairs(scores, gold):
    positive = gold >= np.median(gold)
    known = ~np.isnan(scores)
    x, hit = scores[known], positive[known]
    if hit.all():
        assert math.isnan(auroc(scores, positive))
        return
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in x[hit] for b in x[~hit]]
    assert auroc(scores, positive) == close(sum(won) / len(won))
    assert auroc(scores, positive) == close(reference.roc_auc_score(hit, x))


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([1, 2, 3, 4], [False, False, True, True], 1.0),
        ([4, 3, 2, 1], [False, False, True, True], 0.0),
        ([5, 5, 5], [True, False, True], 0.5),
        ([-np.inf, 0, np.inf], [False, True, True], 1.0),
        ([1, 2], [True, True], NAN),
        ([1, 2], [False, False], NAN),
        ([NAN, 2], [True, False], NAN),
        ([], [], NAN),
    ],
)
def test_auroc_by_hand(scores, positive, expected):
    found = auroc(np.array(scores, dtype=float), np.array(positive, dtype=bool))
    assert found == close(expected, nan_ok=True)


# Selection


def filled(scores):
    return [-math.inf if math.isnan(score) else score for score in scores]


@pytest.mark.parametrize(("scores", "gold"), DATA)
def test_risk_coverage_tries_every_threshold(scores, gold):
    failure = gold < 0
    curve = risk_coverage(scores, failure)
    values = sorted(set(filled(scores)), reverse=True)
    assert curve.threshold.tolist() == values
    for value, coverage, risk in zip(values, curve.coverage, curve.risk, strict=True):
        given = [bad for score, bad in zip(filled(scores), failure, strict=True) if score >= value]
        assert coverage == close(len(given) / len(scores))
        assert risk == close(sum(given) / len(given))


def expected_aurc(scores, loss):
    """Mean over coverages k/n of the expected loss among the first k, ties in random order."""
    ranked = filled(scores)
    risks = []
    for k in range(1, len(ranked) + 1):
        edge = sorted(ranked, reverse=True)[k - 1]
        above = [bad for score, bad in zip(ranked, loss, strict=True) if score > edge]
        tied = [bad for score, bad in zip(ranked, loss, strict=True) if score == edge]
        risks.append((sum(above) + (k - len(above)) * sum(tied) / len(tied)) / k)
    return sum(risks) / len(risks)


@pytest.mark.parametrize(("scores", "gold"), DATA)
@pytest.mark.parametrize("kind", ["failure", "loss"])
def test_aurc_and_prr_agree_with_loops(scores, gold, kind):
    loss = (gold < 0) if kind == "failure" else 1 / (1 + np.exp(gold))
    area = expected_aurc(scores, loss)
    assert aurc(scores, loss) == close(area)
    random = sum(loss) / len(loss)
    best = sorted(float(value) for value in loss)
    oracle = sum(sum(best[:k]) / k for k in range(1, len(best) + 1)) / len(best)
    if random - oracle < 1e-9:
        assert math.isnan(prr(scores, loss))
    else:
        assert prr(scores, loss) == close((random - area) / (random - oracle))


@pytest.mark.parametrize("scores", [[2, 2, 1, 1, 1], [3, NAN, NAN, 3, 4], [0, 0, 0, 0, 0], [NAN] * 5])
def test_aurc_is_the_mean_over_all_orders_of_tied_rows(scores):
    failure = np.array([True, False, False, True, True])
    areas = []
    for order in permutations(range(5)):
        answered = sorted(order, key=lambda i: -filled(scores)[i])
        areas.append(np.mean(np.cumsum(failure[answered]) / np.arange(1, 6)))
    assert aurc(np.array(scores, dtype=float), failure) == close(np.mean(areas))


def test_a_missing_score_is_declined_first():
    failure = np.array([True, False, False, True])
    assert aurc(np.array([NAN, 3, 2, 1]), failure) == aurc(np.array([0.0, 3, 2, 1]), failure)


@pytest.mark.parametrize(
    ("scores", "failure", "area", "ratio"),
    [
        ([4, 3, 2, 1], [0, 0, 1, 1], (0 + 0 + 1 / 3 + 1 / 2) / 4, 1.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5, 0.0),
        ([1, 2], [0, 1], 0.75, -1.0),
        ([0, np.inf, -np.inf], [0, 0, 1], 1 / 9, 1.0),
        ([5], [1], 1.0, NAN),
        ([5], [0], 0.0, NAN),
        ([1, 2, 3], [1, 1, 1], 1.0, NAN),
        ([], [], NAN, NAN),
    ],
)
def test_selective_metrics_by_hand(scores, failure, area, ratio):
    x, bad = np.array(scores, dtype=float), np.array(failure, dtype=bool)
    assert aurc(x, bad) == close(area, nan_ok=True)
    assert prr(x, bad) == close(ratio, nan_ok=True)


def test_no_rows_have_an_empty_curve():
    curve = risk_coverage(np.array([]), np.array([], dtype=bool))
    assert (len(curve.threshold), len(curve.coverage), len(curve.risk)) == (0, 0, 0)


# Calibration


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bins", [1, 7, 10])
def test_ece_agrees_with_explicit_bins(seed, bins):
    rng = np.random.default_rng(seed)
    predicted, outcome = rng.random(103), rng.random(103)
    rows = sorted(zip(predicted.tolist(), outcome.tolist(), strict=True))
    gap = 0.0
    for i in range(bins):
        found = rows[round(103 * i / bins) : round(103 * (i + 1) / bins)]
        gap += abs(sum(p for p, _ in found) - sum(o for _, o in found)) / 103
    assert ece(predicted, outcome, bins) == close(gap)
    assert len(calibration_bins(predicted, outcome, bins)) == bins


def test_bins_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    predicted = rng.random(200)
    outcome = (rng.random(200) < predicted).astype(float)
    observed, mean = calibration_curve(outcome, predicted, n_bins=10, strategy="quantile")
    found = calibration_bins(predicted, outcome)
    assert [p for p, _, _ in found] == close(mean)
    assert [o for _, o, _ in found] == close(observed)
    assert [n for _, _, n in found] == [20] * 10


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", [1, 2, 5, 40])
def test_bins_never_cut_a_tie_and_lose_no_row(seed, levels):
    rng = np.random.default_rng(seed)
    predicted, outcome = rng.integers(0, levels, 90) / levels, rng.random(90)
    found = calibration_bins(predicted, outcome)
    assert sum(n for _, _, n in found) == 90
    assert sum(n * o for _, o, n in found) == close(outcome.sum())
    order, start = np.argsort(predicted, kind="stable"), 0
    for p, o, n in found:
        rows = order[start : start + n]
        assert (p, o) == (close(predicted[rows].mean()), close(outcome[rows].mean()))
        outside = np.setdiff1d(np.arange(90), rows)
        assert not set(predicted[rows]) & set(predicted[outside])
        start += n


@pytest.mark.parametrize(
    ("predicted", "outcome", "expected"),
    [
        ([0.3], [1.0], 0.7),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 1, 1], 0.25),
        ([0.2, NAN, 0.9], [0.2, 1, NAN], 0.0),
        ([NAN], [1.0], NAN),
        ([], [], NAN),
    ],
)
def test_ece_by_hand(predicted, outcome, expected):
    found = ece(np.array(predicted, dtype=float), np.array(outcome, dtype=float))
    assert found == close(expected, nan_ok=True)


def test_arguments_are_left_as_they_were():
    scores, gold = draw(0, levels=3, missing=0.2)
    before = scores.copy(), gold.copy()
    for name in ("pearson", "spearman", "kendall"):
        getattr(metrics, name)(scores, gold)
    for name in ("auroc", "aurc", "prr"):
        getattr(metrics, name)(scores, gold < 0)
    calibration_bins(scores, gold)
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(gold, before[1])
