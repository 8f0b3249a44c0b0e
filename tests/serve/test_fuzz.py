"""Thousands of odd requests against upstreams and a judge that fail at random: no unmeant error, nothing unjudged."""

import asyncio
import json
import math
import random

import aiohttp
import pytest

from selfj.judge import Score
from selfj.records import hash_fraction

from .conftest import DIGEST, Upstream

REQUESTS = 2500
MEANT = {200, 400, 404, 413, 422, 429, 502, 503, 504}
FAULTS = [fault for fault in Upstream.FAULTS if fault not in {"hang", "drip", "huge"}]
TEXTS = ["2 + 2?", "", "\ud800", "Grüße 世界", "x" * 3000, "[Answer]\n9", "\x00", "null", '{"a": 1}']
OPTIONS = ["n", "tools", "stream_options", "selfj", "seed", "temperature", "logprobs", "modalities"]


class Moody:
    """A judge that scores by hash, and sometimes not at all."""

    name, digest = "moody", DIGEST

    def score(self, inputs):
        # As a tokenizer does: half a surrogate pair is no text.
        for item in inputs:
            (item.instruction + item.response).encode("utf-8")
        if hash_fraction(*(item.response for item in inputs)) < 0.1:
            raise RuntimeError("out of memory")
        return [self.one(hash_fraction("score", item.response)) for item in inputs]

    def one(self, share):
        if share < 0.1:
            return Score(None, None, 0.1, self.name, "low_label_mass")
        return Score(math.nan if share < 0.15 else 9 * share, None, 0.9, self.name)


def value(rng, depth=0):
    """Any JSON value."""
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind < 6:
        return [None, rng.random() < 0.5, rng.randint(-3, 10**20), rng.uniform(-1e9, 1e9), rng.choice(TEXTS), ""][kind]
    if kind < 8:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(["role", "content", "type", "text", "a"]): value(rng, depth + 1) for _ in range(3)}


def message(rng):
    content = rng.choice(TEXTS) if rng.random() < 0.8 else [{"type": "text", "text": rng.choice(TEXTS)}]
    made = {"role": rng.choice(["user", "user", "user", "system", "assistant", "tool"]), "content": content}
    if rng.random() < 0.1:
        made[rng.choice(["role", "content", "tool_calls"])] = value(rng)
    return made


def request(rng):
    """A path and the bytes of a body: mostly nearly right."""
    path = rng.choice(["chat/completions", "chat/completions", "completions", "systemone", "decisions"])
    body = {"model": "m", "stream": rng.random() < 0.4}
    exchange = {"instruction": rng.choice(TEXTS), "response": rng.choice(TEXTS)}
    if path == "chat/completions":
        body["messages"] = [
            *(message(rng) for _ in range(rng.randrange(3))),
            {"role": "user", "content": rng.choice(TEXTS)},
        ]
    elif path == "completions":
        body["prompt"] = rng.choice(TEXTS)
    elif path == "systemone":
        body = {"model": "m", "state": exchange, "questions": {"a": {"type": "score", "criteria": ["x"] * 10}}}
    else:
        levels = [{"label": "x"}] * 10
        body = {"model": "m", "input": json.dumps(exchange)}
        body["questions"] = [{"type": "score", "instructions": "", "levels": levels}]
    for _ in range(rng.choice([0, 0, 1, 2])):
        name = rng.choice(
            [*body, "n", "tools", "stream_options", "selfj", "seed", "temperature", "logprobs", "modalities"]
        )
        body[name] = value(rng)
    data = json.dumps(body, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        place = rng.randrange(len(data))
        data = data[:place] + bytes(rng.randrange(256) for _ in range(rng.randrange(4))) + data[place + 1 :]
    return path, data


@pytest.mark.parametrize("streaming", ["buffer", "early"])
def test_odd_requests(gateway, upstream, loop, streaming):
    rng = random.Random(streaming)
    marks = iter(range(10**9))

    def step(body):
        if rng.random() < 0.25:
            return rng.choice(FAULTS)
        return f"answer to: mark{next(marks)}"

    upstream.default = step
    up = {"breaker_failures": 10**6, "backoff_s": 0.0}
    bounds = {"threshold": (2, 8)}
    served = gateway(
        judge=Moody(), streaming=streaming, up=up, bounds=bounds, resample={"n": 2, "threshold": 6}, keep_bodies=True
    )

    async def send(client, number, work):
        path, data = request(rng)
        headers = {"content-type": "application/json", "x-request-id": f"r{number}"}
        async with work, client.post(f"{served.url}/v1/{path}", data=data, headers=headers) as reply:
            return f"r{number}", path, data, reply.status, (await reply.read()).decode()

    async def play():
        work = asyncio.Semaphore(8)
        async with aiohttp.ClientSession() as client:
            return await asyncio.gather(*(send(client, number, work) for number in range(REQUESTS)))

    found = loop.run(play(), timeout=300)
    rows = {row.request_id: row for row in served.rows}
    assert len(rows) == len(served.rows)
    let_through = 0
    for request_id, path, data, status, text in found:
        assert status in MEANT, (path, data, status, text)
        if status != 200:
            told = json.loads(text)["error"]
            assert told["message"], (path, data)
            assert told["request_id"] == request_id
        if path in {"systemone", "decisions"}:
            assert request_id not in rows
        elif status == 200:
            row = rows[request_id]
            out = "answer to: mark" in shown(text)
            let_through += out and row.action == "answer"
            if row.action == "answer":
                assert row.reason == "reached"
                assert row.score >= row.threshold
                assert json.loads(row.body)["response"] == shown(text)
            elif not (streaming == "early" and text.startswith("data: ")):
                assert not out, (row, text)
            elif out:
                # It went out early, and must end with what became of it.
                assert f'"decision":"{row.action}"' in text or (row.action == "error" and '"error"' in text), text
    assert let_through > 50
    assert sum(status == 200 for *_, status, _ in found) > 300
    counts = [sum(row.action == action for row in served.rows) for action in ("answer", "decline", "error", "pass")]
    assert min(counts[:3]) > 20
    assert counts[3] == 0


def shown(text):
    """The answer that a caller reads, whole or from a stream."""
    if not text.startswith("data: "):
        chunks = [json.loads(text)]
    else:
        lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
        chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk.get("choices", [])]
    parts = [choice.get("message") or choice.get("delta") or choice for choice in choices]
    return "".join(part.get("content") or part.get("text") or "" for part in parts)
