"""A target model behind a server: it answers through chat completions, and says how likely answers are where it can."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from selfj.backends.base import Generation, Messages, Purse, Sampling, Usage
from selfj.backends.http_client import Body, Client, Post
from selfj.backends.http_errors import MALFORMED, NO_LOGPROBS, NOT_OFFERED, RequestFault
from selfj.backends.http_protocols import first_choice, reply_text, token_list
from selfj.backends.http_text import storable
from selfj.settings import HttpBackend

_SEEDS = 2**31
"""Some servers keep a seed in 32 bits."""
_CHAT = "chat/completions"


class HttpGenerator:
    """Draws responses through `/v1/chat/completions`."""

    def __init__(self, settings: HttpBackend):
        """Prepare a client; nothing is sent yet.

        Raises:
            ConfigError: The key is absent.
        """
        self.name = settings.model
        self._settings = settings
        self._client = Client(settings)

    def generate(self, conversations: Sequence[Messages], seeds: Sequence[int], sampling: Sampling) -> list[Generation]:
        """Draw one response per conversation, many at once.

        The same seed and conversation give the same response as far as the server keeps to seeds.

        Reasons: `too_long`, `rejected` or `refused` by the server, `malformed_reply`, `timeout`, `connection_lost`,
        `server_error`.

        Raises:
            BackendError: A failure was not one row's but everybody's.
        """

        def draw(row: tuple[Messages, int], post: Post) -> Generation:
            messages, seed = row
            if sum(len(message["content"]) for message in messages) > self._settings.max_chars:
                return _failed("too_long")
            # At temperature 0 there is nothing to draw, so every seed shares one reply.
            salt = seed if sampling.temperature > 0 else None
            return self._client.ask(post, _CHAT, self._body(messages, seed, sampling), _generation, salt=salt)

        rows = list(zip(conversations, seeds, strict=True))
        drawn = self._client.each(rows, draw)
        return [_failed(made) if isinstance(made, str) else made for made in drawn]

    def kept(self, prompts: Sequence[str], draws: Sequence[int], sampling: Sampling) -> list[bool]:
        """Tell which replies of `write` are in the cache."""
        return [
            self._client.holds(_CHAT, self._body(_message(prompt), draw, sampling), salt=_salt(draw))
            for prompt, draw in zip(prompts, draws, strict=True)
        ]

    def write(
        self,
        prompts: Sequence[str],
        draws: Sequence[int],
        sampling: Sampling,
        *,
        purse: Purse,
        accept: Callable[[Generation], bool],
        done: Callable[[], None],
    ) -> list[Generation]:
        """Draw one reply per prompt, many at once, each with what it cost; see `MeteredGenerator`.

        Reasons: those of `generate`, and `over_budget`.

        Raises:
            BackendError: A failure was not one row's but everybody's.
        """
        lock = threading.Lock()

        def perform(row: tuple[str, int], post: Post) -> Generation:
            prompt, draw = row
            try:
                return self._written(prompt, draw, sampling, _metered(post, purse, prompt, sampling), accept)
            finally:
                with lock:
                    done()

        drawn = self._client.each(list(zip(prompts, draws, strict=True)), perform)
        return [_failed(made) if isinstance(made, str) else made for made in drawn]

    def _written(
        self, prompt: str, draw: int, sampling: Sampling, post: Post, accept: Callable[[Generation], bool]
    ) -> Generation:
        def parse(reply: Body) -> Generation:
            made = _generation(reply)
            if not accept(made):
                raise _Unkept(made)
            return made

        if len(prompt) > self._settings.max_chars:
            return _failed("too_long")
        body = self._body(_message(prompt), draw, sampling)
        try:
            return self._client.ask(post, _CHAT, body, parse, salt=_salt(draw))
        except _Unkept as unkept:
            return unkept.made
        except _OverBudget:
            return _failed("over_budget")

    def _body(self, messages: Messages, seed: int, sampling: Sampling) -> Body:
        settings = self._settings
        body: Body = {
            "model": settings.model,
            "messages": list(messages),
            settings.max_tokens_field: sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if settings.logprobs:
            body["logprobs"] = True
        if settings.send_seed and sampling.temperature > 0:
            body["seed"] = seed % _SEEDS
        return body | settings.extra_body


class _Unkept(Exception):
    """A good reply that nobody wants to keep."""

    def __init__(self, made: Generation):
        super().__init__("not kept")
        self.made = made


class _OverBudget(Exception):
    """A request was not sent, because it could cost more than there is."""


def _metered(post: Post, purse: Purse, prompt: str, sampling: Sampling) -> Post:
    """Send only what the purse allows, and tell it what each request took."""

    def send(path: str, body: Body) -> Body:
        if not purse.reserve(prompt, sampling.max_tokens):
            raise _OverBudget
        try:
            reply = post(path, body)
        except BaseException as error:
            # A server that answered with an error charges nothing; one that fell silent may have written a reply.
            purse.settle(None, sent=not isinstance(error, RequestFault) or error.status is None)
            raise
        purse.settle(_usage(reply))
        return reply

    return send


def _usage(reply: Body) -> Usage | None:
    told = reply.get("usage")
    if not isinstance(told, dict):
        return None
    prompt, written = told.get("prompt_tokens"), told.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(written, int) and min(prompt, written) >= 0:
        return Usage(prompt, written)
    return None


def _message(prompt: str) -> Messages:
    return [{"role": "user", "content": prompt}]


def _salt(draw: int) -> tuple[str, int]:
    return "write/1", draw


class HttpLikelihood:
    """Reads log probabilities of given responses from a server with `prompt_logprobs` and `/tokenize` (vLLM)."""

    def __init__(self, settings: HttpBackend, client: Client, ending: list[int]):
        """Take what `likelihood` found out; use that."""
        self._settings = settings
        self._client = client
        self._ending = ending

    def mean_logprob(self, conversations: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
        """Mean log probability of a response's tokens and its end of turn; None where empty or not readable.

        Raises:
            BackendError: A failure was not one row's but everybody's.
        """
        rows = [(place, pair) for place, pair in enumerate(zip(conversations, responses, strict=True)) if pair[1]]
        found = self._client.each([pair for _, pair in rows], self._one)
        values: list[float | None] = [None] * len(responses)
        for (place, _), value in zip(rows, found, strict=True):
            values[place] = None if isinstance(value, str) else value
        return values

    def _one(self, row: tuple[Messages, str], post: Post) -> float | None:
        messages, response = row
        read = _read_prompt(self._settings, self._client, post, messages, response)
        reply = read.tokens[read.start :]
        tail = len(self._ending)
        if read.start == 0 or (tail and reply[len(reply) - tail :] != self._ending):
            return None
        values = read.logprobs[read.start : len(read.tokens) - tail + min(tail, 1)]
        known = [value for value in values if value is not None]
        return min(math.fsum(known) / len(known), 0.0) if known and len(known) == len(values) else None


def likelihood(settings: HttpBackend) -> HttpLikelihood | None:
    """Find out whether a server can read likelihoods; None where it cannot.

    Raises:
        BackendError: The server cannot be reached, or refuses.
        ConfigError: The key is absent.
    """
    client = Client(settings)
    question = [{"role": "user", "content": "0"}]
    try:
        first, second = (_read_prompt(settings, client, client.post, question, text) for text in ("0", "1"))
    except RequestFault as fault:
        if fault.fault.reason in NOT_OFFERED or fault.status in {404, 405, 501}:
            return None
        raise client.explain(fault) from fault
    if not (first.start and len(first.tokens) == len(second.tokens) > first.start):
        return None
    # What the chat format writes behind a reply is what two replies of one token have in common there.
    return HttpLikelihood(settings, client, first.tokens[first.start + 1 :])


class _Read(NamedTuple):
    tokens: list[int]
    """Of the conversation and the reply to it."""
    logprobs: list[float | None]
    start: int
    """Where the reply begins; 0 where the conversation alone is written in another way."""


def _read_prompt(settings: HttpBackend, client: Client, post: Post, messages: Messages, response: str) -> _Read:
    template = {name: value for name, value in settings.extra_body.items() if name == "chat_template_kwargs"}
    base = {"model": settings.model, **template}
    conversation = list(messages)
    before = client.ask(post, "/tokenize", {**base, "messages": conversation}, token_list)
    body = {
        **base,
        "messages": [*conversation, {"role": "assistant", "content": response}],
        "add_generation_prompt": False,
        "prompt_logprobs": 0,
        "return_token_ids": True,
        settings.max_tokens_field: 1,
        "temperature": 0,
    }
    tokens, logprobs = client.ask(post, _CHAT, body, _prompt_logprobs)
    start = len(before) if tokens[: len(before)] == before else 0
    return _Read(tokens, logprobs, start)


def _prompt_logprobs(reply: Body) -> tuple[list[int], list[float | None]]:
    tokens, entries = reply.get("prompt_token_ids"), reply.get("prompt_logprobs")
    if not (isinstance(tokens, list) and isinstance(entries, list) and len(tokens) == len(entries)):
        raise RequestFault(NO_LOGPROBS, "the reply has no log probabilities of the prompt")
    return tokens, [_own(entry, token) for entry, token in zip(entries, tokens, strict=True)]


def _own(entry: Any, token: int) -> float | None:
    """Log probability of the token that stands there; the first one of a prompt has none."""
    found = entry.get(str(token)) if isinstance(entry, dict) else None
    value = found.get("logprob") if isinstance(found, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _generation(reply: Body) -> Generation:
    choice = first_choice(reply)
    text = storable(reply_text(choice))
    logprobs = _logprobs(choice)
    usage = reply.get("usage")
    told = usage.get("completion_tokens") if isinstance(usage, dict) else None
    tokens = told if isinstance(told, int) and told >= 0 else len(logprobs)
    mean = min(math.fsum(logprobs) / len(logprobs), 0.0) if logprobs else None
    return Generation(text, tokens, mean, "length" if choice.get("finish_reason") == "length" else "stop")


def _logprobs(choice: Any) -> list[float]:
    """Log probabilities of the drawn tokens; empty where the server gives none."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not content:
        return []
    values = [entry.get("logprob") if isinstance(entry, dict) else None for entry in content]
    known = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if len(known) < len(values):
        raise RequestFault(MALFORMED, "the log probabilities are malformed")
    return known


def _failed(reason: str) -> Generation:
    return Generation("", 0, None, "stop", reason)
