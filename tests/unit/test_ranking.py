"""Ranking and reranking as records, against what one works out by hand or by brute force."""

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from selfj import ranking
from selfj.errors import ConfigError
from selfj.judging.scorers import NamedScorer
from selfj.ranking import scoring


@pytest.fixture
def scorer(monkeypatch):
    """Takes the number in the response for its score; `no` has none."""

    def read(inputs):
        words = [item.response.split()[0] for item in inputs]
        return [(None, "low_mass") if word == "no" else (float(word), None) for word in words]

    real = scoring.load_scorer
    named = NamedScorer("said", "Said", "said/1", False, True, read)
    monkeypatch.setattr(scoring, "load_scorer", lambda name, sets: named if name == "said" else real(name, sets))


def write(rows, name="in.jsonl"):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def outputs(scores):
    """One row for each score of {model: scores}; None leaves the instruction out."""
    return [
        {"model": model, "instruction": f"Question {place}?", "response": f"{score} {'x' * place}"}
        for model, row in scores.items()
        for place, score in enumerate(row)
        if score is not None
    ]


def test_models_are_ranked_by_their_means(tmp_path, monkeypatch, scorer):
    monkeypatch.chdir(tmp_path)
    rows = outputs({"mid": [3, 5, 4], "low": [1, "no", None], "top": [9, 8, 7], "mute": ["no", "no", "no"]})
    found = ranking.rank([write(rows)], ["said"], draws=200)
    first, floor = found.scorers
    assert [model.name for model in first.models] == ["top", "mid", "low", "mute"]
    assert [model.mean.value for model in first.models[:3]] == [8, 4, 1]
    assert [(model.n, model.unscored, model.missing) for model in first.models] == [
        (3, 0, 0),
        (3, 0, 0),
        (1, 1, 1),
        (0, 3, 0),
    ]
    assert math.isnan(first.models[3].mean.value)
    assert [model.above_next for model in first.models[:2]] == [1, 1]
    assert first.models[0].mean.low >= 7
    assert first.models[0].mean.high <= 9
    assert first.reasons == {"low_mass": 4}
    assert floor.scorer == "length"
    assert all(math.isnan(model.controlled.value) for model in floor.models)
    assert found.agreement == ()


def test_agreement_with_a_leaderboard_is_that_of_scipy(tmp_path, monkeypatch, scorer):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    scores = {f"m{number}": rng.integers(0, 300, 30).tolist() for number in range(8)}
    board = {f"m{number}": float(rng.normal()) for number in range(7)} | {"other": 1.0}
    Path("board.json").write_text(json.dumps(board))
    found = ranking.rank([write(outputs(scores))], ["said"], leaderboard="board.json", draws=100)
    row = found.agreement[0]
    means, values = zip(*((np.mean(scores[name]), board[name]) for name in scores if name in board), strict=True)
    assert (row.scorer, row.controlled, row.models) == ("said", False, 7)
    assert row.spearman.value == pytest.approx(stats.spearmanr(means, values).statistic)
    assert row.kendall.value == pytest.approx(stats.kendalltau(means, values).statistic)
    assert row.pearson.value == pytest.approx(stats.pearsonr(means, values).statistic)
    assert row.spearman.low <= row.spearman.value <= row.spearman.high
    assert [(a.scorer, a.controlled) for a in found.agreement] == [("said", False), ("said", True), ("length", False)]
    assert found.agreement[0].over_length.value == pytest.approx(row.spearman.value - found.agreement[2].spearman.value)
    assert found.agreement[2].over_length.value == 0
    assert found.match.only_outputs == ("m7",)
    assert found.match.only_leaderboard == ("other",)


def test_equal_models_tie_in_half_of_the_resamples(tmp_path, monkeypatch, scorer):
    monkeypatch.chdir(tmp_path)
    found = ranking.rank([write(outputs({"a": [1, 2, 3], "b": [1, 2, 3]}))], ["said"], draws=50)
    assert found.scorers[0].models[0].above_next == 0.5


def test_the_seed_decides_the_intervals(tmp_path, monkeypatch, scorer):
    monkeypatch.chdir(tmp_path)
    path = write(outputs({"a": list(range(10)), "b": list(range(3, 13))}))
    first, again, other = (ranking.rank([path], ["said"], draws=50, seed=seed) for seed in (1, 1, 2))
    assert first.scorers[0].models[0].mean == again.scorers[0].models[0].mean
    assert first.scorers[0].models[0].mean != other.scorers[0].models[0].mean


