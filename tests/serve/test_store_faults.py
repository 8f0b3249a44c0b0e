"""A gateway whose store is locked, gone or full: no reply goes out that is not kept, and it goes on afterwards."""

import sqlite3

import pytest
import sqlalchemy as sql

from selfj.serve import tables
from selfj.serve.recorder import StoreRecorder
from selfj.serve.store import Store

from .conftest import GOOD


@pytest.fixture
def kept(gateway, loop, tmp_path, monkeypatch):
    """A gateway over a real store; gives both."""
    monkeypatch.setattr(tables, "WAIT_S", 0.1)
    with Store(str(tmp_path / "audit.sqlite")) as store:
        served = gateway()
        recorder = StoreRecorder(store)
        served.app._answering._recorder = recorder
        yield served, store
        loop.run(recorder.close())


def refused(served, stream):
    reply = served.chat(stream=stream)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "record_failed")
    assert GOOD not in reply.text


def good(served, store, rows):
    assert served.chat().json()["selfj"]["decision"] == "answer"
    found = store.verify()
    assert (found.whole, found.rows) == (True, rows)


@pytest.mark.parametrize("stream", [False, True])
def test_locked(kept, tmp_path, stream):
    served, store = kept
    other = sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused(served, stream)
    other.execute("ROLLBACK")
    other.close()
    good(served, store, 1)


@pytest.mark.parametrize("stream", [False, True])
def test_removed(kept, tmp_path, stream):
    served, store = kept
    good(served, store, 1)
    (tmp_path / "audit.sqlite").rename(tmp_path / "aside")
    refused(served, stream)
    (tmp_path / "aside").rename(tmp_path / "audit.sqlite")
    good(served, store, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_full(kept, stream):
    served, store = kept
    full = [True]

    @sql.event.listens_for(store.engine, "before_cursor_execute")
    def _full(connection, cursor, statement, *rest):
        if full and statement.startswith("INSERT"):
            raise sqlite3.OperationalError("database or disk is full")

    refused(served, stream)
    full.clear()
    good(served, store, 1)
