"""What is recorded of each reply, and whoever records it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One reply of the gateway and why it was given."""

    id: str
    at: float
    """Unix seconds."""
    request_id: str
    route: str
    model: str
    action: str
    """`answer`, `decline`, `pass`, `error`, or `abandoned` where the caller hung up before the verdict."""
    step: str
    """`answer`, `resample`, `escalate`, `decline`, `gate`, `failure` or `unjudgeable`."""
    observed: bool
    """Whether the action was only noted, and the upstream's reply given whatever it was."""
    score: float | None
    threshold: float | None
    label_mass: float | None
    reason: str
    judge: str
    attempts: int
    """Responses of an upstream that were asked for."""
    total_ms: float
    upstream_ms: float
    judge_ms: float
    language: str | None
    instruction_digest: str
    body: str | None
    """Instruction and response as JSON, where the operator keeps them."""
    judge_digest: str | None = None
    """Digest of the judge's weights; None where it has none, or the row is older than this field."""


class Recorder(Protocol):
    """Keeps rows; a reply goes out only after its row was recorded."""

    async def record(self, row: DecisionRow) -> None:
        """Keep a row."""
        ...

    async def close(self) -> None:
        """Finish what is under way."""
        ...
