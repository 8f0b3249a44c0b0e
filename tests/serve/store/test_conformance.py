"""What every store does, on both databases: rows, feedback, retention, export, migration, kills, lost servers."""

import asyncio
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sql

from selfj.errors import ArtefactError, ConfigError, StoreUnavailable
from selfj.serve import migrations, tables
from selfj.serve.export import export
from selfj.serve.feedback import Feedback
from selfj.serve.recorder import StoreRecorder
from selfj.serve.store import Store
from selfj.serve.tables import decisions

from . import oldest
from .conftest import decision


def test_rows_come_back_as_they_went_in(store):
    rows = [
        decision(1, score=0.1 + 0.2, at=1.7e9 + 1 / 3, body="Wer? \U0001f600 'x'; --"),
        decision(2, score=None, threshold=None, label_mass=None, language=None, action="error", step="failure"),
        decision(3, score=-0.0, observed=True, attempts=3),
    ]
    assert store.append(rows) == [None] * 3
    assert [stored.row for stored in store.after()] == [rows[0], rows[1], dataclasses.replace(rows[2], score=0.0)]
    assert [stored.position for stored in store.after()] == [1, 2, 3]
    assert [stored.row.id for stored in store.latest(2)] == ["d000003", "d000002"]
    assert store.get("d000001").row == store.get("r000001").row == rows[0]
    assert store.get("nothing") is None
    assert set(store.some(["d000002", "x"])) == {"d000002"}
    assert store.verify().whole


def test_what_no_database_keeps_is_made_clean(store):
    odd = decision(1, reason="a\0b\ud800c", score=math.nan, label_mass=math.inf)
    assert store.append([odd, decision(2, total_ms=math.nan), decision(3, id="")])[0] is None
    found = store.get("d000001").row
    assert (found.reason, found.score, found.label_mass) == ("a\ufffdb?c", None, None)
    refused = store.append([decision(2, total_ms=math.nan), decision(3, id=""), decision(4)])
    assert [type(outcome) for outcome in refused] == [ConfigError, ConfigError, type(None)]
    assert store.verify().rows == 2


def test_the_same_row_again_is_not_doubled_and_another_under_its_name_is_refused(store):
    store.append([decision(1), decision(2)])
    outcomes = store.append([decision(2), decision(1, reason="other"), decision(3), decision(3)])
    assert [outcome is None for outcome in outcomes] == [True, False, True, True]
    assert "d000001 is in the store already" in str(outcomes[1])
    assert [stored.row.id for stored in store.after()] == ["d000001", "d000002", "d000003"]
    assert store.verify().whole


def test_questions_by_time_threshold_and_count(store):
    store.append([decision(n, threshold=5.0 if n % 2 else 6.0) for n in range(10)])
    start = decision(0).at
    ids = [stored.position for stored in store.after(2, since=start + 4, until=start + 8)]
    assert ids == [5, 6, 7, 8]
    assert [stored.row.threshold for stored in store.after(threshold=6.0)] == [6.0] * 5
    assert [stored.position for stored in store.after(3, limit=2)] == [4, 5]
    assert store.scores(start + 8) == [decision(9).score, decision(8).score]
    tally = store.tally(start + 2)
    assert sum(tally.actions.values()) == tally.scored == 8
    assert tally.total_ms == 12.5
    assert store.tally(start + 100).total_ms is None


def test_feedback_is_attached_and_read(store):
    store.append([decision(1), decision(2)])
    first = store.add_feedback(Feedback("d000001", good=True, who="Ann", at=5.0))
    second = store.add_feedback(Feedback("d000001", quality=2.5, comment="no\0", at=6.0))
    assert second.id > first.id > 0
    assert store.feedback_of(["d000001", "d000002"]) == {
        "d000001": [first, dataclasses.replace(second, comment="no\ufffd")]
    }
    assert [verdict.id for verdict in store.feedback_after(first.id)] == [second.id]
    with pytest.raises(ConfigError, match="no decision 'x'"):
        store.add_feedback(Feedback("x", good=True))


def test_many_at_once_share_commits(store):
    async def many():
        recorder = StoreRecorder(store, group=100)
        await asyncio.gather(*(recorder.record(decision(n, body="secret")) for n in range(500)))
        written = recorder.written
        assert (recorder.written, recorder.refused) == (500, 0)
        await recorder.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await recorder.record(decision(501))
        return written

    assert asyncio.run(many()) == 500
    assert store.verify().rows == 500
    # Nobody asked for bodies, so not even a digest is there.
    assert all(stored.row.body is None and stored.body_digest is None for stored in store.after())


def test_bodies_are_kept_where_asked(store):
    async def one():
        recorder = StoreRecorder(store, keep_bodies=True)
        await recorder.record(decision(1, body="said"))
        await recorder.close()

    asyncio.run(one())
    assert store.get("d000001").row.body == "said"


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
    with filled.engine.begin() as connection:
        connection.execute(decisions.delete().where(decisions.c.position == 14))
    assert filled.verify().broken == 14


def test_an_old_row_behind_a_younger_one_loses_its_body_only(store):
    start = decision(0).at
    store.append([decision(9, body="new"), decision(1, body="old")])
    gone = store.prune(start + 5)
    assert (gone.rows, gone.bodies) == (0, 1)
    assert [stored.row.body for stored in store.after()] == ["new", None]
    assert store.verify().whole


