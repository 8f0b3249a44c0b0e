"""The decisions of `selfj evaluate`, for every test exchange of a run through the gateway; the command, and its end."""

import threading
import time

import httpx2
import numpy as np
import pytest

from selfj import config as configs
from selfj import pipeline
from selfj.exchanges import load_exchanges
from selfj.records import SCORES
from selfj.risk import answers, load_threshold
from selfj.serve.server import load_run_judge
from selfj.serve.store import Store
from selfj.store import open_artefact

from ..end_to_end.conftest import FAKE
from .command import Command

SETTINGS = [*FAKE, "name=gate", "target.noise=1.5", "target.skill=0.6", "calibrate.max_risk=0.3"]


@pytest.fixture
def run(tmp_path):
    """A finished run on the fake backend."""
    config = configs.load("demo", SETTINGS)
    pipeline.run(config)
    return config.path.resolve()


def test_every_decision_is_that_of_the_run(run, gateway, upstream):
    exchanges = load_exchanges(run).of("test")
    scores = {row.id: row.score for row in open_artefact(run, SCORES).records() if row.method == "self_j"}
    threshold, _ = load_threshold(run / "threshold.json")
    judge = load_run_judge(str(run))
    replies = {item.instruction.text: item.response.text for item in exchanges}
    upstream.default = lambda body: replies[body["messages"][-1]["content"]]
    served = gateway(judge=judge, threshold=str(run / "threshold.json"))
    told = []
    for item in exchanges:
        reply = served.openai.chat.completions.create(model="m", messages=item.instruction.messages())
        told.append(reply.model_extra["selfj"])
        shown = reply.choices[0].message.content == item.response.text
        assert shown == (told[-1]["decision"] == "answer")
    known = np.array([np.nan if scores[item.id] is None else scores[item.id] for item in exchanges])
    want = answers(known, threshold.value)
    assert [entry["decision"] == "answer" for entry in told] == want.tolist()
    assert 0 < want.sum() < len(want)
    assert [entry["score"] for entry in told] == pytest.approx([scores[item.id] for item in exchanges], abs=1e-6)
    assert [row.score for row in served.rows] == [entry["score"] for entry in told]


def test_sigterm_ends_after_what_is_under_way(run, upstream):
    upstream.delay = 1.0
    served = Command(run, "--upstream", upstream.url)
    replies = []
    body = {"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]}

    def ask():
        replies.append(httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=20))

    asking = threading.Thread(target=ask)
    asking.start()
    while not upstream.bodies:
        time.sleep(0.01)
    assert served.end() == 0
    asking.join()
    assert replies[0].status_code == 200
    assert replies[0].json()["selfj"]["decision"] in {"answer", "decline"}
    assert [event["event"] for event in served.events] == ["start", "drain", "reply", "stop"]
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{served.url}/health/live")
    with Store(str(run / "audit.sqlite")) as store:
        (kept,) = store.latest(10)
        assert kept.row.action == replies[0].json()["selfj"]["decision"]
        assert kept.row.body is None
        assert store.verify().whole


def test_decisions_are_kept_shown_and_given_a_verdict(run, upstream):
    served = Command(run, "--upstream", upstream.url, "--set", "keep_bodies=true")
    body = {"model": "m", "messages": [{"role": "user", "content": "What is 6 times 7?"}]}
    replies = [httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=20) for _ in range(3)]
    page = httpx2.get(f"{served.url}/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    listed = httpx2.get(f"{served.url}/selfj/decisions").json()["decisions"]
    assert len(listed) == 3
    verdict = httpx2.post(f"{served.url}/v1/feedback", json={"decision_id": listed[0]["id"], "good": True})
    assert verdict.status_code == 201, verdict.text
    metrics = httpx2.get(f"{served.url}/metrics").text
    assert "selfj_store_rows_total 3.0" in metrics
    assert httpx2.get(f"{served.url}/no/such/page").status_code == 404
    assert served.end() == 0
    with Store(str(run / "audit.sqlite")) as store:
        assert store.verify().whole
        assert [item.row.score for item in store.latest(9)] == [r.json()["selfj"]["score"] for r in replies[::-1]]
        assert "6 times 7" in store.get(listed[0]["id"]).row.body


def test_a_store_behind_a_variable_or_none_at_all(run, upstream, monkeypatch, tmp_path):
    monkeypatch.setenv("PLACE", str(tmp_path / "elsewhere.sqlite"))
    served = Command(run, "--upstream", upstream.url, "--set", "store_env=PLACE")
    assert httpx2.get(f"{served.url}/health/live").status_code == 200
    assert served.end() == 0
    assert (tmp_path / "elsewhere.sqlite").is_file()
    served = Command(run, "--upstream", upstream.url, "--set", "store=none")
    assert httpx2.get(f"{served.url}/").status_code == 404
    assert served.end() == 0
    assert not (run / "audit.sqlite").exists()
