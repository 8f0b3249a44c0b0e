"""Values of a kind that nobody sends, in places where a word is compared: an error or a decline, never a fault."""

import socket

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


def test_broken_http_behind_a_request_is_no_fault(gateway, upstream, caplog):
    upstream.delay = 0.3
    served = gateway()
    body = b'{"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    host, _, port = served.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head + body + b"\x16\x03\x01 no HTTP\r\n\r\n")
        while connection.recv(4096):
            pass
    upstream.delay = 0.0
    assert served.chat().status_code == 200
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_connection_that_is_gone_ends_quietly(gateway, loop):
    app, messages = gateway().app, [{"type": "http.request", "body": b"{}"}]

    async def receive():
        return messages.pop()

    async def send(message):
        raise RuntimeError("the handler is closed")

    scope = {"type": "http", "method": "GET", "path": "/v1/models", "headers": [], "query_string": b""}
    loop.run(app(scope, receive, send))
    assert app._inflight == 0
