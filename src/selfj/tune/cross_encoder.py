"""Tuning a cross-encoder judge over MiniLM, with the same loss: LoRA or all weights, minutes on a CPU."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.backends.cross_encoder import (
    BODY_FILE,
    Reading,
    Row,
    Rows,
    head_inputs,
    nearest,
    plain_features,
    save_head,
)
from selfj.backends.encoder import HEAD_FILE, Head, MiniLM, load_minilm
from selfj.backends.loading import quiet_peft
from selfj.progress import Progress
from selfj.settings import Config, CrossEncoderTuning
from selfj.tune import Example, Tuned
from selfj.tune.loop import Pupil, forget, train, weights_digest
from selfj.tune.loss import level_targets
from selfj.tune.schedule import Rows as Numbers
from selfj.tune.schedule import Schedule

_MICRO_TOKENS = 4096
_LEAST_SCALE = 0.02
_MODULES = ("query", "key", "value", "dense")


def tune_cross_encoder(
    config: Config,
    method: CrossEncoderTuning,
    examples: Sequence[Example],
    validation: Numbers,
    folder: Path,
    key: str,
    progress: Progress,
) -> Tuned:
    """Tune MiniLM and a head on examples in a fixed order; see `selfj.tune.causal.tune_causal`.

    Long exchanges lose the middle of their longest text and are none left out.
    """
    tokenizer, model = load_minilm()
    reader = Rows(tokenizer, method.max_length)
    embedder = backends.minilm(config.embedder, method.max_length)
    inputs = [example.teacher for example in examples] + [example.student for example in examples]
    seen = nearest(inputs)
    # Both sides at once, since they share texts.
    plain, middle, scale = _even(torch.from_numpy(plain_features(embedder, seen)))
    teacher = _Side(reader, seen[: len(examples)], plain[: len(examples)])
    student = _Side(reader, seen[len(examples) :], plain[len(examples) :])
    shares = level_targets([example.quality for example in examples], method.targets)
    torch.manual_seed(config.seed)
    head = Head(head_inputs(int(model.config.hidden_size)), method.hidden, method.dropout).train()
    body: Any = model
    if method.update == "lora":
        with quiet_peft():
            body = get_peft_model(model, _lora(method))
    if method.update == "full":
        body.requires_grad_(True)
    judge = _CrossEncoder(body, head).train()

    def logits(model: Any, side: _Side, numbers: Numbers) -> torch.Tensor:
        batch = side.padded(reader, numbers)
        with _precision(method):
            vectors = model.reading(*map(torch.from_numpy, batch.values()))
        found: torch.Tensor = model.head(torch.cat([vectors.float(), side.plain[torch.from_numpy(numbers)]], dim=1))
        return found

    def read(model: Any, rows: Numbers) -> tuple[torch.Tensor, torch.Tensor]:
        return logits(model, teacher, rows), logits(model, student, rows)

    schedule = Schedule(
        rows=np.setdiff1d(np.arange(len(examples)), validation),
        sizes=[len(t.ids) + len(s.ids) for t, s in zip(teacher.rows, student.rows, strict=True)],
        epochs=method.epochs,
        batch_size=method.batch_size,
        micro_tokens=_MICRO_TOKENS,
        learning_rate=method.learning_rate,
        warmup_steps=method.warmup_steps,
        seed=config.seed,
    )
    pupil = Pupil(
        model=judge,
        read=read,
        shares=shares,
        qualities=[example.quality for example in examples],
        validation=validation if len(validation) else None,
    )
    done, _ = train(pupil, method, schedule, folder, key, progress)
    _uneven(head, middle, scale)
    trained = [(name, weight) for name, weight in judge.named_parameters() if weight.requires_grad]
    save_head(head, folder / HEAD_FILE, method.max_length)
    if method.update == "full":
        save_file({name: weight.contiguous() for name, weight in body.state_dict().items()}, folder / BODY_FILE)
    else:
        body.peft_config["default"].base_model_name_or_path = MiniLM.name
        body.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    forget(folder)
    return Tuned(
        digest=weights_digest(trained),
        base=MiniLM.name,
        base_digest=MiniLM.name,
        learned=len(schedule.rows),
        skipped=0,
        losses=done.losses,
        validation=done.validation,
        seconds=done.seconds,
    )


class _CrossEncoder(torch.nn.Module):
    """Encoder and head; the encoder without the dropout that it was made with, which costs time."""

    def __init__(self, body: Any, head: Head):
        super().__init__()
        self.reading, self.head = Reading(body), head

    def train(self, mode: bool = True) -> "_CrossEncoder":
        """Switch the head alone."""
        super().train(mode)
        self.reading.eval()
        return self


class _Side:
    """What the teacher or the student reads of all examples."""

    def __init__(self, rows: Rows, seen: Sequence[JudgeInput], plain: torch.Tensor) -> None:
        self.rows: list[Row] = [rows.of(exchange) for exchange in seen]
        self.plain = plain

    def padded(self, rows: Rows, numbers: np.ndarray) -> dict[str, Any]:
        """The named rows, padded to the longest of them."""
        taken = [self.rows[number] for number in numbers]
        return rows.padded(taken, max(len(row.ids) for row in taken))


def _even(plain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Columns of mean 0 and deviation 1, so that a short training learns from all; with their means and deviations."""
    middle = plain.mean(dim=0)
    scale = plain.std(dim=0, correction=0).clamp_min(_LEAST_SCALE)
    return (plain - middle) / scale, middle, scale


def _uneven(head: Head, middle: torch.Tensor, scale: torch.Tensor) -> None:
    """Let a head that learned from evened numbers, its last inputs, take them as they are."""
    first = cast(torch.nn.Linear, head.layers[0])
    columns = len(scale)
    with torch.no_grad():
        weight = first.weight[:, -columns:] / scale
        first.bias.sub_(weight @ middle)
        first.weight[:, -columns:] = weight


def _lora(method: CrossEncoderTuning) -> LoraConfig:
    return LoraConfig(r=method.r, lora_alpha=method.alpha, lora_dropout=0.0, target_modules=list(_MODULES), bias="none")


def _precision(method: CrossEncoderTuning) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16, enabled=method.precision == "bfloat16")
