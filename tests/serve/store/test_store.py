"""The store: what goes in comes out, what fails says so, and what was acknowledged survives."""

import asyncio
import dataclasses
import math
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sql

from selfj.errors import ArtefactError, ConfigError, StoreUnavailable
from selfj.serve import migrations, tables
from selfj.serve.feedback import Feedback, label, parse_feedback
from selfj.serve.recorder import StoreRecorder
from selfj.serve.store import Store

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


def test_the_label_is_the_mean_of_everybodys_last_word():
    words = [
        Feedback("d", good=False, who="Ann"),
        Feedback("d", quality=6.0, who="Bob"),
        Feedback("d", good=True, who="Ann"),
    ]
    assert label(words) == 7.5
    assert label([Feedback("d", good=True), Feedback("d", good=False), Feedback("d", good=False)]) == 3.0
    assert math.isnan(label([]))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"good": True}, "needs decision_id"),
        ({"decision_id": "d"}, "needs good"),
        ({"decision_id": "d", "good": 1}, "true or false"),
        ({"decision_id": "d", "quality": True}, "from 0 to 9"),
        ({"decision_id": "d", "quality": 9.1}, "from 0 to 9"),
        ({"decision_id": "d", "quality": float("nan")}, "from 0 to 9"),
        ({"decision_id": 3, "good": True}, "must be text"),
        ({"decision_id": "d", "good": True, "comment": "x" * 5000}, "at most 4000"),
        ({"decision_id": "d", "good": True, "stars": 5}, "found also stars"),
    ],
)
def test_bad_feedback_says_what_is_wrong(value, words):
    with pytest.raises(ConfigError, match=words):
        parse_feedback(value, 0.0)


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


def test_a_full_disk_is_said_and_leaves_no_half_row(local):
    local.append([decision(n) for n in range(10)])

    @sql.event.listens_for(local.engine, "begin")
    def _small(connection):
        connection.exec_driver_sql("PRAGMA max_page_count = 40")

    with pytest.raises(StoreUnavailable, match=r"full\. Free some space"):
        local.append([decision(n, body="x" * 500) for n in range(10, 1010)])
    assert [stored.row.id for stored in local.after()] == [f"d{n:06d}" for n in range(10)]
    assert local.verify().whole
    assert local.append([decision(11)]) == [None]
    assert local.verify().rows == 11


def test_a_locked_store_is_said_and_goes_on_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "WAIT_S", 0.1)
    store = Store(str(tmp_path / "audit.sqlite"))
    other = sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def both():
        recorder = StoreRecorder(store)
        with pytest.raises(StoreUnavailable, match="locked"):
            await recorder.record(decision(1))
        other.execute("ROLLBACK")
        await recorder.record(decision(1))
        await recorder.close()
        return recorder.refused, recorder.written

    assert asyncio.run(both()) == (1, 1)
    other.close()
    assert store.verify().rows == 1
    store.close()


def test_a_store_that_falls_behind_refuses_rather_than_grows(local):
    async def flood():
        recorder = StoreRecorder(local, waiting=3)
        ends = await asyncio.gather(*(recorder.record(decision(n)) for n in range(50)), return_exceptions=True)
        await recorder.close()
        return ends

    with tables.writing(local.engine):
        pass
    ends = asyncio.run(flood())
    behind = [end for end in ends if isinstance(end, StoreUnavailable)]
    assert behind
    assert "rows behind" in str(behind[0])
    assert local.verify().rows == 50 - len(behind)


def test_a_server_that_is_down(monkeypatch):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnavailable) as caught:
        Store("postgresql://ann:secret@127.0.0.1:9/nothing")
    assert "See that the server runs" in str(caught.value)
    assert "secret" not in str(caught.value)


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


@pytest.mark.parametrize(
    ("url", "words"), [("mysql://x/y", "SQLite or PostgreSQL"), ("sqlite://", "in memory"), ("://", "got neither")]
)
def test_an_address_that_is_none(url, words):
    with pytest.raises(ConfigError, match=words):
        Store(url)


def test_a_file_that_is_no_store(tmp_path):
    Path("notes.txt").write_text("Not a database at all, but long enough to be looked at as one. " * 20)
    with pytest.raises(StoreUnavailable, match="not a database"):
        Store("notes.txt")


def test_the_file_is_for_its_owner_alone(local, tmp_path):
    assert stat.S_IMODE((tmp_path / "audit.sqlite").stat().st_mode) == 0o600


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
