"""The judge behind the two decision protocols."""

import pytest
from openai.types.decision import Decision

from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.backends.fake import FakeModel
from selfj.backends.http_protocols import CRITERIA
from selfj.judge import Judge
from selfj.settings import FakeBackend, HttpBackend

from .conftest import BAD, GOOD, fake_judge
from .test_failures import Broken

QUESTION = "What is 2 + 2?"
EXCHANGE = {"instruction": QUESTION, "response": GOOD}
SCORE = {
    "type": "score",
    "name": "quality",
    "instructions": "Rate it.",
    "levels": [{"label": str(n)} for n in range(10)],
}
SYSTEM_SCORE = {"type": "score", "instructions": "Rate it.", "criteria": list(CRITERIA)}


def want(response=GOOD, reference=None, instruction=QUESTION):
    return fake_judge().score([JudgeInput(instruction, response, reference)])[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"instruction": "What is 2 + 2?", "response": "answer to: it is 4"}', want()),
        ([{"role": "user", "content": QUESTION}, {"role": "assistant", "content": GOOD}], want()),
        (f"[Question]\n{QUESTION}\n\n[Answer]\n{BAD}\n\n[Rating]", want(BAD)),
        (f"[Question]\n{QUESTION}\n\n[Reference]\n4\n\n[Answer]\n{BAD}\n\n[Rating]", want(BAD, "4")),
        ([{"role": "user", "content": f"[Question]\n{QUESTION}\n\n[Answer]\n{BAD}"}], want(BAD)),
    ],
)
def test_decisions_through_the_client_of_openai(gateway, value, expected):
    served = gateway()
    found = served.openai.decisions.with_raw_response.create(model="judge", input=value, questions=[SCORE])
    reply = Decision.model_validate_json(found.text, strict=True)
    (answer,) = reply.answers
    assert (answer.type, answer.name) == ("score", "quality")
    assert answer.score == pytest.approx(expected.value, abs=1e-4)
    assert tuple(row.probability for row in answer.probabilities) == expected.levels
    assert [(row.value, row.label) for row in answer.probabilities] == [(n, str(n)) for n in range(10)]
    assert answer.confidence == max(expected.levels)
    assert served.rows == []


