"""The threshold against a second implementation, its bound against scipy's, and the one rule that applies it."""

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import stats

from selfj.errors import ArtefactError, ConfigError, Infeasible, StaleArtefact
from selfj.risk import (
    Threshold,
    answers,
    choose_threshold,
    decide,
    load_threshold,
    selective,
    upper_bound,
)

NAN = math.nan
GIVEN = Threshold(
    value=4.5, max_risk=0.1, confidence=0.95, min_quality=5.0, coverage=0.6, risk=0.05, risk_bound=0.08, n=1000,
    answered=600, label="z", judge="j", data="d",
)  # fmt: skip


# The decision


@pytest.mark.parametrize(
    ("score", "threshold", "action", "reason"),
    [
        (4.5, GIVEN, "answer", "reaches the threshold 4.50"),
        (9.0, GIVEN, "answer", "9.00 reaches"),
        (math.nextafter(4.5, 0), GIVEN, "decline", "below the threshold"),
        (0.0, GIVEN, "decline", "0.00 is below"),
        (None, GIVEN, "decline", "low_label_mass"),
        (NAN, GIVEN, "decline", "low_label_mass"),
        (9.0, None, "decline", "no threshold meets"),
        (None, None, "decline", "low_label_mass"),
    ],
)
def test_decide(score, threshold, action, reason):
    made = decide(score, threshold, response="Lima", label_mass=0.9, unscored="low_label_mass")
    assert made.action == action
    assert reason in made.reason
    assert made.answer == ("Lima" if action == "answer" else None)
    assert made.score == (None if score is None or math.isnan(score) else score)
    assert made.threshold == (threshold and 4.5)
    assert made.label_mass == 0.9
    assert json.loads(json.dumps(made.to_dict(), allow_nan=False))["action"] == action


def test_the_rule_for_one_is_the_rule_for_many():
    rng = np.random.default_rng(0)
    scores = np.append(rng.integers(0, 19, 200) / 2, [NAN, 4.5])
    found = [decide(score, GIVEN).action == "answer" for score in scores.tolist()]
    assert answers(scores, 4.5).tolist() == found == [score >= 4.5 for score in scores.tolist()]


def test_selective_counts_every_row_once():
    scores = np.array([5.0, NAN, 4.5, 1.0, 9.0, NAN])
    failure = np.array([True, True, False, True, False, False])
    found = selective(scores, failure, 4.5)
    assert (found.answered, found.declined, found.unscored, found.n) == (3, 1, 2, 6)
    assert (found.coverage, found.risk) == (0.5, pytest.approx(1 / 3))
    nothing = selective(scores, failure, math.inf)
    assert (nothing.answered, nothing.coverage) == (0, 0.0)
    assert math.isnan(nothing.risk)
    assert math.isnan(selective(np.array([]), np.array([], dtype=bool), 4.5).coverage)


# The bound


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("failures", "answered"), [(0, 1), (0, 50), (1, 2), (3, 40), (39, 40), (17, 3000)])
def test_the_upper_bound_is_that_of_clopper_and_pearson(failures, answered, confidence):
    found = upper_bound(failures, answered, confidence)
    exact = stats.binomtest(failures, answered, alternative="less").proportion_ci(confidence, method="exact")
    assert found == pytest.approx(exact.high)
    # At the bound itself, so few failures have the probability that is left.
    terms = (math.comb(answered, k) * found**k * (1 - found) ** (answered - k) for k in range(failures + 1))
    assert sum(terms) == pytest.approx(1 - confidence)


@pytest.mark.parametrize(("failures", "answered"), [(0, 0), (1, 1), (40, 40)])
def test_the_upper_bound_is_one_where_nothing_went_well(failures, answered):
    assert upper_bound(failures, answered, 0.95) == 1.0


# The choice


def second_opinion(scores, labels, max_risk, confidence, min_quality):
    """The same procedure once more in plain loops; None where nothing is accepted."""
    rows = [(score, label < min_quality) for score, label in zip(scores, labels, strict=True) if not math.isnan(score)]
    rows.sort(key=lambda row: -row[0])
    if not rows:
        return None
    least = 1
    while (1 - max_risk) ** least > 0.4 * (1 - confidence):
        least += 1
    first, last = min(2 * least, len(rows)), len(rows)
    steps = max(1, min(100, last) - 1)
    values = []
    for i in range(min(100, last)):
        value = rows[round(first + (last - first) * i / steps) - 1][0]
        if value not in values:
            values.append(value)
    shares = [0.0] * len(values)
    for i, share in enumerate((0.4, 0.15, 0.15, 0.15, 0.15)):
        shares[round(i * (len(values) - 1) / 5)] += share
    rejected, accepted = [], None
    for i, value in enumerate(values):
        failed = [bad for score, bad in rows if score >= value]
        # A candidate may spend the shares since the last one that was not rejected.
        since = max((j + 1 for j in range(i) if not rejected[j]), default=0)
        budget = (1 - confidence) * sum(shares[since : i + 1])
        p_value = stats.binomtest(sum(failed), len(failed), max_risk, alternative="less").pvalue
        rejected.append(budget > 0 and p_value <= budget)
        if rejected[-1]:
            accepted = value
    return accepted


