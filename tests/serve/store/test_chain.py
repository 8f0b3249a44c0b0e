"""The chain: every change is named, retention keeps it whole, and neither workers nor kills break it."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sql

from selfj.serve.chain import START
from selfj.serve.feedback import Feedback
from selfj.serve.store import Store
from selfj.serve.tables import chain, decisions

from .conftest import decision


@pytest.fixture
def filled(store):
    store.append([decision(n, body=f"body {n}") for n in range(12)])
    return store


def change(store, statement):
    with store.engine.begin() as connection:
        connection.execute(statement)


def test_the_chain_can_be_checked_without_selfj(filled):
    filled.append([decision(50, body="seven", judge_digest="f" * 64)])
    previous = START
    for stored in filled.after():
        with filled.engine.connect() as connection:
            row = dict(
                connection.execute(sql.select(decisions).where(decisions.c.position == stored.position))
                .mappings()
                .one()
            )
        assert row["body_digest"] == hashlib.sha256(f"{row['body_salt']}\n{row['body']}".encode()).hexdigest()
        plain = {name: row[name] for name in row if name not in ("body", "body_salt", "hash")}
        if plain["judge_digest"] is None:
            del plain["judge_digest"]
        text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        assert row["hash"] == previous
    assert filled.verify().head == previous


at_five = decisions.c.position == 5


@pytest.mark.parametrize(
    ("statement", "broken", "words"),
    [
        (decisions.update().where(at_five).values(score=8.9), 5, "row 5 .* was changed"),
        (decisions.update().where(at_five).values(score=None), 5, "row 5 .* was changed"),
        (decisions.update().where(at_five).values(action="pass"), 5, "row 5 .* was changed"),
        (decisions.update().where(at_five).values(body="other"), 5, "body of row 5"),
        (decisions.update().where(at_five).values(hash="0" * 64), 5, "row 5 .* was changed"),
        (decisions.delete().where(at_five), 5, "row 5 is missing"),
        (decisions.delete().where(decisions.c.position > 10), 11, "row 11 is missing"),
        (decisions.delete().where(decisions.c.position < 3), 1, "row 1 is missing"),
        (decisions.delete(), 1, "row 1 is missing"),
        (chain.update().where(chain.c.name == "head").values(position=9), 10, "row 10 is not known"),
    ],
)
def test_the_first_broken_row_is_named(filled, statement, broken, words):
    assert filled.verify().whole
    change(filled, statement)
    found = filled.verify()
    assert not found.whole
    assert found.broken == broken
    assert re.search(words, found.reason)


def test_two_rows_that_changed_places_are_noticed(filled):
    for a, b in ((3, 100), (4, 3), (100, 4)):
        change(filled, decisions.update().where(decisions.c.position == a).values(position=b))
    assert filled.verify().broken == 3


def test_retention_keeps_the_chain_whole(filled):
    start = decision(0).at
    for n in (1, 8):
        filled.add_feedback(Feedback(f"d{n:06d}", good=True))
    head = filled.verify().head
    assert filled.prune(start + 3, bodies_only=True).bodies == 3
    assert filled.verify().rows == 12
    gone = filled.prune(start + 5)
    assert (gone.rows, gone.bodies) == (5, 0)
    found = filled.verify()
    assert (found.whole, found.rows, found.anchor, found.head) == (True, 7, 5, head)
    assert list(filled.feedback_of(["d000001", "d000008"])) == ["d000008"]
    filled.append([decision(20)])
    assert filled.verify().rows == 8
    assert filled.prune(start + 100).rows == 8
    assert filled.prune(start + 100).rows == 0
    assert filled.verify().whole
    filled.append([decision(21)])
    assert [stored.position for stored in filled.after()] == [14]
    assert filled.verify().whole
    # What retention did not do is still noticed.
    filled.append([decision(n) for n in range(22, 25)])
    change(filled, decisions.delete().where(decisions.c.position == 14))
    assert filled.verify().broken == 14


def test_an_old_row_behind_a_younger_one_loses_its_body_only(store):
    start = decision(0).at
    store.append([decision(9, body="new"), decision(1, body="old")])
    gone = store.prune(start + 5)
    assert (gone.rows, gone.bodies) == (0, 1)
    assert [stored.row.body for stored in store.after()] == ["new", None]
    assert store.verify().whole


def test_what_retention_removes_is_no_longer_in_the_file(local, tmp_path):
    local.append([decision(n, body=f"my secret {n} " * 50) for n in range(50)])
    local.add_feedback(Feedback("d000001", good=True, comment="another secret"))
    files = lambda: b"".join(path.read_bytes() for path in tmp_path.glob("audit.sqlite*"))  # noqa: E731
    assert b"my secret 7 " in files()
    local.prune(decision(20).at, bodies_only=True)
    assert b"my secret 7 " not in files()
    assert b"my secret 30 " in files()
    local.prune(decision(60).at)
    assert b"secret" not in files()
    assert local.verify().whole


WORKER = """
import asyncio, sys
sys.path.insert(0, sys.argv[4])
from selfj.serve.recorder import StoreRecorder
from selfj.serve.store import Store
from serve.store.conftest import decision

async def main(url, first, count):
    recorder = StoreRecorder(Store(url), group=7)
    async def one(n):
        await recorder.record(decision(n))
        print(n, flush=True)
    for start in range(first, first + count, 40):
        await asyncio.gather(*(one(n) for n in range(start, min(start + 40, first + count))))
    await recorder.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""
TESTS = str(Path(__file__).parents[2])


def start_worker(url, first, count):
    words = [sys.executable, "-c", WORKER, url, str(first), str(count), TESTS]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_several_processes_share_one_chain(url):
    # They also make the tables together: nobody made the store before.
    workers = [start_worker(url, first, 120) for first in (0, 1000, 2000)]
    for worker in workers:
        worker.communicate(timeout=120)
        assert worker.returncode == 0
    store = Store(url)
    found = store.verify()
    assert (found.whole, found.rows) == (True, 360)
    assert len({stored.row.id for stored in store.after()}) == 360
    store.close()


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(url):
    store = Store(url)
    acknowledged = set()
    for turn in range(3):
        worker = start_worker(url, turn * 1000, 100_000)
        for line in worker.stdout:
            acknowledged.add(f"d{int(line):06d}")
            if len(acknowledged) >= (turn + 1) * 150:
                break
        os.kill(worker.pid, signal.SIGKILL)
        acknowledged |= {f"d{int(line):06d}" for line in worker.stdout if line.endswith("\n")}
        worker.wait()
        worker.stdout.close()
    deadline = time.monotonic() + 30
    while not (found := store.verify()).whole and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found.whole, found.reason
    there = [stored.row.id for stored in store.after()]
    assert len(there) == len(set(there))
    assert acknowledged <= set(there)
    assert store.append([decision(999_999)]) == [None]
    assert store.verify().whole
    store.close()
