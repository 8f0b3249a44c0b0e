"""Good replies of a server, kept by content in one SQLite file; a failure never gets here."""

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfj.errors import ArtefactError
from selfj.files import explained

_BUSY_S = 60.0
"""Longest wait for another process that writes."""


class ReplyCache:
    """A table from key to reply, for many threads and processes at once; what was put survives a kill."""

    def __init__(self, folder: str | Path):
        """Open the cache in a folder, which is made if need be.

        Raises:
            ArtefactError: The folder cannot be written, or the file in it is no cache.
        """
        self._path = Path(folder) / "replies.sqlite"
        with explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        with self._explained():
            self._database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._database.close)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply kept under a key."""
        with self._explained(), self._lock:
            row = self._database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        reply: dict[str, Any] = json.loads(row[0])
        return reply

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Keep a reply; the first one under a key stays."""
        text = json.dumps(reply, separators=(",", ":"))
        with self._explained(), self._lock:
            self._database.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, text))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ArtefactError(
                f"Cannot use the cache {self._path}: {error}. Free some space, or delete the file, or set another "
                "folder as target.cache."
            ) from error
