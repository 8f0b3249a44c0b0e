"""Prompts in rows of equal length, for models that cannot be packed; only the last logits are computed."""

from collections.abc import Sequence
from typing import Any

import torch


def read_padded(model: Any, pad: int, prompts: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """Logits behind each prompt in float32, shape (n, vocabulary).

    Args:
        model: A causal language model, wrapped or not.
        pad: Token put before shorter prompts.
        prompts: Token ids.
        device: Where its input goes.
    """
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1)
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits
