"""Which of many digests were there before, in eight bytes each."""

import hashlib

import numpy as np

_FRESH = 16_384
"""So many are held as Python numbers before they are packed."""


class Distinct:
    """A set of texts that only grows; it holds 64 bits of each, so one pair in 10^19 is mistaken."""

    def __init__(self) -> None:
        """Start empty."""
        self._packed = np.empty(0, dtype=np.uint64)
        self._fresh: set[int] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._packed) + len(self._fresh)

    def __contains__(self, text: str) -> bool:
        """Whether a text was added."""
        return self._has(_number(text))

    def add(self, text: str) -> bool:
        """Add a text; gives whether it is new."""
        number = _number(text)
        if self._has(number):
            return False
        self._fresh.add(number)
        if len(self._fresh) >= _FRESH:
            fresh = np.fromiter(self._fresh, dtype=np.uint64, count=len(self._fresh))
            self._packed = np.sort(np.concatenate([self._packed, fresh]))
            self._fresh = set()
        return True

    def _has(self, number: int) -> bool:
        if number in self._fresh:
            return True
        place = int(np.searchsorted(self._packed, np.uint64(number)))
        return place < len(self._packed) and int(self._packed[place]) == number


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
