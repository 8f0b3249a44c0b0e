"""Instruction tuning with transformers' Trainer: the order of the rows is ours, everything else of the loop is its."""

import json
import math
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from jinja2 import TemplateError
from safetensors import SafetensorError
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from selfj.backends import model_digest, resolve_model
from selfj.backends.loading import device_of, quiet_peft
from selfj.backends.tokens import Prompts
from selfj.backends.transformers import stop_ids
from selfj.errors import ConfigError
from selfj.files import read_json, write_json
from selfj.judge import tuning_backend
from selfj.progress import Progress
from selfj.settings import Config, TransformersBackend
from selfj.sft_settings import Sft, SftLora
from selfj.tune.causal import add_adapter, checkpoint_layers, quantisation
from selfj.tune.sft import Lesson, Taught

_WORK = "work.json"
_WHOLE = "whole.json"
"""Written into a checkpoint last; one without it was cut off by a kill."""
_NOT_LEARNED = -100
"""Label of a token that the loss does not look at."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Row(NamedTuple):
    """One lesson in tokens."""

    prompt: list[int]
    """The conversation, exactly as the model reads it when it answers."""
    reply: list[int]
    """The reply and the end of turn."""

    @property
    def length(self) -> int:
        """Number of tokens."""
        return len(self.prompt) + len(self.reply)


def tune_sft(config: Config, lessons: Sequence[Lesson], folder: Path, key: str, progress: Progress) -> Taught:
    """Tune on lessons in a fixed order; see `selfj.tune.sft.teach`."""
    sft = config.sft
    settings = tuning_backend(config, sft.base)
    device = device_of(settings.device)
    state = PartialState(cpu=device.type == "cpu")
    if state.is_main_process:
        _prepare(folder, key)
    state.wait_for_everyone()
    model, tokenizer = _load(settings, sft, device)
    made, skipped = lesson_rows(lessons, Prompts(tokenizer), stop_ids(model, tokenizer), _longest(model, sft))
    if not made:
        raise ConfigError(f"None of {len(lessons)} rows can be learned ({_listed(skipped)}). See sft.max_length.")
    order = row_order([row.length for row in made], sft.epochs, sft.batch_size, config.seed)
    arguments = _arguments(config, folder, device, len(order), state.num_processes)
    if sft.gradient_checkpointing:
        checkpoint_layers(model)
    if isinstance(sft.method, SftLora):
        torch.manual_seed(config.seed)
        model = add_adapter(model, sft.method)
    caching, model.config.use_cache = model.config.use_cache, False
    last = _last_checkpoint(folder)
    trainer = _Ordered(
        model=model,
        args=arguments,
        train_dataset=[made[place] for place in order],
        data_collator=_Collator(tokenizer.pad_token_id or 0),
        callbacks=[_Reporter(progress)],
    )
    trainer.remove_callback(PrinterCallback)
    with _quiet():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
        model.config.use_cache = caching
        trainer.save_model(str(folder))
    first = bool(trainer.is_world_process_zero())
    if first:
        tokenizer.save_pretrained(folder)
        _clear(folder, settings.model, adapter=isinstance(sft.method, SftLora))
    state.wait_for_everyone()
    return Taught(
        base=settings.model,
        base_digest=model_digest(settings.model),
        rows=len(made),
        skipped=skipped,
        tokens=sum(row.length for row in made),
        reply_tokens=sum(len(row.reply) for row in made),
        losses=[round(entry["loss"], 6) for entry in trainer.state.log_history if "loss" in entry],
        first=first,
    )


def lesson_rows(
    lessons: Sequence[Lesson], prompts: Prompts, stops: Sequence[int], longest: int
) -> tuple[list[Row], dict[str, int]]:
    """Turn lessons into tokens, the prompts as the backend makes them; returns the rows, and what was left out and why.

    Args:
        lessons: What is learned.
        prompts: Of the model's tokenizer.
        stops: Tokens at which the model ends a reply; the one that the chat template writes is learned.
        longest: Most tokens of a row.
    """
    end = prompts.end_id(stops)
    rows: list[Row] = []
    skipped: Counter[str] = Counter()
    for lesson in lessons:
        try:
            prompt, reply = prompts.reply_ids(lesson.messages, lesson.reply)
        except TemplateError:
            skipped["unsupported_conversation"] += 1
            continue
        row = Row(prompt, reply if end is None else [*reply, end])
        if row.length > longest:
            skipped["too_long"] += 1
        else:
            rows.append(row)
    return rows, dict(skipped)


def row_order(lengths: Sequence[int], epochs: int, batch_size: int, seed: int) -> list[int]:
    """Row numbers of the whole tuning: a seeded permutation an epoch, each batch sorted by length.

    Sorting inside a batch puts rows of like length into one pass and leaves the step as it is. A batch may hold the
    end of one epoch and the start of the next.
    """
    n = len(lengths)
    order = [int(row) for epoch in range(epochs) for row in np.random.default_rng([seed, epoch]).permutation(n)]
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [row for batch in batches for row in sorted(batch, key=lambda row: lengths[row])]


class _Ordered(Trainer):  # type: ignore[misc]
    """Reads its rows in the order that they are in, so that a resumed tuning reads what an undisturbed one would."""

    def get_train_dataloader(self) -> Any:
        rows = self.args.per_device_train_batch_size
        loader: DataLoader[Any] = DataLoader(self.train_dataset, batch_size=rows, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)


class _Collator:
    """Pads rows on the right; the loss looks at replies alone."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        shape = (len(rows), max(row.length for row in rows))
        ids = torch.full(shape, self._pad)
        labels = torch.full(shape, _NOT_LEARNED)
        mask = torch.zeros(shape, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : row.length] = torch.tensor(row.prompt + row.reply)
            labels[place, len(row.prompt) : row.length] = torch.tensor(row.reply)
            mask[place, : row.length] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class _Reporter(TrainerCallback):  # type: ignore[misc]
    """Tells of every step, and marks a checkpoint that is whole."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._progress.start("sft", state.max_steps, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._progress.advance(1)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self._progress.tell({"loss": float(logs["loss"])})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            write_json(Path(args.output_dir) / f"checkpoint-{state.global_step}" / _WHOLE, {"step": state.global_step})


def _arguments(config: Config, folder: Path, device: torch.device, rows: int, processes: int) -> TrainingArguments:
    sft = config.sft
    micro, passes = passes_of(sft.batch_size, sft.micro_rows, processes)
    steps = math.ceil(rows / sft.batch_size)
    arguments = TrainingArguments(
        output_dir=str(folder),
        # The rows of all epochs stand one after the other.
        num_train_epochs=1,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=passes,
        learning_rate=sft.method.learning_rate,
        lr_scheduler_type=sft.schedule if sft.schedule != "constant" else "constant_with_warmup",
        warmup_steps=min(sft.warmup_steps, steps // 2),
        weight_decay=sft.weight_decay,
        max_grad_norm=sft.max_grad_norm,
        optim="adamw_torch",
        bf16=device.type == "cuda",
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=sft.checkpoint_steps,
        # One more than is needed, so that the older goes only when the newer is whole.
        save_total_limit=2,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        seed=config.seed,
    )
    # Several GPUs in one process would be nn.DataParallel; `accelerate launch` starts a process for each instead.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def passes_of(batch_size: int, micro_rows: int, devices: int) -> tuple[int, int]:
    """Rows of a pass on one device, and passes of a step: as few as `micro_rows` allows.

    Raises:
        ConfigError: The batch cannot be spread evenly over the devices.
    """
    share, rest = divmod(batch_size, devices)
    if rest:
        raise ConfigError(f"sft.batch_size = {batch_size} must be a multiple of the number of devices, {devices}.")
    micro = max(rows for rows in range(1, min(micro_rows, share) + 1) if share % rows == 0)
    return micro, share // micro


def _load(settings: TransformersBackend, sft: Sft, device: torch.device) -> tuple[Any, Any]:
    """Load model and tokenizer; the Trainer puts the model where it belongs, in pieces where it is spread out."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    path = resolve_model(settings.model)
    lora = isinstance(sft.method, SftLora)
    # All weights are kept in float32 and computed with in bfloat16: a small step would be rounded away below that.
    auto = torch.bfloat16 if device.type == "cuda" and lora else torch.float32
    more = quantisation(sft.method.quantised, device) if isinstance(sft.method, SftLora) else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=_DTYPES.get(settings.dtype, auto), **more)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"Cannot load the model {settings.model}: expected a folder with a causal language model and its "
            "tokenizer, or the name of one on a hub that can be reached. "
            f"The reason given was: {str(error).strip().splitlines()[0]}"
        ) from error
    # A model's own defaults of sampling are not those of a tuned model, and some cannot be written at all.
    own = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return model, tokenizer


