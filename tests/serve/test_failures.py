"""What a failing upstream, judge or recorder leads to: an error or a decline, never an answer that was not judged."""

import asyncio
import json
import threading
import time

import httpx2
import pytest

from selfj.judge import Score
from selfj.serve.breaker import Breaker
from selfj.serve.judging import JudgeFault, JudgeQueue
from selfj.serve.settings import JudgeQueueSettings

from .conftest import BAD, GOOD, KEY
from .test_answers import Levels

STREAMS = pytest.mark.parametrize("stream", [False, True])


@pytest.mark.parametrize(
    ("fault", "status", "code", "tries"),
    [
        ("500", 502, "upstream_error", 2),
        ("503", 503, "upstream_error", 2),
        ("429", 429, "upstream_rate_limit", 1),
        ("401", 502, "upstream_auth", 1),
        ("400", 400, "upstream_refused", 1),
        ("redirect", 502, "upstream_error", 1),
        ("cut", 502, "upstream_cut", 2),
        ("garbage", 502, "upstream_bad_reply", 2),
        ("nochoices", 502, "upstream_bad_reply", 2),
        ("notext", 502, "upstream_bad_reply", 2),
        ("huge", 502, "upstream_bad_reply", 2),
        ("hang", 504, "upstream_timeout", 1),
        ("drip", 504, "upstream_timeout", 1),
    ],
)
@STREAMS
def test_an_upstream_that_fails_is_an_error(gateway, upstream, monkeypatch, fault, status, code, tries, stream):
    monkeypatch.setenv("UP_KEY", KEY)
    upstream.default = fault
    up = {"timeout_s": 0.8, "max_reply_bytes": 2_000_000, "api_key_env": "UP_KEY"}
    served = gateway(up=up)
    reply = served.chat(stream=stream)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code)
    assert error["request_id"] == reply.headers["x-request-id"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert KEY not in reply.text
    assert len(upstream.bodies) == tries
    assert reply.headers.get("retry-after") == ("7" if fault in {"429", "503"} else None)
    (row,) = served.rows
    assert (row.action, row.reason, row.attempts) == ("error", code, 1)


def test_a_fault_that_passes_is_tried_again(gateway, upstream):
    upstream.plan = ["500", GOOD]
    assert gateway().chat().json()["selfj"]["decision"] == "answer"
    upstream.plan = ["cut", BAD]
    assert gateway().chat().json()["selfj"]["decision"] == "decline"


def test_an_upstream_that_is_not_there(gateway):
    reply = gateway(url="http://127.0.0.1:9/v1").chat()
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize(
    ("fault", "status"), [("500", 502), ("429", 429), ("hang", 504), ("garbage", 502), ("longline", 502)]
)
def test_an_early_stream_that_cannot_be_opened(gateway, upstream, fault, status):
    upstream.default = fault
    served = gateway(streaming="early", up={"timeout_s": 0.5})
    assert served.chat(stream=True).status_code == status
    assert served.rows[0].action == "error"


@pytest.mark.parametrize("fault", ["cut", "drip"])
def test_an_early_stream_that_breaks_ends_with_an_error_and_no_verdict(gateway, upstream, fault):
    upstream.default = fault
    served = gateway(streaming="early", up={"timeout_s": 0.5})
    reply = served.chat(stream=True)
    assert reply.status_code == 200
    last = [line for line in reply.text.split("\n\n") if line][-1]
    assert json.loads(last[6:])["error"]["code"].startswith("upstream_")
    assert '"decision"' not in reply.text
    assert served.rows[0].action == "error"


class Broken:
    """A judge that fails in some way."""

    name, digest = "broken", "fake-judge"

    def __init__(self, how):
        self.how, self.free, self.calls = how, threading.Event(), 0

    def score(self, inputs):
        self.calls += 1
        if self.how == "hangs":
            self.free.wait(20)
        if self.how == "raises":
            raise RuntimeError("out of memory")
        if self.how == "short":
            return []
        value = float("nan") if self.how == "nan" else None
        reason = "low_label_mass" if self.how == "mass" else None
        return [Score(value, None, 0.2, self.name, reason) for _ in inputs]


HOWS = {
    "hangs": "judge_timeout",
    "raises": "judge_failed",
    "short": "judge_failed",
    "nan": "unscored",
    "none": "unscored",
    "mass": "low_label_mass",
}


@pytest.mark.parametrize(("how", "reason"), HOWS.items())
@pytest.mark.parametrize("streaming", ["buffer", "early"])
@STREAMS
def test_without_a_score_there_is_no_answer(gateway, how, reason, streaming, stream):
    judge = Broken(how)
    served = gateway(judge=judge, streaming=streaming, queue={"timeout_s": 0.3})
    reply = served.chat(stream=stream)
    judge.free.set()
    assert reply.status_code == 200
    assert '"content_filter"' in reply.text
    if not (stream and streaming == "early"):
        assert GOOD not in reply.text
    (row,) = served.rows
    assert (row.action, row.step, row.reason, row.score) == ("decline", "failure", reason, None)


def test_why_the_judge_failed_is_in_the_log(gateway, caplog):
    gateway(judge=Broken("raises")).chat()
    assert [record.exc_info[0] for record in caplog.records if record.message == "judge_failed"] == [RuntimeError]


def test_passing_without_a_score_must_be_set_and_says_so(gateway):
    served = gateway(judge=Broken("raises"), on_failure="pass")
    reply = served.chat()
    assert reply.json()["choices"][0]["message"]["content"] == GOOD
    assert (reply.headers["x-selfj-decision"], reply.headers["x-selfj-step"]) == ("pass", "failure")
    assert "x-selfj-score" not in reply.headers
    assert reply.json()["selfj"]["code"] == "passed_unjudged"


def test_escalating_without_a_score_judges_what_comes(gateway, upstream):
    upstream.default = lambda body: "strong" if body["model"] == "big" else "weak"
    settings = {"on_failure": "escalate", "escalate": {"upstream": {"base_url": upstream.url}, "model": "big"}}
    judge = Levels({"weak": "low_label_mass", "strong": 8.0})
    assert gateway(judge=judge, **settings).chat().json()["selfj"]["step"] == "escalate"
    judge = Levels({"weak": "low_label_mass", "strong": "low_label_mass"})
    told = gateway(judge=judge, **settings).chat().json()["selfj"]
    assert (told["decision"], told["step"]) == ("decline", "failure")


def test_an_escalation_that_fails_declines(gateway, upstream):
    upstream.default = BAD
    escalate = {"upstream": {"base_url": "http://127.0.0.1:9/v1", "tries": 1}, "model": "big"}
    assert gateway(escalate=escalate).chat().json()["selfj"]["decision"] == "decline"


@pytest.mark.parametrize("streaming", ["buffer", "early"])
@STREAMS
def test_a_reply_that_cannot_be_recorded_does_not_go_out(gateway, streaming, stream):
    served = gateway(streaming=streaming)
    served.memory.broken = True
    reply = served.chat(stream=stream)
    if streaming == "early" and stream:
        assert "record_failed" in reply.text
        assert '"decision"' not in reply.text
    else:
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "record_failed")


