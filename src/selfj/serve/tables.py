"""The tables of the store, and the engine that reaches them."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from selfj.errors import ArtefactError, ConfigError, MissingDependency, StoreUnavailable
from selfj.files import explained
from selfj.serve.chain import START

WAIT_S = 5.0
"""How long a lock or a server is waited for."""
_WRITES = "selfj_writes"

metadata = sql.MetaData()
decisions = sql.Table(
    "decisions",
    metadata,
    sql.Column("position", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("id", sql.Text, nullable=False, unique=True),
    sql.Column("at", sql.Double, nullable=False, index=True),
    sql.Column("request_id", sql.Text, nullable=False, index=True),
    sql.Column("route", sql.Text, nullable=False),
    sql.Column("model", sql.Text, nullable=False),
    sql.Column("action", sql.Text, nullable=False),
    sql.Column("step", sql.Text, nullable=False),
    sql.Column("observed", sql.Boolean, nullable=False),
    sql.Column("score", sql.Double),
    sql.Column("threshold", sql.Double),
    sql.Column("label_mass", sql.Double),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("judge", sql.Text, nullable=False),
    sql.Column("attempts", sql.BigInteger, nullable=False),
    sql.Column("total_ms", sql.Double, nullable=False),
    sql.Column("upstream_ms", sql.Double, nullable=False),
    sql.Column("judge_ms", sql.Double, nullable=False),
    sql.Column("language", sql.Text),
    sql.Column("instruction_digest", sql.Text, nullable=False),
    sql.Column("body", sql.Text),
    sql.Column("body_digest", sql.Text),
    sql.Column("body_salt", sql.Text),
    sql.Column("hash", sql.Text, nullable=False),
    sql.Column("judge_digest", sql.Text),
)
feedback = sql.Table(
    "feedback",
    metadata,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("decision_id", sql.Text, nullable=False, index=True),
    sql.Column("good", sql.Boolean),
    sql.Column("quality", sql.Double),
    sql.Column("who", sql.Text, nullable=False),
    sql.Column("at", sql.Double, nullable=False),
    sql.Column("comment", sql.Text, nullable=False),
    sql.Column("position", sql.BigInteger, index=True),
    sql.Column("salt", sql.Text),
    sql.Column("digest", sql.Text),
    sql.Column("hash", sql.Text),
    # A number is never given twice, even after rows have left: readers go on after the last number they saw.
    sqlite_autoincrement=True,
)
chain = sql.Table(
    "chain",
    metadata,
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("position", sql.BigInteger, nullable=False),
    sql.Column("hash", sql.Text, nullable=False),
)
meta = sql.Table("meta", metadata, sql.Column("key", sql.Text, primary_key=True), sql.Column("value", sql.Text))
HEAD, ANCHOR = "head", "anchor"
FEEDBACK_HEAD, FEEDBACK_ANCHOR = "feedback_head", "feedback_anchor"


def end_of(connection: sql.Connection, name: str) -> tuple[int, str]:
    """Position and hash of an end of a chain."""
    row = connection.execute(sql.select(chain).where(chain.c.name == name)).first()
    return (0, START) if row is None else (int(row.position), str(row.hash))


def move_end(connection: sql.Connection, name: str, position: int, value: str) -> None:
    """Put an end of a chain elsewhere."""
    connection.execute(chain.update().where(chain.c.name == name).values(position=position, hash=value))


def migrate(engine: sql.Engine, steps: Sequence[Callable[[sql.Connection], None]]) -> None:
    """Bring the store to the version of this selfj; several processes may do so at once.

    Args:
        engine: Of the store.
        steps: The n-th brings a store from version n-1 to n.

    Raises:
        ArtefactError: The store is of a later version.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sql.text("SELECT pg_advisory_xact_lock(7351)"))
        metadata.create_all(connection, tables=[meta])
        found = connection.scalar(sql.select(meta.c.value).where(meta.c.key == "version"))
        version = int(found or 0)
        if version > len(steps):
            raise ArtefactError(
                f"The store {shown(engine.url)} is of version {version}, this selfj knows {len(steps)}. "
                "Use a later selfj, or another store."
            )
        for step in steps[version:]:
            step(connection)
        if version < len(steps):
            connection.execute(meta.delete().where(meta.c.key == "version"))
            connection.execute(meta.insert().values(key="version", value=str(len(steps))))


