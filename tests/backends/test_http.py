"""Generating over HTTP: what is sent, what is made of the reply, how many at once."""

import math
import re
import sys
import threading
from pathlib import Path

import pytest

from selfj import backends
from selfj import config as configs
from selfj.backends.base import Sampling
from selfj.errors import BackendRefused, ConfigError, MissingDependency
from selfj.settings import HttpBackend

from .http_fake import ALL, MODEL, Reply, error, serving

SAMPLING = Sampling(temperature=0.8, top_p=0.9, max_tokens=6)


def generator(server, **more):
    return backends.generator(HttpBackend(url=server.url, model=MODEL, backoff_s=0.001, **more))


def ask(*texts):
    return [[{"role": "user", "content": text}] for text in texts]


def draw(made, *texts, sampling=SAMPLING):
    return made.generate(ask(*texts), range(len(texts)), sampling)


@pytest.fixture
def server():
    with serving() as started:
        yield started


def choice(**fields):
    return {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"} | fields]}


def test_nothing_is_sent_before_it_is_needed(server):
    generator(server)
    assert server.seen == []


def test_a_draw_sends_sampling_and_seed(server):
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    generator(server, extra_body={"top_k": 7}).generate([messages], [2**59 + 3], SAMPLING)
    ((path, body),) = server.seen
    assert path == "/v1/chat/completions"
    assert body == {
        "model": MODEL,
        "messages": messages,
        "max_tokens": 6,
        "temperature": 0.8,
        "top_p": 0.9,
        "logprobs": True,
        "seed": 3,
        "top_k": 7,
    }


def test_fields_that_a_server_may_refuse_can_be_left_out(server):
    made = generator(server, send_seed=False, logprobs=False, max_tokens_field="max_completion_tokens")
    server.script = lambda n, path, body: Reply(choice())
    draw(made, "q")
    ((_, body),) = server.seen
    assert body["max_completion_tokens"] == 6
    assert not {"seed", "logprobs", "max_tokens"} & set(body)


def test_order_is_kept_and_requests_overlap_within_the_limit():
    meeting = threading.Barrier(4)

    def script(number, path, body):
        meeting.wait(timeout=60)
        return Reply(choice(message={"content": f"re {body['messages'][0]['content']}"}))

    with serving(script=script) as server:
        found = draw(generator(server, concurrency=4), *map(str, range(60)))
        assert [made.text for made in found] == [f"re {n}" for n in range(60)]
        assert server.most_at_once == 4


def test_log_probabilities_are_averaged_where_there_are_any(server):
    entries = [{"logprob": -1.0}, {"logprob": -2.0}, {"logprob": 0.0}]
    server.script = lambda n, path, body: Reply(choice(logprobs={"content": entries}))
    assert draw(generator(server), "q")[0].logprob == pytest.approx(-1.0)
    assert draw(generator(server), "q")[0].tokens == 3
    server.script = lambda n, path, body: Reply(choice() | {"usage": {"completion_tokens": 5}})
    (made,) = draw(generator(server), "q")
    assert (made.logprob, made.tokens, made.error) == (None, 5, None)


@pytest.mark.parametrize(("given", "finish"), [("stop", "stop"), ("length", "length"), ("eos", "stop"), (None, "stop")])
def test_finish(server, given, finish):
    server.script = lambda n, path, body: Reply(choice(finish_reason=given))
    assert draw(generator(server), "q")[0].finish == finish


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(choice(message={"content": None, "refusal": "I cannot"})), "refused"),
        (Reply(choice(finish_reason="content_filter")), "refused"),
        (error(400, "content_filter"), "refused"),
        (error(400, "context_length_exceeded"), "too_long"),
        (error(413), "too_long"),
        (error(400), "rejected"),
        (error(422), "rejected"),
        (error(418), "rejected"),
        (error(500), "server_error"),
        (Reply(choice(message={"content": None})), "malformed_reply"),
        (Reply(choice(message=None)), "malformed_reply"),
        (Reply({"choices": []}), "malformed_reply"),
        (Reply([1]), "malformed_reply"),
        (Reply(choice(logprobs={"content": [{"logprob": "x"}]})), "malformed_reply"),
        (Reply(raw=b'{"choices": [{"mess'), "malformed_reply"),
        (Reply(raw=b"\xff\xfe"), "malformed_reply"),
        (Reply(raw=b"[" * 100_000), "malformed_reply"),
        (Reply(raw=b"{}", headers={"Content-Encoding": "gzip"}), "malformed_reply"),
        (Reply(raw=b'{"choices"', announced=500), "connection_lost"),
        (Reply(drop=True), "connection_lost"),
        (Reply(choice(), delay_s=3), "timeout"),
    ],
)
def test_what_is_one_rows_fault_is_its_reason(reply, reason):
    with serving(script=lambda n, path, body: reply if "BAD" in str(body) else None) as server:
        more = {"timeout_s": 1, "retries": 0} if reply.delay_s else {"retries": 1}
        found = draw(generator(server, **more), "good", "BAD", "fine")
    assert [made.error for made in found] == [None, reason, None]
    assert (found[1].text, found[1].logprob, found[1].tokens) == ("", None, 0)


