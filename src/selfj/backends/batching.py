"""Batches whose shape is fixed, so that a row's result never depends on the rows beside it.

Floating-point sums depend on the order of their terms, and kernels choose that order by the shape of the
whole batch. So a stable plan pads each row to a length that follows from its own length alone, and gives
every batch the same number of rows, the last one filled up with copies. What was measured on a CPU (torch
2.13 with MKL, float32, 1 to 4 threads, shapes of Llama and BERT, prefill and cached decoding):

* With one thread the place in the batch never mattered.
* With several, `sdpa` attention divides the keys of a one-token query over the threads by place in the batch,
  and generated rows differ in the last bits. `eager` attention does not, so the backends use it on a CPU.
* With several and a batch of 7 rows, a matrix product gives the rows at its edge another kernel. Multiples of
  8 rows were safe; `aligned` rounds up to 16.
* transformers with `sdpa` drops the mask, and so takes other kernels, when no row of a batch is padded. Hence
  every row gets at least one pad.

On a GPU the same plan is used, but nothing has been measured there.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are processed together."""

    indices: tuple[int, ...]
    """Places of the rows in the input."""
    length: int
    """Number of tokens that every row is padded to."""
    rows: int
    """Number of rows of the tensor, fillers included."""

    def take(self, items: Sequence[T]) -> list[T]:
        """Pick this batch's items out of all, the last one repeated as filler."""
        picked = [items[index] for index in self.indices]
        return picked + picked[-1:] * (self.rows - len(picked))


def padded_length(length: int) -> int:
    """Length that a row of `length` tokens is padded to: greater, and the same whatever its neighbours.

    Example:
        >>> [padded_length(n) for n in (1, 8, 64, 300)]
        [8, 16, 80, 320]
    """
    least = length + 1
    step = 8 if least <= 64 else 16 if least <= 256 else 64
    return -(-least // step) * step


def aligned(batch_size: int) -> int:
    """Least batch size from this one up with which a row's place in the batch does not matter on a CPU."""
    return batch_size if batch_size == 1 else -(-batch_size // _ALIGNMENT) * _ALIGNMENT


def plan(lengths: Sequence[int], batch_size: int, stable: bool) -> list[Batch]:
    """Divide rows into batches, the longest first, so that a lack of memory shows at once.

    Args:
        lengths: Number of tokens of each row.
        batch_size: Rows per batch.
        stable: Give every batch exactly `batch_size` rows and a length that follows from each row alone.
            Otherwise rows are sorted by length and nothing is filled up, which is faster for few rows.
    """
    if stable:
        groups: dict[int, list[int]] = defaultdict(list)
        for index, length in enumerate(lengths):
            groups[padded_length(length)].append(index)
        return [
            Batch(tuple(group[start : start + batch_size]), length, batch_size)
            for length, group in sorted(groups.items(), reverse=True)
            for start in range(0, len(group), batch_size)
        ]
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    parts = [tuple(order[start : start + batch_size]) for start in range(0, len(order), batch_size)]
    return [Batch(part, max(lengths[index] for index in part), len(part)) for part in parts]
