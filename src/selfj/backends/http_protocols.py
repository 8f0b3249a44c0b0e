"""The ways in which a server can be asked for the ten level probabilities: what is sent, and how the reply is read."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from selfj.backends.base import JudgeInput
from selfj.backends.http_client import Body, Post
from selfj.backends.http_errors import DECLINED, MALFORMED, NO_LEVEL, NO_LOGPROBS, RequestFault
from selfj.backends.http_text import JudgePrompts
from selfj.prompts import LEVELS
from selfj.settings import HttpBackend

CRITERIA = (
    "worthless",
    "very bad",
    "bad",
    "poor",
    "below average",
    "average",
    "fair",
    "good",
    "very good",
    "perfect",
)
"""What the ten levels are called where a server wants names for them."""

_QUESTION = "quality"
_SPACE = ("", " ")
_INTEGER = re.compile(r"\s*([0-9])\s*")
_ROOM = 0.02
"""How far probabilities that a server gives may sum from 1."""


class Levels(NamedTuple):
    """What one reply says."""

    probabilities: tuple[float, ...]
    """Of the ten levels, with sum 1."""
    mass: float
    """Label mass in [0, 1]; NaN where the server does not say."""


class LevelProtocol(Protocol):
    """One way to ask."""

    def request(self, exchange: JudgeInput) -> tuple[str, Body]:
        """Path and body for one exchange."""
        ...

    def parse(self, reply: Body) -> Levels:
        """Read the reply.

        Raises:
            RequestFault: It is malformed, a refusal, or holds no level.
        """
        ...


class TokenIds:
    """Chat completions with the log probabilities of exactly the ten level tokens (vLLM)."""

    def __init__(self, settings: HttpBackend, prompts: JudgePrompts, post: Post):
        """Ask the server for the tokens of the ten digits at the start of a reply.

        Raises:
            RequestFault: It has no `/tokenize`, or the digits are not single tokens there.
        """
        self._chat = _ChatRequest(settings, prompts)
        self._ids = _level_ids(settings, prompts, post)

    def request(self, exchange: JudgeInput) -> tuple[str, Body]:
        """One token, with ten log probabilities."""
        ids = {"logprob_token_ids": self._ids, "return_tokens_as_token_ids": True}
        options = {"logprobs": True, "chat_template_kwargs": {"enable_thinking": False}}
        return self._chat.request(exchange, options | ids, max_tokens=1)

    def parse(self, reply: Body) -> Levels:
        """All ten are needed; the label mass is over the full vocabulary."""
        found = {entry["token"]: entry["logprob"] for entry in _top(reply)}
        values = [found.get(f"token_id:{token}") for token in self._ids]
        if None in values:
            raise RequestFault(NO_LOGPROBS, "the reply lacks log probabilities of level tokens")
        return _of_logprobs(zip(LEVELS, values, strict=True))


class Chat:
    """Chat completions with the log probabilities of the likeliest tokens."""

    def __init__(self, settings: HttpBackend, prompts: JudgePrompts):
        """Prepare requests."""
        self._chat = _ChatRequest(settings, prompts)
        self._top = settings.top_logprobs

    def request(self, exchange: JudgeInput) -> tuple[str, Body]:
        """One token, with the likeliest in its place."""
        return self._chat.request(exchange, {"logprobs": True, "top_logprobs": self._top}, max_tokens=1)

    def parse(self, reply: Body) -> Levels:
        """A digit that is not among the likeliest counts as 0; the label mass is the sum of those seen."""
        return _of_logprobs((str(entry["token"]), entry["logprob"]) for entry in _top(reply))


class Completions:
    """Plain completions with the log probabilities of the likeliest tokens, for prompts without a chat format."""

    def __init__(self, settings: HttpBackend, prompts: JudgePrompts):
        """Prepare requests."""
        self._settings = settings
        self._prompts = prompts

    def request(self, exchange: JudgeInput) -> tuple[str, Body]:
        """One token, with the likeliest in its place."""
        body = {
            "model": self._settings.model,
            "prompt": self._prompts.text(exchange),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": self._settings.top_logprobs,
        }
        return "completions", body | self._settings.extra_body

    def parse(self, reply: Body) -> Levels:
        """As with chat completions."""
        logprobs = first_choice(reply).get("logprobs")
        top = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
        if not (isinstance(top, list) and top and isinstance(top[0], dict)):
            raise RequestFault(NO_LOGPROBS, "the reply has no log probabilities")
        return _of_logprobs(top[0].items())


class SystemOne:
    """A `score` question of ten levels at `/v1/systemone`."""

    def __init__(self, settings: HttpBackend, prompts: JudgePrompts):
        """Prepare requests."""
        self._settings = settings
        self._prompts = prompts

    def request(self, exchange: JudgeInput) -> tuple[str, Body]:
        """The exchange is the state, the task is the question."""
        task, state = self._prompts.parts(exchange)
        question = {"type": "score", "instructions": task, "criteria": list(CRITERIA)}
        body = {"model": self._settings.model, "state": state, "questions": {_QUESTION: question}}
        return "systemone", body | self._settings.extra_body

    def parse(self, reply: Body) -> Levels:
        """The label mass is that of vLLM's diagnostics, else unknown."""
        answer = _object(_object(reply, "answers"), _QUESTION)
        found = _object(answer, "probabilities")
        told = reply.get("diagnostics")
        mass = _object(told, _QUESTION).get("label_mass") if isinstance(told, dict) else None
        return _of_probabilities([found.get(level) for level in LEVELS], len(found), mass)


