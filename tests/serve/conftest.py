"""A gateway and its upstream, each in a thread with a loop of its own, on 127.0.0.1 only."""

import asyncio
import json
import threading
from contextlib import contextmanager

import httpx2
import openai
import pytest
import uvicorn
from aiohttp import web

from selfj.backends.fake import FakeModel
from selfj.judge import Judge
from selfj.risk import Threshold
from selfj.serve.app import create_app
from selfj.serve.settings import ServeSettings
from selfj.settings import FakeBackend

GOOD, BAD = "answer to: it is 4", "wrong: it is 5"
"""The fake judge rates the first near 8 and the second near 1.5."""
DIGEST = "fake-judge"
KEY = "sk-upstream-secret"


class Memory:
    """A recorder that keeps rows in a list."""

    def __init__(self):
        self.rows, self.closed, self.broken = [], False, False

    async def record(self, row):
        if self.broken:
            raise OSError("no space left")
        self.rows.append(row)

    async def close(self):
        self.closed = True


class Loop:
    """A thread with an event loop."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work, timeout=30):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Upstream:
    """A server that answers, or fails in the way that a test asks for.

    `plan` is a list of steps taken one after another, then `default`. A step is a text to answer with, a word for a
    fault, or a function of the request's body that gives either.
    """

    FAULTS = (
        "500",
        "503",
        "429",
        "401",
        "400",
        "hang",
        "cut",
        "garbage",
        "drip",
        "nochoices",
        "notext",
        "huge",
        "redirect",
        "longline",
    )

    def __init__(self):
        self.default, self.plan, self.bodies, self.headers = GOOD, [], [], []
        self.extra, self.message, self.delay = {}, {}, 0.0

    def step(self, body):
        step = self.plan.pop(0) if self.plan else self.default
        return step(body) if callable(step) else step

    async def models(self, request):
        return web.json_response(
            {"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "x"}]}
        )

    async def complete(self, request):
        body = await request.json()
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        step, chat = self.step(body), request.path.endswith("chat/completions")
        if self.delay:
            await asyncio.sleep(self.delay)
        if isinstance(step, str) and step in self.FAULTS:
            return await self.fail(request, step, body)
        if body.get("stream"):
            return await self.stream(request, step, chat, body)
        return web.json_response(self.reply(step, chat, body))

    def reply(self, step, chat, body):
        choice = {"index": 0, "finish_reason": "stop", "logprobs": None}
        if chat:
            message = step if isinstance(step, dict) else {"role": "assistant", "content": step}
            choice["message"] = message | self.message
        else:
            choice["text"] = step
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        kind = "chat.completion" if chat else "text_completion"
        whole = {
            "id": "up-1",
            "object": kind,
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }
        return whole | self.extra

    async def stream(self, request, step, chat, body, *, end=True, pause=0.0):
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        head = {
            "id": "up-1",
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": 1,
            "model": "m",
        }
        pieces = [step] if isinstance(step, dict) else [step[i : i + 4] for i in range(0, len(step), 4)]
        for piece in pieces:
            delta = piece if isinstance(piece, dict) else {"content": piece}
            choice = {"index": 0, "finish_reason": None} | ({"delta": delta} if chat else {"text": piece})
            await self.write(reply, head | {"choices": [choice]})
            await asyncio.sleep(pause)
        if not end:
            request.transport.close()
            return reply
        last = {"index": 0, "finish_reason": "stop"} | ({"delta": {}} if chat else {"text": ""})
        await self.write(reply, head | {"choices": [last]})
        await self.write(reply, head | {"choices": [], "usage": {"total_tokens": 7}})
        await reply.write(b"data: [DONE]\n\n")
        return reply

    @staticmethod
    async def write(reply, value):
        await reply.write(b"data: " + json.dumps(value).encode() + b"\n\n")

    async def fail(self, request, step, body):
        chat = request.path.endswith("chat/completions")
        if step.isdecimal():
            headers = {"Retry-After": "7"} if step in {"429", "503"} else {}
            told = {"error": {"message": f"fault {step} with {KEY}", "type": "x"}}
            return web.json_response(told, status=int(step), headers=headers)
        if step == "hang":
            await asyncio.sleep(60)
        if step == "redirect":
            return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})
        if step == "cut" and body.get("stream"):
            return await self.stream(request, GOOD, chat, body, end=False)
        if step == "drip" and body.get("stream"):
            return await self.stream(request, GOOD * 20, chat, body, pause=0.1)
        if step in {"cut", "drip"}:
            reply = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "5000"})
            await reply.prepare(request)
            for _ in range(1 if step == "cut" else 300):
                await reply.write(b" ")
                await asyncio.sleep(0.1 if step == "drip" else 0)
            request.transport.close()
            return reply
        if step == "longline":
            return web.Response(body=b"data: " + b"x" * 700_000, headers={"Content-Type": "text/event-stream"})
        if step == "huge":
            return web.json_response({"choices": [{"message": {"content": "x" * 3_000_000}}]})
        bodies = {
            "garbage": "<html>",
            "nochoices": "{}",
            "notext": '{"choices": [{"message": {"content": 4}, "text": 4}]}',
        }
        return web.Response(text=bodies[step], content_type="application/json")


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def upstream(loop):
    """An upstream under `.url`."""
    with upstream_in(loop) as made:
        yield made


@contextmanager
def upstream_in(loop):
    """Run an upstream in a loop."""
    made = Upstream()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", made.complete)
    app.router.add_post("/v1/completions", made.complete)
    app.router.add_get("/v1/models", made.models)
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    loop.run(start())
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield made
    finally:
        loop.run(runner.cleanup())


def threshold(value=5.0, **more):
    fields = {"max_risk": 0.1, "confidence": 0.95, "min_quality": 5.0, "coverage": 0.5, "risk": 0.05, "risk_bound": 0.1}
    fields |= {"n": 100, "answered": 50, "label": "z", "judge": DIGEST, "data": "d"}
    return Threshold(value=value, **(fields | more))


def fake_judge(**more):
    return Judge(FakeModel(FakeBackend(noise=0.1, **more)), digest=DIGEST, name="fake judge")


class Served:
    """A running gateway: its address, its recorder, a plain client and OpenAI's."""

    def __init__(self, url, app, memory, judge):
        self.url, self.app, self.memory, self.judge = url, app, memory, judge
        self.http = httpx2.Client(base_url=url, timeout=30)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="caller-key", max_retries=0)

    @property
    def rows(self):
        return self.memory.rows

    def chat(self, text="What is 2 + 2?", headers=None, **more):
        body = {"model": "m", "messages": [{"role": "user", "content": text}]} | more
        return self.http.post("/v1/chat/completions", json=body, headers=headers)


