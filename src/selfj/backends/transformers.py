"""A causal language model in this process: it answers, rates answers and says how likely answers are.

Sampling draws one uniform number per row and step from a Philox stream keyed by the row's seed, and inverts
the cumulative distribution in integers, whose sums do not depend on their order. With stable batches the same
conversation and seed therefore give the same bytes whatever else is in the batch (see `batching`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jinja2 import TemplateError
from transformers import GenerationConfig, LogitsProcessor

from selfj.backends.base import Array, Generation, JudgeInput, LevelReading, Messages, Sampling
from selfj.backends.batching import Batch, aligned, plan
from selfj.backends.loading import load_model
from selfj.backends.packed import pack
from selfj.backends.prefix import Divided, PrefixReader
from selfj.backends.tokens import JudgePrompt, Prompts
from selfj.errors import BackendError
from selfj.prompts import LEVELS
from selfj.settings import TransformersBackend

_NOT_FINITE = "not_finite"
"""The model's numbers overflowed, as float16 can."""
_WEIGHT_BITS = 50
"""Probabilities are drawn from as whole multiples of 2**-50; the sum over a vocabulary fits 64 bits."""


class CausalModel:
    """One loaded model as Generator, LevelReader and Likelihood."""

    def __init__(self, settings: TransformersBackend, *, template: str = "selfj", adapter: str | None = None):
        """Load the model.

        Args:
            settings: Model, adapter of its own, device and batches.
            template: Name of the judge template for `read`.
            adapter: Adapter of a tuned judge, on top of both.

        Raises:
            ConfigError: Model or adapter cannot be loaded, or the tokenizer has no level tokens.
        """
        self.name = "+".join(part for part in (settings.model, settings.adapter, adapter) if part)
        self._settings = settings
        self._model, self._tokenizer = load_model(settings, adapter=adapter)
        pack(self._model, keep=self._model.get_output_embeddings())
        self._device: torch.device = self._model.device
        self._prompts = Prompts(self._tokenizer, template)
        self._levels = self._prompts.level_ids()
        self._stops = stop_ids(self._model, self._tokenizer)
        self._end = self._prompts.end_id(self._stops)
        pad = self._tokenizer.pad_token_id
        self._pad: int = pad if pad is not None else next(iter(self._stops), 0)
        self._window: int = getattr(self._model.config, "max_position_embeddings", None) or 2**31
        exact = settings.stable_batches and self._device.type == "cpu"
        self._rows = aligned(settings.batch_size) if exact else settings.batch_size
        self._reader = PrefixReader(
            self._model, pad=self._pad, batch_size=settings.batch_size, stable=settings.stable_batches
        )
        # A model's own defaults, such as a repetition penalty, would change what is drawn.
        self._ends = {"pad_token_id": self._pad, "eos_token_id": self._stops or None}
        self._model.generation_config = GenerationConfig(**self._ends)

    def generate(self, conversations: Sequence[Messages], seeds: Sequence[int], sampling: Sampling) -> list[Generation]:
        """Draw one response per conversation; a failed one is `too_long` or `unsupported_conversation`."""
        limit = min(self._settings.max_length, self._window - sampling.max_tokens)
        prompts = [self._encode(self._prompts.conversation_ids, x).within(limit) for x in conversations]
        drawn = [Generation("", 0, None, "stop", prompt.error) for prompt in prompts]
        pairs = zip(prompts, seeds, strict=True)
        good = [(index, ids, seed) for index, ((ids, error), seed) in enumerate(pairs) if error is None]
        for batch in self._plan([ids for _, ids, _ in good]):
            rows = batch.take(good)
            found = self._draw([ids for _, ids, _ in rows], [seed for *_, seed in rows], batch.length, sampling)
            for (index, _, _), generation in zip(rows, found, strict=True):
                drawn[index] = generation
        return drawn

    def read(self, inputs: Sequence[JudgeInput]) -> LevelReading:
        """Read the level probabilities; a failed row is `too_long` or `unsupported_conversation`."""
        return self._read(self._judge_prompts(inputs))

    def read_both(self, inputs: Sequence[JudgeInput]) -> tuple[LevelReading, LevelReading]:
        """Read as the student and as the teacher; in one pass with the template `selfj-last`."""
        students = [JudgeInput(exchange.instruction, exchange.response) for exchange in inputs]
        reading = self._read([*self._judge_prompts(students), *self._judge_prompts(inputs)])
        n = len(inputs)
        return _rows_of(reading, slice(0, n)), _rows_of(reading, slice(n, None))

    def _judge_prompts(self, inputs: Sequence[JudgeInput]) -> list[JudgePrompt]:
        limit = min(self._settings.max_length, self._window)
        return self._prompts.judge_prompts(inputs, limit, cut=self._settings.long_text == "cut")

    def _read(self, prompts: Sequence[JudgePrompt]) -> LevelReading:
        probabilities: Array = np.full((len(prompts), len(LEVELS)), np.nan)
        mass: Array = np.full(len(prompts), np.nan)
        errors = [prompt.error for prompt in prompts]
        good = [index for index, error in enumerate(errors) if error is None]
        divided = [Divided(tuple(prompts[index].ids), prompts[index].head, prompts[index].cuts) for index in good]
        with _memory(self._rows):
            found = self._reader.read(divided, self._level_logprobs)
        for index, row in zip(good, found, strict=True):
            if bool(torch.isfinite(row).all()):
                probabilities[index] = torch.softmax(row, dim=0).numpy()
                mass[index] = min(float(row.exp().sum()), 1.0)
            else:
                errors[index] = _NOT_FINITE
        return LevelReading(probabilities, mass, tuple(errors), tuple(prompt.truncated for prompt in prompts))

    def _level_logprobs(self, logits: torch.Tensor) -> torch.Tensor:
        # Over the whole vocabulary first: the label mass is relative to it.
        return torch.log_softmax(logits, dim=-1)[:, self._levels].double().cpu()

    def mean_logprob(self, conversations: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
        """Mean log probability of a response's tokens and its end of turn; None where empty or too long."""
        values: list[float | None] = [None] * len(responses)
        groups: dict[int, list[tuple[int, _Reply]]] = defaultdict(list)
        for index, pair in enumerate(zip(conversations, responses, strict=True)):
            reply = self._reply(*pair)
            if reply is not None:
                tail = _tail(len(reply.target)) if self._settings.stable_batches else 0
                groups[tail].append((index, reply))
        for tail, group in sorted(groups.items()):
            wholes = [reply.prompt + reply.target for _, reply in group]
            for batch in self._plan(wholes, least=tail):
                rows = batch.take(group)
                keep = (tail or max(len(reply.target) for _, reply in rows)) + 1
                logits = self._forward(batch.take(wholes), batch.length, keep=keep)
                for (index, reply), row in zip(rows, logits, strict=True):
                    values[index] = _mean_logprob(row, reply.target)
        return values

    def _encode(self, build: Callable[[Any], list[int]], source: Any) -> "_Prompt":
        try:
            return _Prompt(build(source), None)
        except TemplateError:
            # A chat template can refuse a conversation, most often one with a system message.
            return _Prompt([], "unsupported_conversation")

    def _reply(self, messages: Messages, response: str) -> "_Reply | None":
        if not response:
            return None
        try:
            prompt, reply = self._prompts.reply_ids(messages, response)
        except TemplateError:
            return None
        target = reply if self._end is None else [*reply, self._end]
        fits = max(len(prompt), len(target)) <= self._settings.max_length
        fits = fits and len(prompt) + len(target) <= self._window
        return _Reply(prompt, target) if reply and fits else None

    def _plan(self, prompts: Sequence[list[int]], least: int = 0) -> list[Batch]:
        lengths = [max(len(ids), least) for ids in prompts]
        return plan(lengths, self._rows, self._settings.stable_batches)

    def _pad_left(self, rows: Sequence[list[int]], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.tensor([[self._pad] * (length - len(row)) + row for row in rows], device=self._device)
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=self._device)
        return ids, mask

    def _forward(self, rows: Sequence[list[int]], length: int, keep: int) -> torch.Tensor:
        ids, mask = self._pad_left(rows, length)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        with _memory(self._rows), torch.inference_mode():
            logits: torch.Tensor = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                logits_to_keep=keep,
                use_cache=False,
            ).logits
        return logits

    def _draw(
        self, rows: Sequence[list[int]], seeds: Sequence[int], length: int, sampling: Sampling
    ) -> Iterator[Generation]:
        ids, mask = self._pad_left(rows, length)
        draw = _Draw(seeds, sampling, self._device)
        config = GenerationConfig(max_new_tokens=sampling.max_tokens, do_sample=False, **self._ends)
        with _memory(self._rows), torch.inference_mode():
            out = self._model.generate(
                input_ids=ids, attention_mask=mask, generation_config=config, logits_processor=[draw]
            )
        sequences = out[:, length:].tolist()
        logprobs = torch.stack(draw.logprobs, dim=1).double().cpu().numpy()
        for tokens, values in zip(sequences, logprobs, strict=True):
            stop = next((place for place, token in enumerate(tokens) if token in self._stops), None)
            n = len(tokens) if stop is None else stop + 1
            logprob = min(float(values[:n].mean()), 0.0)
            kept = tokens[:n] if stop is None else tokens[: n - 1]
            text = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            if np.isfinite(logprob):
                yield Generation(text, n, logprob, "length" if stop is None else "stop")
            else:
                yield Generation("", 0, None, "stop", _NOT_FINITE)


