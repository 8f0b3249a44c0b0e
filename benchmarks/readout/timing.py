"""Timing of several ways to do one job: in turns, so that a busy machine disturbs all of them alike."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping


def alternate(
    ways: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of every way in every round, after one round that is not counted; the order turns round each time.

    With one thread, `time.process_time` as the clock leaves out what other processes take.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            started = clock()
            ways[name]()
            taken = clock() - started
            print(f"  round {number}: {name} {taken:.1f} s", file=sys.stderr, flush=True)
            if number:
                seconds[name].append(taken)
    return seconds


def speedup(seconds: Mapping[str, list[float]], way: str, other: str) -> float:
    """How many times as fast as another a way is: the median over rounds."""
    return statistics.median(b / a for a, b in zip(seconds[way], seconds[other], strict=True))


def table(seconds: Mapping[str, list[float]], items: int) -> str:
    """Items per second of every way, and the spread over its rounds."""
    lines = []
    for name, found in seconds.items():
        rates = sorted(items / value for value in found)
        lines.append(f"  {name:<28} {statistics.median(rates):8.2f} items/s   ({rates[0]:.2f} to {rates[-1]:.2f})")
    return "\n".join(lines)
