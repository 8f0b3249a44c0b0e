"""Tuning a causal LM into a judge with LoRA; only the logits at the label position are computed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import DynamicCache

from selfj import backends
from selfj.backends.prefix import cache_argument, can_divide
from selfj.backends.tokens import Prompts
from selfj.backends.transformers import load_model, quiet_peft
from selfj.errors import ConfigError
from selfj.judge import tuning_backend
from selfj.progress import Progress
from selfj.settings import Config, LoraTuning
from selfj.tune import Example, Tuned
from selfj.tune.loop import Schedule, train, weights_digest
from selfj.tune.loss import Loss, distillation_loss, level_targets

_LEAST_BEGINNING = 8
"""A shorter shared beginning is not worth a pass of its own."""


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
        model: Any = get_peft_model(base, _lora(method))
    model.train()
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    levels = torch.tensor(prompts.level_ids(), device=model.device)
    shares = level_targets(pairs.qualities, method.targets).to(model.device)
    pad = tokenizer.pad_token_id or 0
    divide = can_divide(base.config)

    def forward(rows: np.ndarray) -> Loss:
        # One pass each, since all prompts of one part begin alike.
        return distillation_loss(
            _label_logits(model, pad, [pairs.teacher[row] for row in rows], divide=divide),
            _label_logits(model, pad, [pairs.student[row] for row in rows], divide=divide),
            shares[torch.from_numpy(rows)],
            method,
            levels,
        )

    schedule = Schedule(
        rows=len(pairs.qualities),
        epochs=method.epochs,
        batch_size=method.batch_size,
        micro_batch_size=16,
        learning_rate=method.learning_rate,
        warmup_steps=method.warmup_steps,
        checkpoint_steps=method.checkpoint_steps,
        seed=config.seed,
        lengths=tuple(map(len, pairs.teacher)),
    )
    losses = train(schedule, trained, forward, folder, key, progress, name=folder.name.strip(".").split(".")[0])
    model.eval()
    # The name given in the settings, not the folder that it resolved to: a judge is moved between machines.
    model.peft_config["default"].base_model_name_or_path = settings.model
    # No layer of embeddings was resized, and PEFT need not look for the base to find that out.
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    digest = weights_digest(get_peft_model_state_dict(model, save_embedding_layers=False).items())
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
        self.qualities = [examples[i].quality for i in kept]
        self.skipped = len(examples) - len(kept)


def _lora(method: LoraTuning) -> LoraConfig:
    return LoraConfig(
        r=method.r,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=list(method.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
    )


def _label_logits(model: Any, pad: int, prompts: Sequence[list[int]], *, divide: bool) -> torch.Tensor:
    """Logits of the first reply token, shape (batch, vocabulary), in float32; a shared beginning is read once."""
    head = _shared_beginning(prompts) if divide else 0
    past = _beginning(model, prompts[0][:head], len(prompts)) if head else None
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width - head), pad, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    mask[:, :head] = 1
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt[head:])
        mask[row, width - len(prompt) + head :] = 1
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, head:]
    output = model(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=positions.to(model.device),
        use_cache=past is not None,
        logits_to_keep=1,
        **cache_argument(model, past),
    )
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits


def _shared_beginning(prompts: Sequence[list[int]]) -> int:
    """Number of leading tokens that all prompts share, at least one token of each left over; 0 if not worth a pass."""
    first, last = min(prompts), max(prompts)
    limit = min(map(len, prompts)) - 1
    shared = next((n for n in range(limit) if first[n] != last[n]), limit)
    return shared if shared >= _LEAST_BEGINNING and len(prompts) > 1 else 0


def _beginning(model: Any, ids: list[int], rows: int) -> DynamicCache:
    """Keys and values of tokens that all rows begin with, computed once; gradients flow through them."""
    cache = DynamicCache()
    read = torch.tensor([ids], device=model.device)
    model(input_ids=read, use_cache=True, logits_to_keep=1, **cache_argument(model, cache))
    return DynamicCache([(x.keys.expand(rows, -1, -1, -1), x.values.expand(rows, -1, -1, -1)) for x in cache.layers])
