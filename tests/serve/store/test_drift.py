"""The alarm: rarely false however often one looks, soon right when the risk rises, and read from the store."""

import math

import numpy as np
import pytest

from selfj.errors import ConfigError
from selfj.serve.drift import DriftMonitor, Path, RiskBet, ScoreBet, drift_metrics, first_alarm
from selfj.serve.feedback import Feedback

from .conftest import decision

ALPHA = 0.05


def alarms(risks, seed, max_risk=0.1):
    bet, rng = RiskBet(max_risk), np.random.default_rng(seed)
    return first_alarm((bet.add(bool(rng.random() < risk)) for risk in risks), ALPHA)


def most_false(runs):
    """So many false alarms that a true rate of alpha would give more in one of a thousand tests."""
    from scipy import stats

    return stats.binom.ppf(0.999, runs, ALPHA)


def test_the_wealth_is_the_mixture_that_it_is_said_to_be():
    outcomes = np.random.default_rng(0).random(12) < 0.4
    risks = [(m * 0.1 / 0.9) / (1 + m * 0.1 / 0.9) for m in (1.25, 1.5, 2, 3, 4, 6)]
    bet = RiskBet(0.1)
    for n in range(1, len(outcomes) + 1):
        total = 1 / (n + 1)
        for start in range(1, n + 1):
            for risk in risks:
                ratios = [risk / 0.1 if bad else (1 - risk) / 0.9 for bad in outcomes[start - 1 : n]]
                total += math.prod(ratios) / len(risks) / (start * (start + 1))
        assert bet.add(bool(outcomes[n - 1])) == pytest.approx(math.log(total))


def test_the_expected_wealth_never_grows_under_the_promise():
    # Over all 2^8 courses of eight outcomes, weighed by their chance at exactly the promised risk.
    expected = np.zeros(8)
    for course in range(256):
        bet, chance = RiskBet(0.2), 1.0
        for place in range(8):
            bad = bool(course >> place & 1)
            chance *= 0.2 if bad else 0.8
            # The chance of the first outcomes, shared by the courses that begin so.
            expected[place] += chance * math.exp(bet.add(bad)) / 2 ** (7 - place)
    np.testing.assert_allclose(expected, 1.0, rtol=1e-9)


@pytest.mark.parametrize("max_risk", [0.02, 0.1, 0.3])
def test_false_alarms_at_any_time_are_rare(max_risk):
    runs = 400
    false = sum(alarms([max_risk] * 1000, seed, max_risk) is not None for seed in range(runs))
    assert false <= most_false(runs)


def test_a_test_at_each_time_would_cry_wolf():
    # The simulation can fail: the binomial test looked at after each outcome is wrong far more often than alpha.
    from scipy import stats

    rng, steps = np.random.default_rng(1), np.arange(1, 501)
    outcomes = rng.random((200, 500)) < 0.1
    p_values = stats.binom.sf(np.cumsum(outcomes, axis=1) - 1, steps, 0.1)
    assert (p_values <= ALPHA).any(axis=1).mean() > 4 * ALPHA


def test_a_doubled_risk_is_found_and_so_is_one_that_doubles_late():
    found = [alarms([0.2] * 500, seed) for seed in range(100)]
    assert sum(at is not None for at in found) >= 95
    assert np.median([at for at in found if at is not None]) < 250
    late = [alarms([0.05] * 1000 + [0.3] * 300, seed) for seed in range(50)]
    assert all(at is None or at > 1000 for at in late)
    assert sum(at is not None for at in late) >= 48


def scores_alarm(seed, shift, n=600, calibration=300, levels=None, quiet=0):
    rng = np.random.default_rng(seed)

    def draw(size, by=0.0):
        values = np.clip(rng.normal(5 + by, 2, size), 0, 9)
        return values if levels is None else np.round(values / 9 * levels) / levels * 9

    bet = ScoreBet(draw(calibration))
    scores = np.concatenate([draw(quiet), draw(n, shift)])
    return first_alarm((bet.add(float(value), rng.random()) for value in scores), ALPHA)


@pytest.mark.parametrize("levels", [None, 4])
def test_scores_like_those_of_calibration_rarely_raise_an_alarm(levels):
    runs = 300
    assert sum(scores_alarm(seed, 0.0, levels=levels) is not None for seed in range(runs)) <= most_false(runs)


def test_other_scores_are_noticed():
    assert sum(scores_alarm(seed, -2.0) is not None for seed in range(40)) >= 38