def candidates(groups):
    """Rows of {instruction: [(score, quality)]}."""
    return [
        {"instruction": asked, "response": f"{score} {'x' * place}", "quality": quality, "n": place}
        for asked, row in groups.items()
        for place, (score, quality) in enumerate(row)
    ]


def test_the_best_is_picked_whole(tmp_path, monkeypatch, scorer):
    monkeypatch.chdir(tmp_path)
    groups = {"A?": [(1, 0), ("no", 9), (5, 1)], "B?": [("no", 1), ("no", 2)], "C?": [(2, 0), (2, 1)]}
    rows = candidates(groups)
    found = ranking.rerank([write(rows)], ["said"])
    assert [(pick.instruction, pick.row, pick.score) for pick in found.picks] == [
        ("A?", rows[2], 5),
        ("C?", rows[5], 2),
    ]
    assert [(pick.candidates, pick.scored, pick.tied) for pick in found.picks] == [(3, 2, 1), (2, 2, 2)]
    assert [(item.instruction, item.candidates) for item in found.unscored] == [("B?", 2)]
    assert found.reasons == {"low_mass": 3}
    assert found.curves == ()


def brute(groups, size):
    """Mean gold and win rate of the pick over all subsets of each instruction."""
    gold, won = [], []
    for row in groups:
        values, wins = [], []
        for subset in combinations(row, size):
            ranks = [-math.inf if score == "no" else score for score, _ in subset]
            for rank, (_, quality) in zip(ranks, subset, strict=True):
                if rank == max(ranks):
                    share = 1 / ranks.count(max(ranks))
                    values.append(share * quality)
                    wins.append(share * np.mean([(quality > other) + 0.5 * (quality == other) for _, other in row]))
        n = math.comb(len(row), size)
        gold.append(sum(values) / n)
        won.append(sum(wins) / n)
    return np.mean(gold), np.mean(won)


def test_gains_are_those_of_all_subsets(tmp_path, monkeypatch, scorer):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    groups = {}
    for number in range(9):
        size = 4 if number else 2
        scores = [int(score) if score else "no" for score in rng.integers(0, 4, size + number % 2)]
        groups[f"{number}?"] = [(score, float(rng.integers(0, 5))) for score in scores]
    found = ranking.rerank([write(candidates(groups))], ["said"], gold="quality", draws=100)
    used = list(groups.values())[1:]
    assert found.used == 8
    said, longest, random, oracle = found.curves
    assert [point.size for point in said.points] == [1, 2, 4]
    for point in said.points:
        gold, won = brute(used, point.size)
        assert point.gold.value == pytest.approx(gold)
        assert point.win_rate.value == pytest.approx(won)
        assert point.gold.low <= gold <= point.gold.high
    mean = np.mean([np.mean([quality for _, quality in row]) for row in used])
    assert [point.gold.value for point in random.points] == pytest.approx([mean] * 3)
    assert [point.win_rate.value for point in random.points] == pytest.approx([0.5] * 3)
    for curve in found.curves:
        assert curve.points[0].gold.value == pytest.approx(mean)
        assert curve.points[2].gain.value == pytest.approx(curve.points[2].gold.value - mean)
    best = [[(quality, quality) for _, quality in row] for row in used]
    assert oracle.points[2].gold.value == pytest.approx(brute(best, 4)[0])
    lengths = [[(len(f"{s} {'x' * place}"), quality) for place, (s, quality) in enumerate(row)] for row in used]
    assert longest.points[1].gold.value == pytest.approx(brute(lengths, 2)[0])


def test_candidates_without_gold_are_left_out_of_the_gains_only(tmp_path, monkeypatch, scorer):
    monkeypatch.chdir(tmp_path)
    groups = {"A?": [(1, "0.5"), (9, None)], "B?": [(1, True), (2, "?")], "C?": [(3, "false")]}
    found = ranking.rerank([write(candidates(groups))], ["said"], gold="quality", draws=10)
    assert found.without_gold == 2
    assert [pick.score for pick in found.picks] == [9, 2, 3]
    assert found.curves[0].points[0].gold.value == pytest.approx(0.5)
    assert len(found.curves[0].points) == 1


@pytest.mark.parametrize(("gold", "words"), [("qualty", "quality"), ("instruction", "number")])
def test_gold_that_is_absent_or_no_number_is_named(tmp_path, monkeypatch, scorer, gold, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=words):
        ranking.rerank([write(candidates({"A?": [("1", 2)]}))], ["said"], gold=gold)
