"""Sizes of causal language models: what a tuning plan counts with. Pure arithmetic; no weights, no network."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """The sizes of one model that a plan needs."""

    name: str
    parameters: int
    layers: int
    hidden: int
    queries: int
    """Width of all query heads together."""
    keys: int
    """Width of all key heads together, and of all value heads."""
    intermediate: int
    vocabulary: int
    linear: tuple[tuple[str, int, int, int], ...]
    """Matrices inside the layers: last part of the name, width in, width out, how many there are."""
    from_table: bool = False
    """Whether it is of the table `SHAPES`, since the model itself could not be reached."""

    @property
    def matrices(self) -> int:
        """Weights of all matrices inside the layers: what a token is multiplied with, logits apart."""
        return sum(width_in * width_out * times for _, width_in, width_out, times in self.linear)

    def adapted(self, targets: Iterable[str]) -> tuple[tuple[str, int, int, int], ...]:
        """The matrices that LoRA adapts, of those in `linear`."""
        wanted = set(targets)
        return tuple(item for item in self.linear if item[0] in wanted)

    def adapter(self, r: int, targets: Iterable[str]) -> int:
        """Parameters of a LoRA adapter of rank r on the matrices with these names.

        Example:
            >>> known("meta-llama/Llama-2-13b-hf").adapter(16, ["q_proj", "k_proj", "v_proj", "o_proj"])
            26214400
        """
        return sum(r * (width_in + width_out) * times for _, width_in, width_out, times in self.adapted(targets))


@dataclass(frozen=True, slots=True)
class Shape:
    """Public sizes of a model built like Llama."""

    hidden: int
    layers: int
    heads: int
    key_heads: int
    intermediate: int
    vocabulary: int
    head: int = 128
    """Width of a head."""
    tied: bool = False
    """Whether one table serves the embeddings and the logits."""
    head_norms: bool = False
    """Whether queries and keys are normed by head, as in Qwen3."""

    def model(self, name: str) -> Model:
        """The sizes of a model of this shape, its parameters counted."""
        queries, keys = self.heads * self.head, self.key_heads * self.head
        pairs = {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }
        linear = tuple((part, *widths, self.layers) for part, widths in pairs.items())
        matrices = sum(width_in * width_out for width_in, width_out in pairs.values())
        norms = 2 * self.hidden + (2 * self.head if self.head_norms else 0)
        tables = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return Model(
            name=name,
            parameters=tables + self.layers * (matrices + norms) + self.hidden,
            layers=self.layers,
            hidden=self.hidden,
            queries=queries,
            keys=keys,
            intermediate=self.intermediate,
            vocabulary=self.vocabulary,
            linear=linear,
            from_table=True,
        )


_LLAMA_2_13B = Shape(5120, 40, 40, 40, 13824, 32000)
_LLAMA_2_70B = Shape(8192, 80, 64, 8, 28672, 32000)

SHAPES = {
    "meta-llama/Llama-2-13b-hf": _LLAMA_2_13B,
    "meta-llama/Llama-2-13b-chat-hf": _LLAMA_2_13B,
    "lmsys/vicuna-13b-v1.5": _LLAMA_2_13B,
    "WizardLMTeam/WizardLM-13B-V1.2": _LLAMA_2_13B,
    "meta-llama/Llama-2-70b-chat-hf": _LLAMA_2_70B,
    "meta-llama/Llama-3.2-1B-Instruct": Shape(2048, 16, 32, 8, 8192, 128256, head=64, tied=True),
    "meta-llama/Llama-3.2-3B-Instruct": Shape(3072, 28, 24, 8, 8192, 128256, tied=True),
    "Qwen/Qwen3-0.6B": Shape(1024, 28, 16, 8, 3072, 151936, tied=True, head_norms=True),
    "Qwen/Qwen3-4B": Shape(2560, 36, 32, 8, 9728, 151936, tied=True, head_norms=True),
    "HuggingFaceTB/SmolLM3-3B": Shape(2048, 36, 16, 4, 11008, 128256, tied=True),
}
"""Models of the recipes, for a plan where no hub can be reached."""


def known(name: str) -> Model | None:
    """The sizes of a model of the recipes; None for any other."""
    shape = SHAPES.get(name)
    return None if shape is None else shape.model(name)
