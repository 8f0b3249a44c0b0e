"""`python -m benchmarks.audit_store [--quick] [--store URL]`: rows kept per second, and how soon the alarm speaks.

Rows that many callers wait for are committed together; the peer in the same run is the same row in a plain SQLite
table, one commit each, as durable. The alarm is simulated: how often it is ever false at exactly the promised risk,
and how many verdicts it takes once the risk has doubled. `--store` names an empty store on PostgreSQL instead.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from dataclasses import astuple
from pathlib import Path

import numpy as np

from benchmarks.result import Figure, print_results
from selfj.serve.drift import ALPHA, RiskBet, first_alarm
from selfj.serve.recorder import StoreRecorder
from selfj.serve.records import DecisionRow
from selfj.serve.store import Store

ROWS, QUICK_ROWS = 40_000, 8_000
RUNS, QUICK_RUNS = 2_000, 300
CALLERS = 256
OUTCOMES = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and simulations")
    parser.add_argument("--store", help="address of an empty store")
    options = parser.parse_args()
    rows, runs = (QUICK_ROWS, QUICK_RUNS) if options.quick else (ROWS, RUNS)
    with tempfile.TemporaryDirectory(prefix="selfj-store-") as folder:
        figures = kept(options.store or str(Path(folder, "audit.sqlite")), Path(folder), rows)
    print_results("audit_store", [*figures, *alarms(runs)])


def kept(url: str, folder: Path, rows: int) -> list[Figure]:
    with Store(url) as store:
        seconds, waits = asyncio.run(record(store, [row(n) for n in range(rows)]))
        started = time.perf_counter()
        found = store.verify()
        verified = time.perf_counter() - started
    assert found.whole
    assert found.rows == rows
    alone = one_commit_each(folder / "plain.sqlite", [row(n) for n in range(rows // 20)])
    return [
        Figure("rows_per_second", rows / seconds, "1/s"),
        Figure("ratio_to_one_commit_each", rows / seconds / alone, "x", ">= 3"),
        Figure("wait_p50", float(np.median(waits)) * 1000, "ms"),
        Figure("wait_p99", float(np.quantile(waits, 0.99)) * 1000, "ms"),
        Figure("verified_per_second", rows / verified, "1/s"),
    ]


def row(number: int) -> DecisionRow:
    return DecisionRow(
        f"{number:032x}", 1.7e9 + number, f"req_{number}", "chat/completions", "model", "answer", "answer", False, 7.25,
        5.0, 0.98, "reached", "judge", 1, 210.0, 200.0, 9.0, "en", f"{number:032x}", None,
    )  # fmt: skip


async def record(store: Store, rows: list[DecisionRow]) -> tuple[float, list[float]]:
    recorder, waits, left = StoreRecorder(store), [], iter(rows)

    async def caller() -> None:
        for one in left:
            began = time.perf_counter()
            await recorder.record(one)
            waits.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    seconds = time.perf_counter() - started
    await recorder.close()
    return seconds, waits


def one_commit_each(path: Path, rows: list[DecisionRow]) -> float:
    """Rows per second of a plain table with a write-ahead log, flushed for each row."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    marks = ",".join("?" * len(astuple(rows[0])))
    database.execute(f"CREATE TABLE rows ({','.join(f'c{n}' for n in range(len(astuple(rows[0]))))})")
    started = time.perf_counter()
    for one in rows:
        database.execute(f"INSERT INTO rows VALUES ({marks})", astuple(one))
    seconds = time.perf_counter() - started
    database.close()
    return len(rows) / seconds


def alarms(runs: int) -> list[Figure]:
    false = [simulated(0.1, seed) for seed in range(runs)]
    doubled = [simulated(0.2, seed) for seed in range(runs // 4)]
    found = [at for at in doubled if at is not None]
    return [
        Figure("false_alarms_ever", sum(at is not None for at in false) / runs, "", f"<= {ALPHA}"),
        Figure("found_when_doubled", len(found) / len(doubled), "", ">= 0.99"),
        Figure("verdicts_when_doubled", float(np.median(found)), ""),
    ]


def simulated(risk: float, seed: int) -> int | None:
    bet, rng = RiskBet(0.1), np.random.default_rng(seed)
    return first_alarm((bet.add(bool(bad)) for bad in rng.random(OUTCOMES) < risk), ALPHA)


if __name__ == "__main__":
    main()
