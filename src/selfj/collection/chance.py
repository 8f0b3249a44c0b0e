"""Seeded chance that belongs to a row: the same whatever part the row lies in and in whatever order it is read."""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Tickets = npt.NDArray[np.uint64]


def tickets(source: pa.ChunkedArray | pa.Array, position: pa.ChunkedArray | pa.Array, seed: int) -> Tickets:
    """A number for each row, uniform over 64 bits, from the row's source, its position there, and the seed.

    Args:
        source: Strings, shape (n,).
        position: Integers, shape (n,).
        seed: Another one gives independent numbers.
    """
    coded = pc.dictionary_encode(source)
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    if isinstance(coded, pa.ChunkedArray):  # no rows
        return np.zeros(0, np.uint64)
    salts = np.array([_salt(name, seed) for name in coded.dictionary.to_pylist()], np.uint64)
    places = np.asarray(position.to_numpy(), np.int64).view(np.uint64)
    return mixed(mixed(places) ^ salts[coded.indices.to_numpy()])


def mixed(values: Tickets) -> Tickets:
    """Spread 64-bit numbers evenly, one to one (the finaliser of SplitMix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Lowest:
    """Keeps the rows with the lowest tickets of a stream, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tickets = np.zeros(0, np.uint64)
        self._rows: list[pa.Table] = []
        self._held = 0

    def add(self, found: Tickets, rows: pa.Table) -> None:
        """Look at n more rows and their tickets, shape (n,)."""
        if not self._most:
            return
        if self._held >= self._most:
            low = np.flatnonzero(found < self._tickets.max())
            found, rows = found[low], rows.take(pa.array(low))
        if len(found):
            self._tickets = np.concatenate([self._tickets, found])
            self._rows.append(rows)
            self._held += len(found)
        if self._held > 2 * self._most:
            self._cut()

    def rows(self) -> tuple[Tickets, pa.Table | None]:
        """The tickets in rising order, with their rows; None where there were none."""
        if not self._rows:
            return self._tickets, None
        self._cut()
        return self._tickets, self._rows[0]

    def _cut(self) -> None:
        order = np.argsort(self._tickets, kind="stable")[: self._most]
        self._rows = [pa.concat_tables(self._rows).take(pa.array(order)).combine_chunks()]
        self._tickets = self._tickets[order]
        self._held = len(order)


def _salt(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest(), "big")
