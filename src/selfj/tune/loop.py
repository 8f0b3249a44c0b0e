"""The training loop of every family of judge: steps, checkpoints, exact resume, trials on exchanges held back."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed as dist

from selfj.metrics import pearson
from selfj.progress import Progress
from selfj.tune.checkpoint import Checkpoint, Progressed, processes
from selfj.tune.loss import Loss, distillation_loss
from selfj.tune.schedule import Rows, Schedule
from selfj.tune.stopping import Request, stoppable
from selfj.tune.tracking import Trackers
from selfj.tune_settings import Learning

_PARTS = ("total", "teacher", "student", "distillation")


class Reads(Protocol):
    """Reads exchanges by their numbers, with the model as it is wrapped for its processes."""

    def __call__(self, model: Any, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits at the label: the teacher's and the student's, each of shape (n, classes)."""
        ...


@dataclass(frozen=True, slots=True)
class Pupil:
    """What learns, and from what."""

    model: torch.nn.Module
    """Its parameters that require a gradient learn."""
    read: Reads
    shares: torch.Tensor
    """What each exchange's label stands for, shape (n, 10); see `level_targets`."""
    qualities: Sequence[float]
    """The labels themselves, in [0, 9]."""
    levels: torch.Tensor | None = None
    """The ten levels' places among the classes; None where the classes are the levels."""
    validation: Rows | None = None
    """Exchanges on which it is only tried."""
    accelerator: Any = None
    """The `accelerate.Accelerator` that wraps the model for several processes; None for one."""


def train(
    pupil: Pupil, learning: Learning, schedule: Schedule, folder: Path, key: str, progress: Progress
) -> tuple[Progressed, torch.nn.Module]:
    """Train, and return what was measured and the model; goes on from a checkpoint of the same work.

    Randomness is seeded anew at each pass from the step's number, so a resumed training draws what an undisturbed
    one would have drawn.

    Args:
        pupil: What learns.
        learning: The loss, checkpoints and trials.
        schedule: Which exchanges when.
        folder: Where the checkpoint lies; trackers write beside it.
        key: Names the work.
        progress: Told of every step.

    Raises:
        Stopped: The system asked the process to end.
        StaleArtefact: The checkpoint is of another number of processes.
        MissingDependency: A tracker is not installed.
    """
    name = folder.name.strip(".").partition(".")[0]
    trackers = Trackers(learning.trackers if processes()[0] == 0 else (), folder.parent / "tracking", name)
    weights = [weight for weight in pupil.model.parameters() if weight.requires_grad]
    optimiser: Any = torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=learning.weight_decay)
    if pupil.accelerator is not None:
        model, prepared = pupil.accelerator.prepare(pupil.model, optimiser)
        pupil, optimiser = replace(pupil, model=model), prepared.optimizer
    checkpoint = Checkpoint(folder, key, pupil.model, optimiser)
    done = checkpoint.restore()
    progress.start(name, schedule.steps, done.step)
    began = time.monotonic() - done.seconds
    with stoppable(progress) as request:
        while done.step < schedule.steps:
            for group in optimiser.param_groups:
                group["lr"] = schedule.learning_rate * schedule.factor(done.step)
            loss = _step(pupil, learning, schedule, done.step, optimiser)
            done.losses.append(loss)
            done.step += 1
            last = done.step == schedule.steps
            tried = {}
            if pupil.validation is not None and (last or done.step % learning.validation_steps == 0):
                tried = _try(pupil, learning, schedule)
                done.validation.append({"step": done.step, **tried})
            done.seconds = time.monotonic() - began
            trackers.log({**loss, **tried, "learning_rate": optimiser.param_groups[0]["lr"]}, done.step)
            progress.tell({**loss, **{name: value for name, value in tried.items() if name != "loss"}})
            progress.advance(1)
            stop = _agreed(request)
            if not last and (stop or done.step % learning.checkpoint_steps == 0):
                checkpoint.save(done)
            if stop and not last:
                trackers.close()
                request.obey(done.step)
    trackers.close()
    return done, pupil.model


