"""Verdicts cannot be changed, left out or put in unnoticed; retention takes them away and the rest verifies."""

import hashlib
import json

import pytest
import sqlalchemy as sql

from selfj.serve import migrations
from selfj.serve.chain import START
from selfj.serve.feedback import Feedback
from selfj.serve.store import Store
from selfj.serve.tables import chain, decisions, feedback, meta
from selfj.serve.verdict_chain import add

from ...end_to_end.conftest import cli  # noqa: F401
from .conftest import decision


@pytest.fixture
def judged(store):
    """Ten decisions and twelve verdicts."""
    store.append([decision(n) for n in range(10)])
    for n in range(12):
        said = {"good": n % 2 == 0} if n % 3 else {"quality": n / 2}
        store.add_feedback(Feedback(f"d{n % 6:06d}", who=f"Ann {n}", comment="naïve \0 text", at=1000.5 + n, **said))
    return store


def change(store, *statements):
    with store.engine.connect().execution_options(selfj_writes=True) as connection, connection.begin():
        for statement in statements:
            connection.execute(statement)


def test_the_chain_of_verdicts_can_be_checked_without_selfj(judged):
    with judged.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(sql.select(feedback).order_by(feedback.c.position)).mappings()]
    dump = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    previous = START
    for place, row in enumerate(rows, 1):
        said = {name: row[name] for name in ("decision_id", "good", "quality", "who", "at", "comment")}
        digest = hashlib.sha256(f"{row['salt']}\n{json.dumps(said, **dump)}".encode()).hexdigest()
        link = json.dumps({"decision_id": row["decision_id"], "digest": digest, "position": place}, **dump)
        previous = hashlib.sha256(f"{previous}\n{link}".encode()).hexdigest()
        assert (row["position"], row["digest"], row["hash"]) == (place, digest, previous)
    found = judged.verify()
    assert (found.whole, found.verdicts.rows, found.verdicts.head) == (True, 12, previous)


at_five = feedback.c.position == 5
emptied = {"good": None, "quality": None, "who": "", "comment": "", "at": 0.0, "salt": None}


@pytest.mark.parametrize(
    ("statement", "rows", "words"),
    [
        (
            feedback.update().where(at_five).values(good=None, quality=9.0),
            4,
            "what verdict 5 (on decision d000004) says",
        ),
        (feedback.update().where(at_five).values(comment="better"), 4, "what verdict 5"),
        (
            feedback.update().where(at_five).values(decision_id="d000009"),
            4,
            "verdict 5 (on decision d000009) was changed",
        ),
        (feedback.update().where(at_five).values(digest="0" * 64), 4, "verdict 5 "),
        (feedback.update().where(at_five).values(hash="0" * 64), 4, "verdict 5 "),
        (feedback.update().where(at_five).values(**emptied), 4, "verdict 5 was emptied, though its decision d000004"),
        (feedback.delete().where(at_five), 4, "verdict 5 is missing"),
        (feedback.delete().where(feedback.c.position > 10), 10, "verdict 11 is missing"),
        (feedback.delete().where(feedback.c.position < 3), 0, "verdict 1 is missing"),
        (feedback.delete(), 0, "verdict 1 is missing"),
        (
            feedback.insert().values(decision_id="d000001", good=True, who="", at=1.0, comment=""),
            12,
            "not in the chain",
        ),
        (chain.update().where(chain.c.name == "feedback_head").values(position=9), 12, "verdict 10 is not known"),
    ],
)
def test_the_first_bad_verdict_is_named(judged, statement, rows, words):
    assert judged.verify().whole
    change(judged, statement)
    found = judged.verify()
    assert (found.whole, found.broken, found.verdicts.rows) == (False, None, rows)
    assert words in found.reason