def test_an_unforeseen_fault_is_an_error_without_its_words(gateway, monkeypatch):
    served = gateway()
    monkeypatch.setattr(served.app._answering, "answer", lambda *a: 1 / 0)
    reply = served.chat()
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")
    assert "division" not in reply.text


def test_the_breaker_opens_and_lets_one_try_again(gateway, upstream):
    upstream.default = "500"
    served = gateway(up={"tries": 1, "breaker_failures": 3, "breaker_pause_s": 0.4})
    for _ in range(3):
        assert served.chat().status_code == 502
    reply = served.chat()
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
    assert len(upstream.bodies) == 3
    assert served.http.get("/health/ready").status_code == 503
    upstream.default = GOOD
    time.sleep(0.45)
    assert served.chat().status_code == 200
    assert served.http.get("/health/ready").json()["upstream"] == "closed"


def test_a_breaker_by_its_clock():
    now = [0.0]
    breaker = Breaker(2, 10.0, clock=lambda: now[0])
    breaker.fail()
    breaker.succeed()
    breaker.fail()
    assert breaker.admit()
    breaker.fail()
    assert (breaker.state, breaker.admit(), breaker.wait_s()) == ("open", False, 10.0)
    now[0] = 10.0
    assert breaker.state == "half_open"
    assert [breaker.admit(), breaker.admit()] == [True, False]
    breaker.fail()
    now[0] = 19.9
    assert not breaker.admit()
    now[0] = 20.0
    assert breaker.admit()
    breaker.succeed()
    assert (breaker.state, breaker.admit(), breaker.admit()) == ("closed", True, True)