def test_a_text_beyond_the_limit_is_not_sent(server):
    found = draw(generator(server, max_chars=100), "x" * 101, "y")
    assert [made.error for made in found] == ["too_long", None]
    assert len(server.seen) == 1


def test_half_a_surrogate_pair_in_a_reply_can_be_stored(server):
    server.script = lambda n, path, body: Reply(choice(message={"content": "a\ud83d"}))
    draw(generator(server), "q")[0].text.encode()


def test_likelihood_is_declared_only_where_the_server_can(server):
    assert backends.likelihood(HttpBackend(url=server.url, model=MODEL)) is not None
    for missing in ({"tokenize"}, {"logprobs"}, {"chat"}):
        with serving(offers=ALL - missing) as less:
            assert backends.likelihood(HttpBackend(url=less.url, model=MODEL)) is None


def test_likelihood_counts_the_reply_and_one_end_token(server):
    measure = backends.likelihood(HttpBackend(url=server.url, model=MODEL))

    def script(number, path, body):
        if "prompt_logprobs" not in body:
            return None
        reply = server.route(path, body)
        entries = reply.body["prompt_logprobs"]
        for place, entry in enumerate(entries[-5:]):
            entry[next(iter(entry))]["logprob"] = -float(place)
        return reply

    server.script = script
    # Three bytes of the reply have 0, -1 and -2, the end of turn -3, and what follows it -4.
    (value,) = measure.mean_logprob(ask("q"), ["abc"])
    assert value == pytest.approx(-1.5)
    assert math.isfinite(value)


@pytest.mark.parametrize("absent", ["httpx2", "tenacity"])
@pytest.mark.parametrize("load", [backends.generator, backends.level_reader, backends.likelihood])
def test_an_absent_package_is_named_with_its_remedy(absent, load, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("selfj.backends.http")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingDependency, match=rf"{absent}.*selfj\[http\]"):
        load(HttpBackend(url="http://127.0.0.1:9/v1", model="m"))


def test_a_key_that_is_not_set_is_a_config_error(server, monkeypatch):
    with pytest.raises(ConfigError, match="MY_KEY"):
        generator(server, api_key_env="MY_KEY")
    monkeypatch.setenv("MY_KEY", "two words\n")
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        generator(server, api_key_env="MY_KEY")
    assert "two" not in str(caught.value)


def test_the_key_is_sent_and_shown_nowhere(monkeypatch, tmp_path, caplog):
    caplog.set_level(0)
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    cache = tmp_path / "cache"
    with serving(key="sk-very-secret") as server:
        made = generator(server, api_key_env="MY_KEY", cache=str(cache))
        assert draw(made, "q", "r")[0].error is None
        shown = [repr(made), repr(vars(made)), repr(made._client), repr(vars(made._client)["settings"]), caplog.text]
        server.key = "another"
        with pytest.raises(BackendRefused, match="MY_KEY") as caught:
            draw(made, "s", "t")
    chain = [str(caught.value), str(caught.value.__cause__), repr(caught.value.__cause__)]
    files = [path.read_bytes().decode("latin-1") for path in cache.iterdir()]
    assert files
    assert not [text for text in [*shown, *chain, *files] if "very-secret" in text]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "127.0.0.1:8000"},
        {"url": "ftp://host/v1"},
        {"url": "http://user:sk-secret@host/v1"},
        {"url": "http://host/v1?key=sk-secret"},
        {"api_key_env": "sk-secret"},
    ],
)
def test_settings_that_hold_a_secret_or_no_address_are_refused_without_showing_it(wrong):
    with pytest.raises(ValueError, match="must") as caught:
        HttpBackend(**{"url": "http://host/v1", "model": "m"} | wrong)
    assert "sk-secret" not in str(caught.value)


def test_the_examples_of_the_page(server, capsys):
    page = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert configs.parse(block).target.kind == "http"
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code.replace("http://127.0.0.1:8000/v1", server.url).replace("my-judge", MODEL), {})
    assert 0 <= float(capsys.readouterr().out) <= 9