def test_retention_takes_verdicts_and_the_rest_verifies(judged):
    head = judged.verify().verdicts.head
    assert judged.prune(decision(3).at).rows == 3
    # Verdicts on d0 to d2 are gone; the first three left the front of the chain, the later ones are empty links.
    found = judged.verify()
    assert (found.whole, found.verdicts.rows, found.verdicts.head) == (True, 9, head)
    assert [verdict.decision_id for verdict in judged.feedback_after()] == [f"d{n:06d}" for n in (3, 4, 5, 3, 4, 5)]
    assert judged.feedback_of(["d000000"]) == {}
    assert len(judged.last_feedback(4)) == 4
    with judged.engine.connect() as connection:
        left = connection.execute(sql.select(feedback).where(feedback.c.salt.is_(None))).mappings().all()
    assert [(row["position"], row["who"], row["comment"], row["good"]) for row in left] == [
        (place, "", "", None) for place in (7, 8, 9)
    ]
    # Whoever removes a decision to hide a verdict breaks the other chain.
    judged.add_feedback(Feedback("d000009", good=False, at=2000.0))
    assert judged.verify().verdicts.rows == 10
    assert judged.prune(decision(100).at).rows == 7
    found = judged.verify()
    assert (found.whole, found.rows, found.verdicts.rows) == (True, 0, 0)
    judged.append([decision(30)])
    judged.add_feedback(Feedback("d000030", good=True, at=3000.0))
    found = judged.verify()
    assert (found.whole, found.verdicts.rows) == (True, 1)


def test_several_processes_share_one_chain_of_verdicts(store, url):
    from concurrent.futures import ThreadPoolExecutor

    store.append([decision(n) for n in range(4)])
    others = [Store(url) for _ in range(3)]

    def say(n):
        others[n % 3].add_feedback(Feedback(f"d{n % 4:06d}", good=True, who=f"{n}", at=float(n)))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(say, range(60)))
    for other in others:
        other.close()
    found = store.verify()
    assert (found.whole, found.verdicts.rows) == (True, 60)
    assert sorted(int(verdict.who) for verdict in store.feedback_after()) == list(range(60))


def test_a_store_of_the_first_version_is_chained_as_it_is(url):
    store = Store(url)
    store.append([decision(n) for n in range(3)])
    head = store.verify().head
    for n in (0, 1, 0):
        store.add_feedback(Feedback(f"d{n:06d}", good=True, who=f"Bob {n}", comment="as it was", at=5.0 + n))
    said = list(store.feedback_after())
    # As the first version left it: no such columns, no such ends of a chain.
    with store.engine.connect().execution_options(selfj_writes=True) as connection, connection.begin():
        for index in feedback.indexes:
            if "position" in index.columns:
                index.drop(connection)
        for table, names in (("decisions", ["judge_digest"]), ("feedback", ["position", "salt", "digest", "hash"])):
            for name in names:
                connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {name}")
        connection.execute(chain.delete().where(chain.c.name.like("feedback%")))
        connection.execute(meta.update().where(meta.c.key == "version").values(value="1"))
    store.close()
    with Store(url) as again:
        found = again.verify()
        assert (found.whole, found.head, found.verdicts.rows) == (True, head, 3)
        assert list(again.feedback_after()) == said
        again.append([decision(7, judge_digest="ab" * 32)])
        again.add_feedback(Feedback("d000007", quality=3.0, at=9.0))
        assert again.verify().whole
        assert again.get("d000007").row.judge_digest == "ab" * 32
        change(again, decisions.update().where(decisions.c.id == "d000007").values(judge_digest=None))
        assert again.verify().broken == 4
    assert len(migrations.MIGRATIONS) == 2


def test_the_command_checks_both_chains(cli, local):  # noqa: F811
    local.append([decision(n) for n in range(3)])
    local.add_feedback(Feedback("d000001", good=True, at=1.0))
    head = local.verify().verdicts.head
    code, out, err = cli("export", "audit.sqlite", "--verify")
    assert (code, f"So is that of verdicts: 1. Head {head}" in out) == (0, True), err
    change(local, feedback.update().values(good=False))
    code, _, err = cli("export", "audit.sqlite", "--verify")
    assert (code, "what verdict 1 (on decision d000001) says was changed" in " ".join(err.split())) == (3, True)


def test_a_verdict_on_nothing_leaves_the_chain_alone(local):
    from selfj.errors import ConfigError

    with pytest.raises(ConfigError, match="no decision"), local.engine.begin() as connection:
        add(connection, Feedback("x", good=True))
    assert local.verify().verdicts.rows == 0
