"""Tuning a causal LM into a judge with LoRA; only the logits at the label position are computed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

from selfj import backends
from selfj.backends.tokens import Prompts
from selfj.backends.transformers import load_model, quiet_peft
from selfj.errors import ConfigError
from selfj.judge import tuning_backend
from selfj.progress import Progress
from selfj.settings import Config, LoraTuning
from selfj.tune import Example, Tuned
from selfj.tune.loop import Schedule, train, weights_digest
from selfj.tune.loss import Loss, distillation_loss


def tune_lora(
    config: Config,
    method: LoraTuning,
    examples: Sequence[Example],
    folder: Path,
    key: str,
    progress: Progress,
) -> Tuned:
    """Tune the target model, or `method.base`, on examples in a fixed order; see `selfj.tune.tune`."""
    settings = tuning_backend(config, method.base).model_copy(update={"max_length": method.max_length})
    base, tokenizer = load_model(settings)
    prompts = Prompts(tokenizer, method.template)
    pairs = _Pairs(prompts, examples, method.max_length)
    torch.manual_seed(config.seed)
    with quiet_peft():
        model: Any = get_peft_model(base, _lora(method, settings.model))
    model.train()
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    levels = torch.tensor(prompts.level_ids(), device=model.device)
    pad = tokenizer.pad_token_id or 0

    def forward(rows: np.ndarray) -> Loss:
        target = levels[torch.tensor([pairs.levels[row] for row in rows], device=model.device)]
        # Both parts in one pass: they differ by the reference alone, so little is padded.
        prompts = [pairs.teacher[row] for row in rows] + [pairs.student[row] for row in rows]
        logits = _label_logits(model, pad, prompts)
        return distillation_loss(
            logits[: len(rows)],
            logits[len(rows) :],
            target,
            student_weight=method.student_weight,
            distillation_weight=method.distillation_weight,
        )

    schedule = Schedule(
        rows=len(pairs.levels),
        epochs=method.epochs,
        batch_size=method.batch_size,
        micro_batch_size=method.micro_batch_size,
        learning_rate=method.learning_rate,
        warmup_steps=method.warmup_steps,
        checkpoint_steps=method.checkpoint_steps,
        seed=config.seed,
        lengths=tuple(map(len, pairs.teacher)),
    )
    losses = train(schedule, trained, forward, folder, key, progress, name=folder.name.strip(".").split(".")[0])
    model.eval()
    model.save_pretrained(folder, safe_serialization=True)
    digest = weights_digest(get_peft_model_state_dict(model).items())
    return Tuned(digest, settings.model, backends.model_digest(settings.model), pairs.skipped, losses)


class _Pairs:
    """Token numbers of the teacher's and the student's prompt of every example that is short enough."""

    def __init__(self, prompts: Prompts, examples: Sequence[Example], max_length: int) -> None:
        teacher = [prompts.judge_ids(example.teacher) for example in examples]
        student = [prompts.judge_ids(example.student) for example in examples]
        kept = [i for i in range(len(examples)) if len(teacher[i]) <= max_length and len(student[i]) <= max_length]
        if not kept:
            raise ConfigError(
                f"All {len(examples)} exchanges are longer than tune.method.max_length = {max_length} tokens."
            )
        self.teacher = [teacher[i] for i in kept]
        self.student = [student[i] for i in kept]
        self.levels = [examples[i].level for i in kept]
        self.skipped = len(examples) - len(kept)


def _lora(method: LoraTuning, base: str) -> LoraConfig:
    return LoraConfig(
        r=method.r,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=list(method.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
        # The name given in the settings, not the folder that it resolved to: a judge is moved between machines.
        base_model_name_or_path=base,
    )


def _label_logits(model: Any, pad: int, prompts: Sequence[list[int]]) -> torch.Tensor:
    """Logits of the first reply token, shape (batch, vocabulary), in float32."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    output = model(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=positions.to(model.device),
        use_cache=False,
        logits_to_keep=1,
    )
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits
