"""Scores kept by content in one SQLite file, so that a killed comparison goes on where it stopped."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from selfj.errors import ArtefactError
from selfj.files import explained

_BUSY_S = 60.0
_MOST_ASKED = 500
"""Keys in one question to the database."""


class ScoreCache:
    """A table from key to score; what was put survives a kill. A missing score is never kept."""

    def __init__(self, path: str | Path) -> None:
        """Open the file, which is made if need be.

        Raises:
            ArtefactError: It cannot be written, or is no such cache.
        """
        self._path = Path(path)
        with explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, score REAL NOT NULL)")

    def get(self, keys: Sequence[str]) -> dict[str, float]:
        """The scores there are of some keys."""
        found: dict[str, float] = {}
        wanted = list(dict.fromkeys(keys))
        with self._explained():
            for start in range(0, len(wanted), _MOST_ASKED):
                some = wanted[start : start + _MOST_ASKED]
                marks = ",".join("?" * len(some))
                found.update(self._database.execute(f"SELECT key, score FROM scores WHERE key IN ({marks})", some))
        return found

    def put(self, scores: Mapping[str, float]) -> None:
        """Keep scores, all or none; the first under a key stays."""
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?)", scores.items())
            self._database.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ArtefactError(
                f"Cannot use the scores kept in {self._path}: {error}. Free some space, or delete the file; its scores "
                "are then made again."
            ) from error
