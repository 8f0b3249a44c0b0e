"""Chromium, and a real gateway with a small judge before an upstream that answers at once."""

import json
from contextlib import contextmanager
from importlib.resources import files

import httpx2
import pytest

from selfj import config as configs
from selfj import pipeline
from selfj.exchanges import load_exchanges

from ..end_to_end.conftest import FAKE
from ..serve.command import Command
from ..serve.conftest import Loop, upstream_in
from . import chromium

SETTINGS = [*FAKE, "name=small", "target.noise=1.5", "target.skill=0.6", "calibrate.max_risk=0.3"]
HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script> & <b>2 + 2</b> \'"`${7*7}'
"""A question that would run in a page that took it for markup."""


@pytest.fixture(scope="session")
def browser():
    """A running Chromium."""
    program = chromium.found()
    if program is None:
        pytest.skip("The pages are opened in Chromium (Debian: apt-get install chromium): make test-browser")
    made = chromium.Chromium(program)
    yield made
    made.close()


@pytest.fixture
def tab(browser):
    """An empty page, 1280 pixels wide."""
    made = chromium.Tab(browser)
    yield made
    made.close()


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory):
    """Folder of a finished run on the fake backend."""
    folder = tmp_path_factory.mktemp("runs")
    config = configs.load("demo", [*SETTINGS, f"dir={json.dumps(str(folder))}"])
    pipeline.run(config)
    return config.path.resolve()


@pytest.fixture(scope="session")
def questions(whole_run):
    """Instruction and response of every test exchange of the run."""
    return {item.instruction.text: item.response.text for item in load_exchanges(whole_run).of("test")}


@pytest.fixture(scope="session")
def upstream(questions):
    """A model behind a server that gives the run's own responses at once."""
    loop = Loop()
    with upstream_in(loop) as made:
        made.default = lambda body: questions.get(body["messages"][-1]["content"], f"answer to: {HOSTILE}")
        yield made
    loop.close()


@pytest.fixture(scope="session")
def serve(whole_run, upstream):
    """Start `selfj serve` over the run with a store of its own and further settings."""

    @contextmanager
    def build(store, *settings):
        words = ["--upstream", upstream.url, "--set", f"store={json.dumps(str(store))}", "--set", "keep_bodies=true"]
        words += [word for setting in settings for word in ("--set", setting)]
        command = Command(whole_run, *words)
        try:
            yield command
        finally:
            if command.process.poll() is None:
                command.end()

    return build


class Gateway:
    """A gateway that runs, and what was asked of it so far."""

    def __init__(self, url, store):
        self.url, self.store = url, store
        self.http = httpx2.Client(base_url=url, timeout=30)

    def ask(self, text):
        """Ask a question; gives what the gateway decided."""
        body = {"model": "small", "messages": [{"role": "user", "content": text}]}
        return self.http.post("/v1/chat/completions", json=body).json()["selfj"]


@pytest.fixture(scope="session")
def gateway(serve, questions, tmp_path_factory):
    """A gateway that has decided on every test question and on a hostile one, with verdicts on some."""
    store = tmp_path_factory.mktemp("store") / "audit.sqlite"
    with serve(store) as command:
        made = Gateway(command.url, store)
        for text in questions:
            made.ask(text)
        made.ask(HOSTILE)
        for place, row in enumerate(made.http.get("/selfj/decisions?limit=60").json()["decisions"][1:]):
            if row["action"] == "answer":
                verdict = {"decision_id": row["id"], "good": place % 9 != 0, "who": "Ann"}
                assert made.http.post("/v1/feedback", json=verdict).status_code == 201
        yield made
        made.http.close()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, which finds faults that keep people from using a page."""
    return files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
