"""`python -m benchmarks.gateway [--quick] [--only load|promise]`: what the gateway adds, and whether it keeps its word.

The upstream answers at once, and so does the judge, so that only the gateway's own work is measured. Load generator,
gateway and upstream are processes on this machine. Every fifth answer is one that the judge rates 0. The LiteLLM proxy
goes the same road in the same run, without a judge, where it can be installed. Both check the
caller's key, and every reply of the gateway waits until its decision is on disk. That is the part `load`; the part
`promise` is in `benchmarks.gateway.promise`.
"""

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway import litellm, promise, streaming
from benchmarks.gateway.load import KEY_DIGEST, Times, at_once, in_turns
from benchmarks.gateway.upstream import WRONG
from benchmarks.result import Figure, print_results
from selfj.serve.store import Store

CONCURRENCY = 32
WARM = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    parser.add_argument("--no-litellm", action="store_true", help="leave LiteLLM out")
    parser.add_argument("--only", choices=("load", "promise"), help="one part")
    parser.add_argument("--keep", type=Path, help="keep what the part promise makes in this folder")
    options = parser.parse_args()
    found = [] if options.only == "promise" else load(options)
    if options.only != "load":
        found += promise.measure(quick=options.quick, keep=options.keep)
    print_results("gateway_promise" if options.only == "promise" else "gateway", found)


def load(options: argparse.Namespace) -> list[Figure]:
    """What the gateway adds to a request, and how many it takes at once."""
    turns, seconds = (500, 3.0) if options.quick else (4000, 15.0)
    with tempfile.TemporaryDirectory(prefix="selfj-gateway-") as folder, run("upstream") as upstream:
        url = f"http://127.0.0.1:{upstream}/v1"
        place = str(Path(folder) / "audit.sqlite")
        with run("served", url, KEY_DIGEST, place) as gateway:
            asyncio.run(in_turns([upstream, gateway], WARM))
            direct, alone = asyncio.run(in_turns([upstream, gateway], turns))
            many = asyncio.run(at_once(gateway, CONCURRENCY, seconds))
        lost = lost_rows(place, WARM + len(alone.seconds) + len(many.seconds))
        peer = None if options.no_litellm else other(url, Path(folder), upstream, turns // 8, seconds)
        streams = streaming.measure(run, Path(folder), KEY_DIGEST, turns // 100)
    return [*figures(direct, alone, many, peer), Figure("lost_rows", lost, "", "<= 0"), *streams]


def lost_rows(place: str, asked: int) -> int:
    """Rows by which the store differs from what was asked; all of them where its chain is broken."""
    with Store(place) as store:
        return abs(asked - sum(store.tally().actions.values())) if store.verify().whole else asked


@contextmanager
def run(module: str, *arguments: str) -> Iterator[int]:
    """A process of this benchmark; gives the port that it prints."""
    command = [sys.executable, "-m", f"benchmarks.gateway.{module}", *arguments]
    quiet = {"stderr": subprocess.DEVNULL} if module == "served" else {}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ, **quiet)
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(60)


def other(url: str, folder: Path, upstream: int, turns: int, seconds: float) -> tuple[Times, Times, Times] | None:
    """LiteLLM's direct and added times, and its times at once; None where it cannot be had, in words."""
    try:
        with litellm.proxy(url, folder) as port:
            asyncio.run(at_once(port, CONCURRENCY, min(seconds, 5.0)))
            direct, alone = asyncio.run(in_turns([upstream, port], turns))
            return direct, alone, asyncio.run(at_once(port, CONCURRENCY, seconds))
    except litellm.Absent as error:
        print(f"LiteLLM is left out: {error}")
        return None


def figures(direct: Times, alone: Times, many: Times, peer: tuple[Times, Times, Times] | None) -> list[Figure]:
    ratio = many.rps / peer[2].rps if peer else math.nan
    tail = many.ms(0.99) / peer[2].ms(0.5) if peer else math.nan
    found = [
        Figure("added_p50_ms", alone.ms(0.5) - direct.ms(0.5), "ms", "<= 2"),
        Figure("added_p99_ms", alone.ms(0.99) - direct.ms(0.99), "ms", "<= 6"),
        Figure("rps", many.rps, "/s", ">= 1000"),
        Figure("p50_ms_at_32", many.ms(0.5), "ms"),
        Figure("p99_ms_at_32", many.ms(0.99), "ms"),
        Figure("unjudged_through", unjudged(alone) + unjudged(many), "", "<= 0"),
    ]
    if peer:
        found += [
            Figure("rps_vs_litellm", ratio, "x", ">= 10"),
            Figure("p99_over_litellm_p50", tail, "x", "<= 1"),
            Figure("litellm_rps", peer[2].rps, "/s"),
            Figure("litellm_added_p50_ms", peer[1].ms(0.5) - peer[0].ms(0.5), "ms"),
            Figure("litellm_p99_ms_at_32", peer[2].ms(0.99), "ms"),
        ]
    return found


def unjudged(times: Times) -> int:
    """Replies that went wrong: a bad answer let through, a good one declined, one without a verdict, or an error."""
    return sum(not _right(*entry) for entry in times.bodies)


def _right(bad: bool, status: int, body: bytes) -> bool:
    value = json.loads(body)
    text = value["choices"][0]["message"]["content"] if status == 200 else ""
    decision = value.get("selfj", {}).get("decision")
    return status == 200 and decision == ("decline" if bad else "answer") and text.startswith(WRONG) is False


if __name__ == "__main__":
    main()
