"""Tuning a judge: one training idea for both families.

The teacher reads the reference, the student does not, and the student learns from the teacher's distribution.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from selfj.backends.base import JudgeInput
from selfj.errors import ConfigError, MissingDependency
from selfj.progress import Progress
from selfj.records import content_id
from selfj.settings import Config, CrossEncoderTuning, FullTuning, LoraTuning

_MOST_HELD, _LEAST_HELD = 256, 10


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
    """Hash of the weights; empty in a process that did not write them."""
    base: str
    base_digest: str
    learned: int
    """Examples that were learned from."""
    skipped: int
    """Examples left out because their prompt is too long."""
    losses: list[dict[str, float]]
    """Loss parts of every step."""
    validation: list[dict[str, float]]
    """Trials on examples that were held back: step, loss, teacher_pearson, student_pearson."""
    seconds: float
    """Spent on the steps, over all sittings."""


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
        Stopped: The system asked the process to end; a checkpoint is kept.
    """
    if len(examples) < 2:
        raise ConfigError(
            f"Tuning needs at least 2 labelled exchanges in the train split, found {len(examples)}. "
            "Collect more instructions with references, or raise collect.train."
        )
    ordered = sorted(examples, key=lambda example: example.id)
    method = config.tune.method
    held = held_back(ordered, method.validation)
    try:
        if isinstance(method, LoraTuning | FullTuning):
            from selfj.tune.causal import tune_causal

            return tune_causal(config, method, ordered, held, folder, key, progress)
        if isinstance(method, CrossEncoderTuning):
            from selfj.tune.cross_encoder import tune_cross_encoder

            return tune_cross_encoder(config, method, ordered, held, folder, key, progress)
        from selfj.tune.encoder import tune_encoder

        return tune_encoder(config, method, ordered, held, folder, key, progress)
    except ImportError as error:
        raise MissingDependency(f"Tuning needs {error.name}: pip install 'selfj[local]'.") from error


def held_back(examples: Sequence[Example], share: float) -> npt.NDArray[np.int64]:
    """Numbers of the examples that are only for trials, by hash of their instruction, at most 256.

    None are held back where the share is of fewer than 10 examples, which would say nothing.
    """
    wanted = min(_MOST_HELD, int(share * len(examples)))
    if wanted < _LEAST_HELD:
        return np.zeros(0, dtype=np.int64)
    order = sorted(
        range(len(examples)),
        key=lambda number: (content_id("validation", examples[number].student.instruction), number),
    )
    return np.array(sorted(order[:wanted]), dtype=np.int64)


def meet() -> None:
    """Wait for the other processes of a launch, where there are any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from selfj.tune.checkpoint import wait

        wait()