def test_a_callers_fault_does_not_open_the_breaker(gateway, upstream):
    upstream.default = "400"
    served = gateway(up={"breaker_failures": 1})
    assert [served.chat().status_code for _ in range(4)] == [400] * 4


class Slow:
    """A judge that waits until it is let go, and notes its batches."""

    name, digest = "slow", "fake-judge"

    def __init__(self):
        self.free, self.batches = threading.Event(), []

    def score(self, inputs):
        self.batches.append(len(inputs))
        self.free.wait(20)
        if any(item.response == "poison" for item in inputs):
            raise ValueError("poison")
        return [Score(float(item.response), None, 1.0, self.name) for item in inputs]


def test_the_queue_collects_what_waits_and_is_bounded(loop):
    from selfj.backends.base import JudgeInput

    async def play():
        judge = Slow()
        queue = JudgeQueue(judge, JudgeQueueSettings(queue=6, batch=4, timeout_s=10))
        queue.start()
        first = asyncio.ensure_future(queue.score(JudgeInput("q", "0")))
        while not judge.batches:
            await asyncio.sleep(0.01)
        texts = ["1", "2", "poison", "4", "5", "6"]
        rest = [asyncio.ensure_future(queue.score(JudgeInput("q", text))) for text in texts]
        await asyncio.sleep(0.05)
        assert queue.depth == 6
        with pytest.raises(JudgeFault, match="judge_queue_full"):
            await queue.score(JudgeInput("q", "7"))
        judge.free.set()
        found = await asyncio.gather(first, *rest, return_exceptions=True)
        await queue.close()
        return judge.batches, found

    batches, found = loop.run(play())
    # One poisoned text: its batch of four is judged again, one by one.
    assert batches == [1, 4, 1, 1, 1, 1, 2]
    assert [score.value if isinstance(score, Score) else str(score) for score in found] == [
        0.0,
        1.0,
        2.0,
        "judge_failed",
        4.0,
        5.0,
        6.0,
    ]


def test_what_waits_when_the_queue_closes_has_no_score(loop):
    from selfj.backends.base import JudgeInput

    async def play():
        judge = Slow()
        queue = JudgeQueue(judge, JudgeQueueSettings(batch=1, timeout_s=10))
        queue.start()
        waiting = [asyncio.ensure_future(queue.score(JudgeInput("q", "1"))) for _ in range(3)]
        while not judge.batches:
            await asyncio.sleep(0.01)
        await queue.close()
        judge.free.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert [str(fault) for fault in loop.run(play())] == ["judge_stopped"] * 3


def test_a_judge_that_is_stuck_is_not_ready(gateway):
    judge = Broken("hangs")
    served = gateway(judge=judge, queue={"timeout_s": 0.2})
    assert served.http.get("/health/ready").status_code == 200
    served.chat()
    time.sleep(0.1)
    assert served.http.get("/health/ready").json()["judge"] is False
    judge.free.set()


def test_a_full_queue_declines(gateway):
    judge = Broken("hangs")
    served = gateway(judge=judge, queue={"timeout_s": 1.0, "queue": 1, "batch": 1})
    reasons = []

    def ask():
        reasons.append(
            httpx2.post(f"{served.url}/v1/chat/completions", json=BODY, timeout=20).json()["selfj"]["reason"]
        )

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    judge.free.set()
    assert set(reasons) == {"judge_queue_full", "judge_timeout"}


BODY = {"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]}
