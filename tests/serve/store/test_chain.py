"""The chain: every change is named, retention keeps it whole, and neither workers nor kills break it."""

import hashlib
import json
import re

import pytest
import sqlalchemy as sql

from selfj.serve.chain import START
from selfj.serve.feedback import Feedback
from selfj.serve.tables import chain, decisions

from .conftest import decision


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
