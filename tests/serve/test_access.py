"""Keys, limits, health, counters and logs."""

import hashlib
import json
import logging
import socket

import httpx2
import pytest
from pydantic import ValidationError

from selfj.errors import ConfigError, StaleArtefact
from selfj.serve.http import json_reply
from selfj.serve.keys import Keys
from selfj.serve.languages import choose
from selfj.serve.logs import JsonLines
from selfj.serve.server import load_settings
from selfj.serve.settings import ServeSettings

from .conftest import BAD, threshold

UP = {"base_url": "http://127.0.0.1:8000/v1"}


def keys_file(folder, *keys):
    path = folder / "keys"
    lines = [f"{hashlib.sha256(key.encode()).hexdigest()} name of {number}" for number, key in enumerate(keys)]
    path.write_text("# callers\n\n" + "\n".join(lines))
    return str(path)


def test_only_callers_with_a_key_come_in(gateway, upstream, tmp_path):
    served = gateway(keys=keys_file(tmp_path, "one", "two"))
    for header, status in [
        (None, 401),
        ("Bearer three", 401),
        ("Bearer", 401),
        ("Basic one", 401),
        ("Bearer one", 200),
        ("bearer two", 200),
    ]:
        reply = served.chat(headers={"authorization": header} if header else None)
        assert reply.status_code == status, header
    error = served.chat().json()["error"]
    assert (error["code"], error["type"]) == ("invalid_api_key", "authentication_error")
    assert len(upstream.bodies) == 2
    for path in ("/metrics", "/v1/models"):
        assert served.http.get(path).status_code == 401
    for path in ("/health/live", "/health/ready"):
        assert served.http.get(path).status_code == 200


@pytest.mark.parametrize("text", ["", "# nothing", "sk-not-a-digest", "abc123"])
def test_a_file_of_keys_that_is_wrong(tmp_path, text):
    (tmp_path / "keys").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Keys.load(str(tmp_path / "keys"))
    assert "sk-not" not in str(caught.value)
    with pytest.raises(ConfigError, match="Cannot read"):
        Keys.load(str(tmp_path / "absent"))


def test_limits_of_bodies_and_heads(gateway, upstream):
    served = gateway(limits={"body_bytes": 1024, "header_bytes": 1024})
    assert served.chat("x" * 2000).status_code == 413

    def parts():
        yield b"x" * 800
        yield b"x" * 800

    assert served.http.post("/v1/chat/completions", content=parts()).status_code == 413
    assert served.chat(headers={"x-long": "x" * 2000}).status_code == 431
    assert served.chat().status_code == 200
    assert len(upstream.bodies) == 1


