"""The paper's tuning procedure, as its public code performs it: what selfj is compared with.

Teacher and student are two lists of sequences, prompt, digit and end of text. Each micro-batch is padded on the left
to a multiple of 8, goes through the model twice, and logits over the whole vocabulary are computed at every position;
the loss looks at the one that foretells the digit. Order, learning rate, batch and clipping are those of the other
contender, so that what is compared is the procedure.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfj.backends import resolve_model
from selfj.backends.loading import quiet_peft
from selfj.backends.tokens import Prompts
from selfj.label import to_level
from selfj.settings import LoraTuning
from selfj.tune import Example

_MULTIPLE = 8


@dataclass(frozen=True)
class Trained:
    """What a training took."""

    seconds: float
    exchanges: int
    tokens: int
    """Read, padding included."""
    losses: list[float]


def train(
    model_name: str,
    method: LoraTuning,
    examples: Sequence[Example],
    batches: Sequence[np.ndarray],
    factors: Sequence[float],
    out: Path | None,
    *,
    micro_batch: int,
    seed: int,
) -> Trained:
    """Tune with LoRA on batches of example numbers, at shares `factors` of the learning rate."""
    folder = resolve_model(model_name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    prompts = Prompts(tokenizer, method.template)
    digits = prompts.level_ids()
    end = [tokenizer.eos_token_id]
    sequences = {
        part: [[*prompts.judge_ids(getattr(x, part)), digits[to_level(x.quality)], *end] for x in examples]
        for part in ("teacher", "student")
    }
    torch.manual_seed(seed)
    shape = LoraConfig(
        r=method.r,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=list(method.target_modules),
        task_type="CAUSAL_LM",
    )
    with quiet_peft():
        model = get_peft_model(base, shape)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=method.learning_rate, weight_decay=0.0)
    losses, tokens = [], 0
    began = time.perf_counter()
    for rows, factor in zip(batches, factors, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = method.learning_rate * factor
        total = 0.0
        for start in range(0, len(rows), micro_batch):
            part = rows[start : start + micro_batch]
            logits = {}
            for name, texts in sequences.items():
                ids, mask = _padded([texts[row] for row in part], tokenizer.pad_token_id)
                tokens += ids.numel()
                # Every position's logits over the whole vocabulary; the last but two foretells the digit.
                logits[name] = model(input_ids=ids, attention_mask=mask).logits.float()[:, -3]
            target = torch.tensor([digits[to_level(examples[row].quality)] for row in part])
            loss = F.cross_entropy(logits["teacher"], target)
            loss = loss + method.student_weight * F.cross_entropy(logits["student"], target)
            teacher = F.softmax(logits["teacher"].detach(), dim=-1)
            loss = loss + method.distillation_weight * F.kl_div(
                F.log_softmax(logits["student"], dim=-1), teacher, reduction="batchmean"
            )
            share = len(part) / len(rows)
            (loss * share).backward()
            total += share * float(loss.detach())
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(total)
    seconds = time.perf_counter() - began
    if out is not None:
        model.peft_config["default"].base_model_name_or_path = model_name
        model.save_pretrained(out, save_embedding_layers=False)
    return Trained(seconds, sum(map(len, batches)), tokens, losses)


def _padded(sequences: Sequence[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = -(-max(map(len, sequences)) // _MULTIPLE) * _MULTIPLE
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in sequences])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in sequences])
    return ids, mask
