"""Verdicts in their table: added to a chain of hashes of their own, read, verified, and emptied by retention.

A verdict's hash commits to its number in the chain, its decision, and a salted digest of what was said. Retention
empties the verdicts of decisions that left: what was said and the salt go, the hash stays, so that the rest verifies.
A verdict that is empty although its decision is there was tampered with.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sql

from selfj.errors import ConfigError
from selfj.serve.chain import clean_text
from selfj.serve.feedback import Feedback
from selfj.serve.tables import FEEDBACK_ANCHOR, FEEDBACK_HEAD, decisions, end_of, feedback, move_end

_CHUNK = 2000
_MOST_ASKED = 500
_SAID = ("decision_id", "good", "quality", "who", "at", "comment")
_COLUMNS = tuple(feedback.c[name] for name in ("id", *_SAID))
_FULL = feedback.c.salt.is_not(None)
_EMPTY: dict[str, Any] = {"good": None, "quality": None, "who": "", "comment": "", "at": 0.0, "salt": None}


@dataclass(frozen=True, slots=True)
class VerdictCheck:
    """Whether the chain of verdicts is whole."""

    rows: int
    """Verdicts that were found good, those that retention emptied among them."""
    head: str
    """Hash of the last one, to be kept elsewhere."""
    reason: str | None = None
    """What is wrong with the first bad one."""


def add(connection: sql.Connection, verdict: Feedback) -> Feedback:
    """Put a verdict at the end of its chain; call it under the lock of the decisions' head.

    Raises:
        ConfigError: There is no such decision.
    """
    known = connection.scalar(sql.select(decisions.c.id).where(decisions.c.id == verdict.decision_id))
    if known is None:
        raise ConfigError(f"There is no decision {verdict.decision_id!r} in the store; see the id of the decision.")
    said = {name: getattr(verdict, name) for name in _SAID}
    said |= {name: clean_text(said[name]) for name in ("who", "comment")}
    position, previous = end_of(connection, FEEDBACK_HEAD)
    linked = _linked(said, position + 1, previous)
    made = connection.execute(feedback.insert().values(**said, **linked))
    move_end(connection, FEEDBACK_HEAD, position + 1, linked["hash"])
    return replace(verdict, id=int(made.inserted_primary_key[0]))  # type: ignore[index]


def adopt(connection: sql.Connection) -> None:
    """Chain verdicts of a store that did not chain them yet, as they are now."""
    position, previous = end_of(connection, FEEDBACK_HEAD)
    asked = sql.select(*_COLUMNS).where(feedback.c.hash.is_(None)).order_by(feedback.c.id)
    found: list[dict[str, Any]] = []
    for row in connection.execute(asked).mappings():
        linked = _linked({name: row[name] for name in _SAID}, position + 1, previous)
        found.append({"number": row["id"], **linked})
        position, previous = position + 1, linked["hash"]
    if found:
        connection.execute(feedback.update().where(feedback.c.id == sql.bindparam("number")), found)
    move_end(connection, FEEDBACK_HEAD, position, previous)


def after(connection: sql.Connection, number: int, limit: int) -> list[Feedback]:
    """Verdicts with a higher number, in order, at most `limit`."""
    asked = sql.select(*_COLUMNS).where(feedback.c.id > number, _FULL).order_by(feedback.c.id).limit(limit)
    return [Feedback(**row) for row in connection.execute(asked).mappings()]


def last(connection: sql.Connection, limit: int) -> list[Feedback]:
    """The last verdicts, in order."""
    asked = sql.select(*_COLUMNS).where(_FULL).order_by(feedback.c.id.desc()).limit(limit)
    return [Feedback(**row) for row in connection.execute(asked).mappings()][::-1]


def of(connection: sql.Connection, ids: Sequence[str]) -> dict[str, list[Feedback]]:
    """Verdicts on some decisions, in order."""
    found: dict[str, list[Feedback]] = {}
    for start in range(0, len(ids), _MOST_ASKED):
        wanted = feedback.c.decision_id.in_(ids[start : start + _MOST_ASKED])
        asked = sql.select(*_COLUMNS).where(wanted, _FULL).order_by(feedback.c.id)
        for row in connection.execute(asked).mappings():
            found.setdefault(row["decision_id"], []).append(Feedback(**row))
    return found


def empty(connection: sql.Connection, gone: sql.ColumnElement[bool]) -> None:
    """Empty the verdicts of decisions that leave; those at the front of the chain leave with them.

    Args:
        connection: In a transaction under the lock of the decisions' head, before the decisions are deleted.
        gone: Which decisions leave.
    """
    ids = sql.select(decisions.c.id).where(gone)
    connection.execute(feedback.update().where(feedback.c.decision_id.in_(ids)).values(**_EMPTY))
    first = connection.scalar(sql.select(sql.func.min(feedback.c.position)).where(_FULL))
    end = end_of(connection, FEEDBACK_HEAD)[0] if first is None else first - 1
    kept = connection.scalar(sql.select(feedback.c.hash).where(feedback.c.position == end))
    if kept is not None:
        connection.execute(feedback.delete().where(feedback.c.position <= end))
        move_end(connection, FEEDBACK_ANCHOR, end, kept)


def verify(connection: sql.Connection) -> VerdictCheck:
    """Walk the whole chain of verdicts; names the first that does not fit."""
    anchor, previous = end_of(connection, FEEDBACK_ANCHOR)
    final, head = end_of(connection, FEEDBACK_HEAD)
    position = anchor
    for row, known in _walk(connection):
        wrong = _fault(row, position + 1, previous, known)
        if wrong is not None:
            return VerdictCheck(position - anchor, head, wrong)
        position, previous = row["position"], row["hash"]
    if connection.scalar(sql.select(feedback.c.id).where(feedback.c.position.is_(None)).limit(1)) is not None:
        return VerdictCheck(
            position - anchor, head, "a verdict is not in the chain; an earlier selfj may have added it"
        )
    if (position, previous) != (final, head):
        missing = "is missing" if position < final else "is not known to the chain's head"
        return VerdictCheck(position - anchor, head, f"verdict {min(position, final) + 1} {missing}")
    return VerdictCheck(position - anchor, head)


def _walk(connection: sql.Connection) -> Iterator[tuple[Any, bool]]:
    """Verdicts in the order of their chain, each with whether its decision is there."""
    seen = 0
    joined = feedback.outerjoin(decisions, decisions.c.id == feedback.c.decision_id)
    there = decisions.c.position.is_not(None).label("there")
    while True:
        asked = sql.select(feedback, there).select_from(joined).where(feedback.c.position > seen)
        found = connection.execute(asked.order_by(feedback.c.position).limit(_CHUNK)).mappings().all()
        yield from ((row, bool(row["there"])) for row in found)
        if len(found) < _CHUNK:
            return
        seen = found[-1]["position"]


def _fault(row: Any, position: int, previous: str, known: bool) -> str | None:
    if row["position"] != position:
        return f"verdict {position} is missing"
    if _hash(row["decision_id"], row["digest"], position, previous) != row["hash"]:
        return f"verdict {position} (on decision {row['decision_id']}) was changed, or one before it"
    if row["salt"] is None:
        return f"verdict {position} was emptied, though its decision {row['decision_id']} is there" if known else None
    if _digest({name: row[name] for name in _SAID}, row["salt"]) != row["digest"]:
        return f"what verdict {position} (on decision {row['decision_id']}) says was changed"
    return None


def _linked(said: dict[str, Any], position: int, previous: str) -> dict[str, Any]:
    salt = os.urandom(16).hex()
    digest = _digest(said, salt)
    made = _hash(said["decision_id"], digest, position, previous)
    return {"position": position, "salt": salt, "digest": digest, "hash": made}


def _digest(said: dict[str, Any], salt: str) -> str:
    numbers = {name: None if said[name] is None else float(said[name]) + 0.0 for name in ("quality", "at")}
    good = None if said["good"] is None else bool(said["good"])
    text = _canonical({**said, **numbers, "good": good})
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()


def _hash(decision: str, digest: str, position: int, previous: str) -> str:
    text = _canonical({"decision_id": decision, "digest": digest, "position": position})
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def _canonical(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
