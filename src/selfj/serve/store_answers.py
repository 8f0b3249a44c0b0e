"""What a store answers: whether its chains are whole, what retention removed, and counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from selfj.serve.verdict_chain import VerdictCheck


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the chains of decisions and of verdicts are whole."""

    rows: int
    """Rows that were found good, up to the first broken one."""
    anchor: int
    """Position of the last row that retention removed; 0 where none was."""
    head: str
    """Hash of the last row, to be kept elsewhere."""
    verdicts: VerdictCheck
    broken: int | None = None
    """Position of the first broken row."""
    broken_reason: str | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, left out or put in."""
        return self.reason is None

    @property
    def reason(self) -> str | None:
        """What is wrong first, of decisions before verdicts."""
        return self.broken_reason or self.verdicts.reason


@dataclass(frozen=True, slots=True)
class Pruned:
    """What retention removed."""

    rows: int
    bodies: int
    """Bodies that were removed from rows that stay."""
    anchor: str
    """Hash from which the rest verifies."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many decisions there are of each action, since some time."""

    actions: Mapping[str, int]
    observed: int
    scored: int
    total_ms: float | None
    """Mean duration."""
    judge_ms: float | None
