"""Reward models: sequence classification with one output, read at the end of an exchange.

Two layouts of weights are loaded: that of transformers, and a Llama body with a `regression_head`, as UltraRM has.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from selfj.backends import resolve_model
from selfj.backends.base import Array, JudgeInput, RewardReading
from selfj.backends.batching import Batch, aligned, plan
from selfj.backends.cutting import cut_to_fit
from selfj.backends.loading import device_of
from selfj.backends.tokens import Prompts
from selfj.errors import BackendError, ConfigError
from selfj.prompts import fill
from selfj.settings import RewardBackend

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_HUMAN_ASSISTANT = "Human: {instruction}\n\nAssistant: {response}"


class RewardModel:
    """One loaded reward model."""

    def __init__(self, settings: RewardBackend):
        """Load the model.

        Raises:
            ConfigError: The model cannot be loaded, has not one output, or has no chat template where one is needed.
        """
        self.name = settings.model
        self._settings = settings
        self._model, self._tokenizer = _load(settings)
        if settings.format == "chat" and not self._tokenizer.chat_template:
            raise ConfigError(
                f"The reward model {settings.model} has no chat template; set format to human_assistant or pair."
            )
        self._literal = Prompts(self._tokenizer).literal
        self._own_pad: int | None = self._model.config.get_text_config().pad_token_id
        positions = getattr(self._model.config, "max_position_embeddings", None) or 2**31
        self._window = int(min(positions, self._tokenizer.model_max_length))
        exact = settings.stable_batches and self._model.device.type == "cpu"
        self._rows = aligned(settings.batch_size) if exact else settings.batch_size

    def rewards(self, inputs: Sequence[JudgeInput]) -> RewardReading:
        """Read the rewards; a failed row is `too_long`, `unsupported_conversation` or `not_finite`."""
        found = [self._within(exchange) for exchange in inputs]
        errors = [error for _, _, error in found]
        rewards: Array = np.full(len(inputs), np.nan)
        good = [(index, row) for index, (row, _, error) in enumerate(found) if error is None]
        lengths = [len(row["input_ids"]) for _, row in good]
        for batch in plan(lengths, self._rows, self._settings.stable_batches):
            rows = batch.take(good)
            values = self._forward([row for _, row in rows], batch)
            for (index, _), value in zip(rows, values, strict=True):
                if np.isfinite(value):
                    rewards[index] = value
                else:
                    errors[index] = "not_finite"
        return RewardReading(rewards, tuple(errors), tuple(cut for _, cut, _ in found))

    def _within(self, exchange: JudgeInput) -> tuple[dict[str, list[int]], bool, str | None]:
        """Token rows of an exchange, both texts cut to the same number of characters if they must be."""
        limit = min(self._settings.max_length, self._window)
        try:
            row = self._encode(exchange.instruction, exchange.response)
        except TemplateError:
            return {}, False, "unsupported_conversation"
        if len(row["input_ids"]) <= limit:
            return row, False, None
        if self._settings.long_text != "cut":
            return {}, False, "too_long"
        pair = JudgeInput(exchange.instruction, exchange.response)
        best = cut_to_fit(
            pair, lambda x: self._encode(x.instruction, x.response), lambda found: len(found["input_ids"]) <= limit
        )
        return ({}, False, "too_long") if best is None else (best, True, None)

    def _encode(self, instruction: str, response: str) -> dict[str, list[int]]:
        instruction, response = self._literal(instruction), self._literal(response)
        if self._settings.format == "pair":
            return dict(self._tokenizer(instruction, response))
        if self._settings.format == "human_assistant":
            return dict(self._tokenizer(fill(_HUMAN_ASSISTANT, {"instruction": instruction, "response": response})))
        messages = [{"role": "user", "content": instruction}, {"role": "assistant", "content": response}]
        text = self._tokenizer.apply_chat_template(messages, tokenize=False)
        return dict(self._tokenizer(text, add_special_tokens=False))

    def _forward(self, rows: Sequence[dict[str, list[int]]], batch: Batch) -> Array:
        pad = self._pad([row["input_ids"] for row in rows])
        # There are no more positions. Attention keeps its mask without a pad where it is `eager`.
        length = min(batch.length, self._window)
        fillers = {"input_ids": pad, "attention_mask": 0}
        tensors = {
            key: torch.tensor(
                [row[key] + [fillers.get(key, 0)] * (length - len(row[key])) for row in rows],
                device=self._model.device,
            )
            for key in rows[0]
        }
        try:
            with torch.inference_mode():
                logits = self._model(**tensors).logits[:, 0]
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"The GPU has too little memory for batches of {len(rows)} rows; lower batch_size."
            ) from error
        values: Array = logits.double().cpu().numpy()
        return values

    def _pad(self, rows: Sequence[list[int]]) -> int:
        """A token to pad with: transformers finds the end of a row by it, so it must not be in one by chance."""
        if self._own_pad is not None:
            return self._own_pad
        taken = {token for row in rows for token in row}
        pad = next(token for token in range(len(taken) + 1) if token not in taken)
        self._model.config.get_text_config().pad_token_id = pad
        return pad


def _load(settings: RewardBackend) -> tuple[Any, Any]:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    device = device_of(settings.device)
    auto = torch.float32 if device.type == "cpu" else torch.bfloat16
    # See `batching`: on a CPU, sdpa makes a row depend on its place in the batch.
    attention = {"attn_implementation": "eager"} if device.type == "cpu" else {}
    path = resolve_model(settings.model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            path,
            num_labels=1,
            dtype=_DTYPES.get(settings.dtype, auto),
            key_mapping={r"^regression_head\.": "score."},
            output_loading_info=True,
            **attention,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(
            f"Cannot load the reward model {settings.model}: expected a folder or hub name with a sequence "
            f"classification model of one output and its tokenizer. The reason given was: {reason.strip()}"
        ) from error
    absent = sorted(loading["missing_keys"])
    if absent:
        raise ConfigError(
            f"{settings.model} is no reward model, or its weights are incomplete: {absent[0]} is absent. A causal "
            "language model is read as a judge with kind = transformers."
        )
    return model.to(device).eval(), tokenizer
