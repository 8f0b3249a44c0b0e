"""The last layer's MLP, computed where its result is read.

A rating is read behind one token. What the last layer's attention has gathered there goes through an MLP, and so does
what it has gathered at every other token, where nobody looks: more than half of the last layer's work. Here the MLP
sees the last few tokens alone; the others get zeros, and their logits mean nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch import nn

_KEPT = 8
"""Tokens at the end that are computed; with fewer rows a matrix product may round by the place of a row."""
_PROBE = 24
"""Tokens of the text by which a model is tried."""


class LastLayer:
    """Limits the last MLP of a causal language model, where that leaves the last token's logits as they are."""

    def __init__(self, model: Any):
        self._mlp = _last_mlp(model)
        self._length = 0
        if self._mlp is not None and not self._harmless(model):
            self._mlp = None

    @contextmanager
    def limited(self) -> Iterator[None]:
        """While this is open, only the logits of the last token hold."""
        if self._mlp is None:
            yield
            return
        hooks = self._mlp.register_forward_pre_hook(self._take), self._mlp.register_forward_hook(self._fill)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _take(self, _: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden, *others = args
        self._length = hidden.shape[1]
        return (hidden[:, -_KEPT:].contiguous(), *others)

    def _fill(self, _: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(output, (0, 0, self._length - output.shape[1], 0))

    def _harmless(self, model: Any) -> bool:
        """Try it: a model may do with its last MLP's output what none is known to do."""
        vocabulary = model.config.get_text_config(decoder=True).vocab_size
        ids = (torch.arange(_PROBE, device=model.device)[None] * 7 + 3) % vocabulary
        with torch.inference_mode():
            expected = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            try:
                with self.limited():
                    found = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):
                return False
        spread = float(expected.max() - expected.min())
        return bool((found - expected).abs().max() <= 0.01 * spread)


def _last_mlp(model: Any) -> nn.Module | None:
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    layers = getattr(plain.get_decoder(), "layers", None)
    mlp = getattr(layers[-1], "mlp", None) if isinstance(layers, nn.ModuleList) and len(layers) else None
    return mlp if isinstance(mlp, nn.Module) else None
