"""What can be known of a model and of this machine without loading weights."""

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from selfj.backends import resolve_model
from selfj.backends.loading import device_of
from selfj.errors import ConfigError
from selfj.tune.plan import GIB, GPUS, Device
from selfj.tune.shapes import SHAPES, Model, known

_MEASURED_S = 0.3
_UNREACHED = (OSError, ValueError, KeyError)


def model_sizes(name: str) -> Model:
    """The sizes of a model, from its config alone; from the table of the recipes where that cannot be reached.

    Raises:
        ConfigError: It is neither in reach nor in the table.
    """
    transformers_logging.set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(resolve_model(name))
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except _UNREACHED as error:
        found = known(name)
        if found is None:
            raise ConfigError(
                f"The config of the model {name} cannot be reached, and a plan needs its sizes. Name a folder that has "
                f"its config.json, or load it once while the hub can be reached; sizes of {', '.join(SHAPES)} are "
                f"known. The reason given was: {str(error).strip().splitlines()[0]}"
            ) from error
        return found
    return _sizes(name, model, config.get_text_config())


def _sizes(name: str, model: Any, config: Any) -> Model:
    # The output table is no matrix of a layer.
    output = model.get_output_embeddings()
    linear: Counter[tuple[str, int, int]] = Counter()
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not output:
            linear[path.rpartition(".")[2], module.in_features, module.out_features] += 1
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Model(
        name=name,
        parameters=sum(weight.numel() for weight in model.parameters()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        queries=heads * head,
        keys=(getattr(config, "num_key_value_heads", None) or heads) * head,
        intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        vocabulary=config.vocab_size,
        linear=tuple((*key, times) for key, times in linear.items()),
    )


def tokenizer_of(name: str) -> Any | None:
    """The tokenizer of a model; None where it cannot be reached."""
    try:
        return AutoTokenizer.from_pretrained(resolve_model(name))
    except _UNREACHED:
        return None


def this_device(setting: str, model: Model, tokens: int) -> Device:
    """The device that a tuning here would run on, its rates measured in less than a second.

    Args:
        setting: As in `target.device`.
        model: Its widths are those of the products that are measured.
        tokens: About as many as a pass has.
    """
    device = device_of(setting)
    if device.type == "cuda":
        free = float(torch.cuda.mem_get_info(device)[0])
        name = torch.cuda.get_device_name(device)
        bandwidth, flops = _bandwidth(device), _flops(device, model, tokens, torch.bfloat16)
        return Device(name, free, flops, bandwidth, GPUS["h100"].pass_s)
    free = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    threads = torch.get_num_threads()
    name = f"this CPU, {threads} thread{'s' if threads > 1 else ''}, {free / GIB:.0f} GiB free"
    # Narrower products, and those of the way back, are slower.
    flops = 0.8 * _flops(device, model, tokens, torch.float32)
    return Device(name, free, flops, _bandwidth(device), 1e-3, gpu=False)


def _flops(device: torch.device, model: Model, tokens: int, dtype: torch.dtype) -> float:
    rows = max(16, min(tokens, 8192))
    x = torch.randn(rows, model.hidden, device=device, dtype=dtype)
    weight = torch.randn(model.hidden, model.intermediate, device=device, dtype=dtype)
    return 2.0 * rows * model.hidden * model.intermediate / _seconds(lambda: x @ weight, device)


def _bandwidth(device: torch.device) -> float:
    # Reads one and writes one; 16 MiB each.
    x = torch.ones(4 * 2**20, device=device)
    return 2.0 * 4 * x.numel() / _seconds(lambda: torch.nn.functional.silu(x), device)


def _seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Time of the fastest call of many: whatever else the machine does makes calls slower, never faster."""
    # This thread has its share of every product, so its own time tells what an idle machine would take.
    clock = time.perf_counter if device.type == "cuda" else time.thread_time

    def timed() -> float:
        began = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began

    best, began = timed(), time.perf_counter()
    while time.perf_counter() - began < _MEASURED_S:
        best = min(best, timed())
    return best