def forget(folder: Path) -> None:
    """Take the checkpoint of a finished training away."""
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def weights_digest(parameters: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over names and bytes of tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(parameters, key=lambda item: item[0]):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _step(
    pupil: Pupil, learning: Learning, schedule: Schedule, step: int, optimiser: torch.optim.Optimizer
) -> dict[str, float]:
    rank, world = processes()
    rows = schedule.batch(step)
    sums = torch.zeros(len(_PARTS))
    passes = schedule.passes(rows, world)
    own = passes[rank::world]
    for place, part in enumerate(own):
        torch.manual_seed((schedule.seed * 1_000_003 + step) * 10_007 + place * world + rank)
        # A pass for the sake of the others, who wait for this process, weighs nothing.
        share = len(part) / len(rows)
        with _quiet(pupil, last=place == len(own) - 1):
            loss = _loss(pupil, learning, part if len(part) else rows[:1])
            # Gradients are averaged over processes, so each counts as many times.
            _backward(pupil, loss.total * (share * world))
        sums += share * torch.tensor([float(getattr(loss, name).detach()) for name in _PARTS])
    if world > 1:
        sums = sums.to(pupil.shares.device)
        dist.all_reduce(sums)
    _clip(pupil)
    optimiser.step()
    optimiser.zero_grad()
    return {name: round(value, 6) for name, value in zip(_PARTS, sums.tolist(), strict=True)}


def _loss(pupil: Pupil, learning: Learning, rows: Rows) -> Loss:
    teacher, student = pupil.read(pupil.model, rows)
    return distillation_loss(teacher, student, pupil.shares[torch.from_numpy(rows)], learning, pupil.levels)


def _quiet(pupil: Pupil, *, last: bool) -> Any:
    """Let processes exchange gradients after the last pass of a step alone."""
    if pupil.accelerator is None or last:
        return nullcontext()
    return pupil.accelerator.no_sync(pupil.model)


def _backward(pupil: Pupil, loss: torch.Tensor) -> None:
    if pupil.accelerator is None:
        torch.autograd.backward(loss)
    else:
        pupil.accelerator.backward(loss)


def _clip(pupil: Pupil) -> None:
    weights = [weight for weight in pupil.model.parameters() if weight.requires_grad]
    if pupil.accelerator is None:
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
    else:
        pupil.accelerator.clip_grad_norm_(weights, 1.0)


def _agreed(request: Request) -> bool:
    """Whether any process was asked to stop."""
    if processes()[1] == 1:
        return request.signal is not None
    asked: list[int | None] = [None] * processes()[1]
    dist.all_gather_object(asked, request.signal)
    request.signal = next((number for number in asked if number is not None), None)
    return request.signal is not None


@contextmanager
def _trial(model: torch.nn.Module) -> Iterator[None]:
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()


def _try(pupil: Pupil, learning: Learning, schedule: Schedule) -> dict[str, float]:
    """Correlations of the scores with the labels on the exchanges held back, and the loss there."""
    assert pupil.validation is not None
    rows = np.array(sorted(pupil.validation, key=lambda row: (schedule.sizes[row], row)), dtype=np.int64)
    scores: dict[str, list[float]] = {"teacher": [], "student": []}
    total = 0.0
    with _trial(pupil.model):
        for part in schedule.passes(rows):
            teacher, student = pupil.read(pupil.model, part)
            shares = pupil.shares[torch.from_numpy(part)]
            loss = distillation_loss(teacher, student, shares, learning, pupil.levels)
            total += float(loss.total) * len(part) / len(rows)
            for name, logits in (("teacher", teacher), ("student", student)):
                scores[name] += _scores(logits if pupil.levels is None else logits[:, pupil.levels])
    truth = np.array([pupil.qualities[row] for row in rows])
    found = {f"{name}_pearson": pearson(np.array(values), truth) for name, values in scores.items()}
    return {"loss": round(total, 6)} | {name: round(value, 6) for name, value in found.items() if np.isfinite(value)}


def _scores(levels: torch.Tensor) -> list[float]:
    scores = torch.softmax(levels.double().cpu(), dim=-1) @ torch.arange(10.0).double()
    return [float(score) for score in scores]
