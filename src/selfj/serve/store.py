"""The audit store: decisions as a chain, feedback, and what the page and the commands ask of them.

See `docs/design/audit-store.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, Self

import sqlalchemy as sql

from selfj.errors import ArtefactError, ConfigError, SelfjError
from selfj.serve import migrations, verdict_chain
from selfj.serve.chain import Stored, clean, clean_text, fault, link
from selfj.serve.feedback import Feedback
from selfj.serve.records import DecisionRow
from selfj.serve.store_answers import Pruned, Tally, Verification
from selfj.serve.tables import (
    ANCHOR,
    HEAD,
    chain,
    decisions,
    end_of,
    migrate,
    move_end,
    open_engine,
    reading,
    settle,
    shown,
    writing,
)

_CHUNK = 2000
"""Rows read at once."""
_MOST_ASKED = 500
_FIELDS = tuple(field.name for field in fields(DecisionRow))

_BODY = ("body", "body_salt")
_BARE = (
    *(column for column in decisions.c if column.name not in _BODY),
    *(sql.null().label(name) for name in _BODY),
)


class Store:
    """Decisions and feedback in SQLite or PostgreSQL; threads may share one, each process opens its own."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        """Open a store, which is made or brought to this version if need be.

        Args:
            url: Path of a SQLite file, `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE`.
            create: Make a SQLite file that is absent.

        Raises:
            ConfigError: The address is none of these.
            StoreUnavailable: It cannot be reached or written.
            ArtefactError: It is of a later version, or absent.
        """
        self.engine = open_engine(url, create=create)
        self.name = shown(self.engine.url)
        """The address without a password."""
        try:
            migrate(self.engine, migrations.MIGRATIONS)
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        """Give the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self.close()

    def append(self, rows: Sequence[DecisionRow]) -> list[SelfjError | None]:
        """Commit rows together at the end of the chain.

        A row that is there already, with equal content, is left as it is.

        Returns:
            For each row None, or why it was not taken.

        Raises:
            StoreUnavailable: None was taken.
        """
        outcomes: list[SelfjError | None] = []
        good: list[DecisionRow] = []
        for row in rows:
            try:
                good.append(clean(row))
                outcomes.append(None)
            except ConfigError as error:
                outcomes.append(error)
        with writing(self.engine) as connection:
            position, previous = _locked(connection, HEAD)
            there = _bare_rows(connection, [row.id for row in good])
            new: list[dict[str, Any]] = []
            places = [place for place, outcome in enumerate(outcomes) if outcome is None]
            for place, row in zip(places, good, strict=True):
                bare = replace(row, body=None)
                if row.id in there:
                    if there[row.id] != bare:
                        outcomes[place] = ArtefactError(
                            f"Decision {row.id} is in the store already, with other content."
                        )
                    continue
                there[row.id] = bare
                stored = link(row, position + 1, previous)
                position, previous = stored.position, stored.hash
                new.append(_values(stored))
            if new:
                connection.execute(decisions.insert(), new)
                move_end(connection, HEAD, position, previous)
        return outcomes

    def verify(self) -> Verification:
        """Walk both chains, of decisions and of verdicts; names the first row that does not fit."""
        with reading(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sql.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            verdicts = verdict_chain.verify(connection)
            anchor, previous = end_of(connection, ANCHOR)
            last, head = end_of(connection, HEAD)
            position = anchor
            for stored in _walk(connection, sql.true(), after=0):
                wrong = fault(stored, position + 1, previous)
                if wrong is not None:
                    return Verification(position - anchor, anchor, head, verdicts, position + 1, wrong)
                position, previous = stored.position, stored.hash
            if (position, previous) != (last, head):
                place = min(position, last) + 1
                reason = (
                    f"row {place} is missing" if position < last else f"row {place} is not known to the chain's head"
                )
                return Verification(position - anchor, anchor, head, verdicts, place, reason)
            return Verification(position - anchor, anchor, head, verdicts)

    def add_feedback(self, verdict: Feedback) -> Feedback:
        """Attach a verdict to a decision; gives it with its number.

        Raises:
            ConfigError: There is no such decision.
            StoreUnavailable: It was not taken.
        """
        with writing(self.engine) as connection:
            # Under the lock numbers rise in the order of commits, so that a reader who goes on after one misses none.
            _locked(connection, HEAD)
            return verdict_chain.add(connection, verdict)

    def feedback_after(self, number: int = 0) -> Iterator[Feedback]:
        """Verdicts with a higher number, in order."""
        while True:
            with reading(self.engine) as connection:
                found = verdict_chain.after(connection, number, _CHUNK)
            yield from found
            if len(found) < _CHUNK:
                return
            number = found[-1].id

    def last_feedback(self, limit: int) -> list[Feedback]:
        """The last verdicts, in order."""
        with reading(self.engine) as connection:
            return verdict_chain.last(connection, limit)

    def feedback_of(self, ids: Sequence[str]) -> dict[str, list[Feedback]]:
        """Verdicts on some decisions, in order."""
        with reading(self.engine) as connection:
            return verdict_chain.of(connection, ids)

    def get(self, key: str) -> Stored | None:
        """A decision by its identifier, or else the last one of a request."""
        key = clean_text(key)
        with reading(self.engine) as connection:
            found = connection.execute(sql.select(decisions).where(decisions.c.id == key)).mappings().first()
            if found is None:
                asked = sql.select(decisions).where(decisions.c.request_id == key)
                found = connection.execute(asked.order_by(decisions.c.position.desc()).limit(1)).mappings().first()
        return None if found is None else _stored(found)

    def hash_before(self, position: int) -> str | None:
        """Hash that a row's own hash builds on; None where the row before is missing."""
        with reading(self.engine) as connection:
            anchor, kept = end_of(connection, ANCHOR)
            if position == anchor + 1:
                return kept
            return connection.scalar(sql.select(decisions.c.hash).where(decisions.c.position == position - 1))

    def some(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Decisions by their identifiers; those that are not there are left out."""
        found: dict[str, Stored] = {}
        with reading(self.engine) as connection:
            for start in range(0, len(ids), _MOST_ASKED):
                asked = sql.select(decisions).where(decisions.c.id.in_(ids[start : start + _MOST_ASKED]))
                found.update((row["id"], _stored(row)) for row in connection.execute(asked).mappings())
        return found

    def latest(self, limit: int) -> list[Stored]:
        """The last decisions without their bodies, newest first."""
        asked = sql.select(*_BARE).order_by(decisions.c.position.desc()).limit(limit)
        with reading(self.engine) as connection:
            return [_stored(row) for row in connection.execute(asked).mappings()]

    def after(
        self,
        position: int = 0,
        *,
        since: float | None = None,
        until: float | None = None,
        threshold: float | None = None,
        limit: int | None = None,
        bodies: bool = True,
    ) -> Iterator[Stored]:
        """Decisions behind a position, in order.

        Args:
            position: The last one already seen.
            since: Leave out earlier ones, in seconds since 1970.
            until: Leave out those at or after it.
            threshold: Only those decided with it.
            limit: At most so many.
            bodies: Read bodies too; otherwise they are None.
        """
        where: list[sql.ColumnElement[bool]] = []
        where += [decisions.c.at >= since] if since is not None else []
        where += [decisions.c.at < until] if until is not None else []
        where += [decisions.c.threshold == threshold] if threshold is not None else []
        left = limit
        while left is None or left > 0:
            size = _CHUNK if left is None else min(_CHUNK, left)
            with reading(self.engine) as connection:
                asked = sql.select(*(decisions.c if bodies else _BARE)).where(decisions.c.position > position, *where)
                found = connection.execute(asked.order_by(decisions.c.position).limit(size)).mappings().all()
            for row in found:
                yield _stored(row)
            if len(found) < size:
                return
            position = found[-1]["position"]
            left = None if left is None else left - len(found)

    def scores(self, since: float, limit: int = 20_000) -> list[float]:
        """The last scores since a time, newest first, at most `limit`."""
        asked = sql.select(decisions.c.score).where(decisions.c.at >= since, decisions.c.score.is_not(None))
        with reading(self.engine) as connection:
            return list(connection.scalars(asked.order_by(decisions.c.position.desc()).limit(limit)))

    def tally(self, since: float = 0.0) -> Tally:
        """Count decisions since a time, in seconds since 1970."""
        counted = sql.func.count()
        asked = sql.select(
            decisions.c.action,
            counted,
            sql.func.sum(sql.case((decisions.c.observed, 1), else_=0)),
            sql.func.count(decisions.c.score),
            sql.func.sum(decisions.c.total_ms),
            sql.func.sum(decisions.c.judge_ms),
        )
        with reading(self.engine) as connection:
            rows = connection.execute(asked.where(decisions.c.at >= since).group_by(decisions.c.action)).all()
        total = sum(row[1] for row in rows)
        sums = [sum(row[place] for row in rows) for place in (2, 3, 4, 5)]
        means = (sums[2] / total, sums[3] / total) if total else (None, None)
        return Tally({row[0]: int(row[1]) for row in rows}, int(sums[0]), int(sums[1]), *means)

    def prune(self, before: float, *, bodies_only: bool = False) -> Pruned:
        """Remove what is older than a time, in seconds since 1970; the chain of the rest still verifies.

        Rows leave from the front of the chain, with their feedback. An old row behind a younger one stays, without
        its body.

        Args:
            before: What was decided before it goes.
            bodies_only: Remove bodies and keep the rows.
        """
        old = decisions.c.at < before
        with writing(self.engine) as connection:
            last, _ = _locked(connection, HEAD)
            _, anchor = end_of(connection, ANCHOR)
            rows = 0
            if not bodies_only:
                first = connection.scalar(sql.select(sql.func.min(decisions.c.position)).where(~old))
                end = last if first is None else first - 1
                kept = connection.scalar(sql.select(decisions.c.hash).where(decisions.c.position == end))
                if kept is not None:
                    anchor, gone = kept, decisions.c.position <= end
                    verdict_chain.empty(connection, gone)
                    rows = connection.execute(decisions.delete().where(gone)).rowcount
                    move_end(connection, ANCHOR, end, kept)
            emptied = decisions.update().where(old, decisions.c.body.is_not(None)).values(body=None, body_salt=None)
            gone_bodies = connection.execute(emptied).rowcount
        settle(self.engine)
        return Pruned(rows, gone_bodies, anchor)


def _locked(connection: sql.Connection, name: str) -> tuple[int, str]:
    """Position and hash of an end of the chain, which nobody else can move until this transaction ends."""
    row = connection.execute(sql.select(chain).where(chain.c.name == name).with_for_update()).first()
    if row is None:
        raise ArtefactError("The store has no head of its chain; it is damaged. Put it aside and start another.")
    return int(row.position), str(row.hash)


def _walk(connection: sql.Connection, where: sql.ColumnElement[bool], after: int) -> Iterator[Stored]:
    while True:
        asked = sql.select(decisions).where(where, decisions.c.position > after)
        found = connection.execute(asked.order_by(decisions.c.position).limit(_CHUNK)).mappings().all()
        yield from map(_stored, found)
        if len(found) < _CHUNK:
            return
        after = found[-1]["position"]


def _bare_rows(connection: sql.Connection, ids: Sequence[str]) -> dict[str, DecisionRow]:
    """Rows that are there already, without their bodies."""
    there: dict[str, DecisionRow] = {}
    for start in range(0, len(ids), _MOST_ASKED):
        asked = sql.select(decisions).where(decisions.c.id.in_(ids[start : start + _MOST_ASKED]))
        there.update((row["id"], replace(_stored(row).row, body=None)) for row in connection.execute(asked).mappings())
    return there


def _values(stored: Stored) -> dict[str, Any]:
    ends = {name: getattr(stored, name) for name in ("position", "hash", "body_digest", "body_salt")}
    return {**{name: getattr(stored.row, name) for name in _FIELDS}, **ends}


def _stored(row: Any) -> Stored:
    values = {name: row[name] for name in _FIELDS}
    return Stored(row["position"], row["hash"], row["body_digest"], row["body_salt"], DecisionRow(**values))