def _rows_of(reading: LevelReading, rows: slice) -> LevelReading:
    return LevelReading(
        reading.probabilities[rows], reading.label_mass[rows], reading.errors[rows], reading.truncated[rows]
    )


class _Prompt(NamedTuple):
    ids: list[int]
    error: str | None

    def within(self, limit: int) -> "_Prompt":
        return _Prompt([], "too_long") if len(self.ids) > limit else self


class _Reply(NamedTuple):
    prompt: list[int]
    target: list[int]


class _Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token of each row, and leaves it as the only one that a greedy search can take."""

    def __init__(self, seeds: Sequence[int], sampling: Sampling, device: torch.device):
        self.logprobs: list[torch.Tensor] = []
        """Per step, the log probability at temperature 1 of each row's token."""
        self._sampling = sampling
        streams = [np.random.Generator(np.random.Philox(key=seed % 2**64)) for seed in seeds]
        uniforms = np.stack([stream.random(sampling.max_tokens) for stream in streams])
        self._uniforms = torch.from_numpy(uniforms).to(device)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logits = scores.float()
        if self._sampling.temperature == 0:
            chosen = logits.argmax(dim=-1, keepdim=True)
        else:
            uniform = self._uniforms[:, len(self.logprobs), None]
            chosen = choose(logits, uniform, self._sampling.temperature, self._sampling.top_p)
        self.logprobs.append(torch.log_softmax(logits, dim=-1).gather(1, chosen)[:, 0])
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)


