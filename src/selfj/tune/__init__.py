"""Tuning a judge: one training idea for both families.

The teacher reads the reference, the student does not, and the student learns from the teacher's distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.backends.base import JudgeInput
from selfj.errors import ConfigError, MissingDependency
from selfj.progress import Progress
from selfj.settings import Config, CrossEncoderTuning, LoraTuning


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange to learn from."""

    id: str
    teacher: JudgeInput
    """With the reference."""
    student: JudgeInput
    """Without it."""
    quality: float
    """The label, in [0, 9]."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning leaves behind for the judge's manifest."""

    digest: str
    """Hash of the weights."""
    base: str
    base_digest: str
    skipped: int
    """Examples left out because their prompt is too long."""
    losses: list[dict[str, float]]
    """Loss parts, one entry a step or epoch."""


def tune(config: Config, examples: Sequence[Example], folder: Path, key: str, progress: Progress) -> Tuned:
    """Tune a judge into a folder, going on from the checkpoint that an interrupted tuning left there.

    Args:
        config: `config.tune.method` says which family and how.
        examples: In any order; they are sorted by identifier first, so that the order never changes a result.
        folder: Where the weights go, and the checkpoint until then.
        key: Names the work; a checkpoint of other work is not used.
        progress: Told of every step.

    Raises:
        ConfigError: There is nothing to learn from.
        MissingDependency: torch, transformers or peft is absent.
    """
    if len(examples) < 2:
        raise ConfigError(
            f"Tuning needs at least 2 labelled exchanges in the train split, found {len(examples)}. "
            "Collect more instructions with references, or raise collect.train."
        )
    ordered = sorted(examples, key=lambda example: example.id)
    try:
        if isinstance(config.tune.method, LoraTuning):
            from selfj.tune.lora import tune_lora

            return tune_lora(config, config.tune.method, ordered, folder, key, progress)
        if isinstance(config.tune.method, CrossEncoderTuning):
            from selfj.tune.cross_encoder import tune_cross_encoder

            return tune_cross_encoder(config, config.tune.method, ordered, folder, key, progress)
        from selfj.tune.encoder import tune_encoder

        return tune_encoder(config, config.tune.method, ordered, folder, key, progress)
    except ImportError as error:
        raise MissingDependency(f"Tuning needs {error.name}: pip install 'selfj[local]'.") from error
