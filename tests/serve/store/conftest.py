"""Stores on both databases, and decisions to put into them."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sql

from selfj.serve.records import DecisionRow
from selfj.serve.store import Store


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


def _unprivileged():
    """User for PostgreSQL, which refuses to run as root; None where this one will do."""
    if os.geteuid():
        return None
    return "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"


@pytest.fixture(scope="session")
def postgres_server():
    """Address of a PostgreSQL server: the one given, or one started from Debian's binaries in a folder of its own."""
    given = os.environ.get("SELFJ_POSTGRES_URL")
    if given:
        yield given
        return
    pytest.importorskip("psycopg", reason="PostgreSQL needs its driver: pip install 'selfj[postgres]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        pytest.skip("PostgreSQL needs SELFJ_POSTGRES_URL, or Debian's package postgresql to start a server from")
    binaries, user = found[-1].parent, _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="selfj-pg-"))
    prefix = ["runuser", "-u", user, "--"] if user else []
    if user:
        shutil.chown(folder, user)

    def call(*words):
        done = subprocess.run([*prefix, *map(str, words)], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"PostgreSQL did not start here: {(done.stderr or done.stdout).strip()[-300:]}")

    data, log = folder / "data", folder / "log"
    call(binaries / "initdb", "-D", data, "-U", "selfj", "-A", "trust", "--encoding=UTF8", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    call(binaries / "pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")
    try:
        yield f"postgresql://selfj@/postgres?host={folder}"
    finally:
        subprocess.run([*prefix, str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"], cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    """Address of an empty store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'audit.sqlite'}"
        return
    server = sql.make_url(request.getfixturevalue("postgres_server")).set(drivername="postgresql+psycopg")
    name = f"selfj_{uuid.uuid4().hex[:12]}"
    engine = sql.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()


@pytest.fixture
def store(url):
    """An empty store on either database."""
    made = Store(url)
    yield made
    made.close()


@pytest.fixture
def local(tmp_path):
    """An empty store on SQLite."""
    made = Store(str(tmp_path / "audit.sqlite"))
    yield made
    made.close()
