"""`python -m benchmarks.gateway.faults`: every fault really caused, and what a caller and the store see of it.

Upstream, gateway and client are processes on this machine. While a fault lasts some questions are asked; then it ends,
and good questions are asked until one is answered. `unjudged_through` counts answers of the upstream that reached a
caller without a decision in the store that lets them through (with early streams: without a verdict, decline or error
at their end).
"""

import json
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.gateway import causes
from benchmarks.gateway.__main__ import run
from benchmarks.gateway.subject import Process
from benchmarks.gateway.wire import Came, chat, send
from benchmarks.result import Figure, print_results
from selfj.errors import StoreUnavailable
from selfj.serve.store import Store

RECOVERED_S = 20.0
TOUGH = {"connect_timeout_s": 1.0, "timeout_s": 1.5, "backoff_s": 0.05, "breaker_pause_s": 1.0}
QUEUE = {"queue": 4, "batch": 1, "timeout_s": 1.0}


@dataclass
class Row:
    """One fault, and what came of it."""

    fault: str
    mode: str
    """`plain`, `stream` (held back until the verdict) or `early`."""
    want: set[str]
    """What may come: a status, and a code of an error or decision."""
    came: Counter[str] = field(default_factory=Counter)
    saw: str = ""
    recorded: Counter[str] = field(default_factory=Counter)
    latency_s: float = 0.0
    recovered_s: float | None = None
    unjudged: int = 0

    @property
    def meant(self) -> bool:
        return bool(self.came) and set(self.came) <= self.want

    def told(self) -> dict:
        return asdict(self) | {"want": sorted(self.want), "came": dict(self.came), "recorded": dict(self.recorded)}


