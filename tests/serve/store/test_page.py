"""The page: what its routes give, what they refuse, and that it needs nothing from elsewhere."""

import asyncio
import json
import re

import numpy as np
import pytest

from selfj.risk import choose_threshold, selective, upper_bound
from selfj.serve import page_data
from selfj.serve.feedback import Feedback
from selfj.serve.page import BODY_BYTES, Page
from selfj.serve.run import ServedRun
from selfj.serve.tables import decisions

from .conftest import decision

NOW = decision(0).at + 1000


@pytest.fixture
def run():
    scores = np.linspace(0, 9, 400)
    labels = np.where(scores < 4.5, 0.0, 9.0)
    threshold = choose_threshold(scores, labels, max_risk=0.1, judge="j" * 32)
    return ServedRun("small", threshold, None, 0.1, 5.0, scores, labels)


@pytest.fixture
def call(store, run, monkeypatch):
    """Ask the page as an ASGI server does; gives status, headers, and the body as JSON where it is JSON."""
    monkeypatch.setattr(page_data.time, "time", lambda: NOW)
    store.append([decision(n, threshold=run.threshold.value, body=f"said {n}") for n in range(30)])
    page = Page(store, run)

    def ask(path, method="GET", body=None, kind="application/json"):
        sent = []
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        # In two messages, as a server may give a body.
        messages = [{"body": data[:5], "more_body": True}, {"body": data[5:], "more_body": False}]

        async def receive():
            return {"type": "http.request", **messages.pop(0)}

        async def send(message):
            sent.append(message)

        where, _, query = path.partition("?")
        scope = {"type": "http", "method": method, "path": where, "query_string": query.encode()}
        asyncio.run(page({**scope, "headers": [(b"Content-Type", kind.encode())]}, receive, send))
        start, end = sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        text = end["body"].decode()
        return start["status"], headers, json.loads(text) if "json" in headers["content-type"] and text else text

    ask.page = page
    return ask


def test_the_page_needs_nothing_from_elsewhere(call):
    status, headers, text = call("/")
    assert status == 200
    assert "{{" not in text
    nonce = re.search(r"script-src 'nonce-([^']+)'", headers["content-security-policy"])[1]
    assert text.count(f'nonce="{nonce}"') == 2
    assert "unsafe" not in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    # Neither address nor handler nor style in an attribute, which the policy would refuse.
    assert set(re.findall(r"https?://[^\"' )]+", text)) == {"http://www.w3.org/2000/svg"}
    markup = text.split("<body>")[1].split("<script")[0]
    assert not re.search(r"\s(on\w+|style|src)=", markup)
    assert call("/")[1]["content-security-policy"] != headers["content-security-policy"]
    assert call("/", "HEAD")[2] == ""
    identifiers = re.findall(r'\sid="([^"]+)"', markup)
    assert len(identifiers) == len(set(identifiers))
    wanted = set(re.findall(r'\$\("([\w-]+)"\)', text))
    assert wanted - {"said"} <= set(identifiers)


def test_decisions_come_newest_first_and_only_the_new_ones(call, store):
    status, headers, found = call("/selfj/decisions?limit=5")
    assert status == 200
    assert headers["cache-control"] == "no-store"
    assert [row["position"] for row in found["decisions"]] == [30, 29, 28, 27, 26]
    assert sum(found["day"]["actions"].values()) == 30
    assert "body" not in found["decisions"][0]
    assert call(f"/selfj/decisions?after={found['last']}")[2]["decisions"] == []
    store.append([decision(40)])
    store.add_feedback(Feedback("d000040", quality=3.0))
    (new,) = call(f"/selfj/decisions?after={found['last']}")[2]["decisions"]
    assert (new["id"], new["feedback"]) == ("d000040", 3.0)


def test_one_decision_in_full(call, store):
    store.add_feedback(Feedback("d000003", good=False, who="Ann", comment="no"))
    status, _, found = call("/selfj/decision/d000003")
    assert (status, found["body"], found["fault"]) == (200, "said 3", None)
    assert found["feedback"][0]["comment"] == "no"
    assert "body_salt" not in found
    assert call("/selfj/decision/r000003")[2]["id"] == "d000003"
    assert call("/selfj/decision/d000000")[2]["fault"] is None
    assert call("/selfj/decision/a%2Fb")[0] == 404
    with store.engine.begin() as connection:
        connection.execute(decisions.update().where(decisions.c.id == "d000003").values(score=9.0))
    assert "was changed" in call("/selfj/decision/d000003")[2]["fault"]


def test_the_curve_is_that_of_calibration_and_of_today(call, store, run):
    for n in range(0, 30, 2):
        store.add_feedback(Feedback(f"d{n:06d}", good=n % 4 == 0))
    found = call("/selfj/curve")[2]
    calibration = found["calibration"]
    assert len(calibration["threshold"]) == 250
    for place in (0, 100, 249):
        answered = run.scores >= calibration["threshold"][place] - 1e-6
        assert calibration["coverage"][place] == pytest.approx(answered.mean(), abs=1e-5)
        failures = int((run.labels[answered] < 5).sum())
        assert calibration["risk"][place] == pytest.approx(failures / answered.sum(), abs=1e-5)
        bound = upper_bound(failures, int(answered.sum()), run.threshold.confidence)
        assert calibration["bound"][place] == pytest.approx(bound, abs=1e-5)
    scores = np.array([decision(n).score for n in range(30)])
    some = np.array([decision(n).score for n in range(0, 30, 2)])
    good = np.array([n % 4 == 0 for n in range(0, 30, 2)])
    live, used = found["live"], run.threshold
    assert (live["n"], found["threshold"]) == (30, used.value)
    for given, failure, table in (
        (scores, np.zeros(30, dtype=bool), live["table"]),
        (some, ~good, found["feedback"]["table"]),
        (run.scores, run.labels < 5, calibration["table"]),
    ):
        for value in [*(np.arange(901) / 100), used.value]:
            by_hand = selective(given, failure, value)
            place = max(0, round(100 * value) - table["first"]) if value != used.value else -1
            answered = table["answered"][place] if place < len(table["answered"]) - 1 else 0
            failures = table["failures"][place] if answered else 0
            assert answered == by_hand.answered
            assert failures == failure[given >= value].sum()
            if "bound" in table and answered:
                confidence = used.confidence if table is calibration["table"] else 0.95
                assert table["bound"][place] == pytest.approx(upper_bound(failures, answered, confidence), abs=1e-5)
    assert found["feedback"]["declined"] == sum(decision(n).action == "decline" for n in range(0, 30, 2))
    assert found["feedback"]["n"] == 15
    assert found["feedback"]["risk"][-1] == pytest.approx(7 / 15, abs=1e-5)