def open_engine(url: str, *, create: bool = True) -> sql.Engine:
    """Make the engine of a store.

    Args:
        url: Path of a SQLite file, `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE`.
        create: Make a SQLite file that is absent.

    Raises:
        ConfigError: It is neither.
        ArtefactError: The file is absent, or cannot be made.
        MissingDependency: The driver of PostgreSQL is absent.
    """
    try:
        parsed = sql.make_url(url if "://" in url else f"sqlite:///{url}")
    except (ArgumentError, ValueError):
        raise ConfigError(
            "A store is a file, sqlite:///PATH or postgresql://USER@HOST/DATABASE; got neither."
        ) from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return _open_postgres(parsed.set(drivername="postgresql+psycopg"))
    if parsed.drivername != "sqlite":
        raise ConfigError(f"A store is SQLite or PostgreSQL, got {parsed.drivername}.")
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("A store in memory would be lost; give a file, as in sqlite:///audit.sqlite.")
    if not create and not Path(parsed.database).exists():
        raise ArtefactError(f"There is no store {parsed.database}. Give the one that selfj serve writes.")
    return _open_sqlite(parsed, Path(parsed.database))


def _open_postgres(url: sql.URL) -> sql.Engine:
    options = {"connect_timeout": int(WAIT_S), "options": f"-c lock_timeout={int(WAIT_S * 1000)}"}
    try:
        return sql.create_engine(url, connect_args=options, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise MissingDependency("A store on PostgreSQL needs its driver: pip install 'selfj[postgres]'.") from error


def _open_sqlite(url: sql.URL, path: Path) -> sql.Engine:
    with explained(path, "open"):
        path.parent.mkdir(parents=True, exist_ok=True)
        # It may hold what people asked: nobody else on the machine reads it.
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
    engine = sql.create_engine(url, connect_args={"timeout": WAIT_S})
    opened = _identity(path)

    @sql.event.listens_for(engine, "do_connect")
    def _connecting(*_: Any) -> None:
        _check_there(path, opened)

    @sql.event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        _to_wal(connection)
        # With a write-ahead log, FULL flushes once for each commit: a power cut takes nothing that was acknowledged.
        connection.execute("PRAGMA synchronous = FULL")
        # What retention removes is overwritten, not only marked as free.
        connection.execute("PRAGMA secure_delete = ON")

    @sql.event.listens_for(engine, "begin")
    def _begun(connection: sql.Connection) -> None:
        # SQLite writes on into a file that was removed or replaced: what it acknowledged would be nowhere.
        _check_there(path, opened)
        kind = "IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_there(path: Path, opened: tuple[int, int] | None) -> None:
    if _identity(path) != opened:
        raise sqlite3.OperationalError("the file was removed or replaced while in use")


def _to_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite does not wait by itself when several processes do so at once."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def writing(engine: sql.Engine) -> Iterator[sql.Connection]:
    """One transaction that writes, all or nothing.

    Raises:
        StoreUnavailable: It could not be performed; nothing was written.
    """
    with (
        faults_explained(engine),
        engine.connect().execution_options(**{_WRITES: True}) as connection,
        connection.begin(),
    ):
        yield connection


@contextlib.contextmanager
def reading(engine: sql.Engine) -> Iterator[sql.Connection]:
    """One transaction that only reads.

    Raises:
        StoreUnavailable: It could not be performed.
    """
    with faults_explained(engine), engine.connect() as connection:
        yield connection


def settle(engine: sql.Engine) -> None:
    """Let what was removed leave the disk too, where the database does not see to that itself.

    Raises:
        StoreUnavailable: It could not be performed.
    """
    if engine.dialect.name == "sqlite":
        with faults_explained(engine), contextlib.closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextlib.contextmanager
def faults_explained(engine: sql.Engine) -> Iterator[None]:
    """Turn a fault of the database into StoreUnavailable, with what to do and without a row's content."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        found = error if isinstance(error, sqlite3.Error) else getattr(error, "orig", None)
        cause = (str(found or "").strip() or type(error).__name__).splitlines()[0]
        raise StoreUnavailable(f"Cannot use the store {shown(engine.url)}: {cause}. {_remedy(cause)}") from error


def _remedy(cause: str) -> str:
    text = cause.lower()
    if "removed or replaced" in text:
        return "Put it back, or start again on the new one."
    if "full" in text or "no space" in text:
        return "Free some space, or prune it with selfj export --prune-before."
    if "lock" in text:
        return f"Another process has held it for {WAIT_S:.0f} seconds; end that one, or try again."
    if "readonly" in text or "read-only" in text or "unable to open" in text or "permission" in text:
        return "See that this user may write the file and its folder."
    if "malformed" in text or "not a database" in text:
        return "The file is damaged or no store; put it aside and start another."
    return "See that the server runs and can be reached, and try again."


def shown(url: sql.URL) -> str:
    """The address of a store without its password."""
    return url.render_as_string(hide_password=True)
