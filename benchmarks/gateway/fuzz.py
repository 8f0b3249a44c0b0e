"""`python -m benchmarks.gateway.fuzz [--requests 100000]`: odd requests, and what comes of them.

Half of the requests go into the application in this process; nearly half go over sockets to a gateway in a process of
its own, where HTTP itself is broken too; about one in a hundred is made by Schemathesis from `/openapi.json`, in an
environment of its own, where it can be installed. The upstream fails at random. A status from 500 that is not meant is
a failure. An answer of the upstream that a caller got, and whose kept decision does not let it through, is
`unjudged_through`.
"""

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sql

from benchmarks.gateway import odd, schemathesis
from benchmarks.gateway.__main__ import run
from benchmarks.gateway.subject import Process, application
from benchmarks.gateway.wire import Came
from benchmarks.result import Figure, print_results
from selfj.serve.settings import ServeSettings
from selfj.serve.store import Store
from selfj.serve.tables import decisions

SHARE = 0.3
"""Of the upstream's replies, so many are faults."""
AT_ONCE = 48
WAIT_S, PATIENCE_S, SILENCE_S = 30.0, 15.0, 0.5
"""For a request, for the first byte of a reply, and for what may not be a whole request or reply."""
MEANT = {
    501: re.compile(r"not_supported"),
    502: re.compile(r"upstream_\w+"),
    503: re.compile(r"upstream_\w+|judge_\w+|unscored|busy"),
    504: re.compile(r"upstream_timeout"),
}
SCHEMATHESIS_PART = 100
"""About one request in so many is made by Schemathesis, which takes hundreds of times as long for each."""
EAGER = {"backoff_s": 0.0, "breaker_failures": 10**6}
SETTINGS = {
    "keep_bodies": True,
    "bounds": {"threshold": [2, 9]},
    "resample": {"n": 2, "threshold": 6.0},
    "limits": {"body_bytes": 2**19},
}
_REPLY = re.compile(rb"(?=HTTP/1\.1 \d{3})")


@dataclass
class Found:
    """What came of one part."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unmeant: list[str] = field(default_factory=list)
    marks: set[int] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)
    """Identifiers of replies that tell a decision, which must then be in the store."""
    stuck: int = 0

    def add(self, sent: bytes, data: bytes) -> None:
        """Note all replies of one connection."""
        self.marks |= Came(data, 0.0).marks
        for reply in _REPLY.split(data)[1:]:
            came = Came(reply, 0.0)
            self.statuses[came.status] += 1
            code = came.code
            if came.status >= 500 and not (came.status in MEANT and MEANT[came.status].fullmatch(code)):
                self.unmeant.append(f"{came.status} {code or reply[:200]!r} for {sent[:600]!r}")
            named = re.search(rb"x-request-id: ([^\r]*)\r", came.head)
            if came.status == 200 and b"\r\nx-selfj-decision: " in came.head and named:
                self.recorded.add(named[1].decode())


async def many(count: int, one: Callable[[int], Awaitable[int]]) -> int:
    """Call `one` with numbers until so many requests were made, some at once; gives how many."""
    made, numbers = 0, iter(range(10**9))

    async def work() -> None:
        nonlocal made
        while made < count:
            new = await one(next(numbers))
            made += new
            if made // 5000 > (made - new) // 5000:
                print(f"{made:,} requests", flush=True)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return made


async def inside(url: str, folder: Path, store: Store, count: int, found: Found) -> None:
    """Odd requests into the application itself."""
    settings = ServeSettings(run=str(folder), upstream={"base_url": url, **EAGER}, port=0, **SETTINGS)
    app = application(settings, store, folder)
    await app.start()

    async def one(number: int) -> int:
        rng = random.Random(f"inside {number}")
        asked = odd.changed(rng, f"f-{number}")
        data = await asgi(app, rng, asked)
        found.add(asked.raw(), data)
        found.stuck += not data
        return 1

    found.requests += await many(count, one)
    await app.close()


async def asgi(app, rng: random.Random, asked: odd.Odd) -> bytes:
    """Send a request in pieces, sometimes with the caller gone in the middle; gives the reply as HTTP."""
    path, _, query = asked.path.partition("?")
    pairs = [line.partition(": ") for line in asked.headers]
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, _, value in pairs]
    scope = {"type": "http", "method": asked.method, "path": path, "query_string": query.encode("latin-1")}
    cuts = sorted(rng.sample(range(len(asked.body) + 1), min(2, len(asked.body))))
    pieces = [asked.body[a:b] for a, b in zip([0, *cuts], [*cuts, len(asked.body)], strict=True)]
    events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces[:-1]]
    events.append({"type": "http.request", "body": pieces[-1], "more_body": False})
    if rng.random() < 0.03:
        events = [*events[:1], {"type": "http.disconnect"}] if len(events) > 1 else [{"type": "http.disconnect"}]
    sent: list[bytes] = []

    async def receive():
        return events.pop(0) if events else await asyncio.Future()

    async def send(message):
        if message["type"] == "http.response.start":
            lines = b"".join(b"%s: %s\r\n" % pair for pair in message["headers"])
            sent.append(b"HTTP/1.1 %d X\r\n%s\r\n" % (message["status"], lines))
        else:
            sent.append(message.get("body", b""))

    try:
        async with asyncio.timeout(WAIT_S):
            await app(scope | {"headers": headers}, receive, send)
    except TimeoutError:
        return b""
    except Exception as error:
        return b"HTTP/1.1 599 X\r\n\r\n" + repr(error).encode()
    return b"".join(sent)


async def outside(port: int, count: int, found: Found) -> None:
    """Odd bytes over sockets."""

    async def one(number: int) -> int:
        rng = random.Random(f"outside {number}")
        data, must = odd.wire(rng, f"s-{number}")
        came = await talk(port, data, PATIENCE_S if must else SILENCE_S)
        found.add(data, came)
        found.stuck += must and not came
        return max(1, data.count(b" HTTP/1.1\r\n"))

    found.requests += await many(count, one)


async def talk(port: int, data: bytes, first_s: float) -> bytes:
    """Send bytes and give what comes back until the end, or until silence."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(data)
                await writer.drain()
                while part := await asyncio.wait_for(reader.read(65536), SILENCE_S if parts else first_s):
                    parts.append(part)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        pass
    return b"".join(parts)


