"""A whole run whose target model is on a server, and whose judge is tuned here."""

import json
from pathlib import Path

import pytest

from selfj import backends, pipeline
from selfj import config as configs
from selfj.assistant import load
from selfj.backends.base import JudgeInput
from selfj.errors import ConfigError
from selfj.judge import Judge
from selfj.records import RESPONSES, SCORES
from selfj.settings import HttpBackend
from selfj.store import open_artefact

from ..backends.http_fake import MODEL, error, serving
from .conftest import FAKE

LESS = ("collect.source.n=60", "sample.variations=0", "score.methods=['ppl', 'length']")


def settings(server, *more):
    target = f"target={{kind='http', url='{server.url}', model='{MODEL}'}}"
    return [*FAKE, target, "collect.source.n=300", "sample.variations=1", "name=remote", *more]


def test_the_road_with_a_model_on_a_server():
    with serving() as server:
        outcome = pipeline.run("demo", settings(server))
        methods = outcome.report["methods"]
        assert {"self_j", "self_eval", "self_eval_reference", "ppl", "vro", "length"} <= set(methods)
        assert methods["self_j"]["n"] > 0
        rows = list(open_artefact(outcome.path, SCORES).records())
        readers = {row.method: row.reader for row in rows if row.reader}
        assert readers["self_eval"] == f"{MODEL} via token_ids"
        assert readers["self_j"].startswith("encoder ")
        assert {row.model for row in open_artefact(outcome.path, RESPONSES).records()} == {MODEL}
        decision = load(outcome.path).ask("What is 2 + 2?")
        assert decision.action in {"answer", "decline"}
    with serving() as moved:
        # Where the server is and how it is asked changes no result, so nothing is made again.
        pipeline.run("demo", settings(moved, "target.concurrency=3", "target.cache='kept'"))
        assert moved.seen == []


def test_a_server_without_log_probabilities_still_samples():
    with serving(offers={"chat"}) as server:
        config = configs.load("demo", settings(server, *LESS, "label={self_eval=false, cosine=true}"))
        for verb in ("collect", "sample", "label", "tune", "score"):
            pipeline.perform(verb, config)
        rows = list(open_artefact(config.path, SCORES).records())
        responses = list(open_artefact(config.path, RESPONSES).records())
    assert {row.method for row in rows} == {"self_j", "self_j_teacher", "length"}
    assert all(row.logprob is None for row in responses)


def test_failed_rows_are_kept_with_their_reason(cli):
    refusal = error(400, "content_filter")
    with serving(script=lambda n, path, body: None if n % 10 else refusal) as server:
        words = [word for setting in settings(server, *LESS) for word in ("--set", setting)]
        assert cli("collect", "demo", *words)[0] == 0
        code, _, err = cli("sample", "demo", *words)
        assert code == 5
        assert "--retry-failed" in err
        failed = open_artefact(Path("runs/remote"), RESPONSES).manifest.failed
        assert set(failed) == {"refused"}
        server.script = None
        assert cli("sample", "demo", *words, "--retry-failed")[0] == 0


def test_a_server_that_is_away_ends_the_command_with_its_code(cli):
    with serving() as server:
        words = [word for setting in settings(server, *LESS) for word in ("--set", setting)]
    words += ["--set", "target.retries=0"]
    assert cli("collect", "demo", *words)[0] == 0
    code, _, err = cli("sample", "demo", *words)
    assert code == 6
    assert "ConnectError" in err


def test_no_key_is_in_any_file(cli, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with serving(key="sk-very-secret") as server:
        more = ["target.api_key_env='MY_KEY'", "target.cache='runs/kept'"]
        words = [word for setting in settings(server, *LESS, *more) for word in ("--set", setting)]
        told = [cli(verb, "demo", *words) for verb in ("collect", "sample", "label")]
        server.key = "another"
        told.append(cli("sample", "demo", *words, "--force", "--set", "sample.max_tokens=5"))
    assert [code for code, _, _ in told] == [0, 0, 0, 6]
    files = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert any(path.name == "replies.sqlite" for path in files)
    assert not [path for path in files if b"very-secret" in path.read_bytes()]
    assert "very-secret" not in str(told)


def test_lora_needs_weights_at_hand():
    with serving() as server:
        config = configs.load("demo", settings(server, *LESS, "tune.method={kind='lora'}"))
        for verb in ("collect", "sample", "label"):
            pipeline.perform(verb, config)
        with pytest.raises(ConfigError, match=r"tune\.method\.base"):
            pipeline.perform("tune", config)


def test_a_tuned_judge_on_a_server_needs_no_folder():
    with serving() as server:
        there = HttpBackend(url=server.url, model=MODEL)
        judge = Judge(backends.level_reader(there), digest=backends.digest(there))
        (score,) = judge.score([JudgeInput("q", "answer to: q")])
    assert 0 <= score.value <= 9
    assert score.reader == f"{MODEL} via token_ids"


def test_what_the_digest_of_a_served_model_tells_apart():
    base = HttpBackend(url="http://a/v1", model="m")
    same = ({"url": "http://b/v1"}, {"concurrency": 2}, {"cache": "c"}, {"api_key_env": "K"}, {"retries": 0})
    other = ({"model": "n"}, {"revision": "2"}, {"protocol": "chat"}, {"extra_body": {"top_k": 1}})
    for update in same:
        assert backends.digest(base.model_copy(update=update)) == backends.digest(base)
    for update in other:
        assert backends.digest(base.model_copy(update=update)) != backends.digest(base)
    assert json.dumps(backends.identity(base))


def test_a_wrong_setting_is_named(cli):
    code, _, err = cli("collect", "demo", "--set", "target={kind='http', url='http://h/v1', model='m', retrys=1}")
    assert code == 2
    assert "retries" in err
