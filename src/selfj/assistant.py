"""The assistant: the target model answers, the judge scores, the threshold decides."""

from collections.abc import Sequence
from pathlib import Path

from selfj import backends
from selfj import config as configs
from selfj.backends.base import Generator, JudgeInput, Messages, Sampling
from selfj.judge import Judge, Score, load_judge
from selfj.records import Instruction, Turn, content_id
from selfj.risk import Decision, Threshold, decide, load_threshold
from selfj.settings import Config, TransformersBackend


class Assistant:
    """Answers, or declines when the judge expects a bad answer."""

    def __init__(
        self,
        generator: Generator,
        judge: Judge,
        threshold: Threshold | None,
        sampling: Sampling,
        *,
        seed: int = 0,
    ) -> None:
        """Put the parts together; without a threshold everything is declined."""
        self.generator = generator
        self.judge = judge
        self.threshold = threshold
        self.sampling = sampling
        self.seed = seed

    def ask(self, question: str | Messages) -> Decision:
        """Answer one question or conversation, or decline; the same question and seed give the same decision.

        Args:
            question: Text, or chat messages whose last one is the user's.
        """
        return self.ask_all([question])[0]

    def ask_all(self, questions: Sequence[str | Messages]) -> list[Decision]:
        """Answer or decline each of several questions."""
        asked = [_instruction(question) for question in questions]
        seeds = [int(content_id("ask", self.seed, item.messages())[:15], 16) for item in asked]
        drawn = self.generator.generate([item.messages() for item in asked], seeds, self.sampling)
        good = [i for i, made in enumerate(drawn) if made.error is None]
        scores = self.judge.score([JudgeInput(asked[i].question(), drawn[i].text) for i in good])
        by_place = dict(zip(good, scores, strict=True))
        return [self._decide(made.text, by_place.get(i), made.error) for i, made in enumerate(drawn)]

    def _decide(self, response: str, score: Score | None, error: str | None) -> Decision:
        if score is None:
            return decide(None, self.threshold, unscored=error or "unscored")
        return decide(
            score.value,
            self.threshold,
            response=response,
            label_mass=score.label_mass,
            unscored=score.reason or "unscored",
        )


def load(run: str | Path) -> Assistant:
    """Load the assistant of a finished run.

    Args:
        run: Folder of the run, such as `runs/demo`.

    Raises:
        ConfigError: There is no such run, or it has no target model.
        ArtefactError: Its judge or threshold is absent or malformed.
        StaleArtefact: The threshold was chosen for another judge.
    """
    config = configs.load(run)
    # The folder given, not the one it was made under: a run can be moved.
    folder = Path(run)
    settings = _for_few(config)
    judge = load_judge(folder / "judge", settings)
    threshold, _ = load_threshold(folder / "threshold.json", judge=judge.digest)
    sampling = Sampling(config.sample.temperature, config.sample.top_p, config.sample.max_tokens)
    return Assistant(backends.generator(settings.target), judge, threshold, sampling, seed=config.seed)


def _for_few(config: Config) -> Config:
    """Settings for a few questions at a time: no batch is filled up."""
    if not isinstance(config.target, TransformersBackend):
        return config
    target = config.target.model_copy(update={"stable_batches": False})
    return config.model_copy(update={"target": target})


def _instruction(question: str | Messages) -> Instruction:
    if isinstance(question, str):
        return Instruction(id="", text=question)
    *turns, last = question
    return Instruction(
        id="",
        text=last["content"],
        system=next((turn["content"] for turn in turns if turn["role"] == "system"), None),
        turns=tuple(Turn(turn["role"], turn["content"]) for turn in turns if turn["role"] != "system"),
    )
