"""Replies kept by content: what is asked again, what is not, and what a kill or another process may do."""

import multiprocessing
import os
import signal
import sqlite3
import threading

import pytest

from selfj import backends
from selfj.backends.base import JudgeInput, Sampling
from selfj.backends.http_cache import ReplyCache
from selfj.errors import ArtefactError
from selfj.settings import HttpBackend

from .http_fake import MODEL, Reply, error, serving
from .test_http import SAMPLING, ask, choice, draw, generator


@pytest.fixture
def server():
    with serving() as started:
        yield started


def test_a_good_reply_is_asked_for_once(server):
    first = draw(generator(server, cache="kept"), "a", "b", "c")
    assert len(server.seen) == 3
    again = draw(generator(server, cache="kept"), "a", "b", "c")
    assert again == first
    assert len(server.seen) == 3
    draw(generator(server), "a")
    assert len(server.seen) == 4


def test_content_makes_the_key(server):
    made = generator(server, cache="kept")
    draw(made, "a")
    for sampling in (Sampling(0.5, 0.9, 6), Sampling(0.8, 0.8, 6), Sampling(0.8, 0.9, 5)):
        draw(made, "a", sampling=sampling)
    draw(generator(server, cache="kept", revision="2"), "a")
    draw(generator(server, cache="kept", extra_body={"top_k": 3}), "a")
    draw(generator(server, cache="another"), "a")
    assert len(server.seen) == 7
    with serving() as other:
        draw(generator(other, cache="kept"), "a")
        assert len(other.seen) == 1


def test_draws_of_one_question_stay_different_where_no_seed_is_sent(server):
    made = generator(server, cache="kept", send_seed=False)
    server.script = lambda number, path, body: Reply(choice(message={"content": str(number)}))
    texts = {item.text for item in made.generate(ask("q") * 5, range(5), SAMPLING)}
    assert len(texts) == 5
    assert {item.text for item in made.generate(ask("q") * 5, range(5), SAMPLING)} == texts


@pytest.mark.parametrize(
    "failure",
    [
        error(500),
        error(400),
        Reply({"choices": []}),
        Reply(raw=b"{"),
        Reply(choice(message={"content": None, "refusal": "no"})),
        Reply(choice(finish_reason="content_filter")),
    ],
)
def test_a_failure_is_never_kept(server, failure):
    made = generator(server, cache="kept", retries=0)
    server.script = lambda number, path, body: failure
    assert draw(made, "a")[0].error is not None
    assert sqlite3.connect("kept/replies.sqlite").execute("SELECT count(*) FROM replies").fetchone() == (0,)
    server.script = None
    assert draw(made, "a")[0].error is None


def test_a_reading_without_a_level_is_not_kept(server):
    made = backends.level_reader(HttpBackend(url=server.url, model=MODEL, protocol="verbalised", cache="kept"))
    server.script = lambda number, path, body: Reply(choice(message={"content": "well"}))
    assert made.read([JudgeInput("q", "a")]).errors == ("no_level",)
    server.script = None
    assert made.read([JudgeInput("q", "a")]).errors == (None,)


def test_many_threads_share_one_cache():
    cache = ReplyCache("kept")
    found = []

    def work(n):
        for i in range(50):
            cache.put(f"{i}", {"n": i})
            found.append(cache.get(f"{i}") == {"n": i})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 400


def fill(ready):
    cache, n = ReplyCache("kept"), 0
    while True:
        cache.put(str(n), {"text": str(n) * 1000})
        n += 1
        if n == 20:
            ready.set()


def test_a_kill_leaves_whole_replies_only():
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=fill, args=(ready,))
    process.start()
    assert ready.wait(120)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    process.close()
    cache = ReplyCache("kept")
    assert all(cache.get(str(n)) == {"text": str(n) * 1000} for n in range(20))
    cache.put("more", {})
    assert cache.get("more") == {}


def test_a_file_that_is_no_cache_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "replies.sqlite").write_text("nothing of the kind " * 100)
    with pytest.raises(ArtefactError, match="delete the file"):
        ReplyCache(tmp_path)
    with pytest.raises(ArtefactError):
        ReplyCache("/proc/nowhere")
