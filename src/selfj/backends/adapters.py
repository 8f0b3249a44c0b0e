"""Checks of a LoRA adapter before an engine loads it: vLLM's engine dies of one that does not fit."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from selfj.backends import model_digest, resolve_model
from selfj.errors import ConfigError

_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PLAIN = {"use_dora": False, "lora_bias": False, "bias": "none", "modules_to_save": None, "layer_replication": None}
"""What a setting of an adapter must be, where it has it; everything else changes more than a product of matrices."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that fits its model."""

    folder: str
    rank: int
    """Greatest rank of its matrices."""
    digest: str
    output: bool
    """Whether it changes the table that logits are computed with."""


def check_adapter(name: str, model: str) -> Adapter:
    """Make sure that an adapter is a plain LoRA whose matrices fit a model.

    Args:
        name: Folder or hub name of the adapter.
        model: Folder or hub name of the base model; its weights are not loaded.

    Raises:
        ConfigError: The adapter is absent, damaged, of another kind, or was made for another model.
    """
    folder = _folder(name)
    _check_settings(name, folder)
    shapes = dict(_module_shapes(model))
    matrices = list(_matrices(name, folder))
    ranks = [_check_matrix(name, key, shape, shapes) for key, shape in matrices]
    if not ranks:
        raise ConfigError(f"The adapter {name} holds no matrices; tune it again.")
    output = any("lm_head" in key or "embed" in key for key, _ in matrices)
    return Adapter(str(folder), max(ranks), model_digest(str(folder)), output)


def _folder(name: str) -> Path:
    folder = Path(resolve_model(name))
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(name))
    except (HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError, OSError) as error:
        raise ConfigError(
            f"Cannot load the adapter {name}: expected the folder of a PEFT adapter, or the name of one on a hub "
            "that can be reached."
        ) from error


def _check_settings(name: str, folder: Path) -> None:
    try:
        settings: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"Cannot load the adapter {name}: it has no readable adapter_config.json.") from error
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise ConfigError(f"The adapter {name} is of kind {kind}, and vLLM reads LORA alone; use kind = transformers.")
    for key, plain in _PLAIN.items():
        found = settings.get(key, plain)
        if found != plain and found:
            raise ConfigError(
                f"The adapter {name} has {key} = {found!r}, which vLLM cannot read; use kind = transformers."
            )


def _matrices(name: str, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with safe_open(folder / _WEIGHTS, framework="pt") as file:
            # PEFT saves the untouched table of a tuned embedding as well; nothing reads it.
            keys = [key for key in file.keys() if not key.endswith(".base_layer.weight")]  # noqa: SIM118
            yield from ((key, tuple(file.get_slice(key).get_shape())) for key in keys)
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"Cannot load the adapter {name}: its {_WEIGHTS} is absent or damaged. Tune it again."
        ) from error


def _module_shapes(model: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        config = AutoConfig.from_pretrained(resolve_model(model))
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"Cannot load the model {model}: expected a folder with a causal language model, or the name of one on a "
            "hub that can be reached."
        ) from error
    for name, module in empty.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor):
            yield name, tuple(weight.shape)


def _check_matrix(name: str, key: str, shape: tuple[int, ...], shapes: dict[str, tuple[int, ...]]) -> int:
    """Compare one matrix with the weight that it changes; returns its rank."""
    module, separator, side = key.removeprefix(_PREFIX).partition(".lora_")
    base = shapes.get(module)
    if not separator or base is None or len(base) != 2 or len(shape) != 2:
        raise ConfigError(f"The adapter {name} was made for another model: this one has no place for {key}.")
    # A changes what goes in, B what comes out; an embedding table lies the other way round.
    inner = side.split(".")[0].removeprefix("embedding_")
    turned = side.startswith("embedding_")
    (rank, size) = shape if inner == "A" else shape[::-1]
    expected = base[1] if (inner == "A") != turned else base[0]
    if size != expected:
        raise ConfigError(f"The adapter {name} was made for another model: {key} has size {size}, not {expected}.")
    return rank