def test_the_distributions_add_up(call):
    found = call("/selfj/histogram")[2]
    assert (found["live_n"], found["calibration_n"]) == (30, 400)
    assert sum(found["live"]) == pytest.approx(1, abs=1e-3)
    assert len(found["edges"]) == len(found["live"]) + 1


def test_verdicts_move_the_drift(call):
    answered = [n for n in range(30) if decision(n).action == "answer"]
    for n in answered:
        body = {"decision_id": f"d{n:06d}", "good": False, "who": "Ann"}
        status, _, made = call("/v1/feedback", "POST", body)
        assert (status, made["value"]) == (201, 0.0)
    found = call("/selfj/drift")[2]
    assert found["risk"]["n"] == found["failures"] == sum(decision(n).score >= 5 for n in answered)
    assert found["alarm"] is True
    assert "no longer holds" in found["sentences"][0]
    assert "selfj_promise_alarm 1\n" in call.page.metrics()
    status, _, made = call("/v1/feedback", "POST", {"decision_id": "r000001", "quality": 4})
    assert (status, made["decision_id"]) == (201, "d000001")


@pytest.mark.parametrize(
    ("path", "method", "body", "kind", "status", "words"),
    [
        ("/v1/feedback", "POST", {"decision_id": "x", "good": True}, "application/json", 404, "no decision 'x'"),
        ("/v1/feedback", "POST", {"decision_id": "d000001"}, "application/json", 400, "needs good"),
        ("/v1/feedback", "POST", [1], "application/json", 400, "JSON object"),
        ("/v1/feedback", "POST", b"{nonsense", "application/json", 400, "not valid JSON"),
        ("/v1/feedback", "POST", b"\xff\xfe", "application/json", 400, "not valid JSON"),
        ("/v1/feedback", "POST", b"[" * 50_000, "application/json", 400, "not valid JSON"),
        ("/v1/feedback", "POST", {"decision_id": "d000001", "good": True}, "text/plain", 415, "application/json"),
        ("/v1/feedback", "POST", b"x" * (BODY_BYTES + 9), "application/json", 413, "at most 65,536"),
        ("/v1/feedback", "GET", None, "application/json", 405, "POST"),
        ("/selfj/curve", "POST", {}, "application/json", 405, "GET"),
        ("/selfj/decisions?after=-1", "GET", None, "application/json", 400, "whole number"),
        ("/selfj/decisions?limit=x", "GET", None, "application/json", 400, "whole number"),
        ("/selfj/decision/none", "GET", None, "application/json", 404, "no such decision"),
        ("/elsewhere", "GET", None, "application/json", 404, "no such route"),
    ],
)
def test_what_is_refused(call, path, method, body, kind, status, words):
    found, _, reply = call(path, method, body, kind)
    assert (found, words in reply["error"]["message"]) == (status, True), reply


def test_a_store_that_is_down_is_a_503(call, store, monkeypatch):
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE feedback")
    status, _, reply = call("/selfj/decisions")
    assert (status, reply["error"]["code"]) == (503, "store_unavailable")
    assert call("/")[0] == 200


def test_a_gateway_without_a_run_has_a_page_too(local):
    page = Page(local)
    for path in ("/", "/selfj/decisions", "/selfj/curve", "/selfj/histogram", "/selfj/drift"):
        assert page.answer("GET", path, "", {}, b"").status == 200
    curve = json.loads(page.answer("GET", "/selfj/curve", "", {}, b"").body)
    assert (curve["threshold"], curve["calibration"]["n"]) == (None, 0)


def test_routes_for_the_gateway(local, run):
    class Asked:
        method, path, query, headers = "GET", "/selfj/drift", "", {}

        async def body(self):
            raise AssertionError("a GET has no body to wait for")

    routes = {(method, path): handler for method, path, handler in Page(local, run).routes()}
    assert ("POST", "/v1/feedback") in routes
    made = asyncio.run(routes["GET", "/selfj/drift"](Asked()))
    assert made.status == 200
    assert json.loads(made.body)["calibration"] == 400


def test_half_a_surrogate_pair_is_no_fault(call):
    assert call("/v1/feedback", "POST", {"decision_id": "\ud800", "good": True})[0] == 404
    assert call("/v1/feedback", "POST", {"decision_id": "d000001", "good": True, "\ud800": 1})[0] == 400
    made = {"decision_id": "d000001", "good": True, "who": "\ud800\0", "comment": "\udfff"}
    assert call("/v1/feedback", "POST", made)[0] == 201
    assert call("/selfj/decision/d000001")[2]["feedback"][0]["who"] == "?\ufffd"
