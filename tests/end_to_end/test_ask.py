import json
from pathlib import Path

import pytest

import selfj
from selfj.errors import ArtefactError, ConfigError, StaleArtefact

from .conftest import FAKE

QUESTIONS = [f"What is {n} plus {n + 3}?" for n in range(40)]


@pytest.fixture
def finished():
    return selfj.run("demo", FAKE).path


def test_answers_reach_the_threshold_and_refusals_do_not(finished):
    assistant = selfj.load(finished)
    decisions = assistant.ask_all(QUESTIONS)
    assert assistant.threshold is not None
    assert {decision.action for decision in decisions} <= {"answer", "decline"}
    for decision in decisions:
        assert decision.threshold == assistant.threshold.value
        assert (decision.action == "answer") == (decision.score >= assistant.threshold.value)
        assert (decision.answer is not None) == (decision.action == "answer")
        assert 0 <= decision.label_mass <= 1


def test_one_question_at_a_time_decides_as_many_do(finished):
    assistant = selfj.load(finished)
    assert [assistant.ask(question) for question in QUESTIONS[:5]] == assistant.ask_all(QUESTIONS)[:5]


def test_a_conversation_is_judged_whole(finished):
    assistant = selfj.load(finished)
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Good day."},
        {"role": "user", "content": "What is 6 times 7?"},
    ]
    seen = []
    scored = assistant.judge.score
    assistant.judge.score = lambda rows: seen.extend(rows) or scored(rows)
    assistant.ask(turns)
    assert all(turn["content"] in seen[0].instruction for turn in turns)


def test_the_command_says_score_threshold_and_mass(cli, finished):
    code, out, _ = cli("ask", "What is 6 times 7?", "--run", finished)
    assert code == 0
    for word in ("score", "threshold", "label mass"):
        assert word in out
    code, out, _ = cli("ask", "What is 6 times 7?", "--run", finished, "--json")
    assert code == 0
    assert set(json.loads(out)) == {"action", "score", "threshold", "reason", "label_mass", "answer"}


def test_without_a_threshold_everything_is_declined(cli):
    code, _, _ = cli("run", "demo", *[w for s in [*FAKE, "calibrate.max_risk=0.001"] for w in ("--set", s)])
    assert code == 4
    code, out, _ = cli("ask", "What is 6 times 7?")
    assert code == 0
    assert "no threshold" in out


def test_a_judge_that_was_exchanged_is_refused(finished):
    path = finished / "threshold.json"
    threshold = json.loads(path.read_text())
    path.write_text(json.dumps({**threshold, "judge": "0" * 64}))
    with pytest.raises(StaleArtefact, match="was chosen for judge"):
        selfj.load(finished)


def test_no_run_and_no_judge_say_what_to_do(finished):
    with pytest.raises(ConfigError, match="No config at nowhere"):
        selfj.load("nowhere")
    (finished / "judge" / "judge.json").unlink()
    with pytest.raises(ArtefactError, match="selfj tune"):
        selfj.load(finished)


def test_a_moved_run_still_works(finished):
    moved = Path("elsewhere")
    finished.rename(moved)
    assert selfj.load(moved).ask(QUESTIONS[0]).action in ("answer", "decline")
