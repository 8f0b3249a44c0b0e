"""Tuning a causal LM into a judge, with LoRA or in full; only the logits at the labels' places are computed."""

import importlib.util
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, prepare_model_for_kbit_training
from transformers import BitsAndBytesConfig

from selfj import backends
from selfj.backends.loading import device_of, load_model, quiet_peft
from selfj.backends.tokens import Prompts
from selfj.errors import ConfigError, MissingDependency
from selfj.judge import tuning_backend
from selfj.progress import Progress
from selfj.settings import Config, FullTuning, LoraTuning, TransformersBackend
from selfj.sft_settings import SftLora
from selfj.tune import Example, Tuned
from selfj.tune.loop import Pupil, Reads, forget, train, weights_digest
from selfj.tune.loss import level_targets
from selfj.tune.packing import packed, read_pack, use_packing
from selfj.tune.padding import read_padded
from selfj.tune.schedule import Rows, Schedule

Method = LoraTuning | FullTuning
Logits = tuple[torch.Tensor, torch.Tensor]


def tune_causal(
    config: Config,
    method: Method,
    examples: Sequence[Example],
    validation: Rows,
    folder: Path,
    key: str,
    progress: Progress,
) -> Tuned:
    """Tune the target model, or `method.base`, on examples in a fixed order; see `selfj.tune.tune`.

    Args:
        config: Of the run.
        method: How to tune.
        examples: All of them.
        validation: Numbers of those that are only for trials.
        folder: Where the judge goes.
        key: Names the work.
        progress: Told of every step.
    """
    settings = tuning_backend(config, method.base)
    # Weights that learn are kept in float32; those under an adapter as they are read.
    precision = {"dtype": "float32"} if isinstance(method, FullTuning) else {}
    settings = settings.model_copy(update={"max_length": method.max_length, **precision})
    accelerator = Accelerator(cpu=settings.device == "cpu") if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None
    if accelerator is not None:
        settings = settings.model_copy(update={"device": str(accelerator.device)})
    device = device_of(settings.device)
    loading = quantisation(method.quantised, device) if isinstance(method, LoraTuning) else {}
    base, tokenizer = load_model(settings, loading={**loading, "device_map": {"": device}} if loading else None)
    prompts = Prompts(tokenizer, method.template)
    pairs = _Pairs(prompts, examples, method.max_length)
    device = base.device
    read = _reader(base, pairs, tokenizer.pad_token_id or 0, device, _autocast(method, device))
    model = _prepared(base, method, config.seed)
    model.train()
    place = {number: row for row, number in enumerate(pairs.kept)}
    tried = np.array([place[number] for number in validation.tolist() if number in place], dtype=np.int64)
    schedule = Schedule(
        rows=np.setdiff1d(np.arange(len(pairs.kept)), tried),
        sizes=[len(t) + len(s) for t, s in zip(pairs.teacher, pairs.student, strict=True)],
        epochs=method.epochs,
        batch_size=method.batch_size,
        micro_tokens=method.micro_tokens,
        learning_rate=method.learning_rate,
        warmup_steps=method.warmup_steps,
        seed=config.seed,
    )
    pupil = Pupil(
        model=model,
        read=read,
        shares=level_targets(pairs.qualities, method.targets).to(device),
        qualities=pairs.qualities,
        levels=torch.tensor(prompts.level_ids(), device=device),
        validation=tried if len(tried) else None,
        accelerator=accelerator,
    )
    done, model = train(pupil, method, schedule, folder, key, progress)
    digest = _save(accelerator, model, method, settings, tokenizer, folder)
    return Tuned(
        digest=digest,
        base=settings.model,
        base_digest=backends.model_digest(settings.model),
        skipped=len(examples) - len(pairs.kept),
        learned=len(schedule.rows),
        losses=done.losses,
        validation=done.validation,
        seconds=done.seconds,
    )


