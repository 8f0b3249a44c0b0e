"""What goes out and what is declined, through OpenAI's own client and by hand."""

import json
from dataclasses import asdict

import openai
import pytest

from selfj.judge import Judge, Score

from .conftest import BAD, GOOD, threshold

ASK = [{"role": "user", "content": "What is 2 + 2?"}]


def events(reply):
    lines = [line for line in reply.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


class Levels:
    """A judge with a score of one's own for each response."""

    name, digest, min_label_mass = "levels", "fake-judge", 0.5

    def __init__(self, scores):
        self.scores, self.seen = scores, []

    def score(self, inputs):
        self.seen += inputs
        return [self.of(self.scores(item) if callable(self.scores) else self.scores[item.response]) for item in inputs]

    def of(self, value):
        if isinstance(value, str):
            return Score(None, None, 0.1, self.name, value)
        return Score(value, None, 0.9, self.name)


def test_a_good_answer_goes_out_with_its_verdict(gateway):
    served = gateway()
    reply = served.openai.chat.completions.with_raw_response.create(model="m", messages=ASK)
    found = reply.parse()
    told = found.model_extra["selfj"]
    assert found.choices[0].message.content == GOOD
    assert found.choices[0].finish_reason == "stop"
    assert found.usage.total_tokens == 7
    assert (told["decision"], told["step"], told["threshold"], told["judge"]) == ("answer", "answer", 5.0, "fake judge")
    assert told["score"] > 7
    assert told["label_mass"] == 0.97
    assert told["attempts"] == 1
    assert set(told["latency_ms"]) == {"total", "upstream", "judge"}
    assert reply.headers["x-selfj-decision"] == "answer"
    assert float(reply.headers["x-selfj-score"]) == told["score"]
    (row,) = served.rows
    assert (row.action, row.step, row.score, row.reason) == ("answer", "answer", told["score"], "reached")
    assert row.request_id == reply.headers["x-request-id"]
    assert row.body is None
    assert "2 + 2" not in json.dumps(asdict(row))


def test_a_bad_answer_is_declined_and_does_not_go_out(gateway, upstream):
    upstream.default = BAD
    served = gateway()
    found = served.openai.chat.completions.create(model="m", messages=ASK)
    told = found.model_extra["selfj"]
    assert BAD not in found.model_dump_json()
    assert found.choices[0].finish_reason == "content_filter"
    assert "reliable answer" in found.choices[0].message.content
    assert (told["code"], told["step"]) == ("declined", "decline")
    assert told["score"] < 3
    assert "below the threshold 5.00" in told["reason"]
    assert found.usage.total_tokens == 7
    assert served.rows[0].action == "decline"


@pytest.mark.parametrize(("answer", "finish"), [(GOOD, "stop"), (BAD, "content_filter")])
@pytest.mark.parametrize("streaming", ["buffer", "early"])
def test_streams_through_the_client_of_openai(gateway, upstream, answer, finish, streaming):
    upstream.default = answer
    served = gateway(streaming=streaming)
    chunks = list(
        served.openai.chat.completions.create(
            model="m", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    last = [chunk for chunk in chunks if chunk.choices][-1]
    assert last.choices[0].finish_reason == finish
    assert last.model_extra["selfj"]["decision"] == ("answer" if answer == GOOD else "decline")
    assert chunks[-1].usage.total_tokens == 7
    if answer == GOOD or streaming == "early":
        assert text == answer
    else:
        assert "reliable answer" in text
        assert "wrong" not in text
    assert served.rows[0].action == last.model_extra["selfj"]["decision"]


@pytest.mark.parametrize("streaming", ["buffer", "early"])
def test_completions_plain_and_streamed(gateway, upstream, streaming):
    served = gateway(streaming=streaming)
    found = served.openai.completions.create(model="m", prompt="What is 2 + 2?")
    assert found.choices[0].text == GOOD
    chunks = list(served.openai.completions.create(model="m", prompt=["What is 2 + 2?"], stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == GOOD
    assert chunks[-1].model_extra["selfj"]["decision"] == "answer"
    upstream.default = BAD
    assert served.openai.completions.create(model="m", prompt="?").choices[0].finish_reason == "content_filter"
    assert [row.route for row in served.rows] == ["completions"] * 3


def test_unknown_fields_reach_the_upstream_and_the_callers_key_does_not(gateway, upstream, monkeypatch):
    monkeypatch.setenv("UP_KEY", "sk-up")
    served = gateway(up={"api_key_env": "UP_KEY"}, bounds={"threshold": (0, 9)})
    body = {"seed": 3, "mystery": {"a": [1, 2.5, None]}, "selfj": {"threshold": 4}}
    served.openai.chat.completions.create(model="m", messages=ASK, extra_body=body)
    assert upstream.bodies == [{"model": "m", "messages": ASK, "seed": 3, "mystery": {"a": [1, 2.5, None]}}]
    assert upstream.headers[0]["authorization"] == "Bearer sk-up"
    assert "caller-key" not in json.dumps(upstream.headers)


def test_only_what_was_judged_goes_out(gateway, upstream):
    upstream.message = {"reasoning_content": "secret thought"}
    upstream.extra = {"note": "secret thought"}
    assert "secret thought" not in gateway().chat().text
    assert "secret thought" in gateway(mode="observe").chat().text


def test_the_judge_reads_a_conversation_as_in_a_run(gateway, upstream):
    judge = Levels({GOOD: 8.0})
    served = gateway(judge=judge)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    messages += [{"role": "assistant", "content": "Hello"}]
    messages += [{"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]}]
    served.openai.chat.completions.create(model="m", messages=messages)
    assert judge.seen[0].instruction == "system: Be brief.\n\nuser: Hi\n\nassistant: Hello\n\nuser: 2 + 2?"
    served.chat("2 + 2?")
    assert judge.seen[1].instruction == "2 + 2?"


def test_resampling_takes_the_best_that_reaches_its_threshold(gateway, upstream):
    judge = Levels({"a": 1.0, "b": 6.0, "c": 7.0, "d": 2.0})
    upstream.plan = list("abcd")
    served = gateway(judge=judge, resample={"n": 4, "threshold": 6.5, "temperature": 1.0})
    found = served.chat(temperature=0, seed=5).json()
    assert found["choices"][0]["message"]["content"] == "c"
    assert (found["selfj"]["step"], found["selfj"]["attempts"], found["selfj"]["threshold"]) == ("resample", 4, 6.5)
    assert sorted(body["seed"] for body in upstream.bodies) == [5, 6, 7, 8]
    assert [body["temperature"] for body in upstream.bodies] == [0, 1, 1, 1]
    upstream.plan = list("abad")
    told = served.chat().json()["selfj"]
    assert (told["decision"], told["step"], told["score"]) == ("decline", "decline", 6.0)


def test_a_draw_that_fails_leaves_the_others(gateway, upstream):
    upstream.plan = ["a", "400", "b"]
    served = gateway(judge=Levels({"a": 1.0, "b": 8.0}), resample={"n": 3, "threshold": 5})
    assert served.chat().json()["choices"][0]["message"]["content"] == "b"


def test_escalation_asks_another_model_and_judges_it_too(gateway, upstream):
    judge = Levels({"weak": 1.0, "strong": 7.0})
    upstream.default = lambda body: "strong" if body["model"] == "big" else "weak"
    escalate = {"upstream": {"base_url": upstream.url}, "model": "big"}
    told = gateway(judge=judge, escalate=escalate).chat().json()
    assert told["choices"][0]["message"]["content"] == "strong"
    assert (told["selfj"]["step"], told["selfj"]["attempts"]) == ("escalate", 2)
    told = gateway(judge=judge, escalate=escalate | {"threshold": 8}).chat().json()
    assert told["selfj"]["decision"] == "decline"
    assert "strong" not in told["choices"][0]["message"]["content"]


def test_the_gate_declines_before_anything_is_generated(gateway, upstream):
    judge = Levels(lambda item: (2.0 if "hard" in item.instruction else 8.0) if item.response == "" else 8.0)
    for streaming in ("buffer", "early"):
        upstream.bodies.clear()
        served = gateway(judge=judge, gate={"threshold": 4}, streaming=streaming)
        told = served.chat("hard one").json()["selfj"]
        assert (told["step"], told["decision"], told["attempts"]) == ("gate", "decline", 0)
        streamed = events(served.chat("hard one", stream=True))
        assert streamed[-1]["selfj"]["step"] == "gate"
        assert upstream.bodies == []
        assert served.chat("easy one").json()["selfj"]["decision"] == "answer"


def test_observing_changes_no_reply_and_records_the_decision(gateway, upstream):
    upstream.default = BAD
    for streaming in ("buffer", "early"):
        served = gateway(mode="observe", streaming=streaming, gate={"threshold": 9}, resample={"n": 2, "threshold": 5})
        reply = served.chat()
        assert reply.json()["choices"][0]["message"]["content"] == BAD
        assert reply.json()["choices"][0]["finish_reason"] == "stop"
        assert reply.headers["x-selfj-observed"] == "true"
        assert reply.headers["x-selfj-decision"] == "decline"
        last = events(served.chat(stream=True))
        assert "".join(c["choices"][0]["delta"].get("content") or "" for c in last) == BAD
        assert last[-1]["choices"][0]["finish_reason"] == "stop"
        assert [(row.action, row.observed) for row in served.rows] == [("decline", True)] * 2


def test_a_request_may_choose_within_bounds(gateway, upstream, tmp_path):
    (tmp_path / "strict.json").write_text(threshold(7.5, max_risk=0.05).to_json())
    bounds = {"threshold": (4, 8), "max_risk": (0.05, 0.2), "risks": (str(tmp_path / "strict.json"),)}
    served = gateway(judge=Levels({GOOD: 6.0}), bounds=bounds)

    def told(**knob):
        return served.chat(selfj=knob).json()["selfj"]

    assert told(threshold=4)["decision"] == "answer"
    assert told(threshold=6.5)["decision"] == "decline"
    assert told(max_risk=0.07)["threshold"] == 7.5
    assert told(max_risk=0.2)["threshold"] == 5.0
    odd = [{"threshold": 3}, {"threshold": 8.1}, {"max_risk": 0.3}, {"max_risk": 0.01}, {"threshold": "5"}]
    odd += [{"threshold": True}, {"x": 1}, {"threshold": 5, "max_risk": 0.1}, 5, {"threshold": 10**400}]
    before = len(upstream.bodies)
    for knob in odd:
        reply = served.chat(selfj=knob)
        assert reply.status_code == 400, knob
        assert reply.json()["error"]["param"].startswith("selfj")
    assert gateway().chat(selfj={"threshold": 9}).status_code == 400
    assert len(upstream.bodies) == before


def test_a_request_that_chose_gets_no_laxer_threshold_later(gateway, upstream):
    upstream.default = "a"
    settings = {"bounds": {"threshold": (0, 9)}, "resample": {"n": 2, "threshold": 3}}
    served = gateway(judge=Levels({"a": 4.0}), **settings)
    assert served.chat().json()["selfj"]["step"] == "resample"
    assert served.chat(selfj={"threshold": 8}).json()["selfj"]["decision"] == "decline"


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
        {"messages": [*ASK, {"role": "tool", "content": "4", "tool_call_id": "1"}]},
        {"messages": [*ASK, {"role": "assistant", "content": "It is"}]},
        {"messages": ASK, "n": 2},
        {"messages": ASK, "modalities": ["text", "audio"]},
    ],
)
def test_what_cannot_be_judged_is_declined_before_it_is_asked(gateway, upstream, body):
    served = gateway()
    told = served.http.post("/v1/chat/completions", json={"model": "m"} | body).json()
    assert (told["selfj"]["decision"], told["selfj"]["step"]) == ("decline", "unjudgeable")
    assert upstream.bodies == []
    told = gateway(unjudgeable="pass").http.post("/v1/chat/completions", json={"model": "m"} | body)
    assert told.json()["choices"][0]["message"]["content"] == GOOD
    assert told.headers["x-selfj-decision"] == "pass"
    assert told.headers["x-selfj-step"] == "unjudgeable"


@pytest.mark.parametrize("body", [{"prompt": [1, 2]}, {"prompt": ["a", "b"]}, {"prompt": "a", "echo": True}])
def test_prompts_that_cannot_be_judged(gateway, upstream, body):
    told = gateway().http.post("/v1/completions", json={"model": "m"} | body).json()
    assert told["selfj"]["step"] == "unjudgeable"
    assert upstream.bodies == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            {
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "tool_calls",
        ),
        ({"content": "", "refusal": None}, "empty_response"),
        ({"content": None, "refusal": "no"}, "refusal"),
    ],
)
def test_replies_that_cannot_be_judged(gateway, upstream, message, reason):
    upstream.default = {"role": "assistant"} | message
    told = gateway().chat(tools=[{"type": "function"}]).json()
    assert (told["selfj"]["decision"], told["selfj"]["reason"]) == ("decline", reason)
    assert "tool_calls" not in told["choices"][0]["message"]
    passed = gateway(unjudgeable="pass")
    assert passed.chat().json()["choices"][0]["message"].get("tool_calls") == message.get("tool_calls")
    chunks = list(passed.openai.chat.completions.create(model="m", messages=ASK, stream=True, tools=[]))
    assert chunks[-1].model_extra["selfj"]["decision"] == "pass"


def test_a_tool_call_within_an_early_stream_does_not_go_out(gateway, upstream):
    upstream.default = {"content": None, "tool_calls": [{"index": 0, "function": {"name": "rm"}}]}
    served = gateway(streaming="early")
    reply = served.chat(stream=True)
    assert "rm" not in reply.text
    assert events(reply)[-1]["selfj"]["decision"] == "decline"


def test_several_choices_that_pass_are_streamed_whole(gateway, upstream):
    choices = [
        {"index": place, "finish_reason": "stop", "message": {"content": text}} for place, text in enumerate("ab")
    ]
    upstream.extra = {"choices": choices}
    served = gateway(unjudgeable="pass")
    chunks = events(served.chat(n=2, stream=True))
    shown = [(choice["index"], choice["delta"].get("content")) for chunk in chunks for choice in chunk["choices"]]
    assert shown == [(0, "a"), (0, None), (1, "b"), (1, None)]
    upstream.extra = {"choices": [choices[0], {"index": 1}]}
    assert served.chat(n=2, stream=True).status_code == 502
    upstream.extra = {}
    upstream.default = {"content": None, "tool_calls": [5]}
    assert served.chat(stream=True).status_code == 502
    assert gateway().chat().status_code == 502


def test_the_text_of_a_decline_is_in_the_callers_language(gateway, upstream):
    upstream.default = BAD
    served = gateway(decline={"messages": {"en": "No.", "de": "Nein.", "pt-BR": "Não."}})
    for header, text in [("de-CH,fr;q=0.9", "Nein."), ("pt-br", "Não."), ("ja", "No."), ("", "No.")]:
        assert served.chat(headers={"accept-language": header}).json()["choices"][0]["message"]["content"] == text
    assert [row.language for row in served.rows] == ["de", "pt-BR", "en", "en"]


def test_bodies_are_recorded_only_where_the_operator_keeps_them(gateway):
    served = gateway(keep_bodies=True)
    served.chat()
    assert json.loads(served.rows[0].body) == {"instruction": "What is 2 + 2?", "response": GOOD}


def test_without_a_threshold_everything_is_declined(gateway, tmp_path):
    (tmp_path / "none.json").write_text(
        json.dumps({"schema": "threshold/1", "infeasible": "no", "judge": "fake-judge"})
    )
    told = gateway(threshold=str(tmp_path / "none.json")).chat().json()["selfj"]
    assert (told["decision"], told["threshold"]) == ("decline", None)
    assert gateway(threshold=3.5).chat().json()["selfj"]["threshold"] == 3.5


def test_models_come_from_the_upstream(gateway):
    assert [model.id for model in gateway().openai.models.list()] == ["m"]


def test_the_client_of_openai_sees_errors_as_its_own(gateway):
    with pytest.raises(openai.BadRequestError, match="messages must be a list"):
        gateway().openai.chat.completions.create(model="m", messages=[])


def test_a_judge_of_the_package_is_what_is_asked(gateway):
    assert isinstance(gateway().judge, Judge)


@pytest.mark.parametrize("streaming", ["buffer", "early"])
def test_streams_are_timed_until_their_first_byte_and_their_end(gateway, streaming):
    served = gateway(streaming=streaming)
    list(served.openai.chat.completions.create(model="m", messages=ASK, stream=True))
    served.chat()
    lines = served.http.get("/metrics").text.splitlines()
    name = 'selfj_stream_seconds_%s{streaming="%s",until="%s"} '
    counts = [line for line in lines if line.startswith("selfj_stream_seconds_count")]
    assert sorted(counts) == sorted(name % ("count", streaming, until) + "1.0" for until in ("first_byte", "end"))
    first, end = (
        next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name % ("sum", streaming, until)))
        for until in ("first_byte", "end")
    )
    assert 0 < first <= end
