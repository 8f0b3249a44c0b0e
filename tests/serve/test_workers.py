"""Several workers over one store: real processes, real signals, and what the store and the counters say afterwards."""

import collections
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from selfj import config as configs
from selfj import pipeline
from selfj.serve.store import Store

from ..end_to_end.conftest import FAKE
from .command import Command
from .store.conftest import postgres_server, url  # noqa: F401

SETTINGS = [*FAKE, "name=crew", "target.noise=1.5", "target.skill=0.6", "calibrate.max_risk=0.3"]


@pytest.fixture
def run(tmp_path):
    config = configs.load("demo", SETTINGS)
    pipeline.run(config)
    return config.path.resolve()


@pytest.fixture
def crew(run, upstream):
    """Start a gateway with workers; ended at the end, whatever happens."""
    made = []

    def start(*arguments, workers=2, environment=None):
        up = ("--upstream", upstream.url, "--workers", workers)
        made.append(Command(run, *up, *arguments, environment=environment))
        return made[-1]

    yield start
    for served in made:
        if served.process.poll() is None:
            served.end()


def pids(served):
    """The last process of each worker."""
    return {event["worker"]: event["pid"] for event in served.named("worker_up")}


def counted(served, name):
    """The sum of a metric over its labels."""
    text = httpx2.get(f"{served.url}/metrics", timeout=30).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


@pytest.mark.slow
def test_parallel_requests_make_one_chain(crew, url):  # noqa: F811
    served = crew("--set", "store_env=STORE_ADDRESS", workers=3, environment={"STORE_ADDRESS": url})
    assert served.named("start")[-1]["workers"] == 3
    assert len(set(pids(served).values())) == 3

    def ask(number):
        reply = served.chat(f"What is {number} plus 2?", f"r{number}")
        assert reply.status_code == 200, reply.text
        return reply.json()["selfj"]["decision"]

    with ThreadPoolExecutor(24) as pool:
        told = list(pool.map(ask, range(300)))
    # Whichever worker is asked adds up those of all.
    assert {counted(served, "selfj_replies_total") for _ in range(8)} == {300.0}
    assert counted(served, "selfj_store_rows_total") == 300
    assert counted(served, "selfj_seconds_count") == 900
    assert counted(served, "selfj_workers_up") == 3
    ready = httpx2.get(f"{served.url}/health/ready").json()
    assert (ready["status"], ready["workers"]) == ("ready", {"wanted": 3, "up": 3})
    # What one worker recorded is there for the others, and so is a verdict on it.
    with Store(url) as store:
        first = store.latest(1)[0].row.id
        for number in range(6):
            said = {"decision_id": first, "good": True, "who": f"w{number}"}
            assert httpx2.post(f"{served.url}/v1/feedback", json=said).status_code == 201
            found = httpx2.get(f"{served.url}/selfj/decision/{first}").json()
            assert (len(found["feedback"]), found["fault"]) == (number + 1, None)
        assert served.end() == 0
        rows = list(store.after())
        assert sorted(row.row.request_id for row in rows) == sorted(f"r{number}" for number in range(300))
        assert collections.Counter(row.row.action for row in rows) == collections.Counter(told)
        verified = store.verify()
        assert (verified.whole, verified.rows) == (True, 300)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{served.url}/health/live")


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing_that_was_acknowledged(crew, run, upstream):
    upstream.delay = 0.02
    served = crew()
    before, acknowledged, lost = pids(served), [], []
    halfway, ended = threading.Event(), threading.Event()

    def ask(place):
        number = 0
        while not ended.is_set():
            name, number = f"c{place}-{number}", number + 1
            try:
                if served.chat("2 + 2?", name).status_code == 200:
                    acknowledged.append(name)
            except httpx2.TransportError:
                lost.append(name)
            if len(acknowledged) > 60:
                halfway.set()

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, place) for place in range(8)]
        try:
            assert halfway.wait(120)
            os.kill(before[0], signal.SIGKILL)
            served.wait(lambda: pids(served)[0] != before[0])
            time.sleep(0.5)
        finally:
            ended.set()
        for work in asking:
            work.result()
    (died,) = served.named("worker_died")
    assert (died["worker"], died["pid"], died["exit"]) == (0, before[0], -signal.SIGKILL)
    assert pids(served)[1] == before[1]
    assert len(lost) <= 8
    assert counted(served, "selfj_worker_restarts_total") == 1
    # The one that asks; how the other stands is known a second later.
    served.wait(lambda: counted(served, "selfj_inflight") == 1)
    replies = counted(served, "selfj_replies_total")
    assert served.end() == 0
    with Store(str(run / "audit.sqlite")) as store:
        names = collections.Counter(stored.row.request_id for stored in store.after())
        assert store.verify().whole
    assert set(acknowledged) <= set(names)
    assert set(names.values()) == {1}
    # What the dead worker had counted is still counted; at most its last replies were kept and not counted any more.
    assert len(acknowledged) <= replies <= names.total()
    assert set(names) <= set(acknowledged) | set(lost)


@pytest.mark.slow
def test_the_end_waits_for_what_is_under_way(crew, upstream):
    upstream.delay = 1.0
    served, replies = crew(), []
    asking = [
        threading.Thread(target=lambda: replies.append(served.chat("2 + 2?").status_code), daemon=True)
        for _ in range(6)
    ]
    for thread in asking:
        thread.start()
    served.wait(lambda: len(upstream.bodies) == 6)
    assert served.end() == 0
    for thread in asking:
        thread.join(10)
    assert replies == [200] * 6
    assert len(served.named("stop")) == 3


@pytest.mark.slow
def test_workers_end_with_their_parent(crew):
    served = crew("--set", "store=none")
    found = list(pids(served).values())
    # The reading of standard error ends only when the workers are gone too.
    assert served.end(signal.SIGKILL) == -signal.SIGKILL
    served.wait(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in found), 30)
    assert len(served.named("stop")) == 2


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_once(run):
    for path in (run / "judge").glob("*.json"):
        path.unlink()
    root = str(Path(__file__).parents[2] / "src")
    code = "from selfj.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", str(run), "--upstream", "http://127.0.0.1:9/v1", "--workers", "2"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])},
        timeout=120,
    )
    assert done.returncode == 3, done.stderr
    assert "selfj tune" in done.stderr
    assert "Serving on" not in done.stderr
    assert "Traceback" not in done.stderr
