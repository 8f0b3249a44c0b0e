"""Stores on both databases, and decisions to put into them."""

import os
import uuid

import pytest
import sqlalchemy as sql

from selfj.serve.records import DecisionRow
from selfj.serve.store import Store

from . import postgres


def decision(number, **changes):
    """A decision, its score spread over [0, 9] and answered from 5."""
    score = (number * 37 % 100) / 100 * 9
    values = {
        "id": f"d{number:06d}",
        "at": 1_700_000_000.0 + number,
        "request_id": f"r{number:06d}",
        "route": "/v1/chat/completions",
        "model": "small",
        "action": "answer" if score >= 5 else "decline",
        "step": "answer" if score >= 5 else "decline",
        "observed": False,
        "score": score,
        "threshold": 5.0,
        "label_mass": 0.97,
        "reason": "the expected quality is as it is",
        "judge": "j" * 32,
        "attempts": 1,
        "total_ms": 12.5,
        "upstream_ms": 10.0,
        "judge_ms": 2.5,
        "language": "en",
        "instruction_digest": f"i{number:06d}",
        "body": None,
    }
    return DecisionRow(**{**values, **changes})


@pytest.fixture(scope="session")
def own_postgres():
    """A PostgreSQL server that was started from Debian's binaries, in a folder of its own, and can be stopped."""
    pytest.importorskip("psycopg", reason="PostgreSQL needs its driver: pip install 'selfj[postgres]'")
    found = postgres.binaries()
    if found is None:
        pytest.skip("PostgreSQL needs Debian's package postgresql to start a server from: make test-postgres")
    server = postgres.Server(found)
    try:
        try:
            server.make()
        except (OSError, postgres.ServerFault) as error:
            pytest.skip(f"PostgreSQL did not start here: {error}")
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres_server(request):
    """Address of a PostgreSQL server: the one given, or one of the tests' own."""
    return os.environ.get("SELFJ_POSTGRES_URL") or request.getfixturevalue("own_postgres").url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    """Address of an empty store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'audit.sqlite'}"
        return
    server = sql.make_url(request.getfixturevalue("postgres_server")).set(drivername="postgresql+psycopg")
    name = f"selfj_{uuid.uuid4().hex[:12]}"
    engine = sql.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sql.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(url):
    """An empty store on either database."""
    made = Store(url)
    yield made
    made.close()


@pytest.fixture
def filled(store):
    """A store with twelve decisions."""
    store.append([decision(n, body=f"body {n}") for n in range(12)])
    return store


@pytest.fixture
def local(tmp_path):
    """An empty store on SQLite."""
    made = Store(str(tmp_path / "audit.sqlite"))
    yield made
    made.close()
