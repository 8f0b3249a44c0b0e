"""The decision routes of the gateway beside a real vLLM server's: one model's weights, one prompt, both protocols."""

import httpx2
import numpy as np
import pytest
from openai.types.decision import Decision

from selfj import backends
from selfj.backends.base import JudgeInput, LevelReading
from selfj.backends.http_protocols import CRITERIA
from selfj.judge import Judge
from selfj.prompts import TEMPLATES
from selfj.settings import HttpBackend

from ..serve.conftest import DIGEST, gateway, loop, upstream  # noqa: F401
from .conftest import SERVED
from .test_vllm_http import read_text, systemone_text

pytestmark = pytest.mark.vllm

EXCHANGES = [JudgeInput(f"What is {n} plus {n}?", f"It is {2 * n}.", None if n % 2 else f"{2 * n}") for n in range(6)]
SCORE = {"type": "score", "instructions": "Rate it.", "criteria": list(CRITERIA)}


class SameText:
    """Reads, with transformers on the same weights, the text that vLLM makes of the question that selfj asks."""

    name = "same text"

    def __init__(self, folder):
        self._folder = folder

    def read(self, inputs):
        read = [read_text(self._folder, systemone_text(item)) for item in inputs]
        levels, mass = (np.array(column) for column in zip(*read, strict=True))
        return LevelReading(levels, mass, (None,) * len(inputs), (False,) * len(inputs))


@pytest.fixture
def served(gateway, qwen):  # noqa: F811
    """A gateway whose judge has the weights of the server's model, and answers yes and no."""
    return gateway(judge=Judge(SameText(qwen), digest=DIGEST, min_label_mass=0.1), yes_no=True)


@pytest.fixture
def both(served, vllm_url):
    """Sends one body to both; gives vLLM's reply and the gateway's."""

    def send(body, route="systemone"):
        there = httpx2.post(f"{vllm_url}/{route}", json=body, timeout=60)
        return there, served.http.post(f"/v1/{route}", json=body)

    return send


def body(exchange=EXCHANGES[0], **change):
    """The request that selfj itself sends."""
    prompt = TEMPLATES["selfj"].render(exchange.instruction, exchange.response, exchange.reference)
    task, state = prompt.removesuffix("\n\n[Rating]").split("\n\n", 1)
    question = {"type": "score", "instructions": task, "criteria": list(CRITERIA)}
    return {"model": SERVED, "state": state, "questions": {"quality": question}} | change


