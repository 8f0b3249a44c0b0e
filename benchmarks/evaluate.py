"""`python -m benchmarks.evaluate [--quick]`: time and memory of all metrics with their intervals over a million rows.

A process of its own makes seeded rows, four responses to an instruction, with ties, missing scores and gold, and asks
for everything that `selfj evaluate` asks of one method: the summary (1,000 resamples), the calibration error, and the
difference to another method. Its whole wall time and peak memory count. Then, on fewer rows, the summary is timed
against a loop that gathers the rows of every resample, and the intervals of both are compared.
"""

import argparse
import os
import subprocess
import sys
import time

import numpy as np

from benchmarks.result import Figure, print_results
from selfj import metrics
from selfj.bootstrap import bootstrap, bootstrap_difference, resamples, summarise

ROWS, QUICK_ROWS = 1_000_000, 100_000
DRAWS, QUICK_DRAWS = 1000, 100
PEER_ROWS, PEER_DRAWS = 100_000, 60
QUICK_PEER_ROWS, QUICK_PEER_DRAWS = 20_000, 20
_EACH = 4
_TOP = 9.0
_FAILS_BELOW = 5.0
_SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} rows and {QUICK_DRAWS} resamples")
    parser.add_argument("--child", nargs=2, type=int, metavar=("ROWS", "DRAWS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        evaluate(*options.child)
        return
    rows, draws = (QUICK_ROWS, QUICK_DRAWS) if options.quick else (ROWS, DRAWS)
    seconds, busy, peak = measure(rows, draws)
    ratio, difference = against_gather(
        *((QUICK_PEER_ROWS, QUICK_PEER_DRAWS) if options.quick else (PEER_ROWS, PEER_DRAWS))
    )
    whole = not options.quick
    figures = [
        Figure("seconds_1m" if whole else "seconds_100k", seconds, "s", "<= 60" if whole else ""),
        Figure("processor_seconds", busy, "s"),
        Figure("peak_gib", peak, "GiB", "<= 4"),
        Figure("speedup_vs_gather", ratio, "x"),
        Figure("difference_vs_gather", difference, "", "<= 1e-9"),
        Figure("rows", rows),
        Figure("draws", draws),
    ]
    print(f"largest difference to gathered rows: {difference:.1e}; load when done: {os.getloadavg()[0]:.1f}")
    print_results("evaluate", figures)


def make_rows(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two methods' scores, gold in [0, 9] and the instruction of each row.

    Gold is partly shared inside an instruction and often 0 or 9. One method's scores are continuous; the other's are
    rounded, so that most are tied. Two in a hundred are missing.
    """
    rng = np.random.default_rng(_SEED)
    groups = np.arange(n) // _EACH
    gold = np.clip(rng.normal(5, 2, groups[-1] + 1)[groups] + rng.normal(0, 2, n), 0, _TOP)
    first = np.clip(gold + rng.normal(0, 2, n), 0, _TOP)
    second = np.round(np.clip(gold + rng.normal(0, 3, n), 0, _TOP), 1)
    for scores in (first, second):
        scores[rng.random(n) < 0.02] = np.nan
    return first, second, gold, groups


def evaluate(rows: int, draws: int) -> None:
    first, second, gold, groups = make_rows(rows)
    common = {"draws": draws, "seed": _SEED}
    found = summarise(first, gold, gold < _FAILS_BELOW, groups, **common)
    found["difference"] = bootstrap_difference(metrics.pearson, first, second, gold, groups=groups, **common)
    found["ece"] = bootstrap(metrics.ece, first / _TOP, gold / _TOP, groups=groups, **common)
    for name, interval in found.items():
        print(f"{name:<12} {interval.value:.6f} [{interval.low:.6f}, {interval.high:.6f}]  {interval.draws} resamples")


def measure(rows: int, draws: int) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak resident GiB of a process that evaluates."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.evaluate", "--child", str(rows), str(draws)])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the evaluation of {rows:,} rows ended with exit code {process.returncode}")
    busy = usage.ru_utime + usage.ru_stime
    print(f"{rows:,} rows, {draws:,} resamples: {seconds:.1f} s, {busy:.1f} s of processor time")
    return seconds, busy, usage.ru_maxrss / 2**20


def against_gather(rows: int, draws: int) -> tuple[float, float]:
    """How many times as long gathering takes, and the largest difference of any end of an interval."""
    scores, _, gold, groups = make_rows(rows)
    failure = gold < _FAILS_BELOW
    started = time.monotonic()
    found = summarise(scores, gold, failure, groups, draws=draws, seed=_SEED)
    weighted = time.monotonic() - started
    started = time.monotonic()
    values = [gathered(scores, gold, failure)]
    values += [gathered(scores[r], gold[r], failure[r]) for r in resamples(groups, draws, _SEED)]
    seconds = time.monotonic() - started
    print(f"{rows:,} rows, {draws} resamples: {weighted:.2f} s, gathering rows {seconds:.2f} s")
    ends = np.quantile(np.array(values[1:]), [0.025, 0.975], axis=0)
    wanted = np.array([values[0], *ends])
    intervals = np.array([[one.value, one.low, one.high] for one in found.values()]).T
    return seconds / weighted, float(np.abs(wanted - intervals).max())


def gathered(x: np.ndarray, y: np.ndarray, f: np.ndarray) -> list[float]:
    agreement = [metrics.pearson(x, y), metrics.spearman(x, y), metrics.kendall(x, y)]
    return [*agreement, metrics.auroc(x, ~f), metrics.aurc(x, f), metrics.prr(x, f)]


if __name__ == "__main__":
    main()
