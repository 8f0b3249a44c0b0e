"""A SQLite store whose file goes away while it is in use, and what of many digests is held in memory."""

import random

import pytest

from selfj.errors import StoreUnavailable
from selfj.serve.distinct import Distinct
from selfj.serve.store import Store

from .conftest import decision


def test_a_store_that_was_removed_is_said_and_goes_on_once_it_is_back(tmp_path):
    path = tmp_path / "audit.sqlite"
    with Store(str(path)) as store:
        assert store.append([decision(0)]) == [None]
        path.rename(tmp_path / "aside")
        for number in range(3):
            with pytest.raises(StoreUnavailable, match="removed or replaced"):
                store.append([decision(1 + number)])
        assert not path.exists()
        path.touch()
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            store.verify()
        (tmp_path / "aside").rename(path)
        assert store.append([decision(9)]) == [None]
        assert store.verify().rows == 2


def test_distinct_is_a_set(monkeypatch):
    monkeypatch.setattr("selfj.serve.distinct._FRESH", 64)
    rng, known, found = random.Random(0), set(), Distinct()
    for _ in range(3000):
        text = str(rng.randrange(1000))
        assert (text in found) == (text in known)
        assert found.add(text) == (text not in known)
        known.add(text)
    assert len(found) == len(known)
    assert found._packed.nbytes < 8 * 1000
