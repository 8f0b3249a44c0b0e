"""The numbered steps that bring a store to the version of this selfj."""

from collections.abc import Callable

import sqlalchemy as sql

from selfj.serve.chain import START
from selfj.serve.tables import ANCHOR, FEEDBACK_ANCHOR, FEEDBACK_HEAD, HEAD, chain, decisions, feedback, metadata
from selfj.serve.verdict_chain import adopt


def _first(connection: sql.Connection) -> None:
    tables = [decisions, feedback, chain]
    metadata.create_all(connection, tables=tables)
    for name in (HEAD, ANCHOR):
        connection.execute(chain.insert().values(name=name, position=0, hash=START))


def _second(connection: sql.Connection) -> None:
    """Chain the verdicts, and record the judge's digest."""
    _add(connection, decisions, "judge_digest")
    _add(connection, feedback, "position", "salt", "digest", "hash")
    for index in feedback.indexes:
        index.create(connection, checkfirst=True)
    for name in (FEEDBACK_HEAD, FEEDBACK_ANCHOR):
        connection.execute(chain.insert().values(name=name, position=0, hash=START))
    adopt(connection)


def _add(connection: sql.Connection, table: sql.Table, *names: str) -> None:
    """Add columns that are not there; a store that was made just now has them."""
    there = {column["name"] for column in sql.inspect(connection).get_columns(table.name)}
    for name in names:
        if name not in there:
            kind = table.c[name].type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}")


MIGRATIONS: list[Callable[[sql.Connection], None]] = [_first, _second]
"""The n-th brings a store from version n-1 to n. One that was released is never changed."""