def test_systemone(gateway):
    served = gateway()
    body = {"model": "judge", "state": EXCHANGE, "questions": {"a": SYSTEM_SCORE, "b": SYSTEM_SCORE}}
    reply = served.http.post("/v1/systemone", json=body).json()
    answer = reply["answers"]["b"]
    assert answer["type"] == "score"
    assert answer["score"] == pytest.approx(want().value, abs=1e-4)
    assert list(answer["probabilities"].values()) == list(want().levels)
    assert answer["legend"]["9"] == "perfect"
    assert answer["confidence"] == pytest.approx(max(want().levels) * 0.97)
    assert (reply["object"], reply["model"]) == ("structured_decision", "judge")
    assert reply["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert reply["diagnostics"]["a"] == {"label_mass": 0.97, "argmax_is_label": True}


@pytest.mark.parametrize("protocol", ["systemone", "decisions"])
@pytest.mark.parametrize("template", ["selfj", "selfj-last"])
def test_a_judge_of_selfj_reads_through_the_gateway(gateway, protocol, template):
    served = gateway()
    settings = HttpBackend(url=f"{served.url}/v1", model="judge", protocol=protocol)
    judge = Judge(backends.level_reader(settings, template=template))
    inputs = [JudgeInput(QUESTION, GOOD), JudgeInput(QUESTION, BAD, "4"), JudgeInput("a\n\nb", "wrong: c\n\nd")]
    for found, expected in zip(judge.score(inputs), fake_judge().score(inputs), strict=True):
        assert found.value == pytest.approx(expected.value, abs=1e-4)
        assert found.label_mass == (0.97 if protocol == "systemone" else None)


def test_yes_and_no_only_where_it_is_set(gateway):
    predicate = {"type": "predicate", "instructions": "Is it good?"}
    noul = {"type": "noul", "instructions": "Is it good?"}
    choice = {"type": "choice", "instructions": "Which?", "choices": [{"value": "a"}, {"value": "b"}]}
    served = gateway()
    messages = {"model": "judge", "input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    for question in (predicate, choice):
        reply = served.http.post("/v1/decisions", json=messages | {"questions": [question]})
        assert (reply.status_code, reply.json()["error"]["code"]) == (501, "not_supported")
    served = gateway(yes_no=True)
    value = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": GOOD}]
    found = served.openai.decisions.create(model="judge", input=value, questions=[predicate, SCORE])
    good = sum(want().levels[5:])
    assert found.answers[0].probability == pytest.approx(good)
    assert found.answers[1].type == "score"
    body = {"model": "judge", "state": EXCHANGE, "questions": {"a": noul}}
    assert served.http.post("/v1/systemone", json=body).json()["answers"]["a"]["noul"] == pytest.approx(good)


def test_too_little_label_mass_is_a_refusal(gateway):
    judge = Judge(FakeModel(FakeBackend()), digest="fake-judge", min_label_mass=0.99)
    served = gateway(judge=judge)
    value = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": GOOD}]
    found = served.openai.decisions.create(model="judge", input=value, questions=[SCORE])
    assert (found.answers[0].type, found.answers[0].name) == ("refusal", "quality")


def test_a_judge_that_fails_is_an_error(gateway):
    body = {"model": "judge", "state": EXCHANGE, "questions": {"a": SYSTEM_SCORE}}
    for how in ("raises", "none"):
        reply = gateway(judge=Broken(how)).http.post("/v1/systemone", json=body)
        assert reply.status_code == 503, how


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"state": "just text"}, 400),
        ({"state": 5}, 400),
        ({"state": {"instruction": "a"}}, 400),
        ({"state": {"instruction": "a", "response": 5}}, 400),
        ({"state": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, 400),
        ({"state": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400),
        ({"state": '{"instruction": "a"}'}, 400),
        ({"questions": {}}, 400),
        ({"questions": []}, 400),
        ({"questions": {str(n): SYSTEM_SCORE for n in range(65)}}, 400),
        ({"questions": {"a": SYSTEM_SCORE | {"extra": 1}}}, 400),
        ({"questions": {"a": SYSTEM_SCORE | {"type": "essay"}}}, 400),
        ({"questions": {"a": SYSTEM_SCORE | {"criteria": ["x"] * 11}}}, 400),
        ({"questions": {"a": SYSTEM_SCORE | {"criteria": list("vwxyz")}}}, 501),
        ({"questions": {"a": {"type": "choice", "criteria": {"x": "y"}}}}, 501),
        ({"questions": {"a": {"type": "choice", "criteria": ["x"]}}}, 400),
        ({"questions": {"a": {"type": "choice", "criteria": {"x": None}}}}, 501),
        ({"questions": {"a": {"type": "noul", "criteria": {"maybe": "x"}}}}, 400),
        ({"questions": {"a": {"type": "noul", "instructions": 5}}}, 501),
        ({"questions": {"": SYSTEM_SCORE}}, 400),
        ({"questions": {"a": SYSTEM_SCORE | {"criteria": ["x"] * 10}}}, 400),
        ({"questions": {"a": SYSTEM_SCORE | {"criteria": list(range(10))}}}, 200),
        ({"images": ["data:image/png;base64,"]}, 400),
        ({"mystery": 1}, 200),
        ({"model": None}, 200),
        ({"model": 5}, 400),
    ],
)
def test_requests_to_systemone_that_are_wrong(gateway, change, status):
    body = {"model": "judge", "state": EXCHANGE, "questions": {"a": SYSTEM_SCORE}}
    reply = gateway().http.post("/v1/systemone", json=body | change)
    assert reply.status_code == status
    assert status == 200 or reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"input": "just text"}, 400),
        ({"questions": {}}, 400),
        ({"questions": [5]}, 400),
        ({"questions": [SCORE | {"name": 5}]}, 400),
        ({"questions": [SCORE | {"instructions": None}]}, 400),
        ({"questions": [SCORE | {"levels": [{"label": 1}] * 10}]}, 400),
        ({"questions": [SCORE | {"levels": 5}]}, 400),
        ({"questions": [SCORE | {"levels": [{"label": "a"}] * 3}]}, 501),
        ({"questions": [SCORE | {"type": "choice", "choices": []}]}, 400),
        ({"questions": [{"type": "x", "instructions": ""}]}, 400),
        ({"prompt_cache_key": "k"}, 200),
    ],
)
def test_requests_to_decisions_that_are_wrong(gateway, change, status):
    value = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": GOOD}]
    body = {"model": "judge", "input": value, "questions": [SCORE]}
    assert gateway().http.post("/v1/decisions", json=body | change).status_code == status
