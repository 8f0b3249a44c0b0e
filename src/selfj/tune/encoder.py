"""Tuning a head over a frozen text encoder; the same loss over the ten levels, seconds on a CPU."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from selfj import backends
from selfj.backends.encoder import Head, exchange_features
from selfj.progress import Progress
from selfj.settings import Config, EncoderTuning
from selfj.tune import Example, Tuned
from selfj.tune.loop import Schedule, train, weights_digest
from selfj.tune.loss import Loss, distillation_loss, level_targets


def tune_encoder(
    config: Config,
    method: EncoderTuning,
    examples: Sequence[Example],
    folder: Path,
    key: str,
    progress: Progress,
) -> Tuned:
    """Tune a head on examples in a fixed order; see `selfj.tune.tune`."""
    embedder = backends.embedder(config.embedder)
    teacher = torch.from_numpy(exchange_features(embedder, [example.teacher for example in examples]))
    student = torch.from_numpy(exchange_features(embedder, [example.student for example in examples]))
    shares = level_targets([example.quality for example in examples], method.targets)
    torch.manual_seed(config.seed)
    head = Head(teacher.shape[1], method.hidden, method.dropout)
    head.train()

    def forward(rows: np.ndarray) -> Loss:
        index = torch.from_numpy(rows)
        return distillation_loss(head(teacher[index]), head(student[index]), shares[index], method)

    schedule = Schedule(
        rows=len(examples),
        epochs=method.epochs,
        batch_size=method.batch_size,
        micro_batch_size=method.batch_size,
        learning_rate=method.learning_rate,
        warmup_steps=0,
        checkpoint_steps=method.checkpoint_steps,
        seed=config.seed,
    )
    losses = train(
        schedule,
        list(head.named_parameters()),
        forward,
        folder,
        key,
        progress,
        weight_decay=method.weight_decay,
        name=folder.name.strip(".").split(".")[0],
    )
    weights = {name: weight.detach().contiguous() for name, weight in head.named_parameters()}
    save_file(weights, folder / "head.safetensors")
    return Tuned(weights_digest(weights.items()), embedder.name, embedder.name, 0, losses)