class Trial:
    """One gateway under faults, one after another."""

    def __init__(self, gateway: Process):
        self.gateway, self.rows, self._number = gateway, [], 0

    def row(self, fault: str, want: set[str], *, mode: str = "plain", word: str = "", asks: int = 2, at_once: int = 1):
        """Ask while a fault lasts; `recover` then says when it had passed."""
        row = Row(fault, mode, want)
        found: list[tuple[str, Came]] = []
        left = list(range(asks))

        def work() -> None:
            while left:
                left.pop()
                self._number += 1
                name = f"{id(self)}-{self._number}"
                data = chat(f"Number {self._number} fault:{word or 'none'}", name, stream=mode != "plain")
                found.append((name, send(self.gateway.port, data)))

        threads = [threading.Thread(target=work) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        row.came = Counter(outcome(came) for _, came in found)
        row.saw = saw(found[0][1])
        row.latency_s = round(max(came.seconds for _, came in found), 3)
        self.rows.append((row, found))
        return row

    def recover(self, row: Row) -> None:
        """Ask good questions until one is answered."""
        began = time.monotonic()
        while time.monotonic() - began < RECOVERED_S:
            self._number += 1
            came = send(self.gateway.port, chat("a good question", f"{id(self)}-good-{self._number}"))
            if came.status == 200 and b"x-selfj-decision: answer" in came.head:
                row.recovered_s = round(time.monotonic() - began, 3)
                return
            time.sleep(0.05)

    def settle(self) -> tuple[list[Row], bool]:
        """Look up in the store what was recorded; gives the rows, and whether the chain is whole."""
        with Store(self.gateway.store) as store:
            for row, found in self.rows:
                for name, came in found:
                    kept = store.get(name)
                    row.recorded[f"{kept.row.action} {kept.row.reason}" if kept else "nothing"] += 1
                    row.unjudged += through(row.mode, came, kept.row.action if kept else None)
            return [row for row, _ in self.rows], store.verify().whole


def outcome(came: Came) -> str:
    """Status, and the word of the error or of the reason."""
    decision = header(came, "decision")
    if came.status == 200 and decision == "pending":
        return f"200 early {came.code or 'cut'}"
    return f"{came.status} {header(came, 'reason') or came.code}".strip()


def header(came: Came, name: str) -> str:
    for line in came.head.decode("latin-1").split("\r\n"):
        key, _, value = line.partition(": ")
        if key.lower() == f"x-selfj-{name}":
            return value
    return ""


def saw(came: Came) -> str:
    """What the caller reads, in a few words."""
    if not came.data:
        return "the connection ended"
    if header(came, "decision") == "pending":
        end = "an error" if b'"error"' in came.data else "the verdict"
        return f"text as it came, then {end}" if came.text else end
    if came.status == 200:
        return "the answer" if came.marks else "the operator's text"
    with suppress(ValueError, KeyError):
        return json.loads(came.data.partition(b"\r\n\r\n")[2])["error"]["message"]
    return "an error without words"


def through(mode: str, came: Came, action: str | None) -> int:
    """Answers that came through unjudged."""
    if mode == "early":
        ended = b'"error"' in came.data or b'"decision"' in came.data or b"[DONE]" not in came.data
        return int(bool(came.marks) and not (ended and (action or b"record_failed" in came.data)))
    return len(came.marks) if action != "answer" else 0


@contextmanager
def gateway(url: str, store: str, **settings) -> Iterator[Trial]:
    with tempfile.TemporaryDirectory(prefix="selfj-faults-") as folder:
        values = {"upstream": {"base_url": url, **TOUGH}, "judge": QUEUE, **settings}
        place = store or str(Path(folder) / "audit.sqlite")
        process = Process(Path(folder), values, place, mood=True).start()
        try:
            yield Trial(process)
        finally:
            process.stop()


def main() -> None:
    rows: list[Row] = []
    whole: list[bool] = []
    absent: list[str] = []
    with tempfile.TemporaryDirectory(prefix="selfj-faults-") as name:
        folder = Path(name)
        with run("faulty", str(folder / "upstream.log")) as port:
            url = f"http://127.0.0.1:{port}/v1"
            parts: list[tuple[Callable, dict]] = [
                (causes.upstream_held, {}),
                (causes.upstream_early, {"streaming": "early"}),
                (causes.judge_held, {}),
                (causes.judge_early, {"streaming": "early"}),
                (causes.sqlite, {}),
            ]
            for part, settings in parts:
                with gateway(url, "", **settings) as trial:
                    part(trial)
                    add(trial, rows, whole)
            for place in (causes.full_disk, causes.postgres):
                try:
                    with place(folder) as (store, play), gateway(url, store) as trial:
                        play(trial)
                        add(trial, rows, whole)
                except causes.Absent as error:
                    absent.append(str(error))
                    print(f"left out: {error}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with gateway(f"http://127.0.0.1:{port}/v1", "") as trial:
            causes.refused(trial, lambda: run("faulty", str(folder / "late.log"), "0", str(port)))
            add(trial, rows, whole)
    for row in rows:
        print(f"{'' if row.meant else 'NOT MEANT: '}{row.told()}")
    print_results("gateway_faults", figures(rows, whole, absent), rows=[row.told() for row in rows])


def add(trial: Trial, rows: list[Row], whole: list[bool]) -> None:
    try:
        found, good = trial.settle()
    except StoreUnavailable as error:
        print(error)
        found, good = [row for row, _ in trial.rows], False
    rows.extend(found)
    whole.append(good)


def figures(rows: list[Row], whole: list[bool], absent: list[str]) -> list[Figure]:
    return [
        Figure("faults", len(rows)),
        Figure("not_as_meant", sum(not row.meant for row in rows), "", "<= 0"),
        Figure("unjudged_through", sum(row.unjudged for row in rows), "", "<= 0"),
        Figure("not_recovered", sum(row.recovered_s is None for row in rows), "", "<= 0"),
        Figure("slowest_recovery_s", max((row.recovered_s or 0.0 for row in rows), default=0.0), "s"),
        Figure("slowest_reply_s", max((row.latency_s for row in rows), default=0.0), "s"),
        Figure("chains_broken", sum(not good for good in whole), "", "<= 0"),
        Figure("left_out", len(absent)),
    ]


if __name__ == "__main__":
    main()