def choose(logits: torch.Tensor, uniform: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Pick one token per row by inverting the cumulative distribution.

    Args:
        logits: Shape (rows, vocabulary).
        uniform: Shape (rows, 1), numbers in [0, 1).
        temperature: Above 0.
        top_p: Draw from the fewest most likely tokens that have this probability together.

    Returns:
        Shape (rows, 1), the tokens.
    """
    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    weights = (probabilities * 2.0**_WEIGHT_BITS).round().long()
    order = None
    if top_p < 1:
        weights, order = weights.sort(dim=-1, descending=True, stable=True)
        before = weights.cumsum(dim=-1) - weights
        weights = weights * (before < top_p * weights.sum(dim=-1, keepdim=True))
    cumulative = weights.cumsum(dim=-1)
    total = cumulative[:, -1:]
    target = torch.minimum((uniform * total).long(), total - 1)
    # Logits that are not numbers would lead out of the vocabulary.
    place = torch.searchsorted(cumulative, target, right=True).clamp(max=logits.shape[-1] - 1)
    return place if order is None else order.gather(1, place)


def stop_ids(model: Any, tokenizer: Any) -> list[int]:
    """Tokens at which a model ends a reply, in ascending order."""
    named = model.generation_config.eos_token_id
    stops = named if isinstance(named, list) else [named]
    return sorted({token for token in [*stops, tokenizer.eos_token_id] if token is not None})


def _tail(length: int) -> int:
    # Few sizes, since each one fills up batches of its own.
    return next(size for size in (16, 64, 256, 1024, length) if size >= length)


def _mean_logprob(logits: torch.Tensor, target: list[int]) -> float | None:
    # The logits at a position are for the next token, so those of the last position are left out.
    logprobs = torch.log_softmax(logits[-len(target) - 1 : -1].float(), dim=-1)
    chosen = logprobs.gather(1, torch.tensor(target, device=logits.device)[:, None])
    mean = float(chosen.double().mean())
    return min(mean, 0.0) if np.isfinite(mean) else None


@contextmanager
def _memory(batch_size: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BackendError(
            f"The GPU has too little memory for batches of {batch_size} rows; lower batch_size."
        ) from error