class _Pairs:
    """Token ids of the teacher's and the student's prompt of every example that is short enough."""

    def __init__(self, prompts: Prompts, examples: Sequence[Example], max_length: int) -> None:
        teacher = prompts.judge_prompts([example.teacher for example in examples], max_length, cut=False)
        student = prompts.judge_prompts([example.student for example in examples], max_length, cut=False)
        pairs = list(zip(teacher, student, strict=True))
        self.kept = [number for number, (t, s) in enumerate(pairs) if t.error is None and s.error is None]
        if not self.kept:
            raise ConfigError(
                f"All {len(examples)} exchanges are longer than tune.method.max_length = {max_length} tokens."
            )
        self.teacher = [teacher[number].ids for number in self.kept]
        self.student = [student[number].ids for number in self.kept]
        self.qualities = [examples[number].quality for number in self.kept]


def _reader(
    base: Any, pairs: _Pairs, pad: int, device: torch.device, autocast: Callable[[], AbstractContextManager[None]]
) -> Reads:
    """How exchanges are read: packed where the model can be, else in padded rows."""

    def read_packed(model: Any, rows: Rows) -> Logits:
        pack = packed([pairs.teacher[row] for row in rows], [pairs.student[row] for row in rows])
        with autocast():
            return read_pack(model, pack, device)

    def read_rows(model: Any, rows: Rows) -> Logits:
        with autocast():
            teacher = read_padded(model, pad, [pairs.teacher[row] for row in rows], device)
            return teacher, read_padded(model, pad, [pairs.student[row] for row in rows], device)

    return read_packed if use_packing(base) else read_rows


def _prepared(base: Any, method: Method, seed: int) -> Any:
    """Choose what learns, and what is kept of a forward pass."""
    torch.manual_seed(seed)
    if method.gradient_checkpointing:
        checkpoint_layers(base)
    if isinstance(method, FullTuning):
        return base.requires_grad_(True)
    return add_adapter(base, method)


def add_adapter(base: Any, method: LoraTuning | SftLora) -> Any:
    """Put a new LoRA adapter, which alone learns, on a base; its start is drawn from torch's random state."""
    if method.quantised != "none":
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    config = LoraConfig(
        r=method.r,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=list(method.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
    )
    with quiet_peft():
        return get_peft_model(base, config)


def checkpoint_layers(model: Any) -> None:
    """Let a model compute what lies inside its layers again instead of keeping it."""
    # Renamed in transformers 5.24.
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _autocast(method: Method, device: torch.device) -> Callable[[], AbstractContextManager[None]]:
    if isinstance(method, FullTuning) and device.type == "cuda":
        return lambda: torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext


def quantisation(quantised: str, device: torch.device) -> dict[str, Any]:
    """Further arguments for loading a base in 8 or 4 bits.

    Args:
        quantised: `none`, `int8` or `int4`.
        device: Where the base will be.

    Raises:
        MissingDependency: bitsandbytes is not installed.
    """
    if quantised == "none":
        return {}
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependency(f"quantised = {quantised!r} needs bitsandbytes: pip install 'selfj[gpu]'.")
    if quantised == "int8":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}
    compute = torch.bfloat16 if device.type == "cuda" else torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        # FSDP shares out tensors of one type only.
        bnb_4bit_quant_storage=compute,
    )
    return {"quantization_config": config}


def _save(
    accelerator: Accelerator | None,
    model: Any,
    method: Method,
    settings: TransformersBackend,
    tokenizer: Any,
    folder: Path,
) -> str:
    """Write adapter or model and take the checkpoint away; returns the digest of what was written."""
    state = None if accelerator is None else accelerator.get_state_dict(model)
    plain: Any = model if accelerator is None else accelerator.unwrap_model(model)
    plain.eval()
    digest = ""
    if accelerator is None or accelerator.is_main_process:
        if isinstance(method, FullTuning):
            plain.set_attn_implementation("sdpa")
            plain.save_pretrained(folder, state_dict=state)
            tokenizer.save_pretrained(folder)
            digest = backends.model_digest(str(folder))
        else:
            # The name given in the settings, not the folder that it resolved to: a judge is moved between machines.
            plain.peft_config["default"].base_model_name_or_path = settings.model
            # No layer of embeddings was resized, and PEFT need not look for the base to find that out.
            plain.save_pretrained(folder, state_dict=state, save_embedding_layers=False)
            weights = get_peft_model_state_dict(plain, state_dict=state, save_embedding_layers=False)
            digest = weights_digest(weights.items())
        forget(folder)
    if accelerator is not None:
        accelerator.wait_for_everyone()
    return digest