@pytest.fixture
def gateway(loop, upstream, tmp_path):
    """Start a gateway with some settings; gives a `Served`."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "threshold.json").write_text(threshold().to_json())
    opened = []
    with _open(loop) as start:

        def build(*, judge=None, extra_routes=(), hooks=None, url=None, queue=None, **settings):
            more = dict(settings.pop("up", {}))
            base = {"base_url": url or upstream.url, "backoff_s": 0.01, "timeout_s": 5.0} | more
            made = ServeSettings(run=str(tmp_path / "run"), upstream=base, judge=queue or {}, **settings)
            memory, judge = Memory(), judge or fake_judge()
            app = create_app(made, judge, memory, extra_routes, **(hooks or {}))
            opened.append(Served(start(app), app, memory, judge))
            return opened[-1]

        yield build
        for served in opened:
            served.http.close()
            served.openai.close()


@contextmanager
def _open(loop):
    running = []

    def start(app):
        config = uvicorn.Config(
            app, port=0, log_config=None, access_log=False, lifespan="on", ws="none", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        task = asyncio.run_coroutine_threadsafe(server._serve(), loop.loop)
        while not server.started:
            assert not task.done(), task.result()
            threading.Event().wait(0.005)
        running.append((server, task))
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    try:
        yield start
    finally:
        for server, task in running:
            server.should_exit = True
            task.result(20)