def shape(value):
    """Names and types, all the way down."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_systemone_replies_are_alike_in_form_and_in_numbers(both, exchange):
    there, here = (reply.json() for reply in both(body(exchange)))
    assert shape(here) == shape(there)
    assert (here["object"], here["model"]) == (there["object"], there["model"])
    (answer, diagnosis), (want, wanted) = (
        (reply["answers"]["quality"], reply["diagnostics"]["quality"]) for reply in (here, there)
    )
    assert (answer["type"], answer["legend"]) == (want["type"], want["legend"])
    assert list(answer["probabilities"]) == list(want["probabilities"])
    np.testing.assert_allclose([*answer["probabilities"].values()], [*want["probabilities"].values()], atol=0.01)
    for name, room in (("score", 0.05), ("confidence", 0.01)):
        assert answer[name] == pytest.approx(want[name], abs=room)
    assert diagnosis["label_mass"] == pytest.approx(wanted["label_mass"], abs=0.01)
    # The gateway says it only where it must be so.
    assert wanted["argmax_is_label"] or not diagnosis["argmax_is_label"]


def test_yes_and_no_has_the_same_form(both):
    questions = {"a": {"type": "noul", "instructions": "Is it good?"}, "b": SCORE}
    there, here = (reply.json() for reply in both(body(questions=questions)))
    assert shape(here) == shape(there)
    for reply in (there, here):
        answer = reply["answers"]["a"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert answer["noul"] == answer["probabilities"]["yes"]
        mass = reply["diagnostics"]["a"]["label_mass"]
        assert answer["confidence"] == pytest.approx(max(answer["probabilities"].values()) * mass)


@pytest.mark.parametrize(
    "change",
    [
        {"mystery": 1},
        {"user": "someone"},
        {"priority": 0, "cache_salt": "salt", "request_id": "r"},
        {"instructions": "You rate answers."},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"questions": {"a": SCORE | {"instructions": None}}},
        {"questions": {"a": SCORE | {"instructions": {"ask": "Rate it."}}}},
        {"questions": {"a": SCORE | {"criteria": list(range(10))}}},
        {"questions": {f"q{n}": SCORE for n in range(64)}},
    ],
    ids=str,
)
def test_what_vllm_takes_the_gateway_takes(both, change):
    there, here = both(body(**change))
    assert (there.status_code, here.status_code) == (200, 200), (there.text, here.text)
    assert shape(here.json()) == shape(there.json())


def test_without_a_model_both_name_their_own(both):
    value = body()
    del value["model"]
    there, here = both(value)
    assert (there.status_code, there.json()["model"]) == (200, SERVED)
    assert (here.status_code, here.json()["model"]) == (200, "same text")


@pytest.mark.parametrize(
    "change",
    [
        {"questions": {"a": SCORE | {"mystery": 1}}},
        {"questions": {f"q{n}": SCORE for n in range(65)}},
        {"questions": {"a": SCORE | {"criteria": [str(n) for n in range(11)]}}},
        {"questions": {"a": SCORE | {"criteria": ["same"] * 10}}},
        {"questions": {"a": SCORE | {"criteria": ["one"]}}},
        {"questions": {"a": SCORE | {"criteria": "0 to 9"}}},
        {"questions": {"a": {"type": "essay"}}},
        {"questions": {"a": {"type": "noul", "criteria": {"maybe": "x"}}}},
        {"questions": {"a": {"type": "choice", "criteria": ["x"]}}},
        {"questions": {"": SCORE}},
        {"questions": {}},
        {"questions": []},
        {"questions": None},
        {"model": 5},
        {"images": ["data:image/png;base64,AAAA"]},
    ],
    ids=lambda change: str(change)[:60],
)
def test_what_vllm_refuses_the_gateway_refuses_alike(both, change):
    there, here = both(body(**change))
    assert (there.status_code, here.status_code) == (400, 400), (there.text, here.text)
    for reply in (there, here):
        error = reply.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error)
        assert error["message"]


def test_malformed_json_is_refused_alike(served, vllm_url):
    headers = {"Content-Type": "application/json"}
    there = httpx2.post(f"{vllm_url}/systemone", content=b"{", headers=headers, timeout=60)
    here = served.http.post("/v1/systemone", content=b"{", headers=headers)
    assert (there.status_code, here.status_code) == (400, 400)


@pytest.mark.parametrize(
    "question",
    [SCORE | {"criteria": ["bad", "middling", "good"]}, {"type": "choice", "criteria": {"a": None, "b": "the other"}}],
)
def test_what_only_a_language_model_can_is_a_501(both, question):
    there, here = both(body(questions={"a": question}))
    assert (there.status_code, here.status_code) == (200, 501), (there.text, here.text)
    assert here.json()["error"]["code"] == "not_supported"


def test_decisions_has_the_types_of_openai_and_the_numbers_of_systemone(served, both):
    value = body()
    there, _ = both(value)
    task = value["questions"]["quality"]["instructions"]
    levels = [{"label": str(n), "description": name} for n, name in enumerate(CRITERIA)]
    question = {"type": "score", "name": "quality", "instructions": task, "levels": levels}
    found = served.openai.decisions.with_raw_response.create(model=SERVED, input=value["state"], questions=[question])
    (answer,) = Decision.model_validate_json(found.text, strict=True).answers
    want = there.json()["answers"]["quality"]
    assert (answer.type, answer.name) == ("score", "quality")
    assert answer.score == pytest.approx(want["score"], abs=0.05)
    np.testing.assert_allclose(
        [row.probability for row in answer.probabilities], [*want["probabilities"].values()], atol=0.01
    )


@pytest.mark.parametrize("protocol", ["systemone", "decisions"])
def test_a_judge_behind_the_gateway_reads_what_one_behind_vllm_reads(served, vllm_url, protocol):
    behind = [
        backends.level_reader(HttpBackend(url=url, model=SERVED, protocol=kind))
        for url, kind in ((vllm_url, "systemone"), (f"{served.url}/v1", protocol))
    ]
    there, here = (reader.read(EXCHANGES) for reader in behind)
    assert here.errors == there.errors == (None,) * len(EXCHANGES)
    np.testing.assert_allclose(here.probabilities, there.probabilities, atol=0.01)
    if protocol == "systemone":
        np.testing.assert_allclose(here.label_mass, there.label_mass, atol=0.01)
