"""What a policy does with an instruction, against a loop over its steps; the choice of thresholds; the file."""

import dataclasses
import json
import math

import numpy as np
import pytest

from selfj.errors import ArtefactError, ConfigError, Infeasible, StaleArtefact
from selfj.policy_path import OFF, calibrate_policy, counts_along, lay_out
from selfj.policy_risk import FILE, STEPS, Drafts, Steps, choose_policy, load_policy, outcome
from selfj.risk import choose_threshold, upper_bound

WHOLE = Steps(3, 1.0, "other", None, "decline")
ALONE = Steps(1, None, None, None, "decline")


def drafts(m=300, n=3, seed=0, missing=0.1):
    """Drafts with ties, missing scores and instructions that are held back."""
    rng = np.random.default_rng(seed)
    scores, other = rng.integers(0, 19, (m, n)) / 2, rng.integers(0, 19, m) / 2
    scores[rng.random((m, n)) < missing] = np.nan
    other[rng.random(m) < missing] = np.nan
    fails = rng.random((m, n)) < np.where(np.isnan(scores), 0.5, 0.9 - scores / 10)
    return Drafts(scores, fails, other, rng.random(m) < 0.15, rng.random(m) < missing)


def by_hand(made, values, unscored, row):
    """Step and failure of one instruction, in words of the gateway's steps."""
    first, known = made.scores[row, 0], [-1.0 if math.isnan(s) else s for s in made.scores[row]]
    best = known.index(max(known))
    if made.shut[row]:
        return 0, False
    if first >= values["answer"]:
        return 1, bool(made.failures[row, 0])
    if not math.isnan(first) and "resample" in values and known[best] >= values["resample"]:
        return 2, bool(made.failures[row, best])
    last = not math.isnan(first) or unscored == "escalate"
    if last and "escalate" in values and made.other_scores[row] >= values["escalate"]:
        return 3, bool(made.other_failures[row])
    return 0, False


@pytest.mark.parametrize("unscored", ["decline", "escalate"])
@pytest.mark.parametrize(
    "values", [{"answer": 6.0, "resample": 7.5, "escalate": 3.0}, {"answer": 5.0, "escalate": 8.0}, {"answer": 0.0}]
)
def test_the_outcome_is_that_of_the_steps_one_after_another(values, unscored):
    made = drafts()
    found = outcome(made, values, unscored=unscored)
    want = [by_hand(made, values, unscored, row) for row in range(len(made.scores))]
    assert list(zip(found.step.tolist(), found.failed.tolist(), strict=True)) == want
    steps = [step for step, _ in want]
    assert found.counts() == (sum(failed for _, failed in want), sum(step > 0 for step in steps))
    for place, name in enumerate(STEPS, start=1):
        assert found.by_step()[name] == (sum(failed for step, failed in want if step == place), steps.count(place))


def test_counts_along_a_path_are_those_of_the_outcome():
    made, shifts = drafts(), {"answer": 0.0, "resample": 1.0, "escalate": -2.0}
    numbers = np.linspace(0, 9, 19)
    scores = made.by_step()
    passes = [
        (np.array([scores[name][0] >= n + shift for n in numbers]), scores[name][1]) for name, shift in shifts.items()
    ]
    k, answered = counts_along(passes)
    want = [outcome(made, {name: n + shift for name, shift in shifts.items()}).counts() for n in numbers]
    assert list(zip(k.tolist(), answered.tolist(), strict=True)) == want


def test_one_step_alone_is_the_threshold_of_calibrate():
    made = drafts(600, 1, missing=0.05)
    open_ = dataclasses.replace(made, shut=np.zeros(600, dtype=bool))
    labels = np.where(open_.failures[:, 0], 0.0, 9.0)
    want = choose_threshold(open_.scores[:, 0], labels, max_risk=0.3)
    found = choose_policy(open_, ALONE, max_risk=0.3)
    assert found.values == {"answer": want.value}
    assert (found.risk, found.coverage, found.risk_bound) == (want.risk, want.coverage, want.risk_bound)
    assert found.of("answer").value == want.value
    assert found.of("resample") is None


