"""Linear layers whose weights lie in memory as the processor's matrix product wants them.

oneDNN reads a weight in blocks of its own. Laid out so once, at load, a float32 product of some hundred tokens is a
tenth to a third faster on a CPU than one with the weight as it is stored, and up to half faster for 16 tokens, as in
generation. The packed weight takes the place of the other, so no more memory is held.
"""

import torch
from torch import nn

_LEAST_SIZE = 512 * 512
"""Smaller weights gain nothing."""


class PackedLinear(nn.Module):
    """A linear layer for inference in float32 on a CPU."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())

    @property
    def weight(self) -> torch.Tensor:
        """The weight as it was, shape (out, in): a copy, for models that look at it."""
        dense: torch.Tensor = self._packed.to_dense()
        return dense

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map the last axis, of size `in_features`, to `out_features`."""
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return y


def pack(model: nn.Module, keep: nn.Module | None = None) -> int:
    """Put packed layers in the place of a model's large float32 linear layers; returns how many.

    Nothing is done where torch has no oneDNN, or on another device.

    Args:
        model: In evaluation mode; it can be read afterwards, not tuned.
        keep: A layer left as it is, such as one that shares its weight with the embeddings.
    """
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return 0
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Linear and child is not keep and _fits(child.weight)
    ]
    for parent, name, child in found:
        setattr(parent, name, PackedLinear(child))
    return len(found)


def _fits(weight: torch.Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() >= _LEAST_SIZE
