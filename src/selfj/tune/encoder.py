"""Tuning a head over a frozen text encoder; the same loss over the ten levels, seconds on a CPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from selfj import backends
from selfj.backends.encoder import Head, exchange_features
from selfj.progress import Progress
from selfj.settings import Config, EncoderTuning
from selfj.tune import Example, Tuned
from selfj.tune.loop import Pupil, forget, train, weights_digest
from selfj.tune.loss import level_targets
from selfj.tune.schedule import Rows, Schedule


def tune_encoder(
    config: Config,
    method: EncoderTuning,
    examples: Sequence[Example],
    validation: Rows,
    folder: Path,
    key: str,
    progress: Progress,
) -> Tuned:
    """Tune a head on examples in a fixed order; see `selfj.tune.causal.tune_causal`."""
    embedder = backends.embedder(config.embedder)
    teacher = torch.from_numpy(exchange_features(embedder, [example.teacher for example in examples]))
    student = torch.from_numpy(exchange_features(embedder, [example.student for example in examples]))
    torch.manual_seed(config.seed)
    head = Head(teacher.shape[1], method.hidden, method.dropout)
    head.train()

    def read(model: Any, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        index = torch.from_numpy(rows)
        return model(teacher[index]), model(student[index])

    schedule = Schedule(
        rows=np.setdiff1d(np.arange(len(examples)), validation),
        sizes=[1] * len(examples),
        epochs=method.epochs,
        batch_size=method.batch_size,
        micro_tokens=method.batch_size,
        learning_rate=method.learning_rate,
        warmup_steps=method.warmup_steps,
        seed=config.seed,
    )
    qualities = [example.quality for example in examples]
    pupil = Pupil(
        model=head,
        read=read,
        shares=level_targets(qualities, method.targets),
        qualities=qualities,
        validation=validation if len(validation) else None,
    )
    done, _ = train(pupil, method, schedule, folder, key, progress)
    weights = {name: weight.detach().contiguous() for name, weight in head.named_parameters()}
    save_file(weights, folder / "head.safetensors")
    forget(folder)
    return Tuned(
        digest=weights_digest(weights.items()),
        base=embedder.name,
        base_digest=embedder.name,
        skipped=0,
        learned=len(schedule.rows),
        losses=done.losses,
        validation=done.validation,
        seconds=done.seconds,
    )