def _longest(model: Any, sft: Sft) -> int:
    return min(sft.max_length, getattr(model.config, "max_position_embeddings", None) or sft.max_length)


def _prepare(folder: Path, key: str) -> None:
    """Leave whole checkpoints of this work, and nothing else."""
    if not ((folder / _WORK).is_file() and read_json(folder / _WORK, "Delete the folder.").get("key") == key):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(folder / _WORK, {"key": key})
    for checkpoint in folder.glob("checkpoint-*"):
        if not (checkpoint / _WHOLE).is_file():
            shutil.rmtree(checkpoint)


def _last_checkpoint(folder: Path) -> Path | None:
    found = [path for path in folder.glob("checkpoint-*") if (path / _WHOLE).is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _clear(folder: Path, base: str, *, adapter: bool) -> None:
    """Leave what a model consists of."""
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    for name in (_WORK, "training_args.bin"):
        (folder / name).unlink(missing_ok=True)
    if adapter:
        # The name given in the settings, not the folder that it resolved to: an adapter is moved between machines.
        about = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        write_json(folder / "adapter_config.json", {**about, "base_model_name_or_path": base})


def _listed(skipped: dict[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in sorted(skipped.items()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the libraries say to each other."""
    with warnings.catch_warnings(), quiet_peft():
        warnings.filterwarnings("ignore", message=".*save_embedding_layers", category=UserWarning)
        yield
