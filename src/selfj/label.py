"""Labels without people: self-evaluation with the reference, semantic similarity, and z, which combines them."""

import math
from collections.abc import Sequence

import numpy as np

from selfj.backends.base import Embedder
from selfj.exchanges import Exchange
from selfj.judge import Judge, Score
from selfj.records import Label

TOP = 9.0


def combine(self_eval: float | None, cosine: float | None, weight: float) -> float | None:
    """Quality z in [0, 9]: the weighted mean of self-evaluation and 9 x cosine, or the one of them there is.

    Args:
        self_eval: Expected rating in [0, 9].
        cosine: Similarity to the reference in [-1, 1]; below 0 counts as 0.
        weight: Weight of self-evaluation, in [0, 1].

    Example:
        >>> combine(8.0, 0.5, weight=0.5)
        6.25
    """
    similarity = None if cosine is None else TOP * max(0.0, cosine)
    if self_eval is None or similarity is None:
        return self_eval if similarity is None else similarity
    return round(weight * self_eval + (1 - weight) * similarity, 6)


def to_level(quality: float) -> int:
    """The level 0 to 9 nearest to a quality, halves rounded up; the hard digit that the paper tunes on."""
    return min(9, max(0, math.floor(quality + 0.5)))


def similarity(embedder: Embedder, left: Sequence[str], right: Sequence[str]) -> list[float]:
    """Cosine of each pair of texts, in [-1, 1], to six decimals; every distinct text is embedded once."""
    texts = sorted({*left, *right})
    place = {text: row for row, text in enumerate(texts)}
    vectors = embedder.embed(texts).astype(np.float64)
    return [round(float(vectors[place[a]] @ vectors[place[b]]), 6) for a, b in zip(left, right, strict=True)]


def make_labels(
    exchanges: Sequence[Exchange], judge: Judge | None, embedder: Embedder | None, *, weight: float
) -> list[Label]:
    """Label exchanges that have a reference.

    Args:
        exchanges: Every one with a reference.
        judge: The target model as its own judge; None leaves self-evaluation out.
        embedder: None leaves the cosine out.
        weight: See `combine`.
    """
    ratings: list[Score | None] = [None] * len(exchanges)
    if judge is not None:
        ratings = list(judge.score([exchange.judge_input(with_reference=True) for exchange in exchanges]))
    cosines: list[float | None] = [None] * len(exchanges)
    if embedder is not None:
        responses = [exchange.response.text for exchange in exchanges]
        references = [exchange.instruction.reference or "" for exchange in exchanges]
        cosines = list(similarity(embedder, responses, references))
    rows = zip(exchanges, ratings, cosines, strict=True)
    return [_label(exchange, rating, cosine, weight) for exchange, rating, cosine in rows]


def _label(exchange: Exchange, rating: Score | None, cosine: float | None, weight: float) -> Label:
    error = None if rating is None else rating.reason
    self_eval = None if rating is None else rating.value
    return Label(
        id=exchange.id,
        instruction_id=exchange.instruction.id,
        self_eval=self_eval,
        self_eval_mass=None if rating is None else rating.label_mass,
        levels=None if rating is None else rating.levels,
        cosine=cosine,
        # A failed self-evaluation leaves no label: half of z would be another quantity under the same name.
        z=None if error else combine(self_eval, cosine, weight),
        error=error,
    )
