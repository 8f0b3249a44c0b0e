"""A policy with one promise: decisions are those that calibration reckons with, and replies say what is promised."""

import numpy as np
import pytest

from selfj.errors import ConfigError, StaleArtefact
from selfj.policy_risk import FILE, Drafts, PolicyThreshold, Steps, outcome

from .conftest import DIGEST, threshold
from .test_answers import Levels

N, M = 3, 60
VALUES = {"answer": 6.0, "resample": 7.0, "escalate": 4.0}


def policy(steps, values=VALUES, **more):
    """Thresholds as calibration writes them."""
    fields = {"max_risk": 0.1, "confidence": 0.95, "min_quality": 5.0, "coverage": 0.5, "risk": 0.05, "risk_bound": 0.1}
    fields |= {"n": 100, "answered": 50, "by_step": {}, "label": "z", "judge": DIGEST, "data": "d", "model": "m"}
    kept = {name: values[name] for name in steps.names}
    return PolicyThreshold(values=kept, steps=steps, **(fields | more))


def steps_of(unscored="decline", gate=None, n=N, temperature=None):
    return Steps(n, temperature, "big", gate, unscored)


@pytest.fixture
def serve(gateway, upstream, tmp_path):
    """A gateway with resampling and escalation, and thresholds of both in the run's folder."""

    def build(steps=None, judge=None, values=VALUES, kept=None, **more):
        steps = steps or steps_of()
        (tmp_path / "run" / FILE).write_text((kept or policy(steps, values)).to_json())
        settings = {"resample": {"n": N}, "escalate": {"upstream": {"base_url": upstream.url}, "model": "big"}} | more
        return gateway(judge=judge or Levels({"good": 8.0, "poor": 1.0, "strong": 5.0}), **settings)

    return build


@pytest.mark.parametrize("unscored", ["decline", "escalate"])
@pytest.mark.parametrize("gate", [None, 3.0])
def test_every_decision_is_the_one_that_calibration_reckons_with(serve, upstream, unscored, gate):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 19, (M, N + 1)) / 2
    scores[rng.random(scores.shape) < 0.15] = np.nan
    gates = rng.integers(0, 19, M) / 2
    empty = rng.random(M) < 0.1

    def say(body):
        row, place = int(body["messages"][-1]["content"]), body.get("seed", 0)
        place = N if body["model"] == "big" else place
        return "" if place == 0 and empty[row] else f"{row}:{place}"

    def score(item):
        if not item.response:
            return float(gates[int(item.instruction)])
        row, place = map(int, item.response.split(":"))
        return "no_level" if np.isnan(scores[row, place]) else float(scores[row, place])

    upstream.default = say
    more = {"gate": {"threshold": gate}} if gate else {}
    served = serve(steps_of(unscored, gate), Levels(score), on_failure=unscored, **more)
    shut = empty | ((gates < gate) if gate else False)
    nothing = np.zeros((M, N), dtype=bool)
    made = Drafts(scores[:, :N], nothing, scores[:, N], nothing[:, 0], shut)
    want = outcome(made, VALUES, unscored=unscored)
    for row in range(M):
        found = served.chat(str(row), seed=0).json()
        told, text = found["selfj"], found["choices"][0]["message"]["content"]
        step = {"answer": 1, "resample": 2, "escalate": 3}.get(told["step"]) if told["decision"] == "answer" else 0
        assert step == want.step[row], (row, told)
        place = {1: 0, 2: made.best[row], 3: N}.get(step)
        assert step == 0 or text == f"{row}:{place}"
        assert (told["promise"] is not None) == (step > 0)


def test_a_reply_says_what_is_promised(serve, upstream):
    upstream.default = lambda body: "strong" if body["model"] == "big" else "poor"
    served = serve()
    told = served.chat().json()["selfj"]
    steps = ["answer", "resample", "escalate"]
    assert (told["step"], told["threshold"]) == ("escalate", 4.0)
    assert told["promise"] == {"max_risk": 0.1, "confidence": 0.95, "steps": steps}
    upstream.default = "good"
    assert served.chat().json()["selfj"]["promise"]["steps"] == steps
    # Calibrated was for the model m.
    assert served.chat(model="another").json()["selfj"]["promise"] is None
    text = served.http.get("/metrics").text
    for step in steps:
        assert f'selfj_promise_covers{{step="{step}"}} 1.0' in text
    assert 'selfj_answers_total{promised="true",step="escalate"} 1.0' in text
    assert 'selfj_answers_total{promised="false",step="answer"} 1.0' in text