def test_an_export_holds_everything(store):
    store.append([decision(n, body="said" if n == 1 else None) for n in range(5)])
    store.add_feedback(Feedback("d000001", quality=2.0, who="Ann", comment="short", at=7.0))
    assert export(store, "all.jsonl", with_feedback=True) == 5
    rows = [json.loads(line) for line in Path("all.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == [f"d{n:06d}" for n in range(5)]
    assert rows[1]["body"] == "said"
    assert rows[1]["feedback"][0]["quality"] == 2.0
    assert rows[-1]["hash"] == store.verify().head
    assert export(store, "some.parquet", since=decision(1).at, until=decision(4).at, with_feedback=True) == 3
    table = pq.read_table("some.parquet").to_pylist()
    assert table == rows[1:4]
    assert export(store, "plain.parquet") == 5
    assert "feedback" not in pq.read_schema("plain.parquet").names


def test_a_store_is_brought_to_this_version_and_a_later_one_refused(url, monkeypatch):
    store = Store(url)
    store.append([decision(1)])
    store.close()

    def second(connection):
        connection.exec_driver_sql("ALTER TABLE decisions ADD COLUMN colour TEXT")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", [*migrations.MIGRATIONS, second])
        for _ in range(2):
            later = Store(url)
            assert later.verify().rows == 1
            later.close()
    with pytest.raises(ArtefactError, match="is of version 3, this selfj knows 2"):
        Store(url)


def test_a_migration_that_fails_leaves_the_store_as_it_was(url, monkeypatch):
    Store(url).close()

    def half(connection):
        connection.exec_driver_sql("ALTER TABLE decisions ADD COLUMN colour TEXT")
        connection.exec_driver_sql("SELECT nothing FROM nowhere")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", [*migrations.MIGRATIONS, half])
        with pytest.raises(StoreUnavailable):
            Store(url)
    store = Store(url)
    with store.engine.connect() as connection:
        assert "colour" not in {column["name"] for column in sql.inspect(connection).get_columns("decisions")}
    store.close()


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


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_server_that_was_started_anew_is_found_again(store):
    store.append([decision(1)])
    other = sql.create_engine(store.engine.url)
    with other.connect() as connection:
        mine = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")
    other.dispose()
    assert store.append([decision(2)]) == [None]
    assert store.verify().rows == 2


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_connection_that_breaks_before_the_commit_leaves_nothing(store):
    store.append([decision(1)])
    broken = [True]

    @sql.event.listens_for(store.engine, "commit")
    def _broken(connection):
        if broken:
            broken.pop()
            connection.connection.dbapi_connection.pgconn.finish()

    with pytest.raises(StoreUnavailable):
        store.append([decision(2), decision(3)])
    assert store.append([decision(2)]) == [None]
    assert [stored.row.id for stored in store.after()] == ["d000001", "d000002"]
    assert store.verify().whole


def test_a_store_of_the_first_version_is_read_and_goes_on(url):
    engine = tables.open_engine(url)
    with tables.writing(engine) as connection:
        for statement in oldest.statements(engine.dialect.name):
            connection.exec_driver_sql(statement)
    engine.dispose()
    with Store(url) as store:
        first, second = store.after()
        assert (first.row.body, first.row.score, first.row.at) == ("Wie viel ist 2 + 2? Größe 4", 7.25, 1700000000.25)
        assert (second.row.score, second.row.observed, second.row.attempts, second.hash) == (None, True, 3, oldest.HEAD)
        assert [verdict.who for verdict in store.feedback_of(["d1"])["d1"]] == ["Ann"]
        assert (store.verify().rows, store.verify().head, store.verify().whole) == (2, oldest.HEAD, True)
        assert store.append([decision(1)]) == [None]
        assert store.add_feedback(Feedback("d000001", good=False)).id == 2
        assert store.verify().rows == 3
        columns = {column["name"] for column in sql.inspect(store.engine).get_columns("decisions")}
        assert columns == set(decisions.c.keys())


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_writer_outlives_its_server(own_postgres, store, how):
    """The server goes away while rows are written, and comes back; what was acknowledged is there, once."""
    kept, refused, number, ends = [], [], iter(range(10**6)), threading.Event()

    async def write():
        recorder = StoreRecorder(store, group=5)

        async def one():
            while not ends.is_set():
                row = decision(next(number))
                try:
                    await recorder.record(row)
                    kept.append(row.id)
                except StoreUnavailable as error:
                    refused.append(str(error))
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(one() for _ in range(10)))
        await recorder.close()

    def wait_for(what, more):
        end, before = time.monotonic() + 60, len(what)
        while len(what) < before + more:
            assert time.monotonic() < end, (len(kept), refused[-1:])
            time.sleep(0.01)

    writer = threading.Thread(target=lambda: asyncio.run(write()))
    writer.start()
    try:
        wait_for(kept, 50)
        own_postgres.stop(how)
        wait_for(refused, 10)
        own_postgres.start()
        wait_for(kept, 50)
    finally:
        ends.set()
        writer.join()
    assert "See that the server runs" in refused[-1]
    there = [stored.row.id for stored in store.after()]
    assert len(there) == len(set(there))
    assert set(kept) <= set(there)
    assert store.verify().whole
