"""Tuning a base model on instructions and replies: what goes in and what comes out; `sft_loop` does the work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.backends.base import Messages
from selfj.errors import MissingDependency
from selfj.progress import Progress
from selfj.settings import Config


@dataclass(frozen=True, slots=True)
class Lesson:
    """One conversation with the reply to learn."""

    id: str
    messages: Messages
    """System text and earlier turns where there are any, the instruction last."""
    reply: str


@dataclass(frozen=True, slots=True)
class Taught:
    """What a tuning leaves behind for its manifest."""

    base: str
    base_digest: str
    rows: int
    """Lessons that were learned."""
    skipped: dict[str, int]
    """Lessons left out, by reason: `too_long`, `unsupported_conversation`."""
    tokens: int
    """Of all lessons, each counted once."""
    reply_tokens: int
    """Those of the replies, end of turn included: the ones that the loss looks at."""
    losses: list[float]
    """Mean loss of a reply's token, one entry a step."""
    first: bool
    """Whether this process is the one that writes."""


def teach(config: Config, lessons: Sequence[Lesson], folder: Path, key: str, progress: Progress) -> Taught:
    """Tune a model into a folder, going on from the checkpoint that an interrupted tuning left there.

    Args:
        config: `config.sft` says how.
        lessons: In any order; they are sorted by identifier first, so that the order never changes a result.
        folder: Where the model or adapter goes, and the checkpoints until then.
        key: Names the work; a checkpoint of other work is deleted.
        progress: Told of every step.

    Raises:
        ConfigError: The model cannot be loaded, no lesson fits, or the batch cannot be spread over the devices.
        MissingDependency: A package for tuning is absent.
    """
    ordered = sorted(lessons, key=lambda lesson: lesson.id)
    try:
        from selfj.tune.sft_loop import tune_sft

        return tune_sft(config, ordered, folder, key, progress)
    except ImportError as error:
        raise MissingDependency(f"Instruction tuning needs a package: {error}. pip install 'selfj[local]'.") from error
