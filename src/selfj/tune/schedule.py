"""Which exchanges are read at which step, in which passes, at which rate; all of it follows from numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    rows: Rows
    """Numbers of the exchanges that are learned from."""
    sizes: Sequence[int]
    """Tokens of every exchange, those of its two prompts together."""
    epochs: int
    batch_size: int
    micro_tokens: int
    """Most tokens of one pass; an exchange with more has one of its own."""
    learning_rate: float
    warmup_steps: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch."""
        return math.ceil(len(self.rows) / self.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch

    def factor(self, step: int) -> float:
        """Learning rate at a step, as a share of the highest: linear warm-up, then linear to 0."""
        warmup = min(self.warmup_steps, self.steps // 2)
        if step < warmup:
            return (step + 1) / warmup
        return (self.steps - step) / max(1, self.steps - warmup)

    def batch(self, step: int) -> Rows:
        """Exchanges of a step, shortest first; each epoch is one seeded permutation of all."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
        rows = order[place * self.batch_size : (place + 1) * self.batch_size]
        return np.array(sorted(rows, key=lambda row: (self.sizes[row], row)), dtype=np.int64)

    def passes(self, rows: Rows, processes: int = 1) -> list[Rows]:
        """Divide exchanges into passes of at most `micro_tokens`, as many for each process; some may be empty."""
        passes: list[list[int]] = [[]]
        filled = 0
        for row in rows.tolist():
            if passes[-1] and filled + self.sizes[row] > self.micro_tokens:
                passes.append([])
                filled = 0
            passes[-1].append(row)
            filled += self.sizes[row]
        passes += [[] for _ in range(-len(passes) % processes)]
        return [np.array(part, dtype=np.int64) for part in passes]
