"""Loading a causal language model with its adapters, from a folder, a package or a hub."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from selfj.backends import resolve_model
from selfj.errors import ConfigError
from selfj.settings import TransformersBackend

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(
    settings: TransformersBackend, *, adapter: str | None = None, loading: Mapping[str, Any] | None = None
) -> tuple[Any, Any]:
    """Load a model in evaluation mode, with its adapters, and its tokenizer.

    The adapter of the settings is merged into the weights where another follows, so that a judge can be
    tuned on top of an adapted model. In float32 the last one is merged too, which is faster; below that,
    merging would round a small change away.

    Args:
        settings: The model, its adapter, device and precision.
        adapter: Of a judge, on top of both.
        loading: Further arguments of `from_pretrained`, such as a quantisation; the model then lies where they say.

    Raises:
        ConfigError: Model, adapter or device is absent or unfit.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    device = device_of(settings.device)
    auto = torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype = _DTYPES.get(settings.dtype, auto)
    path = resolve_model(settings.model)
    # See `batching`: on a CPU, sdpa makes a generated row depend on its place in the batch.
    attention = {"attn_implementation": "eager"} if device.type == "cpu" else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model, report = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, output_loading_info=True, **attention, **(loading or {})
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"Cannot load the model {settings.model}: expected a folder with a causal language model and its "
            "tokenizer, or the name of one on a hub that can be reached. "
            f"The reason given was: {_first_line(error)}"
        ) from error
    absent = sorted(report["missing_keys"])
    if absent:
        raise ConfigError(f"The weights of the model {settings.model} are incomplete: {absent[0]} is absent.")
    model = model.eval() if loading else model.to(device).eval()
    adapters = [name for name in (settings.adapter, adapter) if name]
    for name in adapters:
        model = _attach(model, name)
        if dtype == torch.float32 or name is not adapters[-1]:
            model = model.merge_and_unload()
    return model.eval(), tokenizer


def _attach(model: Any, adapter: str) -> Any:
    path = resolve_model(adapter)
    try:
        config = PeftConfig.from_pretrained(path)
        config.inference_mode = True
        with quiet_peft():
            adapted = PeftModel(model, config)
            loading = adapted.load_adapter(path, adapter_name="default", is_trainable=False)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"Cannot load the adapter {adapter}: expected a PEFT adapter that was made for this model. "
            f"The reason given was: {_first_line(error)}"
        ) from error
    stray = [*loading.missing_keys, *loading.unexpected_keys]
    if stray:
        raise ConfigError(f"The adapter {adapter} was made for another model; {stray[0]} does not fit.")
    return adapted.to(model.device)


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Keep back what PEFT and transformers say to each other.

    PEFT 0.21 reads a property that transformers 5.23 has deprecated; no user can do anything about it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield


def device_of(name: str) -> torch.device:
    """Turn a setting into a device; `auto` is the GPU where there is one.

    Raises:
        ConfigError: It is malformed, or there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device is {name}, and torch finds no GPU here; use auto or cpu.")
    return device


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
