"""Judges of other kinds, for comparison: reward models, and models that write their verdict.

Both score exchanges as `selfj.judge.Judge` does. A reward is no level and has no bounds, so it is in `Score.raw`, and
`Score.value` is None. A written verdict is mapped to [0, 9]; it has no level probabilities, and the reader's name says
that it was verbalised.
"""

from collections import Counter
from collections.abc import Sequence

from selfj import backends
from selfj.backends.base import Generation, Generator, JudgeInput, Messages, RewardReader, Sampling
from selfj.errors import ConfigError
from selfj.judge import Score, Scorer
from selfj.records import content_id
from selfj.settings import GenerativePeer, Peer, RewardPeer
from selfj.verdicts import PRESETS, Preset, Verdict, shortened

NO_LEVEL = "reward_is_no_level"


class RewardJudge:
    """A reward model as a judge."""

    def __init__(self, reader: RewardReader, *, name: str | None = None) -> None:
        """Wrap a reader; its own name is the default."""
        self.name = name or f"{reader.name} (reward)"
        self._reader = reader

    def score(self, inputs: Sequence[JudgeInput]) -> list[Score]:
        """Score exchanges in order: the reward is `raw`, and `value` is None with the reason `reward_is_no_level`."""
        if not inputs:
            return []
        reading = self._reader.rewards(inputs)
        rows = zip(reading.rewards, reading.errors, reading.truncated, strict=True)
        return [self._score(float(reward), error, cut) for reward, error, cut in rows]

    def _score(self, reward: float, error: str | None, truncated: bool) -> Score:
        if error is not None:
            return Score(None, None, None, self.name, error, truncated)
        return Score(None, None, None, self.name, NO_LEVEL, truncated, raw=round(reward, 6))


class GenerativeJudge:
    """A judge that writes its verdict, over any backend that generates."""

    def __init__(self, generator: Generator, settings: GenerativePeer, *, seed: int = 0) -> None:
        """Prepare its prompts.

        Args:
            generator: The model.
            settings: Preset, sampling and the rest; its `backend` is not looked at.
            seed: Together with an exchange's text it seeds the sampling.

        Raises:
            ConfigError: A prompt of one's own has no place for the response.
        """
        check_prompt(settings)
        self.name = f"{generator.name} (verbalised, {settings.preset})"
        self._generator = generator
        self._settings = settings
        self._preset = PRESETS[settings.preset]
        self._seed = seed

    def score(self, inputs: Sequence[JudgeInput]) -> list[Score]:
        """Score exchanges in order; the reference is shown where there is one.

        `value` is the mean verdict mapped to [0, 9], `raw` the mean on the judge's own scale. With several samples
        more than half must hold a verdict. An unscored exchange has the generator's reason, `cut_reply`, or one of
        `verdicts.Preset.read`.
        """
        if not inputs:
            return []
        prompts = [prompt_of(exchange, self._settings) for exchange in inputs]
        n = self._settings.samples
        conversations: list[Messages] = [[{"role": "user", "content": text}] for text, _ in prompts for _ in range(n)]
        seeds = [self._seed_of(text, sample) for text, _ in prompts for sample in range(n)]
        sampling = Sampling(self._settings.temperature, 1.0, self._settings.max_tokens)
        drawn = self._generator.generate(conversations, seeds, sampling)
        verdicts = [verdict_of(generation, self._preset) for generation in drawn]
        rows = [verdicts[start : start + n] for start in range(0, len(verdicts), n)]
        return [self._score(row, cut) for row, (_, cut) in zip(rows, prompts, strict=True)]

    def _seed_of(self, prompt: str, sample: int) -> int:
        return int(content_id("peer", self._seed, self._settings.name, prompt, sample)[:15], 16)

    def _score(self, verdicts: Sequence[Verdict], truncated: bool) -> Score:
        mean, reason = mean_verdict(verdicts)
        if mean is None:
            return Score(None, None, None, self.name, reason, truncated)
        return Score(self._preset.quality(mean), None, None, self.name, truncated=truncated, raw=mean)


def check_prompt(settings: GenerativePeer) -> None:
    """Refuse a prompt of one's own without the response.

    Raises:
        ConfigError: It has no place for it.
    """
    if settings.prompt is not None and "{response}" not in settings.prompt:
        raise ConfigError(f"The prompt of the judge {settings.name} must hold {{response}}, and does not.")


def prompt_of(exchange: JudgeInput, settings: GenerativePeer) -> tuple[str, bool]:
    """Write the prompt for one exchange; tells whether a text was cut for it."""
    given = (exchange.instruction, exchange.response, exchange.reference or "")
    (instruction, response, reference), cut = shortened(given, settings.max_chars)
    shown = None if exchange.reference is None else reference
    own = {"rubric": settings.rubric, "prompt": settings.prompt}
    return PRESETS[settings.preset].render(instruction, response, shown, **own), cut


def verdict_of(generation: Generation, preset: Preset) -> Verdict:
    """Read the verdict of one reply; a reply that was cut has none."""
    if generation.error is not None:
        return Verdict(None, generation.error)
    if generation.finish == "length":
        # What was still to come could have been another verdict.
        return Verdict(None, "cut_reply")
    return preset.read(generation.text)


def mean_verdict(verdicts: Sequence[Verdict]) -> tuple[float | None, str | None]:
    """Mean of the verdicts on one exchange, where more than half of them are one; else the likeliest reason."""
    values = [verdict.value for verdict in verdicts if verdict.value is not None]
    if 2 * len(values) > len(verdicts):
        return round(sum(values) / len(values), 6), None
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason is not None)
    return None, min(reasons, key=lambda found: (-reasons[found], found))


def load_peer(peer: Peer, *, seed: int = 0) -> Scorer:
    """Load a configured judge of another kind.

    Raises:
        ConfigError: Its model is absent or unfit.
        MissingDependency: A package for local models is not installed.
    """
    if isinstance(peer, RewardPeer):
        return RewardJudge(backends.reward_reader(peer.backend))
    return GenerativeJudge(backends.generator(peer.backend), peer, seed=seed)


def method_of(peer: Peer) -> str:
    """Name of the method that a configured judge's scores have."""
    return f"peer_{peer.name}"
