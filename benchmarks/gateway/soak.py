"""`python -m benchmarks.gateway.soak [--seconds 600] [--kill-every 200]`: full load for long, and `kill -9` on the way.

A gateway with store and page, its upstream and the load generator are processes on this machine. The client notes the
identifier of every reply that reached it. The gateway is killed and started again on the same store; at the end each
of those replies must be in the store exactly once, and the chain whole. Every question is another one, the worst case
for memory. Meanwhile the page and the metrics are read every few seconds, as an open browser and Prometheus do.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sqlalchemy as sql

from benchmarks.gateway.__main__ import CONCURRENCY, run
from benchmarks.gateway.subject import Process
from benchmarks.gateway.upstream import ASK_BAD
from benchmarks.judge_stream import resident
from benchmarks.result import Figure, print_results
from selfj.serve.store import Store
from selfj.serve.tables import decisions

WARM_SHARE, ENDS = 0.3, 0.1
"""Share of a life that is warm-up, and of the rest that counts as its beginning and its end."""
POLL_S = 5.0


@dataclass
class Seen:
    """What the client saw."""

    acknowledged: list[int] = field(default_factory=list)
    asked: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    broken: Counter[int] = field(default_factory=Counter)
    """Requests that broke off, by the number of the kill."""
    wrong: int = 0
    """Replies whose decision is not the one that the answer deserves."""
    samples: list[list[tuple[int, float]]] = field(default_factory=list)
    """Of each life: replies so far, and resident MiB."""
    wal_mib: float = 0.0
    down_s: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--kill-every", type=float, help="seconds; by default a third of all")
    options = parser.parse_args()
    every = options.kill_every or options.seconds / 3
    with tempfile.TemporaryDirectory(prefix="selfj-soak-") as name, run("upstream") as upstream:
        folder = Path(name)
        settings = {"upstream": {"base_url": f"http://127.0.0.1:{upstream}/v1"}}
        gateway = Process(folder, settings, str(folder / "audit.sqlite")).start()
        seen = Seen()
        try:
            asyncio.run(soak(gateway, seen, options.seconds, every))
        finally:
            gateway.stop()
        found = figures(seen, gateway.store, options.seconds)
    print_results("gateway_soak", found)


async def soak(gateway: Process, seen: Seen, seconds: float, every: float) -> None:
    """Load, kills and samples until the time is over."""
    end = time.monotonic() + seconds
    work = [asyncio.create_task(_load(gateway, seen, place, end)) for place in range(CONCURRENCY)]
    others = [asyncio.create_task(_sample(gateway, seen, end)), asyncio.create_task(_poll(gateway, end))]
    while end - time.monotonic() > 1.5 * every:
        await asyncio.sleep(every)
        before = time.monotonic()
        # What the next process holds while it starts is not of this life.
        seen.samples.append([])
        gateway.kill()
        await asyncio.to_thread(gateway.start)
        seen.down_s.append(time.monotonic() - before)
        print(f"killed after {len(seen.acknowledged):,} replies, back after {seen.down_s[-1]:.1f} s", flush=True)
    await asyncio.gather(*work, *others)


async def _load(gateway: Process, seen: Seen, place: int, end: float) -> None:
    number, writer = place, None
    while time.monotonic() < end:
        seen.asked += 1
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(_request(number))
            status, body = await _reply(reader)
        except (OSError, EOFError, ValueError):
            seen.broken[len(seen.down_s)] += 1
            if writer is not None:
                writer.close()
            writer = None
            await asyncio.sleep(0.05)
        else:
            _note(seen, number, status, body)
        number += CONCURRENCY
    if writer is not None:
        writer.close()


def _note(seen: Seen, number: int, status: int, body: bytes) -> None:
    value = json.loads(body)
    if status != 200:
        seen.statuses[f"{status} {value['error']['code']}"] += 1
        return
    seen.statuses["200"] += 1
    seen.acknowledged.append(number)
    seen.wrong += value["selfj"]["decision"] != ("decline" if _bad(number) else "answer")


def _bad(number: int) -> bool:
    return number % 5 == 0


def _request(number: int) -> bytes:
    text = f"Question {number}: what is {ASK_BAD if _bad(number) else 'good'} about this? " + "context " * 30
    body = json.dumps({"model": "instant", "messages": [{"role": "user", "content": text}]})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    return f"{head}X-Request-Id: soak-{number}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def _reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return int(head[9:12]), await reader.readexactly(size)


async def _sample(gateway: Process, seen: Seen, end: float) -> None:
    seen.samples.append([])
    began, wal = 0, Path(f"{gateway.store}-wal")
    life = 0
    while time.monotonic() < end:
        if len(seen.samples) - 1 != life:
            life, began = len(seen.samples) - 1, len(seen.acknowledged)
        try:
            held = resident(gateway.process.pid)
            seen.wal_mib = max(seen.wal_mib, wal.stat().st_size / 2**20)
        except OSError:
            held = None
        if held is not None and len(seen.acknowledged) > began:
            seen.samples[-1].append((len(seen.acknowledged) - began, held))
        await asyncio.sleep(0.5)


async def _poll(gateway: Process, end: float) -> None:
    while time.monotonic() < end:
        for path in ("/metrics", "/selfj/decisions", "/selfj/drift"):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
                await _reply(reader)
                writer.close()
            except (OSError, EOFError):
                pass
        await asyncio.sleep(POLL_S)


def growth(samples: list[tuple[int, float]]) -> tuple[float, float, float]:
    """Of a life after its warm-up: resident MiB at its beginning, at its end, and the slope for 100,000 requests."""
    done, held = np.array(samples[int(len(samples) * WARM_SHARE) :]).T
    part = max(1, int(len(held) * ENDS))
    slope = np.polyfit(done, held, 1)[0] * 1e5 if len(held) > 2 else np.nan
    return float(np.median(held[:part])), float(np.median(held[-part:])), float(slope)


def figures(seen: Seen, place: str, seconds: float) -> list[Figure]:
    with Store(place) as store:
        whole = store.verify()
        with store.engine.connect() as connection:
            rows = Counter(connection.scalars(sql.select(decisions.c.request_id)))
    lost = sum(f"soak-{number}" not in rows for number in seen.acknowledged)
    doubled = sum(count > 1 for count in rows.values())
    lives = [growth(life) for life in seen.samples if len(life) > 20]
    for place_, (first, last, slope) in enumerate(lives, 1):
        print(f"life {place_}: {first:.1f} MiB after warm-up, {last:.1f} MiB at the end, {slope:.2f} MiB per 100,000")
    for life in seen.samples:
        tenths = [part[-1] for part in np.array_split(np.array(life), 10) if len(part)]
        print("by tenths: " + ", ".join(f"{held:.1f} MiB at {done:,.0f}" for done, held in tenths))
    print(f"statuses {dict(seen.statuses)}; broke off by kill {dict(seen.broken)}; store {whole}")
    late = [max(lives, key=lambda life: life[1] - life[0])] if lives else []
    return [
        Figure("lost_rows", lost, "", "<= 0"),
        Figure("doubled_rows", doubled, "", "<= 0"),
        Figure("chain_ok", float(whole.whole), "", ">= 1"),
        Figure("wrong_decisions", seen.wrong, "", "<= 0"),
        Figure("other_statuses", sum(seen.statuses.values()) - seen.statuses["200"], "", "<= 0"),
        Figure("rss_growth_mib", late[0][1] - late[0][0] if late else np.nan, "MiB", "<= 32"),
        Figure("rss_first_mib", late[0][0] if late else np.nan, "MiB"),
        Figure("rss_last_mib", late[0][1] if late else np.nan, "MiB"),
        Figure("rss_mib_per_100k", max((life[2] for life in lives), default=np.nan), "MiB", "<= 3"),
        Figure("wal_mib", seen.wal_mib, "MiB", "<= 64"),
        Figure("requests", len(seen.acknowledged)),
        Figure("rps", len(seen.acknowledged) / seconds, "/s"),
        Figure("kills", len(seen.down_s)),
        Figure("broken_off", sum(seen.broken.values())),
        Figure("rows_unacknowledged", len(rows) - (len(seen.acknowledged) - lost)),
        Figure("back_after_s", max(seen.down_s, default=np.nan), "s"),
        Figure("seconds", seconds, "s"),
    ]


if __name__ == "__main__":
    main()
