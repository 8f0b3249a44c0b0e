"""Ways to guess a response's quality without a tuned judge; higher is better in all of them."""

from collections.abc import Sequence

import numpy as np

from selfj.backends.base import Embedder, Likelihood
from selfj.exchanges import Exchange


def log_likelihood(exchanges: Sequence[Exchange], likelihood: Likelihood | None) -> list[float | None]:
    """Mean log probability of a response token, at most 0: the negative logarithm of its perplexity (PPL).

    Taken from the sampling where it was kept, else computed by `likelihood`.
    """
    found = [exchange.response.logprob for exchange in exchanges]
    missing = [i for i, value in enumerate(found) if value is None]
    if missing and likelihood is not None:
        conversations = [exchanges[i].instruction.messages() for i in missing]
        texts = [exchanges[i].response.text for i in missing]
        for i, value in zip(missing, likelihood.mean_logprob(conversations, texts), strict=True):
            found[i] = None if value is None else round(value, 6)
    return found


def consistency(
    exchanges: Sequence[Exchange], variations: Sequence[Sequence[str]], embedder: Embedder
) -> list[float | None]:
    """Mean similarity in [-1, 1] of further samples to the response: one minus VRO of Huang et al. 2023.

    None where there is no further sample.
    """
    texts = sorted({e.response.text for e in exchanges} | {text for group in variations for text in group})
    place = {text: row for row, text in enumerate(texts)}
    vectors = embedder.embed(texts).astype(np.float64)
    scores: list[float | None] = []
    for exchange, group in zip(exchanges, variations, strict=True):
        others = vectors[[place[text] for text in group]]
        own = vectors[place[exchange.response.text]]
        scores.append(round(float(np.mean(others @ own)), 6) if len(group) else None)
    return scores


def length(exchanges: Sequence[Exchange]) -> list[float | None]:
    """Number of characters of the response: the floor that every judge should clear."""
    return [float(len(exchange.response.text)) for exchange in exchanges]
