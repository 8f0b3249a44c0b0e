"""When a stream's first text and its end reach the caller: from the upstream itself, and through the gateway both ways.

The upstream needs 5 ms for each of 40 words, streamed or not. Held back, the first text comes with the last; early,
it comes as from the upstream, and what is declined has then been seen. The judge answers at once.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
from aiohttp import web

from benchmarks.gateway.load import KEY
from benchmarks.result import Figure

WORDS, EACH_S = 40, 0.005
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "speaking"}


async def speak(request: web.Request) -> web.StreamResponse:
    """Answer word by word."""
    asked = await request.json()
    if not asked.get("stream"):
        await asyncio.sleep(WORDS * EACH_S)
        message = {"role": "assistant", "content": "word " * WORDS}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({**_HEAD, "object": "chat.completion", "choices": [choice]})
    reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await reply.prepare(request)
    for number in range(WORDS):
        await asyncio.sleep(EACH_S)
        choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None if number < WORDS - 1 else "stop"}
        chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}
        await reply.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await reply.write(b"data: [DONE]\n\n")
    return reply


async def listen() -> None:
    """Serve on a free port, and print it."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", speak)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def timed(port: int, times: int) -> np.ndarray:
    """Milliseconds until the first text and until the end, shape (times, 2), one stream at a time."""
    body = {"model": "speaking", "stream": True, "messages": [{"role": "user", "content": "Say some words."}]}
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {KEY}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    found = []
    for _ in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(head.encode() + data)
        await reader.readuntil(b'"content"')
        first = time.perf_counter()
        rest = await reader.read()
        found.append((first - began, time.perf_counter() - began))
        writer.close()
        assert b"[DONE]" in rest
    return np.array(found) * 1000


def measure(run, folder: Path, key_digest: str, times: int) -> list[Figure]:
    """Medians over `times` streams from each; `run` starts a process of this benchmark."""
    found = []
    with run("streaming") as upstream:
        asyncio.run(timed(upstream, 3))
        seen = {"upstream": asyncio.run(timed(upstream, times))}
        for way in ("buffer", "early"):
            place = str(folder / f"{way}.sqlite")
            with run("served", f"http://127.0.0.1:{upstream}/v1", key_digest, place, way) as gateway:
                asyncio.run(timed(gateway, 3))
                seen[way] = asyncio.run(timed(gateway, times))
    for way, values in seen.items():
        first, end = np.median(values, axis=0)
        found += [Figure(f"stream_{way}_first_ms", first, "ms"), Figure(f"stream_{way}_end_ms", end, "ms")]
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(listen()))
