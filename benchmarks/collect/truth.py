"""Near-duplicates by brute force: every pair of texts as sets of pairs of words, by plain Python and a product."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.collect.words import bigrams

_BLOCK = 2_000


@dataclass(frozen=True)
class Score:
    """How well a set of kept rows leaves out near-duplicates."""

    recall: float
    """Of the rows that have to go, those that went: 1 less the kept rows that are similar to an earlier kept row, over
    the rows that the exact greedy walk drops."""
    precision: float
    """Of the rows that went, those that are similar to a row that stayed."""
    dropped: int


class Truth:
    """All pairs of some texts whose Jaccard similarity reaches the threshold."""

    def __init__(self, texts: list[str], threshold: float = 0.8) -> None:
        numbers: dict[tuple[str, ...], int] = {}
        sets = [[numbers.setdefault(gram, len(numbers)) for gram in bigrams(text)] for text in texts]
        sizes = np.array([len(held) for held in sets])
        columns = np.array([gram for held in sets for gram in held])
        shape = (len(texts), max(len(numbers), 1))
        rows = csr_matrix((np.ones(len(columns), np.float32), columns, np.concatenate([[0], np.cumsum(sizes)])), shape)
        self.n, self.near = len(texts), [[] for _ in texts]
        turned = rows.T.tocsr()
        for begin in range(0, self.n, _BLOCK):
            shared = (rows[begin : begin + _BLOCK] @ turned).tocoo()
            one, other = shared.row + begin, shared.col
            similar = shared.data >= threshold * (sizes[one] + sizes[other] - shared.data) - 1e-6
            for row, column in zip(one[similar].tolist(), other[similar].tolist(), strict=True):
                if row != column:
                    self.near[row].append(column)

    def score(self, kept: set[int]) -> Score:
        """Judge what a system kept, whichever row of a pair it prefers."""
        greedy: set[int] = set()
        for row in range(self.n):
            if not any(other in greedy for other in self.near[row]):
                greedy.add(row)
        left = sum(any(other < row and other in kept for other in self.near[row]) for row in kept)
        gone = [row for row in range(self.n) if row not in kept]
        right = sum(any(other in kept for other in self.near[row]) for row in gone)
        wanted = self.n - len(greedy)
        return Score(1 - left / wanted if wanted else 1.0, right / len(gone) if gone else 1.0, len(gone))
