"""The training loop that both families share: seeded order, checkpoints, exact resume."""

import hashlib
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from selfj.files import writing
from selfj.progress import Progress
from selfj.tune.loss import Loss

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    rows: int
    epochs: int
    batch_size: int
    micro_batch_size: int
    learning_rate: float
    warmup_steps: int
    checkpoint_steps: int
    seed: int
    lengths: tuple[int, ...] = ()
    """Length of every row; rows of one batch are then cut into micro-batches by length, so that little is padded."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch."""
        return math.ceil(self.rows / self.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch

    def factor(self, step: int) -> float:
        """Learning rate at a step, as a share of the highest: linear warm-up, then linear to 0."""
        warmup = min(self.warmup_steps, self.steps // 2)
        if step < warmup:
            return (step + 1) / warmup
        return (self.steps - step) / max(1, self.steps - warmup)

    def batch(self, step: int) -> np.ndarray:
        """Row numbers of a step; each epoch is one seeded permutation of all rows."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
        rows = order[place * self.batch_size : (place + 1) * self.batch_size]
        return np.array(sorted(rows, key=lambda row: self.lengths[row])) if self.lengths else rows


def train(
    schedule: Schedule,
    parameters: Sequence[tuple[str, torch.nn.Parameter]],
    forward: Callable[[np.ndarray], Loss],
    folder: Path,
    key: str,
    progress: Progress,
    *,
    weight_decay: float = 0.0,
    name: str = "judge",
) -> list[dict[str, float]]:
    """Train and return the loss parts of every step; resumes from a checkpoint of the same work.

    Randomness is seeded anew at each micro-batch from the step's number, so a resumed training draws what an
    undisturbed one would have drawn.

    Args:
        schedule: See `Schedule`.
        parameters: What is trained, by name.
        forward: Gives the loss of the rows of one micro-batch.
        folder: Where the checkpoint lies.
        key: Names the work.
        progress: Told of every step.
        weight_decay: Of AdamW.
        name: Shown as the name of the work.
    """
    weights = [parameter for _, parameter in parameters]
    optimiser = torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=weight_decay)
    step, losses = _resume(folder, key, parameters, optimiser)
    progress.start(name, schedule.steps, step)
    while step < schedule.steps:
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * schedule.factor(step)
        losses.append(_step(schedule, step, forward, optimiser, weights))
        step += 1
        progress.advance(1)
        if step % schedule.checkpoint_steps == 0 and step < schedule.steps:
            _save(folder, key, step, losses, parameters, optimiser)
    (folder / _CHECKPOINT).unlink(missing_ok=True)
    return losses


def weights_digest(parameters: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over names and bytes of tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(parameters, key=lambda item: item[0]):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _step(
    schedule: Schedule,
    step: int,
    forward: Callable[[np.ndarray], Loss],
    optimiser: torch.optim.Optimizer,
    weights: Sequence[torch.nn.Parameter],
) -> dict[str, float]:
    rows = schedule.batch(step)
    parts = dict.fromkeys(("total", "teacher", "student", "distillation"), 0.0)
    for start in range(0, len(rows), schedule.micro_batch_size):
        micro = rows[start : start + schedule.micro_batch_size]
        torch.manual_seed((schedule.seed * 1_000_003 + step) * 10_007 + start)
        loss = forward(micro)
        share = len(micro) / len(rows)
        torch.autograd.backward(loss.total * share)
        for part in parts:
            parts[part] += share * float(getattr(loss, part).detach())
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimiser.step()
    optimiser.zero_grad()
    return {part: round(value, 6) for part, value in parts.items()}


def _save(
    folder: Path,
    key: str,
    step: int,
    losses: list[dict[str, float]],
    parameters: Sequence[tuple[str, torch.nn.Parameter]],
    optimiser: torch.optim.Optimizer,
) -> None:
    state = {
        "key": key,
        "step": step,
        "losses": losses,
        "weights": {name: parameter.detach() for name, parameter in parameters},
        "optimiser": optimiser.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with writing(folder / _CHECKPOINT) as handle:
        handle.write(buffer.getvalue())


def _resume(
    folder: Path,
    key: str,
    parameters: Sequence[tuple[str, torch.nn.Parameter]],
    optimiser: torch.optim.Optimizer,
) -> tuple[int, list[dict[str, float]]]:
    path = folder / _CHECKPOINT
    if not path.is_file():
        return 0, []
    state = torch.load(path, weights_only=True)
    if state["key"] != key:
        return 0, []
    with torch.no_grad():
        for name, parameter in parameters:
            parameter.copy_(state["weights"][name])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["losses"]
