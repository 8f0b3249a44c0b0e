"""Passages of evaluation instructions, and rows that hold one."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfj.collection.keys import windows
from selfj.collection.settings import Matching
from selfj.collection.tokens import Hashes, Places, Tokens
from selfj.collection.work import open_array, write_arrays

_BITS = 20


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages of one length: their hashes in ascending order, and the evaluation row of each."""

    words: int
    hashes: Hashes
    rows: Places

    def seek(self, tokens: Tokens, found: Places) -> None:
        """Write the first evaluation row that each text holds a passage of into `found`, where that is smaller."""
        hashes, owners = windows(tokens, self.words)
        near = np.flatnonzero(self._seen()[hashes >> np.uint64(64 - _BITS)])
        if not len(near):
            return
        hashes, owners = hashes[near], owners[near]
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        hit = self.hashes[places] == hashes
        np.minimum.at(found, owners[hit], self.rows[places[hit]])

    def _seen(self) -> npt.NDArray[np.bool_]:
        seen = np.zeros(1 << _BITS, bool)
        seen[self.hashes >> np.uint64(64 - _BITS)] = True
        return seen


@dataclass(frozen=True, slots=True)
class Index:
    """Passages of all evaluation sets, by their length."""

    passages: tuple[Passages, ...]

    def contained(self, tokens: Tokens) -> Places:
        """The first evaluation row that each text holds a passage of, else -1; shape (n,)."""
        none = np.iinfo(np.int64).max
        found = np.full(len(tokens.counts), none)
        for passages in self.passages:
            passages.seek(tokens, found)
        return np.where(found == none, -1, found)


def index(tokens: Tokens, settings: Matching) -> Index:
    """Passages of `passage` words of the evaluation rows, and the whole of shorter rows of at least `short` words."""
    lengths = [int(length) for length in np.unique(tokens.counts) if settings.short <= length < settings.passage]
    found = []
    for length in [*lengths, settings.passage]:
        hashes, owners = windows(tokens, length)
        if length < settings.passage:
            whole = tokens.counts[owners] == length
            hashes, owners = hashes[whole], owners[whole]
        distinct, first = np.unique(hashes, return_index=True)
        if len(distinct):
            found.append(Passages(length, distinct, owners[first]))
    return Index(tuple(found))


def write_index(path: Path, made: Index) -> None:
    """Write an index into a folder."""
    arrays: dict[str, Any] = {f"hashes-{part.words}": part.hashes for part in made.passages}
    arrays |= {f"rows-{part.words}": part.rows for part in made.passages}
    write_arrays(path, words=np.array([part.words for part in made.passages], np.int64), **arrays)


@functools.lru_cache(maxsize=1)
def open_index(path: Path, key: str) -> Index:
    """Open an index once in each process; `key` tells apart what lay under one path."""
    lengths = [int(words) for words in open_array(path, "words")]
    return Index(
        tuple(
            Passages(words, np.array(open_array(path, f"hashes-{words}")), np.array(open_array(path, f"rows-{words}")))
            for words in lengths
        )
    )
