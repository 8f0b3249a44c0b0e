"""The store: what goes in comes out, what fails says so, and what was acknowledged survives."""

import asyncio
import math
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sql

from selfj.errors import ConfigError, StoreUnavailable
from selfj.serve import tables
from selfj.serve.feedback import Feedback, label, parse_feedback
from selfj.serve.recorder import StoreRecorder
from selfj.serve.store import Store

from .conftest import decision


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