class Decisions:
    """A `score` question of ten levels at `/v1/decisions`."""

    def __init__(self, settings: HttpBackend, prompts: JudgePrompts):
        """Prepare requests."""
        self._settings = settings
        self._prompts = prompts

    def request(self, exchange: JudgeInput) -> tuple[str, Body]:
        """The exchange is the input, the task is the question."""
        task, state = self._prompts.parts(exchange)
        levels = [{"label": level, "description": name} for level, name in zip(LEVELS, CRITERIA, strict=True)]
        question = {"type": "score", "name": _QUESTION, "instructions": task, "levels": levels}
        body = {"model": self._settings.model, "input": state, "questions": [question]}
        return "decisions", body | self._settings.extra_body

    def parse(self, reply: Body) -> Levels:
        """The protocol has no label mass."""
        answers = reply.get("answers")
        answer = answers[0] if isinstance(answers, list) and answers else None
        if not isinstance(answer, dict):
            raise RequestFault(MALFORMED, "the reply has no answers")
        if answer.get("type") == "refusal":
            raise RequestFault(DECLINED, "the model refused")
        entries = answer.get("probabilities")
        if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
            raise RequestFault(MALFORMED, "the answer has no probabilities")
        found = {str(entry.get("label")): entry.get("probability") for entry in entries}
        return _of_probabilities([found.get(level) for level in LEVELS], len(entries), None)


class Verbalised:
    """Chat completions, and the integer that the model writes: all of the probability on one level."""

    def __init__(self, settings: HttpBackend, prompts: JudgePrompts):
        """Prepare requests."""
        self._chat = _ChatRequest(settings, prompts)

    def request(self, exchange: JudgeInput) -> tuple[str, Body]:
        """Room for a few tokens, so that 10 is not taken for 1."""
        return self._chat.request(exchange, {}, max_tokens=8)

    def parse(self, reply: Body) -> Levels:
        """The whole reply must be one integer from 0 to 9, and must have ended by itself."""
        choice = first_choice(reply)
        written = _INTEGER.fullmatch(reply_text(choice))
        if written is None or choice.get("finish_reason") == "length":
            raise RequestFault(NO_LEVEL, "the reply is not one integer from 0 to 9")
        level = int(written.group(1))
        return Levels(tuple(float(place == level) for place in range(len(LEVELS))), math.nan)


class _ChatRequest:
    """What every request to chat completions has."""

    def __init__(self, settings: HttpBackend, prompts: JudgePrompts):
        self._settings = settings
        self._prompts = prompts

    def request(self, exchange: JudgeInput, options: Body, max_tokens: int) -> tuple[str, Body]:
        body = {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": self._prompts.message(exchange)}],
            self._settings.max_tokens_field: max_tokens,
            "temperature": 0,
        }
        return "chat/completions", body | options | self._settings.extra_body


def reply_text(choice: Mapping[str, Any]) -> str:
    """The text of a chat completion's choice.

    Raises:
        RequestFault: The model or a filter refused, or there is no text.
    """
    message = choice.get("message")
    if not isinstance(message, dict):
        raise RequestFault(MALFORMED, "the choice has no message")
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        raise RequestFault(DECLINED, "the model refused")
    text = message.get("content")
    if not isinstance(text, str):
        raise RequestFault(MALFORMED, "the message has no text")
    return text


