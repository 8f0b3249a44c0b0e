"""Selective following against brute force, and as tables."""

import math

import numpy as np
import pytest

from selfj.following import RISKS, following
from selfj.metrics import aurc, prr, reach
from selfj.report.following import following_grid, of_report


def by_hand(scores, failure, max_risk):
    """Try every threshold, each with what it answers row by row."""
    filled = [-math.inf if math.isnan(s) else s for s in scores]
    best = None
    for threshold in sorted(set(filled), reverse=True):
        answered = [f for s, f in zip(filled, failure, strict=True) if s >= threshold]
        if sum(answered) <= max_risk * len(answered) + 1e-9 and (best is None or len(answered) > best[1]):
            best = (threshold, len(answered), sum(answered))
    return best


@pytest.mark.parametrize("seed", range(60))
def test_the_greatest_coverage_within_a_risk_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    scores = rng.integers(0, 6, n).astype(float)
    scores[rng.random(n) < 0.15] = np.nan
    failure = rng.random(n) < rng.choice([0.0, 0.1, 0.4, 1.0])
    for max_risk in (0.0, 0.05, 0.1, 0.2, 0.5):
        found, wanted = reach(scores, failure, max_risk), by_hand(scores, failure, max_risk)
        good = n - int(failure.sum())
        if wanted is None:
            assert (found.coverage, found.threshold) == (0, math.inf)
            assert math.isnan(found.risk)
            assert found.over_decline == 1 if good else math.isnan(found.over_decline)
            continue
        threshold, answered, failed = wanted
        assert found.threshold == threshold
        assert found.coverage == pytest.approx(answered / n)
        assert found.risk == pytest.approx(failed / answered)
        if good:
            assert found.over_decline == pytest.approx(1 - (answered - failed) / good, abs=1e-12)
        else:
            assert math.isnan(found.over_decline)


def test_a_risk_of_exactly_the_bound_is_within_it():
    failure = np.array([True] + [False] * 9)
    assert reach(np.zeros(10), failure, 0.1).coverage == 1
    assert reach(np.zeros(10), failure, 0.0999).coverage == 0


def test_no_rows_are_undefined():
    found = reach(np.array([]), np.array([], dtype=bool), 0.1)
    assert math.isnan(found.coverage)
    assert math.isnan(found.over_decline)


def rows(categories):
    rng = np.random.default_rng(0)
    failure = rng.random(60) < 0.4
    scores = {"self_j": rng.random(60) - failure, "length": np.where(rng.random(60) < 0.2, np.nan, rng.random(60))}
    return scores, failure, following(scores, failure, [categories[i % len(categories)] for i in range(60)])


def test_every_method_overall_and_in_each_category():
    scores, failure, found = rows(["b", "a", None])
    assert [(row["category"], row["method"]) for row in found] == [
        (category, method) for category in (None, "a", "b") for method in scores
    ]
    part = np.arange(60) % 3 == 1
    wanted = reach(scores["self_j"][part], failure[part], 0.1)
    row = found[2]
    assert (row["n"], row["failures"]) == (20, failure[part].sum())
    assert [item["max_risk"] for item in row["reach"]] == list(RISKS)
    assert row["reach"][1]["coverage"] == pytest.approx(wanted.coverage, abs=1e-6)
    assert row["reach"][1]["over_decline"] == pytest.approx(wanted.over_decline, abs=1e-6)
    assert row["aurc"] == pytest.approx(aurc(scores["self_j"][part], failure[part]), abs=1e-6)
    assert row["prr"] == pytest.approx(prr(scores["self_j"][part], failure[part]), abs=1e-6)


def test_one_category_is_not_told_again():
    assert {row["category"] for row in rows(["a"])[2]} == {None}


def test_of_many_categories_the_largest_are_told():
    categories = [f"c{i:02}" for i in range(20) for _ in range(i + 1)]
    scores = {"self_j": np.arange(len(categories), dtype=float)}
    found = following(scores, np.zeros(len(categories), dtype=bool), categories)
    assert [row["category"] for row in found] == [None, *(f"c{i:02}" for i in range(8, 20))]


def test_the_table_marks_the_best_of_each_block_and_what_is_lower_is_better():
    titles = {"self_j": "Self-J", "length": "Length"}
    found = rows(["a", "b"])[2]
    grid = following_grid({"": found}, titles)
    assert [name for name, _ in grid.rows] == ["Self-J", "Length"]
    column = dict(zip(grid.headers[1:], range(99), strict=False))
    judge, floor = (cells for _, cells in grid.rows)
    for name, lower in (("coverage at 20 %", False), ("over-decline at 20 %", True), ("AURC", True), ("PRR", False)):
        ours, theirs = judge[column[name]], floor[column[name]]
        assert (ours.value < theirs.value) == lower
        assert ours.strong
        assert not theirs.strong
    assert judge[column["n"]].value == 60
    split = following_grid({"m": found}, titles, by_category=True)
    assert [name for name, _ in split.rows] == ["m: a: Self-J", "m: a: Length", "m: b: Self-J", "m: b: Length"]
    assert following_grid({}, titles) is None


def test_where_all_are_alike_none_is_the_best():
    found = following({"self_j": np.ones(4), "length": np.ones(4)}, np.array([True] * 4), [None] * 4)
    grid = following_grid({"": found}, {"self_j": "Self-J", "length": "Length"})
    assert not any(cell.strong for _, cells in grid.rows for cell in cells)


def test_a_report_from_before_has_no_such_table():
    assert of_report({"methods": {}}) == []