def test_thresholds_of_single_steps_promise_the_first_answer_alone(serve, upstream):
    escalate = {"upstream": {"base_url": upstream.url}, "model": "big", "threshold": 4}
    served = serve(resample={"n": N, "threshold": 7}, escalate=escalate)
    upstream.default = lambda body: "strong" if body["model"] == "big" else "poor"
    told = served.chat().json()["selfj"]
    assert (told["step"], told["promise"]) == ("escalate", None)
    upstream.default = "good"
    told = served.chat().json()["selfj"]
    assert told["promise"] == {"max_risk": 0.1, "confidence": 0.95, "steps": ["answer"]}
    text = served.http.get("/metrics").text
    assert 'selfj_promise_covers{step="answer"} 1.0' in text
    assert 'selfj_promise_covers{step="resample"} 0.0' in text
    # The operator's own number, a gate, or only watching: nothing is promised.
    for more in ({"threshold": 5.0}, {"gate": {"threshold": 0}}, {"mode": "observe"}):
        judge = Levels(lambda item: 8.0)
        settings = {"resample": None, "escalate": None} | more
        assert serve(judge=judge, **settings).chat().json()["selfj"]["promise"] is None, more


def test_settings_that_do_not_fit_are_refused(serve):
    with pytest.raises(StaleArtefact, match="n is 4, calibrated was 3"):
        serve(resample={"n": 4})
    with pytest.raises(StaleArtefact, match="temperature is"):
        serve(resample={"n": 3, "temperature": 0.5})
    with pytest.raises(StaleArtefact, match="chosen for judge other"):
        serve(kept=policy(steps_of(), judge="other"))


def test_resampling_without_any_threshold_is_refused(gateway):
    with pytest.raises(ConfigError, match="calibrate RUN --policy"):
        gateway(resample={"n": 3})


def test_a_request_chooses_among_promises_of_the_whole_policy(serve, upstream, tmp_path):
    strict = policy(steps_of(), {"answer": 7.5, "resample": 7.75, "escalate": 5.5}, max_risk=0.05)
    (tmp_path / "strict.json").write_text(strict.to_json())
    bounds = {"threshold": (0, 9), "max_risk": (0.05, 0.2), "risks": (str(tmp_path / "strict.json"),)}
    served = serve(bounds=bounds)
    upstream.default = lambda body: "strong" if body["model"] == "big" else "poor"
    told = served.chat(selfj={"max_risk": 0.07}).json()["selfj"]
    assert (told["decision"], told["promise"]) == ("decline", None)
    assert served.chat(selfj={"max_risk": 0.2}).json()["selfj"]["promise"]["max_risk"] == 0.1
    assert served.chat(selfj={"max_risk": 0.05}).json()["selfj"]["decision"] == "decline"
    assert served.chat(selfj={"max_risk": 0.01}).status_code == 400
    told = served.chat(selfj={"threshold": 4.5}).json()["selfj"]
    assert (told["decision"], told["threshold"], told["promise"]) == ("answer", 4.5, None)


def test_a_stream_that_goes_out_as_it_comes_is_held_to_the_runs_own_threshold(serve, upstream, tmp_path):
    (tmp_path / "run" / "threshold.json").write_text(threshold(7.25).to_json())
    served = serve(streaming="early")
    upstream.default = "good"
    text = served.chat(stream=True).text
    assert '"threshold":7.25' in text
    assert '"steps":["answer"]' in text
    assert served.chat().json()["selfj"]["threshold"] == 6.0


def test_where_nothing_meets_the_promise_everything_is_declined(serve, upstream, tmp_path):
    upstream.default = "good"
    path = tmp_path / "none.json"
    path.write_text('{"schema": "policy-threshold/1", "infeasible": "no"}')
    told = serve(policy=str(path)).chat().json()["selfj"]
    assert (told["decision"], told["threshold"], told["promise"]) == ("decline", None, None)