def draw(seed, n, kind):
    """Scores and labels: the better the score, the rarer a failure, except where the kind says otherwise."""
    rng = np.random.default_rng(seed)
    scores = rng.random(n) * 9
    if kind == "ten-levels":
        scores = np.round(scores)
    if kind == "many-unscored":
        scores[rng.random(n) < 0.3] = NAN
    chance = {
        "uninformative": np.full(n, 0.2),
        "good-bad-good": np.where(scores > 6, 0.1, np.where(scores > 5, 0.9, 0.05)),
        "bad-on-top": np.where(scores > 8, 0.7, 0.08),
    }.get(kind, 0.6 - scores / 12)
    return scores, np.where(rng.random(n) < np.nan_to_num(chance, nan=0.5), 2.0, 7.0)


KINDS = ("informative", "ten-levels", "many-unscored", "uninformative", "good-bad-good", "bad-on-top")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "max_risk", "confidence"), [(40, 0.3, 0.8), (300, 0.2, 0.9), (900, 0.2, 0.95)])
def test_the_choice_agrees_with_a_second_implementation(kind, n, max_risk, confidence):
    for seed in range(4):
        scores, labels = draw(seed, n, kind)
        expected = second_opinion(scores.tolist(), labels.tolist(), max_risk, confidence, 5.0)
        if expected is None:
            with pytest.raises(Infeasible):
                choose_threshold(scores, labels, max_risk=max_risk, confidence=confidence)
            continue
        found = choose_threshold(scores, labels, max_risk=max_risk, confidence=confidence)
        assert found.value == expected
        answered = [label for score, label in zip(scores, labels, strict=True) if score >= expected]
        failed = sum(label < 5 for label in answered)
        assert (found.n, found.answered) == (n, len(answered))
        assert found.coverage == pytest.approx(len(answered) / n, abs=1e-6)
        assert found.risk == pytest.approx(failed / len(answered), abs=1e-6)
        assert found.risk_bound == pytest.approx(upper_bound(failed, len(answered), confidence), abs=1e-6)


def test_the_order_of_rows_does_not_matter():
    scores, labels = draw(1, 500, "many-unscored")
    order = np.random.default_rng(0).permutation(500)
    found = choose_threshold(scores[order], labels[order], max_risk=0.3)
    assert found == choose_threshold(scores, labels, max_risk=0.3)


def test_what_is_stored_answers_what_was_tested():
    # Rounded to six decimals, the threshold would lie above every score that it was tested on.
    scores = np.repeat([5.1234567, 1 / 3], 100)
    labels = np.repeat([9.0, 0.0], 100)
    found = choose_threshold(scores, labels, max_risk=0.1)
    read = Threshold.from_json(json.loads(found.to_json()))
    assert answers(scores, read.value).sum() == read.answered == 100


def test_all_right_answers_all():
    scores = np.arange(200) / 25
    found = choose_threshold(scores, np.full(200, 9.0), max_risk=0.1)
    assert (found.value, found.coverage, found.risk, found.answered) == (0.0, 1.0, 0.0, 200)
    assert found.risk_bound == pytest.approx(1 - 0.05 ** (1 / 200), abs=1e-6)


def test_a_failure_is_a_label_below_the_limit_and_not_at_it():
    scores = np.arange(200) / 25
    assert choose_threshold(scores, np.full(200, 5.0), max_risk=0.1, min_quality=5.0).risk == 0
    with pytest.raises(Infeasible, match=r"200 scored calibration exchanges, of which 100\.0% fail"):
        choose_threshold(scores, np.full(200, 4.999), max_risk=0.1, min_quality=5.0)


@pytest.mark.parametrize(("max_risk", "confidence"), [(0.1, 0.95), (0.05, 0.95), (0.3, 0.8)])
def test_the_fewest_rows_that_can_pass(max_risk, confidence):
    least = next(n for n in range(1, 1000) if (1 - max_risk) ** n <= 1 - confidence)
    scores, labels = np.arange(least) / 100, np.full(least, 9.0)
    found = choose_threshold(scores, labels, max_risk=max_risk, confidence=confidence)
    assert (found.value, found.answered) == (0.0, least)
    with pytest.raises(Infeasible):
        choose_threshold(scores[1:], labels[1:], max_risk=max_risk, confidence=confidence)


