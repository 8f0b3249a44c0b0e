"""The assistant: the target model answers, the judge scores, the threshold decides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfj import backends
from selfj import config as configs
from selfj.backends.base import Generator, JudgeInput, Messages, Sampling
from selfj.errors import ArtefactError, StaleArtefact
from selfj.files import read_json
from selfj.judge import Judge, load_judge
from selfj.records import content_id
from selfj.risk import Decision, Threshold, decide
from selfj.settings import Config, TransformersBackend


class Assistant:
    """Answers, or declines when the judge expects a bad answer."""

    def __init__(
        self, generator: Generator, judge: Judge, threshold: Threshold, sampling: Sampling, *, seed: int = 0
    ) -> None:
        self.generator = generator
        self.judge = judge
        self.threshold = threshold
        self.sampling = sampling
        self.seed = seed

    def ask(self, question: str | Messages) -> Decision:
        """Answer one question or conversation, or decline; the same question and seed give the same decision."""
        return self.ask_all([question])[0]

    def ask_all(self, questions: Sequence[str | Messages]) -> list[Decision]:
        """Answer or decline each of several questions."""
        conversations = [[{"role": "user", "content": q}] if isinstance(q, str) else q for q in questions]
        seeds = [int(content_id("ask", self.seed, list(c))[:15], 16) for c in conversations]
        drawn = self.generator.generate(conversations, seeds, self.sampling)
        good = [i for i, made in enumerate(drawn) if made.error is None]
        inputs = [JudgeInput(_question(conversations[i]), drawn[i].text) for i in good]
        scores = dict(zip(good, self.judge.score(inputs), strict=True))
        return [self._decide(made.text, scores.get(i), made.error) for i, made in enumerate(drawn)]

    def _decide(self, text: str, score: object, error: str | None) -> Decision:
        raise NotImplementedError
