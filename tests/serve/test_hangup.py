"""Callers that hang up, and heads of requests without an end: over real sockets."""

import asyncio
import json
import socket
import time

import httpx2
import pytest
import uvicorn

from selfj.serve.server import uvicorn_config

from .conftest import GOOD


class Silent:
    """An upstream that takes requests and answers nothing, or begins a stream; knows when it was left."""

    def __init__(self, loop):
        self.loop, self.asked, self.left, self.beginning = loop, 0, 0, b""
        self.url = loop.run(self._start())

    async def _start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(size)
        self.asked += 1
        writer.write(self.beginning)
        if not await reader.read(1):
            self.left += 1
        writer.close()

    async def _stop(self):
        self.server.close()
        await self.server.wait_closed()

    def close(self):
        self.loop.run(self._stop())


@pytest.fixture
def silent(loop):
    made = Silent(loop)
    yield made
    made.close()


def call(url, text="2 + 2?", **more):
    """A connection with a request on it."""
    address = httpx2.URL(url)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    line = socket.create_connection((address.host, address.port), timeout=10)
    line.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return line


def until(line, word):
    """What comes until a word."""
    seen = b""
    while word not in seen:
        more = line.recv(65536)
        assert more, seen
        seen += more
    return seen


def wait(check):
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_upstream_is_left_when_the_caller_leaves(gateway, silent):
    served = gateway(url=silent.url, up={"timeout_s": 60.0})
    line = call(served.url)
    wait(lambda: silent.asked == 1)
    assert served.rows == []
    line.close()
    wait(lambda: silent.left == 1)
    wait(lambda: served.rows)
    (row,) = served.rows
    assert (row.action, row.step, row.reason, row.score) == ("abandoned", "answer", "hung_up", None)
    assert row.attempts == 1
    assert 0 < row.upstream_ms <= row.total_ms < 10_000
    text = served.http.get("/metrics").text
    assert 'selfj_http_total{route="/v1/chat/completions",status="499"} 1.0' in text
    assert "selfj_inflight 1.0" in text
    # It says nothing against the upstream.
    assert 'selfj_breaker{upstream="upstream"} 0.0' in text


def test_every_draw_is_left(gateway, silent, upstream):
    # The first answer comes and is poor; the further ones never come.
    upstream.plan, upstream.default = ["wrong: it is 5"], "hang"
    served = gateway(resample={"n": 3, "threshold": 5.0}, up={"timeout_s": 60.0})
    line = call(served.url)
    wait(lambda: len(upstream.bodies) == 3)
    line.close()
    wait(lambda: served.rows)
    assert (served.rows[0].action, served.rows[0].attempts) == ("abandoned", 3)


def test_a_stream_that_was_begun_is_left_too(gateway, silent):
    chunk = {"id": "u", "choices": [{"index": 0, "delta": {"content": "It is"}, "finish_reason": None}]}
    part = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    silent.beginning = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + f"{len(part):x}\r\n".encode()
        + part
        + b"\r\n"
    )
    served = gateway(url=silent.url, up={"timeout_s": 60.0}, streaming="early", keep_bodies=True)
    line = call(served.url, stream=True)
    until(line, b"It is")
    line.close()
    wait(lambda: silent.left == 1)
    wait(lambda: served.rows)
    (row,) = served.rows
    assert (row.action, row.reason) == ("abandoned", "hung_up_streaming")
    assert json.loads(row.body)["response"] == "It is"


def test_a_caller_that_stays_is_not_troubled(gateway, upstream):
    upstream.delay = 0.2
    served = gateway()
    line = call(served.url)
    with line:
        until(line, GOOD.encode())
        # The same connection again, and then it goes between requests.
        line.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        until(line, b"live")
    assert [row.action for row in served.rows] == ["answer"]


def test_the_judge_is_left_too(gateway):
    served = gateway()
    queue = served.app._judge
    held = asyncio.Event()

    async def hold(exchange):
        await held.wait()

    queue.score = hold
    address = httpx2.URL(served.url)
    criteria = [f"level {place}" for place in range(10)]
    question = {"type": "score", "instructions": "How good?", "criteria": criteria}
    state = json.dumps({"instruction": "2 + 2?", "response": "4"})
    body = json.dumps({"model": "m", "state": state, "questions": {"q": question}}).encode()
    line = socket.create_connection((address.host, address.port), timeout=10)
    line.sendall(f"POST /v1/systemone HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    wait(lambda: served.app._inflight == 1)
    line.close()
    wait(lambda: served.app._inflight == 0)


@pytest.fixture
def listening(gateway, loop):
    """Serve as the command does, through one parser; gives its address."""
    running = []

    def start(parser):
        served = gateway(limits={"header_bytes": 2048})
        config = uvicorn_config(served.app, served.app.settings)
        config.port, config.lifespan = 0, "off"
        if parser == "h11":
            config.http = "h11"
        server = uvicorn.Server(config)
        task = asyncio.run_coroutine_threadsafe(server._serve(), loop.loop)
        wait(lambda: server.started)
        running.append((server, task))
        return server.servers[0].sockets[0].getsockname()

    yield start
    for server, task in running:
        server.should_exit = True
        task.result(20)


@pytest.mark.parametrize(("parser", "status"), [("httptools", b"431"), ("h11", b"400")])
@pytest.mark.parametrize("endless", [b"x-a: ", b"x-a: 1\r\n"])
def test_a_head_without_end_is_refused_while_it_comes(listening, parser, status, endless):
    address = listening(parser)
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n" + endless)
        sent = 0
        try:
            while sent < 2**20:
                line.sendall(b"a" * 64 if endless == b"x-a: " else b"x-b: 2\r\n" * 8)
                sent += 64
                time.sleep(0.0005)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 64 * 1024
        # Bytes that were under way may reset the line before its last words are read.
        try:
            told = line.recv(4096)
        except ConnectionResetError:
            told = b""
        assert told == b"" or told.startswith(b"HTTP/1.1 " + status)


def test_a_long_head_in_one_piece_is_told_why(listening):
    address = listening("httptools")
    for end in (b"", b"\r\n\r\n"):
        with socket.create_connection(address, timeout=10) as line:
            line.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 4000 + end)
            assert until(line, b"headers_too_large").startswith(b"HTTP/1.1 431")
    # A body is not a head, however it is cut.
    with socket.create_connection(address, timeout=10) as line:
        body = b'{"model": "m", "prompt": "' + b"a" * 5000 + b'"}'
        line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\n")
        time.sleep(0.05)
        line.sendall(f"content-length: {len(body)}\r\n\r\n".encode() + body[:3000])
        time.sleep(0.05)
        line.sendall(body[3000:])
        assert until(line, b"decision").startswith(b"HTTP/1.1 200")