@pytest.mark.parametrize("value", [0.0, 6.0, 9.0])
def test_equal_scores_are_answered_together_or_not_at_all(value):
    labels = np.where(np.arange(100) < 2, 0.0, 9.0)
    found = choose_threshold(np.full(100, value), labels, max_risk=0.1)
    assert (found.value, found.answered, found.risk) == (value, 100, 0.02)
    with pytest.raises(Infeasible):
        choose_threshold(np.full(100, value), np.where(np.arange(100) < 9, 0.0, 9.0), max_risk=0.1)


def test_unscored_rows_are_counted_and_never_answered():
    scores = [float(i % 10) for i in range(200)] + [None] * 50
    labels = [9.0] * 200 + [0.0] * 50
    found = choose_threshold(scores, labels, max_risk=0.1)
    assert (found.value, found.answered, found.n, found.coverage) == (0.0, 200, 250, 0.8)


def test_a_bad_top_does_not_end_the_search():
    scores, labels = np.arange(2000) / 250, np.where(np.arange(2000) < 1940, 9.0, 0.0)
    with pytest.raises(Infeasible):
        choose_threshold(scores[-400:], labels[-400:], max_risk=0.1)
    found = choose_threshold(scores, labels, max_risk=0.1)
    assert (found.answered, found.risk) == (2000, 0.03)


@pytest.mark.parametrize("scores", [[], [NAN] * 80])
def test_nothing_scored_is_infeasible(scores):
    with pytest.raises(Infeasible, match="on 0 scored calibration exchanges, of which none fail"):
        choose_threshold(scores, [9.0] * len(scores), max_risk=0.1)


@pytest.mark.parametrize(
    ("scores", "labels", "options", "message"),
    [
        ([1, 2], [1], {}, "of one length"),
        ([[1, 2]], [[1, 2]], {}, "of one length"),
        ([1], [NAN], {}, "labels must have no missing value, found 1"),
        ([9.1], [1], {}, "must lie in"),
        ([-0.1], [1], {}, "must lie in"),
        ([math.inf], [1], {}, "must lie in"),
        ([1], [10], {}, "must lie in"),
        *(([1], [1], {"max_risk": value}, "max_risk must be above 0") for value in (0, 1, -1, 10, NAN)),
        *(([1], [1], {"confidence": value}, "confidence must be above 0") for value in (0, 1, 95, NAN)),
    ],
)
def test_bad_arguments(scores, labels, options, message):
    with pytest.raises(ConfigError, match=message):
        choose_threshold(scores, labels, **{"max_risk": 0.1, **options})


# The file


def test_a_threshold_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "threshold.json"
    path.write_text(GIVEN.to_json())
    assert load_threshold(path) == (GIVEN, None)
    assert load_threshold(path, data="d") == (GIVEN, None)
    with pytest.raises(StaleArtefact, match="other scores"):
        load_threshold(path, data="other")
    assert load_threshold(path, data="other", force=True) == (GIVEN, None)


def test_that_there_is_none_is_read_back_too(tmp_path):
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps({"schema": "threshold/1", "infeasible": "too few", "judge": "j", "data": "d"}))
    assert load_threshold(path, data="d") == (None, "too few")
    with pytest.raises(StaleArtefact):
        load_threshold(path, data="other")


GOOD = {"schema": "threshold/1", **dataclasses.asdict(GIVEN)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is absent. Run selfj calibrate first"),
        ("", "cannot be read as JSON"),
        ('{"value": 1', "cannot be read as JSON"),
        ("\x00\x01", "cannot be read as JSON"),
        ("[1, 2]", "must hold a JSON object, found list"),
        ("{}", "is of version None, expected threshold/1"),
        (json.dumps({**GOOD, "schema": "threshold/2"}), "is of version threshold/2"),
        (json.dumps({"schema": "threshold/2", "infeasible": "too few"}), "is of version threshold/2"),
        (json.dumps({**GOOD, "more": 1}), r"not those expected: \['more'\]"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "risk"}), r"not those expected: \['risk'\]"),
        (json.dumps({**GOOD, "value": "4.5"}), "value is '4.5'"),
        (json.dumps({**GOOD, "value": None}), "value is None"),
        (json.dumps({**GOOD, "n": 10.5}), "n is 10.5"),
        (json.dumps({**GOOD, "judge": 3}), "judge is 3"),
    ],
)
def test_a_bad_file_says_what_to_do(text, message, tmp_path):
    path = tmp_path / "threshold.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ArtefactError, match=message) as caught:
        load_threshold(path)
    assert "Run selfj calibrate" in str(caught.value)
