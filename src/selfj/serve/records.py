"""What passes between the gateway and whatever keeps its decisions."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision of the gateway, as it is kept."""

    id: str
    at: float
    """When it was made, in seconds since 1970 (UTC)."""
    request_id: str
    route: str
    model: str
    action: str
    """`answer`, `decline`, `pass` or `error`."""
    step: str
    """`answer`, `resample`, `escalate`, `decline`, `gate`, `failure` or `unjudgeable`."""
    observed: bool
    """Whether the gateway only watched, and the reply went through whatever the action."""
    score: float | None
    """Judge score in [0, 9]; None where there is none."""
    threshold: float | None
    """Lowest score that was answered, in [0, 9]; None where no threshold met the promise."""
    label_mass: float | None
    reason: str
    judge: str
    """Digest of the judge."""
    attempts: int
    total_ms: float
    upstream_ms: float
    judge_ms: float
    language: str | None
    instruction_digest: str
    body: str | None
    """Request and reply as text, where bodies are kept."""


class Recorder(Protocol):
    """Keeps decisions."""

    async def record(self, row: DecisionRow) -> None:
        """Keep one decision; returns when it is kept."""
        ...

    async def close(self) -> None:
        """Keep what still waits, and let go."""
        ...
