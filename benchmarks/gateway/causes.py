"""The faults of `benchmarks.gateway.faults`: how each is caused, what is meant to come of it, and how it ends."""

import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

UPSTREAM = {
    "429": "429 upstream_rate_limit",
    "500": "502 upstream_error",
    "503": "503 upstream_error",
    "hang": "504 upstream_timeout",
    "cut": "502 upstream_cut",
    "garbage": "502 upstream_bad_reply",
    "shape": "502 upstream_bad_reply",
    "huge": "502 upstream_bad_reply",
    "drip": "504 upstream_timeout",
}
"""What the upstream does, and what comes of it before anything has gone out."""
EARLY = {"cut": "200 early upstream_cut", "shape": "200 early upstream_bad_reply", "drip": "200 early upstream_timeout"}
"""What comes of it where the stream had begun."""
TITLES = {
    "429": "upstream: 429",
    "500": "upstream: 500",
    "503": "upstream: 503",
    "hang": "upstream hangs",
    "cut": "upstream cuts the reply",
    "garbage": "upstream: no JSON, no events",
    "shape": "upstream: JSON of another shape",
    "type": "upstream: another content type",
    "huge": "upstream: 64 MiB",
    "drip": "upstream drips",
}
_FULL_MIB = 2


class Absent(Exception):
    """It cannot be caused here; the argument says why."""


def upstream_held(trial) -> None:
    """Faults of the upstream, with replies whole and streams held back."""
    for mode in ("plain", "stream"):
        for word, want in UPSTREAM.items():
            trial.recover(trial.row(TITLES[word], {want}, mode=mode, word=word))
        # It is judged as what it is.
        trial.recover(trial.row(TITLES["type"], {"200 reached", "200 below_threshold"}, mode=mode, word="type"))
    row = trial.row("upstream: 500, many", {"502 upstream_error", "503 upstream_unavailable"}, word="500", asks=20)
    trial.recover(row)


def upstream_early(trial) -> None:
    """The same with streams let through."""
    for word, want in UPSTREAM.items():
        trial.recover(trial.row(TITLES[word], {EARLY.get(word, want)}, mode="early", word=word))
    trial.recover(trial.row(TITLES["type"], {"502 upstream_bad_reply"}, mode="early", word="type"))


def refused(trial, served: Callable[[], AbstractContextManager]) -> None:
    """Nothing listens where the upstream should be, until it does."""
    rows = []
    for mode in ("plain", "stream"):
        want = {"502 upstream_unreachable", "503 upstream_unavailable"}
        rows.append(trial.row("upstream refuses connections", want, mode=mode))
    with served():
        for row in rows:
            trial.recover(row)


MOODS = {
    "raises": ("judge raises", "judge_failed"),
    "mass": ("judge: low label mass", "low_label_mass"),
    "hangs": ("judge hangs", "judge_timeout"),
}


def judge_held(trial) -> None:
    """Faults of the judge, with replies whole and streams held back."""
    for mode in ("plain", "stream"):
        for mood, (title, code) in MOODS.items():
            _moody(trial, mood, title, {f"200 {code}"}, mode=mode)
        want = {"200 judge_queue_full", "200 judge_timeout", "200 reached", "200 below_threshold"}
        _moody(trial, "slow", "judge slow, its queue full", want, mode=mode, asks=24, at_once=12)
    trial.gateway.behave("dies")
    row = trial.row("judge dies with the process", {"0"}, asks=1)
    trial.gateway.behave("")
    trial.gateway.process.wait(30)
    trial.gateway.start()
    trial.recover(row)


def judge_early(trial) -> None:
    """The same with streams let through."""
    for mood, (title, _) in MOODS.items():
        _moody(trial, mood, title, {"200 early declined"}, mode="early")
    want = {"200 early declined", "200 early answered"}
    _moody(trial, "slow", "judge slow, its queue full", want, mode="early", asks=24, at_once=12)


def _moody(trial, mood: str, title: str, want: set[str], **more) -> None:
    trial.gateway.behave(mood)
    row = trial.row(title, want, **more)
    trial.gateway.behave("")
    trial.recover(row)


REFUSED = {"503 record_failed"}


def sqlite(trial) -> None:
    """Another process holds the database; its file goes away; the file may not grow."""
    place = Path(trial.gateway.store)
    for mode in ("plain", "stream"):
        with closing(sqlite3.connect(place, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            row = trial.row("SQLite locked by another process", REFUSED, mode=mode, asks=3, at_once=3)
            other.execute("ROLLBACK")
        trial.recover(row)
    aside = place.with_suffix(".aside")
    place.rename(aside)
    row = trial.row("SQLite file removed", REFUSED)
    aside.rename(place)
    trial.recover(row)
    pid = trial.gateway.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    row = trial.row("SQLite file at its size limit", REFUSED)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    trial.recover(row)


@contextmanager
def full_disk(folder: Path) -> Iterator[tuple[str, object]]:
    """A small disk of its own, filled up."""
    disk = folder / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={_FULL_MIB}m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        raise Absent("a full disk: mounting a small one needs more rights")

    def play(trial) -> None:
        for mode in ("plain", "stream"):
            with (disk / "filler").open("wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass
            row = trial.row("disk full", REFUSED, mode=mode)
            (disk / "filler").unlink()
            trial.recover(row)

    try:
        yield str(disk / "audit.sqlite"), play
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, object]]:
    """A PostgreSQL server that is stopped and started."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        raise Absent("PostgreSQL: no server is installed")
    with tempfile.TemporaryDirectory(prefix="selfj-pg-") as name:
        place = Path(name)
        before = [] if os.geteuid() else ["runuser", "-u", "postgres", "--"]
        if before:
            shutil.chown(place, "postgres")
        data, control = place / "data", [*before, str(found[-1]), "-D", str(place / "data"), "-w"]
        options = f"-c listen_addresses='' -c unix_socket_directories='{place}'"
        start = [*control, "-l", str(place / "log"), "-o", options, "start"]
        _called([*before, str(found[-1].with_name("initdb")), "-D", str(data), "-U", "selfj", "-A", "trust"], place)
        _called(start, place)

        def play(trial) -> None:
            _called([*control, "-m", "immediate", "stop"], place)
            row = trial.row("PostgreSQL stopped", REFUSED)
            _called(start, place)
            trial.recover(row)
            _locked(trial, f"host={place} user=selfj dbname=postgres")

        try:
            yield f"postgresql://selfj@/postgres?host={place}", play
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], cwd=place, capture_output=True, check=False)


def _locked(trial, address: str) -> None:
    import psycopg

    with psycopg.connect(address) as other:
        other.execute("SELECT * FROM chain FOR UPDATE")
        row = trial.row("PostgreSQL locked by another client", REFUSED)
        other.rollback()
    trial.recover(row)


def _called(words: list[str], folder: Path) -> None:
    # The server would hold pipes open for as long as it runs.
    with (folder / "called.log").open("ab") as log:
        done = subprocess.run(words, cwd=folder, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise Absent(f"PostgreSQL: {Path(words[-1]).name} failed: {(folder / 'called.log').read_text()[-200:]}")
    time.sleep(0.1)