def test_too_many_at_once(gateway):
    served = gateway(limits={"inflight": 1})
    served.app._inflight = 1
    reply = served.chat()
    assert (reply.status_code, reply.json()["error"]["code"], reply.headers["retry-after"]) == (503, "busy", "1")
    assert served.http.get("/health/live").status_code == 200
    served.app._inflight = 0
    assert served.chat().status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/", 404),
    ],
)
def test_routes_that_are_not_there(gateway, method, path, status):
    reply = gateway().http.request(method, path)
    assert reply.status_code == status
    assert reply.json()["error"]["request_id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model": "m"}',
        b"\xff\xfe",
        b'{"model": 3, "messages": [{"role": "user", "content": "a"}]}',
        b'{"model": "m", "messages": []}',
        b'{"model": "m", "messages": [5]}',
        b'{"model": "m", "messages": [{"role": "user", "content": 5}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": "yes"}',
        b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "n": 0}',
        b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": NaN}',
        b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": 1e999}',
        b"[" * 100_000,
        b'{"model": "m", "messages": [{"role": "user", "content": ' + b"[" * 200 + b"]" * 200 + b"}]}",
        b'{"a":' * 100_000,
    ],
)
def test_bodies_that_are_no_request(gateway, upstream, body):
    reply = gateway().http.post("/v1/chat/completions", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert upstream.bodies == []


def test_request_identifiers(gateway, upstream):
    served = gateway()
    assert served.chat(headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert served.chat(headers={"x-request-id": "not mine\\"}).headers["x-request-id"].startswith("req_")
    assert upstream.headers[0]["x-request-id"] == "mine-1"


def test_counters(gateway, upstream):
    served = gateway()
    served.chat()
    upstream.default = BAD
    served.chat()
    upstream.default = "400"
    served.chat()
    served.http.get("/nowhere")
    reply = served.http.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    lines = reply.text.splitlines()
    labels = 'observed="false",reason="%s",route="chat/completions",step="%s"'
    for action, reason, step in [
        ("answer", "reached", "answer"),
        ("decline", "below_threshold", "decline"),
        ("error", "upstream_refused", "answer"),
    ]:
        assert f'selfj_replies_total{{action="{action}",{labels % (reason, step)}}} 1.0' in lines
    assert 'selfj_http_total{route="other",status="404"} 1.0' in lines
    assert 'selfj_seconds_count{part="judge"} 3.0' in lines
    assert "selfj_judge_queue 0.0" in lines
    assert 'selfj_breaker{upstream="upstream"} 0.0' in lines


def test_further_routes_stand_behind_the_same_keys(gateway, tmp_path):
    async def page(request):
        return json_reply({"path": request.path, "query": request.query})

    def missing():
        raise OSError("no store")

    routes = [("GET", "/", page), ("GET", "/audit/", page), ("POST", "/v1/feedback", page)]
    hooks = {"open_paths": ["/"], "more_metrics": [missing, lambda: "selfj_more 1\n"]}
    served = gateway(keys=keys_file(tmp_path, "one"), extra_routes=routes, hooks=hooks)
    key = {"authorization": "Bearer one"}
    assert served.http.get("/audit/x?y=1", headers=key).json() == {"path": "/audit/x", "query": "y=1"}
    assert served.http.post("/v1/feedback", headers=key).status_code == 200
    assert served.http.get("/audit/x").status_code == 401
    assert served.http.get("/").status_code == 200
    assert served.http.post("/v1/embeddings", headers=key).status_code == 404
    text = served.http.get("/metrics", headers=key).text
    assert text.endswith("\nselfj_more 1\n")
    assert "selfj_inflight 1.0" in text


def test_logs_hold_no_body_and_no_key(gateway, upstream, caplog):
    served = gateway()
    with caplog.at_level(logging.INFO, "selfj.serve"):
        served.chat("a private question", headers={"authorization": "Bearer caller-secret"})
        served.memory.broken = True
        served.chat("a private question")
    lines = [JsonLines().format(record) for record in caplog.records]
    told = json.loads(lines[0])
    assert (told["event"], told["decision"], told["status"]) == ("reply", "answer", 200)
    assert told["request_id"].startswith("req_")
    fault = next(json.loads(line) for line in lines if '"record_failed"' in line)
    assert fault["level"] == "error"
    assert not any(word in line for line in lines for word in ("private", "secret", "no space left"))


@pytest.mark.parametrize(
    ("header", "want"),
    [("fr-CH, de;q=0.9", "fr"), ("de;q=0.1, fr;q=0.8", "fr"), ("de;q=0", "en"), ("*", "en"), (";;,q=", "en")],
)
def test_languages(header, want):
    assert choose(header, ["en", "de", "fr"], "en") == want


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"host": "0.0.0.0"}, "open to others"),
        ({"on_failure": "escalate"}, "escalate is not set"),
        ({"upstream": {"base_url": "http://user:secret@x/v1"}}, "must hold no user"),
        ({"upstream": {"base_url": "x"}}, "must be an address"),
        ({"upstream": UP | {"api_key_env": "sk-1234"}}, "name of an environment variable"),
        ({"decline": {"messages": {"de": "Nein."}}}, "default"),
        ({"bounds": {"threshold": (3, 12)}}, "within"),
        ({"policy": "x", "resample": {"n": 3, "threshold": 5}}, "leave out those of single steps"),
    ],
)
def test_settings_that_are_wrong(settings, word):
    with pytest.raises(ValidationError, match=word) as caught:
        ServeSettings(**({"run": "runs/x", "upstream": UP} | settings))
    assert "secret" not in str(caught.value)
    ServeSettings(run="x", upstream=UP, host="::1")
    ServeSettings(run="x", upstream=UP, host="0.0.0.0", allow_open=True)


def test_settings_from_a_file_arguments_and_overrides(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text('port = 1\nmode = "observe"\n[upstream]\nbase_url = "http://a/v1"\ntries = 3\n')
    given = {"run": "runs/x", "upstream.base_url": "http://b/v1", "port": 2, "mode": None}
    made = load_settings(str(path), given, ["port=3", "resample.n=2", "resample.threshold=6.5"])
    assert (made.port, made.mode, made.upstream.base_url, made.upstream.tries) == (3, "observe", "http://b/v1", 3)
    assert made.resample.threshold == 6.5
    with pytest.raises(ConfigError, match="--upstream"):
        load_settings(None, {"run": "runs/x"})
    with pytest.raises(ConfigError, match="prot is not a setting; did you mean"):
        load_settings(str(path), given, ["prot=3"])


def test_a_threshold_of_another_judge_is_refused(gateway, tmp_path):
    (tmp_path / "other.json").write_text(threshold(judge="another").to_json())
    with pytest.raises(StaleArtefact):
        gateway(threshold=str(tmp_path / "other.json"))
    with pytest.raises(ConfigError, match=r"\[0, 9\]"):
        gateway(threshold=12.0)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        gateway(up={"api_key_env": "NO_SUCH_KEY"})


def test_a_socket_that_is_no_request_does_no_harm(gateway):
    served = gateway()

    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"\x16\x03\x01garbage\r\n\r\n")
        assert b" 400 " in raw.recv(1000)
    assert httpx2.get(f"{served.url}/health/live").status_code == 200
