"""A causal language model through vLLM in this process: it answers, rates answers and says how likely answers are.

Prompts are the same tokens as those of the transformers backend. They are handed over sorted by what they share, so
that the prefix cache is hit, and results come back in input order. A level is read from the first reply position;
vLLM picks a token there, and nothing is generated beyond it.

What repeats: the same calls in the same order on the same machine. vLLM chooses kernels by the shape of a batch, so
that a row's neighbours and what the cache holds can change its last digits, and so, rarely, a drawn token. On GPUs the
environment variable VLLM_BATCH_INVARIANT=1 rules that out, at some cost.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jinja2 import TemplateError
from transformers import AutoTokenizer, GenerationConfig

from selfj.backends import resolve_model
from selfj.backends.adapters import check_adapter
from selfj.backends.base import Array, Generation, JudgeInput, LevelReading, Messages, Sampling
from selfj.backends.tokens import Prompts
from selfj.backends.vllm_engine import Engine, engine_for
from selfj.errors import ConfigError
from selfj.prompts import LEVELS
from selfj.settings import VllmBackend

_NOT_FINITE = "not_finite"
"""The model's numbers overflowed, as float16 can."""


class VllmModel:
    """One loaded model as Generator, LevelReader and Likelihood."""

    def __init__(self, settings: VllmBackend, *, template: str = "selfj", adapter: str | None = None):
        """Load the model, or take the engine that already runs it.

        Args:
            settings: Model, adapter of its own, and memory.
            template: Name of the judge template for `read`.
            adapter: Adapter of a tuned judge; vLLM holds it in place of one in the settings, never on top.

        Raises:
            ConfigError: Model or adapter cannot be loaded, there are two adapters, or the tokenizer has no level
                tokens.
        """
        if adapter and settings.adapter:
            raise ConfigError(
                f"vLLM puts one adapter on a model, and here are two: {settings.adapter} and {adapter}. "
                "Merge the first into the model, or use kind = transformers."
            )
        self.name = "+".join(part for part in (settings.model, settings.adapter, adapter) if part)
        self._settings = settings
        self._tokenizer = _tokenizer(settings.model)
        self._prompts = Prompts(self._tokenizer, template)
        self._levels = self._prompts.level_ids()
        self._stops = _stop_ids(settings.model, self._tokenizer)
        self._end = self._prompts.end_id(self._stops)
        wanted = adapter or settings.adapter
        self._adapter = None if wanted is None else check_adapter(wanted, settings.model)
        self.engine = engine_for(settings, self._adapter)
        self._bare: Engine | None = None

    def generate(self, conversations: Sequence[Messages], seeds: Sequence[int], sampling: Sampling) -> list[Generation]:
        """Draw one response per conversation; a failed one is `too_long` or `unsupported_conversation`."""
        limit = min(self._settings.max_length, self.engine.window - sampling.max_tokens)
        drawn: list[Generation] = [Generation("", 0, None, "stop", "too_long")] * len(conversations)
        places: list[int] = []

        def requests() -> Iterator[tuple[list[int], Any]]:
            for index in sorted(range(len(conversations)), key=lambda i: _texts(conversations[i])):
                try:
                    ids = self._prompts.conversation_ids(conversations[index])
                except TemplateError:
                    drawn[index] = Generation("", 0, None, "stop", "unsupported_conversation")
                    continue
                if len(ids) <= limit:
                    places.append(index)
                    yield ids, self._draw(seeds[index], sampling)

        outputs = self.engine.run(requests(), self._adapter)
        for index, output in zip(places, outputs, strict=True):
            drawn[index] = self._generation(output.outputs[0])
        return drawn

    def read(self, inputs: Sequence[JudgeInput]) -> LevelReading:
        """Read the level probabilities; a failed row is `too_long`, `unsupported_conversation` or `not_finite`."""
        limit = min(self._settings.max_length, self.engine.window - 1)
        probabilities: Array = np.full((len(inputs), len(LEVELS)), np.nan)
        mass: Array = np.full(len(inputs), np.nan)
        errors: list[str | None] = [None] * len(inputs)
        truncated = [False] * len(inputs)
        places: list[int] = []
        params = self.engine.sampling(
            max_tokens=1, temperature=0.0, logprob_token_ids=self._levels, detokenize=False, ignore_eos=True
        )

        def requests() -> Iterator[tuple[list[int], Any]]:
            for index in sorted(range(len(inputs)), key=lambda i: _shared_first(inputs[i])):
                ids, errors[index], truncated[index] = self._judge_prompt(inputs[index], limit)
                if errors[index] is None:
                    places.append(index)
                    yield ids, params

        outputs = self.engine.run(requests(), self._adapter)
        for index, output in zip(places, outputs, strict=True):
            found = output.outputs[0].logprobs[0]
            row = np.array([found[token].logprob for token in self._levels])
            if np.isfinite(row).all():
                weights = np.exp(row - row.max())
                probabilities[index] = weights / weights.sum()
                mass[index] = min(float(np.exp(row).sum()), 1.0)
            else:
                errors[index] = _NOT_FINITE
        return LevelReading(probabilities, mass, tuple(errors), tuple(truncated))

    def mean_logprob(self, conversations: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
        """Mean log probability of a response's tokens and its end of turn; None where empty or too long.

        Raises:
            ConfigError: The model has an adapter and runs on a CPU, where vLLM cannot do it.
        """
        engine = self._engine_for_prompts()
        values: list[float | None] = [None] * len(responses)
        places: list[tuple[int, list[int]]] = []
        params = engine.sampling(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False, ignore_eos=True)

        def requests() -> Iterator[tuple[list[int], Any]]:
            for index, (messages, response) in enumerate(zip(conversations, responses, strict=True)):
                reply = self._reply(messages, response)
                if reply is not None:
                    prompt, target = reply
                    places.append((index, target))
                    yield prompt + target, params

        outputs = engine.run(requests(), self._adapter)
        for (index, target), output in zip(places, outputs, strict=True):
            tail = output.prompt_logprobs[-len(target) :]
            values[index] = _mean([at[token].logprob for at, token in zip(tail, target, strict=True)])
        return values

    def _engine_for_prompts(self) -> Engine:
        """The engine, but where it can hold adapters on a CPU: there vLLM 0.32 dies of log probabilities of prompts."""
        if not (self.engine.cpu and self.engine.rank):
            return self.engine
        if self._adapter is not None:
            raise ConfigError(
                f"vLLM on a CPU cannot say how likely texts are under a model with an adapter ({self.name}). Merge the "
                "adapter into the model, or use kind = transformers."
            )
        self._bare = self._bare or engine_for(self._settings, bare=True)
        return self._bare

    def _judge_prompt(self, exchange: JudgeInput, limit: int) -> tuple[list[int], str | None, bool]:
        try:
            ids, cut = self._prompts.judge_within(exchange, limit, cut=self._settings.long_text == "cut")
        except TemplateError:
            return [], "unsupported_conversation", False
        return ([], "too_long", False) if ids is None else (ids, None, cut)

    def _reply(self, messages: Messages, response: str) -> tuple[list[int], list[int]] | None:
        if not response:
            return None
        try:
            prompt, reply = self._prompts.reply_ids(messages, response)
        except TemplateError:
            return None
        target = reply if self._end is None else [*reply, self._end]
        fits = max(len(prompt), len(target)) <= self._settings.max_length
        return (prompt, target) if reply and fits and len(prompt) + len(target) < self.engine.window else None

    def _draw(self, seed: int, sampling: Sampling) -> Any:
        return self.engine.sampling(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=seed % 2**63,
            stop_token_ids=self._stops,
            logprobs=0,
            detokenize=False,
        )

    def _generation(self, output: Any) -> Generation:
        tokens = list(output.token_ids)
        logprob = _mean([at[token].logprob for at, token in zip(output.logprobs, tokens, strict=True)])
        if logprob is None:
            return Generation("", 0, None, "stop", _NOT_FINITE)
        ended = output.finish_reason == "stop"
        kept = tokens[:-1] if ended else tokens
        text = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Generation(text, len(tokens), logprob, "stop" if ended else "length")


def _texts(messages: Messages) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


def _shared_first(exchange: JudgeInput) -> tuple[bool, str, str]:
    """What exchanges with one start have in common, in the order in which templates show it."""
    return exchange.reference is None, exchange.instruction, exchange.reference or ""


def _mean(logprobs: Sequence[float]) -> float | None:
    mean = math.fsum(logprobs) / len(logprobs)
    return min(mean, 0.0) if math.isfinite(mean) else None


def _tokenizer(model: str) -> Any:
    try:
        return AutoTokenizer.from_pretrained(resolve_model(model))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(
            f"Cannot load the model {model}: expected a folder with a causal language model and its tokenizer, or "
            f"the name of one on a hub that can be reached. The reason given was: {str(error).strip().splitlines()[0]}"
        ) from error


def _stop_ids(model: str, tokenizer: Any) -> list[int]:
    try:
        named = GenerationConfig.from_pretrained(resolve_model(model)).eos_token_id
    except OSError:
        # A model need not come with one.
        named = None
    stops = named if isinstance(named, list) else [named]
    return sorted({token for token in [*stops, tokenizer.eos_token_id] if token is not None})
