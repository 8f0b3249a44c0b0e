"""A load generator: connections that are kept open, one request at a time on each."""

import asyncio
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field

import numpy as np

from benchmarks.gateway.upstream import ASK_BAD

EVERY_BAD = 5
KEY = f"sk-{secrets.token_hex(24)}"
"""What the callers of this run send."""
KEY_DIGEST = hashlib.sha256(KEY.encode()).hexdigest()


@dataclass
class Times:
    """What came of some requests."""

    seconds: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    bodies: list[tuple[bool, int, bytes]] = field(default_factory=list)
    """Whether a bad answer was asked for, the status and the body."""

    def ms(self, quantile: float) -> float:
        return float(np.quantile(self.seconds, quantile)) * 1000

    @property
    def rps(self) -> float:
        return len(self.seconds) / self.wall_s


def request(port: int, number: int) -> tuple[bool, bytes]:
    bad = number % EVERY_BAD == 0
    text = f"Question {number}: what is {ASK_BAD if bad else 'good'} about this? " + "context " * 30
    body = json.dumps({"model": "instant", "messages": [{"role": "user", "content": text}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return bad, head.encode() + body


class Connection:
    """One open connection."""

    def __init__(self, port: int):
        self.port = port

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def ask(self, number: int, times: Times) -> None:
        bad, data = request(self.port, number)
        began = time.perf_counter()
        self.writer.write(data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await self.reader.readexactly(size)
        times.seconds.append(time.perf_counter() - began)
        times.bodies.append((bad, int(head[9:12]), body))


async def in_turns(ports: list[int], requests: int) -> list[Times]:
    """One request at a time, to each port in turn."""
    connections = [await Connection(port).open() for port in ports]
    found = [Times() for _ in ports]
    for number in range(requests):
        for connection, times in zip(connections, found, strict=True):
            await connection.ask(number, times)
    for times in found:
        times.wall_s = sum(times.seconds)
    return found


async def at_once(port: int, concurrency: int, seconds: float) -> Times:
    """As many requests as can be, `concurrency` at a time."""
    connections = [await Connection(port).open() for _ in range(concurrency)]
    times = Times()
    began = time.perf_counter()
    end = began + seconds

    async def work(connection: Connection, place: int) -> None:
        number = place
        while time.perf_counter() < end:
            await connection.ask(number, times)
            number += concurrency

    await asyncio.gather(*(work(connection, place) for place, connection in enumerate(connections)))
    times.wall_s = time.perf_counter() - began
    return times
