"""A model and an encoder that invent everything from hashes: no torch, no weights, always the same reply."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from selfj.backends.base import Array, Generation, JudgeInput, LevelReading, Messages, Sampling
from selfj.prompts import LEVELS
from selfj.records import content_id, hash_fraction
from selfj.settings import FakeBackend
from selfj.settings import FakeEmbedder as FakeEmbedderSettings

RIGHT = "answer to:"
_FAILURE = "fake_failure"
_LABEL_MASS = 0.97
_SPREAD = 0.8
"""Standard deviation of one reading's distribution over the levels."""


class FakeModel:
    """Answers a fixed share of instructions right, and rates answers with a known error."""

    def __init__(self, settings: FakeBackend):
        self.name = f"fake-{settings.skill:g}"
        self._settings = settings

    def generate(self, conversations: Sequence[Messages], seeds: Sequence[int], sampling: Sampling) -> list[Generation]:
        """Invent one response per conversation; a token is a word."""
        pairs = zip(conversations, seeds, strict=True)
        return [self._answer(messages, seed, sampling) for messages, seed in pairs]

    def mean_logprob(self, conversations: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
        """Invent a value in [-2.5, 0], higher on average for right answers; None for an empty response."""
        instructions = [messages[-1]["content"] for messages in conversations]
        pairs = zip(instructions, responses, strict=True)
        return [_logprob(instruction, response) if response else None for instruction, response in pairs]

    def read(self, inputs: Sequence[JudgeInput]) -> LevelReading:
        """Rate right answers near 8 and others near 1.5; a reference halves the noise."""
        errors = tuple(self._failure("read", x.instruction, x.response, x.reference) for x in inputs)
        pairs = zip(inputs, errors, strict=True)
        rows = [[math.nan] * len(LEVELS) if error else self._levels(x) for x, error in pairs]
        mass: Array = np.array([math.nan if error else _LABEL_MASS for error in errors], dtype=np.float64)
        levels = np.array(rows, dtype=np.float64).reshape(-1, len(LEVELS))
        return LevelReading(levels, mass, errors, (False,) * len(inputs))

    def _answer(self, messages: Messages, seed: int, sampling: Sampling) -> Generation:
        instruction = messages[-1]["content"]
        error = self._failure("generate", *(message["content"] for message in messages), seed)
        if error:
            return Generation("", 0, None, "stop", error)
        right = hash_fraction("skill", instruction) < self._settings.skill
        words = f"{RIGHT if right else 'wrong:'} {instruction}".split(" ")
        if sampling.temperature > 0:
            words.append(f"#{content_id(instruction, seed)[:4]}")
        kept = words[: sampling.max_tokens]
        finish = "stop" if len(kept) == len(words) else "length"
        # Half of a surrogate pair in the instruction cannot be stored.
        text = " ".join(kept).encode("utf-8", "replace").decode("utf-8")
        return Generation(text, len(kept), _logprob(instruction, text), finish)

    def _levels(self, exchange: JudgeInput) -> list[float]:
        quality = 8.0 if exchange.response.startswith(RIGHT) else 1.5
        noise = self._settings.noise * (1.0 if exchange.reference is None else 0.5)
        parts = ("rating", exchange.instruction, exchange.response, exchange.reference)
        centre = quality + noise * _normal(*parts)
        law = NormalDist(min(max(centre, 0.0), 9.0), _SPREAD)
        weights = [law.cdf(level + 0.5) - law.cdf(level - 0.5) for level in range(len(LEVELS))]
        return [weight / math.fsum(weights) for weight in weights]

    def _failure(self, *parts: object) -> str | None:
        return _FAILURE if hash_fraction("failure", *parts) < self._settings.fail_share else None


class FakeEmbedder:
    """Counts hashed character trigrams: texts that share spelling are similar."""

    def __init__(self, settings: FakeEmbedderSettings):
        self.name = f"fake-trigrams-{settings.dimensions}"
        self._dimensions = settings.dimensions

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed n texts; returns shape (n, dimensions), rows of Euclidean norm 1."""
        vectors = np.zeros((len(texts), self._dimensions))
        for row, text in zip(vectors, texts, strict=True):
            padded = f"\x02{text.lower()}\x03"
            for start in range(max(1, len(padded) - 2)):
                row[int(content_id(padded[start : start + 3])[:8], 16) % self._dimensions] += 1
        unit: npt.NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit.astype(np.float32)

    def exceeds(self, texts: Sequence[str]) -> list[bool]:
        """Texts of any length are counted whole."""
        return [False] * len(texts)


def _normal(*parts: object) -> float:
    # The half step keeps the fraction off 0, where the inverse is infinite.
    return NormalDist().inv_cdf((hash_fraction(*parts) * 2**52 + 0.5) / (2**52 + 1))


def _logprob(instruction: str, response: str) -> float:
    base = 0.5 if response.startswith(RIGHT) else 1.0
    return -base - 1.5 * hash_fraction("logprob", instruction, response)
