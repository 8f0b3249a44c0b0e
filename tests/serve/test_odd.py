"""Values of a kind that nobody sends, in places where a word is compared: an error or a decline, never a fault."""

import pytest

from .test_openapi import BODIES, LEVELS

ODD = [{}, [], [None], 4, None, True]


@pytest.mark.parametrize("value", ODD)
def test_a_part_whose_kind_is_no_word(gateway, upstream, value):
    served = gateway()
    reply = served.chat(text=[{"type": value, "text": "2 + 2?"}])
    assert (reply.status_code, reply.json()["selfj"]["decision"]) == (200, "decline")
    assert served.rows[0].reason == "not_text"
    assert upstream.bodies == []


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("field", ["role", "content"])
def test_messages_of_an_exchange(gateway, value, field):
    said = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    said[1][field] = value
    questions = {"a": {"type": "score", "criteria": LEVELS}}
    served = gateway()
    body = {"model": "m", "state": said, "questions": questions}
    assert served.http.post("/v1/systemone", json=body).status_code == 400
    said[1][field] = [{"type": value, "text": "4"}]
    assert served.http.post("/v1/systemone", json=body).status_code == 400


@pytest.mark.parametrize("path", [path for path in BODIES if path != "/v1/feedback"])
@pytest.mark.parametrize("value", ODD)
def test_each_field_of_each_route(gateway, path, value):
    served = gateway()
    for field in BODIES[path]:
        reply = served.http.post(path, json=BODIES[path] | {field: value})
        assert reply.status_code in {200, 400}, (field, reply.text)