def allowed(store: Store) -> tuple[set[int], set[str]]:
    """Marks of the answers that a kept decision lets through, and all identifiers of requests."""
    marks: set[int] = set()
    with store.engine.connect() as connection:
        names = set(connection.scalars(sql.select(decisions.c.request_id)))
        fits = sql.and_(decisions.c.action == "answer", decisions.c.score >= decisions.c.threshold)
        for body in connection.scalars(sql.select(decisions.c.body).where(fits)):
            marks |= {int(mark) for mark in re.findall(r"mark(\d+)\.", json.loads(body)["response"])}
    return marks, names


def unforeseen(log: Path) -> list[str]:
    """Faults in a gateway's log that nobody foresaw."""
    return [line for line in log.open(encoding="utf-8") if '"event": "fault"' in line or "Exception in ASGI" in line]


def parts(requests: int, *, with_schemathesis: bool) -> Iterator[tuple[str, Found, int, int, int]]:
    """Each part's name, what came, answers unjudged, replies unrecorded, and hidden requests that were served."""
    share = requests // SCHEMATHESIS_PART if with_schemathesis else 0
    with tempfile.TemporaryDirectory(prefix="selfj-fuzz-") as name:
        folder = Path(name)
        for part, count in (("inside", requests // 2), ("sockets", requests // 2 - share), ("schemathesis", share)):
            place = folder / part
            place.mkdir()
            found = Found()
            with run("faulty", str(place / "upstream.log"), str(SHARE)) as port:
                url = f"http://127.0.0.1:{port}/v1"
                if part == "inside":
                    with Store(str(place / "audit.sqlite")) as store:
                        asyncio.run(inside(url, place, store, count, found))
                elif count:
                    up = {"base_url": url, **EAGER}
                    gateway = Process(place, {"upstream": up, **SETTINGS}, str(place / "audit.sqlite")).start()
                    try:
                        if part == "sockets":
                            asyncio.run(outside(gateway.port, count, found))
                        else:
                            schemathesis.play(gateway.port, place, count, found)
                    finally:
                        gateway.stop()
                    found.unmeant += unforeseen(place / "gateway.log")
            if not count:
                continue
            with Store(str(place / "audit.sqlite")) as store:
                marks, names = allowed(store)
                whole = store.verify().whole
            if not whole:
                found.unmeant.append("the chain is broken")
            hidden = sum(name.startswith("smuggled-") for name in names)
            yield part, found, len(found.marks - marks), len(found.recorded - names), hidden


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--no-schemathesis", action="store_true", help="leave its part to the sockets")
    options = parser.parse_args()
    with_it = not options.no_schemathesis and schemathesis.there()
    began, all_of_it, counts = time.monotonic(), Counter(), Counter()
    figures = []
    for part, found, unjudged, unrecorded, hidden in parts(options.requests, with_schemathesis=with_it):
        for text in found.unmeant[:20]:
            print(f"NOT MEANT in {part}: {text}")
        print(
            f"{part}: {found.requests:,} requests, {dict(sorted(found.statuses.items()))}, {len(found.marks)} answers"
        )
        all_of_it += found.statuses
        counts += Counter(requests=found.requests, unmeant=len(found.unmeant), unjudged=unjudged, stuck=found.stuck)
        counts += Counter(unrecorded=unrecorded, hidden=hidden, answers=len(found.marks))
        figures.append(Figure(f"requests_{part}", found.requests))
    figures = [
        Figure("unmeant_errors", counts["unmeant"], "", "<= 0"),
        Figure("unjudged_through", counts["unjudged"], "", "<= 0"),
        Figure("unrecorded", counts["unrecorded"], "", "<= 0"),
        Figure("without_reply", counts["stuck"], "", "<= 0"),
        Figure("smuggled", counts["hidden"], "", "<= 0"),
        Figure("requests", counts["requests"]),
        *figures,
        Figure("answers_through", counts["answers"]),
        *(Figure(f"status_{status}", number) for status, number in sorted(all_of_it.items())),
        Figure("seconds", time.monotonic() - began, "s"),
    ]
    print_results("gateway_fuzz", figures)


if __name__ == "__main__":
    main()
