"""A server that misbehaves: what is tried again, what is raised, and what the table of faults covers."""

import contextlib
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from selfj import backends
from selfj.backends import http_errors
from selfj.backends.base import JudgeInput
from selfj.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable, ConfigError
from selfj.settings import HttpBackend

from .http_fake import MODEL, Reply, error, serving
from .test_http import choice, draw, generator


def first(n, reply):
    """The first n requests are answered with this."""
    return lambda number, path, body: reply if number < n else None


def exceptions():
    found = {value for value in vars(httpx2).values() if isinstance(value, type) and issubclass(value, Exception)}
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: kind.__name__)
def test_the_table_covers_every_exception_of_the_library(kind):
    if kind in (httpx2.HTTPError, httpx2.RequestError, httpx2.TransportError, httpx2.ProtocolError):
        assert kind.__subclasses__()
        return
    made = kind.__new__(kind)
    fault = http_errors.transport_fault(made)
    assert issubclass(fault.error, BackendError)
    assert isinstance(made, tuple(http_errors.TRANSPORT))


def test_every_status_has_a_meaning():
    for status in (*range(100, 200), *range(300, 600)):
        fault = http_errors.status_fault(status, None)
        assert issubclass(fault.error, BackendError)
        assert fault.retry == fault.error.retryable, status


@pytest.mark.parametrize(
    "reply",
    [
        error(429),
        error(429, Retry_After="0.01"),
        error(500),
        error(502),
        error(503),
        error(529),
        error(408),
        Reply(raw=b'{"cho'),
        Reply(raw=b"{", announced=99),
        Reply(drop=True),
        Reply(choice(), delay_s=3),
    ],
)
def test_what_can_pass_is_tried_again(reply):
    with serving(script=first(2, reply)) as server:
        (made,) = draw(generator(server, **({"timeout_s": 1} if reply.delay_s else {})), "q")
        assert made.error is None
        assert len(server.seen) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 501])
def test_what_cannot_pass_is_not_tried_again(status):
    with serving(script=lambda n, path, body: error(status) if "chat" in path else None) as server:
        with contextlib.suppress(BackendRefused):
            draw(generator(server), "q")
        assert [path for path in server.paths() if "chat" in path] == ["/v1/chat/completions"]


def test_a_used_up_quota_is_not_tried_again():
    with serving(script=first(9, error(429, "insufficient_quota", "pay first"))) as server:
        with pytest.raises(BackendRefused, match="pay first"):
            draw(generator(server), "q")
        assert len(server.seen) == 1


def test_retry_after_in_seconds_is_waited_for():
    moments = []

    def script(number, path, body):
        moments.append(time.monotonic())
        return error(429, Retry_After="0.3") if number == 0 else None

    with serving(script=script) as server:
        draw(generator(server), "q")
    assert moments[1] - moments[0] >= 0.3


def test_retry_after_can_be_a_date():
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    with serving(script=first(1, error(429, Retry_After=past))) as server:
        assert draw(generator(server), "q")[0].error is None
    future = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with serving(script=first(1, error(429, Retry_After=future))) as server, pytest.raises(BackendUnavailable):
        draw(generator(server), "q")


def test_a_server_that_asks_for_too_long_a_wait_is_given_up():
    with serving(script=first(9, error(429, Retry_After="3600"))) as server:
        with pytest.raises(BackendUnavailable, match="429"):
            draw(generator(server), "q")
        assert len(server.seen) == 1


@pytest.mark.parametrize("value", ["soon", "Mon, 99 Foo", "-5"])
def test_a_malformed_retry_after_is_no_reason_to_fail(value):
    with serving(script=first(1, error(429, Retry_After=value))) as server:
        assert draw(generator(server), "q")[0].error is None


@pytest.mark.parametrize(
    ("reply", "raised", "message"),
    [
        (error(401, None, "who are you"), BackendRefused, "who are you"),
        (error(403), BackendRefused, "403"),
        (error(404, "model_not_found", "no such model"), BackendRefused, MODEL),
        (error(501), BackendRefused, "501"),
        (Reply("", 302, {"Location": "http://elsewhere/"}), BackendRefused, "302"),
        (error(429), BackendUnavailable, "tried 2 times"),
        (error(503), BackendUnavailable, "503"),
    ],
)
def test_what_is_everybodys_fault_is_raised(reply, raised, message):
    def script(number, path, body):
        return reply if "chat" in path else None

    with serving(script=script) as server, pytest.raises(raised, match=message):
        draw(generator(server, retries=1), *"abcdef")


def test_a_server_that_is_not_there():
    with serving() as server:
        url = server.url
    settings = HttpBackend(url=url, model=MODEL, retries=1, backoff_s=0.001)
    with pytest.raises(BackendUnavailable, match=r"ConnectError.*tried 2 times"):
        draw(backends.generator(settings), "a", "b", "c")
    with pytest.raises(BackendUnavailable):
        backends.level_reader(settings)
    with pytest.raises(BackendUnavailable):
        backends.likelihood(settings)


def test_one_raised_fault_ends_the_other_rows_soon():
    def script(number, path, body):
        return error(401) if "BAD" in str(body) else error(429, Retry_After="30")

    with serving(script=script) as server:
        with pytest.raises(BackendRefused):
            draw(generator(server, concurrency=4), "a", "b", "BAD", *map(str, range(50)))
        assert len(server.seen) < 20


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (Reply(choice(), delay_s=3), BackendTimeout),
        (error(500), BackendUnavailable),
        (Reply(drop=True), BackendUnavailable),
        (error(400, None, "unknown field seed"), BackendRefused),
        (Reply({}), BackendRefused),
    ],
)
def test_many_failed_rows_in_a_row_are_everybodys_fault(reply, raised):
    timeout_s = 1 if reply.delay_s else 60
    with serving(script=lambda n, path, body: reply) as server, pytest.raises(raised):
        draw(generator(server, retries=0, timeout_s=timeout_s, concurrency=8), *map(str, range(40)))


def test_refusals_and_long_texts_never_add_up():
    refusal = Reply(choice(message={"content": None, "refusal": "no"}))
    with serving(script=lambda n, path, body: refusal if n % 2 else error(413)) as server:
        found = draw(generator(server, concurrency=1), *map(str, range(40)))
    assert {made.error for made in found} == {"refused", "too_long"}


def test_a_reply_that_drips_is_cut_off():
    with serving(script=lambda n, path, body: Reply(choice(), drip_s=0.1)) as server:
        (made,) = draw(generator(server, retries=0, timeout_s=0.5), "q")
    assert made.error == "timeout"


def test_a_judge_meets_the_same_faults():
    with serving() as server:
        made = backends.level_reader(HttpBackend(url=server.url, model=MODEL, retries=1, backoff_s=0.001))
        server.script = lambda n, path, body: error(500) if "BAD" in str(body) else None
        reading = made.read([JudgeInput("q", "a"), JudgeInput("BAD", "a")])
        assert reading.errors == (None, "server_error")
        server.script = lambda n, path, body: error(401)
        with pytest.raises(BackendRefused, match="api_key_env"):
            made.read([JudgeInput("q", "a")])


def test_adapters_are_no_matter_of_a_server():
    with pytest.raises(ConfigError, match="adapter"):
        backends.level_reader(HttpBackend(url="http://127.0.0.1:9/v1", model="m"), adapter="somewhere")
