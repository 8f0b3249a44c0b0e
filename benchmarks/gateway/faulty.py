"""An upstream that fails as asked: `python -m benchmarks.gateway.faulty LOG [SHARE [PORT]]` prints its port.

`fault:NAME` in a request brings that fault, and SHARE of all other requests a quick one at random. Every answer holds a
mark of its own, which is written to LOG with the request's identifier, so that one can see later what came through.
"""

import asyncio
import json
import random
import re
import sys
from pathlib import Path

from benchmarks.gateway.upstream import ASK_BAD, WRONG

FAULTS = ("429", "500", "503", "hang", "cut", "garbage", "shape", "type", "huge", "drip")
QUICK = ("429", "500", "503", "cut", "garbage", "shape", "type")
PIECE = 6
_ASKED = re.compile(rb"fault:(\w+)")
_NAMED = re.compile(rb"x-request-id: *([^\r\n]*)", re.IGNORECASE)
_HANG_S = 60.0


class Faulty:
    """Counts its answers and writes them down."""

    def __init__(self, log: Path, share: float):
        self._log = log.open("a", encoding="utf-8")
        self._share, self._rng, self._answers = share, random.Random(0), 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(size[1])) if size else b""
                await self._serve(head, body, writer)
                await writer.drain()
        except (EOFError, OSError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _serve(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if head.startswith(b"GET"):
            writer.write(whole({"object": "list", "data": []}))
            return
        asked = _ASKED.search(body)
        fault = asked[1].decode() if asked else ""
        if not fault and self._rng.random() < self._share:
            fault = self._rng.choice(QUICK)
        stream = b'"stream":true' in body
        if fault.isdecimal():
            told = {"error": {"message": f"fault {fault}", "type": "x"}}
            writer.write(whole(told, status=int(fault), more="Retry-After: 1\r\n" if fault in {"429", "503"} else ""))
        elif fault == "hang":
            await asyncio.sleep(_HANG_S)
        elif fault == "garbage":
            writer.write(raw(b"<html>", "text/event-stream" if stream else "application/json"))
        elif fault == "shape":
            writer.write(stream_of([{"choices": [4]}]) if stream else whole({"choices": [{"message": {"content": 4}}]}))
        elif fault == "huge":
            await self._huge(writer, stream)
        else:
            await self._answer(head, body, writer, fault, stream)

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter, fault: str, stream: bool) -> None:
        chat = b"/chat/completions" in head
        self._answers += 1
        bad = ASK_BAD.encode() in body or self._answers % 5 == 0
        text = f"{WRONG if bad else 'right'} mark{self._answers}. " + "word " * 20
        named = _NAMED.search(head)
        self._log.write(f"{self._answers} {named[1].decode('latin-1') if named else ''}\n")
        self._log.flush()
        if not stream or fault == "type":
            sent = raw(json.dumps(reply(text, chat)).encode(), "text/html" if fault == "type" else "application/json")
        else:
            sent = stream_of(chunks(text, chat))
        if fault == "cut":
            writer.write(sent[: len(sent) // 2])
            await writer.drain()
            raise EOFError
        if fault == "drip":
            # Of a stream enough comes at once that it has begun.
            first = 600 if stream else 0
            writer.write(sent[:first])
            for place in range(first, len(sent), 64):
                writer.write(sent[place : place + 64])
                await writer.drain()
                await asyncio.sleep(0.5)
        else:
            writer.write(sent)

    async def _huge(self, writer: asyncio.StreamWriter, stream: bool) -> None:
        kind = "text/event-stream" if stream else "application/json"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\ndata: ".encode())
        for _ in range(64):
            writer.write(b"x" * 2**20)
            await writer.drain()
        raise EOFError


def reply(text: str, chat: bool) -> dict:
    message = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None} | message
    kind = "chat.completion" if chat else "text_completion"
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return {"id": "up-1", "object": kind, "created": 1, "model": "m", "choices": [choice], "usage": usage}


def chunks(text: str, chat: bool) -> list[dict]:
    head = {"id": "up-1", "object": "chat.completion.chunk" if chat else "text_completion", "created": 1, "model": "m"}
    pieces = [text[place : place + PIECE] for place in range(0, len(text), PIECE)]
    parts = [{"delta": {"content": piece}} if chat else {"text": piece} for piece in pieces]
    ends = [*[None] * (len(parts) - 1), "stop"]
    return [
        head | {"choices": [{"index": 0, "finish_reason": end} | part]} for part, end in zip(parts, ends, strict=True)
    ]


def raw(body: bytes, kind: str, *, status: int = 200, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def whole(value: object, *, status: int = 200, more: str = "") -> bytes:
    return raw(json.dumps(value).encode(), "application/json", status=status, more=more)


def stream_of(values: list[dict]) -> bytes:
    lines = [f"data: {json.dumps(value)}\n\n" for value in values]
    return raw("".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")


async def main() -> None:
    served = Faulty(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    server = await asyncio.start_server(served.connected, "127.0.0.1", port, limit=2**24, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