def test_the_thresholds_and_what_is_told_of_them():
    made, offsets = drafts(800), {"resample": 1.0, "escalate": -1.5}
    found = choose_policy(made, WHOLE, max_risk=0.25, offsets=offsets, judge="j", model="m", data="d")
    number = found.values["answer"]
    assert found.values == {"answer": number, "resample": number + 1, "escalate": number - 1.5}
    k, answered = outcome(made, found.values).counts()
    assert (found.answered, found.n, found.risk) == (answered, 800, round(k / answered, 6))
    assert found.risk_bound == round(upper_bound(k, answered, 0.95), 6) <= 0.25
    assert sum(answered for _, answered in found.by_step.values()) == found.answered


def test_the_path_is_laid_out_where_most_is_answered():
    rng = np.random.default_rng(1)
    scores = rng.uniform(0, 9, (400, 2))
    fails = rng.random((400, 2)) < 1 - scores / 9
    # The other model is nearly always right and has low scores; drawing again gains nothing.
    made = Drafts(scores, fails, rng.uniform(0, 3, 400), rng.random(400) < 0.02, np.zeros(400, dtype=bool))
    steps = Steps(2, None, "other", None, "decline")
    found = lay_out(made, steps, max_risk=0.1)
    assert found["answer"] == 0.0
    assert found["escalate"] <= -5
    alike = dataclasses.replace(made, other_failures=np.ones(400, dtype=bool))
    assert lay_out(alike, steps, max_risk=0.1)["escalate"] in (OFF, *range(0, 3), 0.5)
    chances = rng.random(400)
    chosen = calibrate_policy(made, steps, chances, max_risk=0.2)
    assert chosen.n == np.sum(chances >= 0.25)
    with pytest.raises(ConfigError, match="a chance for each"):
        calibrate_policy(made, steps, chances[:5], max_risk=0.2)


def test_what_cannot_be_promised_or_is_wrong():
    made = drafts()
    bad = dataclasses.replace(made, failures=np.ones_like(made.failures), other_failures=np.ones(300, dtype=bool))
    with pytest.raises(Infeasible, match="leave a step out"):
        choose_policy(bad, WHOLE, max_risk=0.2)
    with pytest.raises(ConfigError, match="max_risk must be above 0"):
        choose_policy(made, WHOLE, max_risk=0)
    with pytest.raises(ConfigError, match="chooses from 1 answers, found 3"):
        choose_policy(made, ALONE, max_risk=0.2)
    with pytest.raises(ConfigError, match="outside"):
        drafts().__class__(made.scores + 5, made.failures, made.other_scores, made.other_failures, made.shut)
    with pytest.raises(ConfigError, match="shapes"):
        Drafts(made.scores, made.failures, made.other_scores[:5], made.other_failures, made.shut)
    nothing = Drafts(
        np.full((5, 1), np.nan), np.ones((5, 1), bool), np.full(5, np.nan), np.ones(5, bool), np.zeros(5, bool)
    )
    with pytest.raises(Infeasible):
        choose_policy(nothing, ALONE, max_risk=0.2)
    assert lay_out(nothing, ALONE, max_risk=0.2) == {"answer": 0.0}


def test_the_file(tmp_path):
    found = choose_policy(drafts(800), WHOLE, max_risk=0.3, judge="j", model="m")
    path = tmp_path / FILE
    path.write_text(found.to_json())
    assert load_policy(path, steps=WHOLE, judge="j") == (found, None)
    with pytest.raises(StaleArtefact, match="chosen for judge j, but"):
        load_policy(path, steps=WHOLE, judge="k")
    for change, word in [
        ({"n": 4}, "n is 4, calibrated was 3"),
        ({"temperature": None}, "temperature is None"),
        ({"escalation": None}, "escalation is None, calibrated was 'other'"),
        ({"gate": 3.0}, "gate is 3.0"),
        ({"unscored": "escalate"}, "unscored"),
    ]:
        with pytest.raises(StaleArtefact, match=word):
            load_policy(path, steps=dataclasses.replace(WHOLE, **change), judge="j")
    whole = json.loads(found.to_json())
    for change in (
        {"schema": "policy-threshold/0"},
        {"digest": "x"},
        {"steps": whole["steps"] | {"n": 2}},
        {"steps": 5},
        {"values": {"answer": 3.0}},
        {"values": whole["values"] | {"answer": "high"}},
        {"more": 1},
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(ArtefactError, match="calibrate RUN --policy"):
            load_policy(path, steps=WHOLE, judge="j")
    path.write_text(json.dumps({"schema": "policy-threshold/1", "infeasible": "too bad"}))
    assert load_policy(path, steps=WHOLE, judge="j") == (None, "too bad")