def test_other_scores_after_a_long_quiet_time_are_noticed_after_it():
    found = [scores_alarm(seed, -3.0, quiet=2500, n=1500) for seed in range(20)]
    assert sum(at is not None for at in found) >= 18
    assert sum(at is not None and at <= 2500 for at in found) <= 4


def test_a_path_keeps_its_alarm_and_few_points():
    path = Path(0.05)
    for n in range(5000):
        path.add(4.0 if n == 2500 else math.sin(n / 500))
    assert path.alarm_at == 2501
    assert path.n == 5000
    assert 100 < len(path.points) <= 400


def fill(store, good, bad, start=0, **changes):
    rows = [decision(start + n, score=7.0, action="answer", **changes) for n in range(good + bad)]
    store.append(rows)
    for n, row in enumerate(rows):
        store.add_feedback(Feedback(row.id, good=n >= bad, at=1.0))


def monitor(store, **changes):
    return DriftMonitor(store, **{"threshold": 5.0, "max_risk": 0.1, "calibration": np.linspace(0, 9, 200), **changes})


def test_the_monitor_follows_the_store(store):
    follower = monitor(store)
    assert follower.update().risk.n == 0
    assert "nothing is known" in follower.update().sentences()[0]
    fill(store, 30, 2)
    drift = follower.update()
    assert (drift.risk.n, drift.failures, drift.alarm) == (32, 2, False)
    assert drift.low < 2 / 32 < drift.high
    assert "Nothing speaks against" in drift.sentences()[0]
    fill(store, 0, 25, start=100)
    drift = follower.update()
    assert drift.alarm
    assert "no longer holds: 27 of 57" in drift.sentences()[0]
    # All scores are 7.0 here, which calibration's were not.
    assert drift.scores.alarm
    again = monitor(store).update()
    assert (again.risk, again.scores) == (drift.risk, drift.scores)
    metrics = drift_metrics(drift)
    assert "selfj_promise_alarm 1\n" in metrics
    assert "selfj_feedback_failures 27\n" in metrics
    # An alarm stays, whatever comes after.
    fill(store, 200, 0, start=1000)
    assert follower.update().alarm


def test_what_counts(store):
    fill(store, 0, 5, threshold=4.0)
    fill(store, 0, 1, start=10, instruction_digest="same")
    fill(store, 0, 1, start=11, instruction_digest="same")
    store.append([decision(20, action="decline", score=3.0), decision(21, action="answer", score=6.0)])
    store.add_feedback(Feedback("d000020", good=False))
    store.add_feedback(Feedback("d000021", quality=7.0))
    store.add_feedback(Feedback("d000021", good=False))
    drift = monitor(store).update()
    assert (drift.risk.n, drift.failures) == (2, 1)
    assert drift.scores.n == 3
    nothing = monitor(store, max_risk=None, threshold=None, calibration=()).update()
    assert nothing.risk.n == nothing.scores.n == 0
    assert nothing.sentences()[0].startswith("There is no threshold")


@pytest.mark.parametrize("bad", [0.0, 1.0, -1])
def test_bad_values(local, bad):
    with pytest.raises(ConfigError):
        monitor(local, max_risk=bad)
    with pytest.raises(ConfigError):
        monitor(local, alpha=bad)


def test_the_promise_of_a_policy_is_tested_on_what_every_step_let_through(store):
    policy = {"answer": 5.0, "resample": 6.0, "escalate": 4.0}
    rows = [decision(n, action="answer", step="answer", score=7.0) for n in range(5)]
    rows += [decision(10 + n, action="answer", step="resample", score=7.0, threshold=6.0, attempts=3) for n in range(5)]
    rows += [decision(20 + n, action="answer", step="escalate", score=4.5, threshold=4.0, attempts=4) for n in range(5)]
    # Neither a threshold of another time nor what was declined counts.
    rows += [decision(30, action="answer", step="escalate", score=4.5, threshold=3.0, attempts=4)]
    rows += [decision(31, action="decline", step="decline", score=3.0, threshold=6.0, attempts=4)]
    store.append(rows)
    for row in rows:
        store.add_feedback(Feedback(row.id, good=row.step != "escalate"))
    found = monitor(store, policy=policy).update()
    assert (found.risk.n, found.failures) == (15, 5)
    assert found.later
    assert monitor(store).update().risk.n == 5
