"""Further judges in a whole run: scored on the test split, and shown beside the others."""

from pathlib import Path

import numpy as np
import pytest

from selfj import pipeline
from selfj.records import SCORES
from selfj.store import open_artefact

from ..end_to_end.conftest import FAKE

PEERS = [
    "judges=["
    "{kind='generative', name='writer', title='A writer', backend={kind='plugin', target='own_peers:Writer'}},"
    "{kind='generative', name='reader', reference=true, backend={kind='plugin', target='own_peers:Writer'}},"
    "{kind='reward', name='rm', title='A reward model', backend={kind='plugin', target='own_peers:Reward'}}]"
]
MODULE = """
import numpy as np
from selfj.backends.base import Generation, RewardReading

class Writer:
    name = "writer"
    def generate(self, conversations, seeds, sampling):
        texts = [messages[-1]["content"] for messages in conversations]
        return [Generation(f"[[{9 if 'answer to:' in text else 2}]]", 3, None, "stop") for text in texts]

class Reward:
    name = "reward"
    def rewards(self, inputs):
        n = len(inputs)
        good = [12.5 if "answer to:" in exchange.response else -3.0 for exchange in inputs]
        return RewardReading(np.array(good), (None,) * n, (False,) * n)
"""


@pytest.fixture
def outcome(monkeypatch):
    Path("own_peers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(".")
    return pipeline.run("demo", [*FAKE, "collect.source.n=300", *PEERS])


def test_peers_score_the_test_exchanges_and_stand_in_the_report(outcome):
    methods = outcome.report["methods"]
    rows = {}
    for row in open_artefact(outcome.path, SCORES).records():
        rows.setdefault(row.method, []).append(row)
    assert len(rows["peer_writer"]) == len(rows["peer_rm"]) == len(rows["length"])
    assert {row.score for row in rows["peer_rm"]} == {12.5, -3.0}
    assert {row.score for row in rows["peer_writer"]} == {8.0, 1.0}
    assert {row.error for row in rows["peer_rm"]} == {None}
    assert {row.reader for row in rows["peer_writer"]} == {"writer (verbalised, grader)"}
    assert (methods["peer_writer"]["title"], methods["peer_writer"]["group"]) == ("A writer", "without reference")
    assert (methods["peer_reader"]["title"], methods["peer_reader"]["group"]) == ("reader", "with reference")
    for key in ("peer_writer", "peer_rm"):
        assert methods[key]["pearson"]["value"] > 0.5
        assert key in outcome.report["curves"]
    np.testing.assert_allclose(methods["peer_rm"]["pearson"]["value"], methods["peer_writer"]["pearson"]["value"])
    # A reward is no quality, so its calibration cannot be asked for.
    assert methods["peer_rm"]["ece"] is None
    assert methods["peer_writer"]["ece"] is not None
    order = list(methods)
    assert order.index("self_j") < order.index("peer_writer") < order.index("length")
    assert order.index("self_j_teacher") < order.index("peer_reader") < order.index("oracle")
    page = (outcome.path / "report" / "report.html").read_text()
    assert "A reward model" in page
