"""A judge that is read over HTTP."""

from collections.abc import Callable, Sequence

import numpy as np

from selfj.backends.base import Array, JudgeInput, LevelReading
from selfj.backends.http_client import Client, Post
from selfj.backends.http_errors import NO_LEVEL, NOT_OFFERED, RequestFault
from selfj.backends.http_protocols import (
    Chat,
    Completions,
    Decisions,
    LevelProtocol,
    Levels,
    SystemOne,
    TokenIds,
    Verbalised,
)
from selfj.backends.http_text import JudgePrompts
from selfj.errors import BackendRefused
from selfj.prompts import LEVELS
from selfj.settings import HttpBackend

_AUTO = ("token_ids", "systemone", "decisions", "chat")
"""From the most exact down: all ten levels with label mass and selfj's own prompt; all ten with the server's prompt;
all ten without label mass; the likeliest tokens."""
_PROBE = JudgeInput("What is 2 + 2?", "4")
_ABSENT = {404, 405, 501}
"""Statuses by which a server says that it does not have a route, or not for this model."""


class HttpReader:
    """Reads levels by the protocol that was chosen when it was made."""

    def __init__(self, settings: HttpBackend, *, template: str = "selfj"):
        """Probe the server for the protocol.

        Args:
            settings: Server and model.
            template: Name of the judge template.

        Raises:
            BackendError: The server cannot be reached, refuses, or offers no fitting protocol.
            ConfigError: The template is unknown, or the key is absent.
        """
        self._client = Client(settings)
        self._prompts = JudgePrompts(template, max_chars=settings.max_chars, cut=settings.long_text == "cut")
        chosen, self._protocol = self._choose(settings)
        self.name = f"{settings.model} via {chosen}"
        """Model and protocol; stands in every score."""

    def read(self, inputs: Sequence[JudgeInput]) -> LevelReading:
        """Read one token per input, many inputs at once.

        Reasons: `too_long`, `rejected` or `refused` by the server, `no_level` among what it returned,
        `no_logprobs`, `malformed_reply`, `timeout`, `connection_lost`, `server_error`.

        Raises:
            BackendError: A failure was not one row's but everybody's.
        """
        fitted = [self._prompts.within(exchange) for exchange in inputs]
        good = [(place, exchange) for place, (exchange, _) in enumerate(fitted) if exchange is not None]
        found = self._client.each([exchange for _, exchange in good], self._read)
        probabilities: Array = np.full((len(inputs), len(LEVELS)), np.nan)
        mass: Array = np.full(len(inputs), np.nan)
        errors: list[str | None] = ["too_long" if exchange is None else None for exchange, _ in fitted]
        for (place, _), result in zip(good, found, strict=True):
            if isinstance(result, str):
                errors[place] = result
            else:
                probabilities[place], mass[place] = result
        return LevelReading(probabilities, mass, tuple(errors), tuple(cut for _, cut in fitted))

    def _read(self, exchange: JudgeInput, post: Post) -> Levels:
        path, body = self._protocol.request(exchange)
        return self._client.ask(post, path, body, self._protocol.parse)

    def _choose(self, settings: HttpBackend) -> tuple[str, LevelProtocol]:
        post, prompts = self._client.post, self._prompts
        ways: dict[str, Callable[[], LevelProtocol]] = {
            "token_ids": lambda: TokenIds(settings, prompts, post),
            "systemone": lambda: SystemOne(settings, prompts),
            "decisions": lambda: Decisions(settings, prompts),
            "chat": lambda: Chat(settings, prompts),
            "completions": lambda: Completions(settings, prompts),
            "verbalised": lambda: Verbalised(settings, prompts),
        }
        # A template with its own text around the prompt was tuned without a chat format.
        auto = ("completions",) if prompts.wrapped else _AUTO
        tried = []
        for name in auto if settings.protocol == "auto" else (settings.protocol,):
            try:
                protocol = ways[name]()
                _try(protocol, post)
            except RequestFault as fault:
                if not _absent(fault):
                    raise self._client.explain(fault) from fault
                tried.append(f"{name} ({fault.detail})")
            else:
                return name, protocol
        listed = ", ".join(self._client.models()) or "no names"
        raise BackendRefused(
            f"The server at {settings.url} offers no way to read levels from the model {settings.model!r}; tried "
            f"{'; '.join(tried)}. It lists these models: {listed}. Where none of them gives log probabilities, "
            'protocol = "verbalised" takes the integer that the model writes.'
        )


def _try(protocol: LevelProtocol, post: Post) -> None:
    path, body = protocol.request(_PROBE)
    reply = post(path, body)
    try:
        protocol.parse(reply)
    except RequestFault as fault:
        # The protocol works; that this model has no level for this exchange will show in its rows.
        if fault.fault is not NO_LEVEL:
            raise


def _absent(fault: RequestFault) -> bool:
    return fault.status in _ABSENT or fault.fault.reason in NOT_OFFERED