def first_choice(reply: Body) -> Mapping[str, Any]:
    """The first choice of a completion.

    Raises:
        RequestFault: There is none.
    """
    choices = reply.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        raise RequestFault(MALFORMED, "the reply has no choices")
    return choices[0]


def _top(reply: Body) -> list[dict[str, Any]]:
    """Alternatives for the first token of a chat completion."""
    choice = first_choice(reply)
    if choice.get("finish_reason") == "content_filter":
        raise RequestFault(DECLINED, "a filter refused")
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not (isinstance(content, list) and content and isinstance(content[0], dict)):
        raise RequestFault(NO_LOGPROBS, "the reply has no log probabilities")
    top = content[0].get("top_logprobs")
    if not (isinstance(top, list) and top):
        raise RequestFault(NO_LOGPROBS, "the reply has no alternatives to its first token")
    if not all(isinstance(entry, dict) and {"token", "logprob"} <= entry.keys() for entry in top):
        raise RequestFault(MALFORMED, "the log probabilities are malformed")
    return top


def _of_logprobs(entries: Iterable[tuple[str, Any]]) -> Levels:
    """Levels from natural log probabilities by token; tokens that differ in leading space are one level."""
    found = dict.fromkeys(LEVELS, 0.0)
    for token, value in entries:
        level = token.lstrip()
        if level in found:
            found[level] += math.exp(min(_number(value), 0.0))
    mass = sum(found.values())
    if mass <= 0:
        raise RequestFault(NO_LEVEL, "none of the ten levels is among the tokens returned")
    return Levels(tuple(value / mass for value in found.values()), min(mass, 1.0))


def _of_probabilities(values: list[Any], given: int, mass: Any) -> Levels:
    """Levels from probabilities that the server gives, which must be ten with sum 1."""
    if given != len(LEVELS):
        raise RequestFault(MALFORMED, f"the answer has {given} levels, not ten")
    numbers = [_number(value) for value in values]
    total = math.fsum(numbers)
    if min(numbers) < 0 or abs(total - 1) > _ROOM:
        raise RequestFault(MALFORMED, "the probabilities do not sum to 1")
    known = math.nan if mass is None else min(max(_number(mass), 0.0), 1.0)
    return Levels(tuple(number / total for number in numbers), known)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise RequestFault(MALFORMED, "a probability is no number")
    return float(value)


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise RequestFault(MALFORMED, f"the reply has no {name}")
    return found


def _level_ids(settings: HttpBackend, prompts: JudgePrompts, post: Post) -> list[int]:
    """The token that each digit is at the start of a reply, or after one space there, by the server's tokenizer."""
    chat = {
        "model": settings.model,
        "messages": [{"role": "user", "content": prompts.message(JudgeInput("", ""))}],
        "chat_template_kwargs": {"enable_thinking": False},
    }
    named = {name: settings.extra_body[name] for name in ("chat_template_kwargs",) if name in settings.extra_body}
    prompt = token_list(post("/tokenize", chat | named))
    text = post("/detokenize", {"model": settings.model, "tokens": prompt}).get("prompt")
    if not isinstance(text, str):
        raise RequestFault(MALFORMED, "the server does not write tokens as text")

    def encode(more: str) -> list[int]:
        return token_list(post("/tokenize", {"model": settings.model, "prompt": more, "add_special_tokens": False}))

    start = encode(text)
    for space in _SPACE:
        wholes = [encode(f"{text}{space}{level}") for level in LEVELS]
        ids = [whole[-1] for whole in wholes if whole]
        if all(whole[:-1] == start for whole in wholes) and len(set(ids)) == len(LEVELS):
            return ids
    raise RequestFault(MALFORMED, "the digits are not single tokens at the start of a reply")


def token_list(reply: Body) -> list[int]:
    """The tokens in a reply of vLLM's `/tokenize`.

    Raises:
        RequestFault: There are none.
    """
    tokens = reply.get("tokens")
    if not (isinstance(tokens, list) and all(isinstance(token, int) for token in tokens)):
        raise RequestFault(MALFORMED, "the server gives no tokens")
    return tokens
