"""Replies of both routes: reading an upstream's, and writing what a caller sees."""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfj.risk import Decision
from selfj.serve.errors import dump_json
from selfj.serve.requests import CHAT, Route, clean
from selfj.serve.upstream import Malformed

_TOP = ("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier")
_CHOICE = ("index", "finish_reason", "stop_reason")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an upstream's reply says."""

    text: str
    unjudgeable: str | None
    """Why the judge cannot judge it, as one word."""


@dataclass(slots=True)
class Outcome:
    """What becomes of a request."""

    action: str
    step: str
    code: str
    """The reason as one word."""
    decision: Decision | None
    reply: dict[str, Any] | None
    """The upstream's; None where it was not asked."""
    text: str = ""
    """The answer that was judged."""


@dataclass(slots=True)
class Trace:
    """What a request took."""

    began: float
    attempts: int = 0
    upstream_s: float = 0.0
    judge_s: float = 0.0

    def total_ms(self) -> float:
        """Milliseconds since the request was read."""
        return (time.perf_counter() - self.began) * 1000


def read_answer(route: Route, reply: Mapping[str, Any]) -> Answer:
    """Read an upstream's reply.

    Raises:
        Malformed: It is not what the route promises.
    """
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise Malformed("it has no choices")
    read = [_chat(choice) if route == CHAT else _text(choice.get("text")) for choice in choices]
    return read[0] if len(read) == 1 else Answer("", "several_choices")


def _chat(choice: Mapping[str, Any]) -> Answer:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Malformed("its choice has no message")
    calls = message.get("tool_calls")
    if calls and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        raise Malformed("its calls of tools are no list of objects")
    if calls or message.get("function_call"):
        return Answer("", "tool_calls")
    if message.get("audio"):
        return Answer("", "not_text")
    if message.get("refusal"):
        return Answer("", "refusal")
    return _text(message.get("content"))


def _text(text: Any) -> Answer:
    if text is None or text == "":
        return Answer("", "empty_response")
    if not isinstance(text, str):
        raise Malformed("its answer is no text")
    return Answer(clean(text), None)


def word(reason: str) -> str:
    """A reason as one word, so that counters have few names."""
    return reason if _WORD.fullmatch(reason) else "unscored"


def judged_only(route: Route, reply: Mapping[str, Any]) -> dict[str, Any]:
    """An upstream's reply with nothing in it that the judge did not read."""
    choice = reply["choices"][0]
    kept = {name: choice[name] for name in _CHOICE if name in choice} | {"logprobs": _logprobs(choice)}
    if route == CHAT:
        kept["message"] = {"role": "assistant", "content": choice["message"]["content"], "refusal": None}
    else:
        kept["text"] = choice["text"]
    return {name: reply[name] for name in _TOP if name in reply} | {"choices": [kept]}


def _logprobs(choice: Mapping[str, Any]) -> Any:
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        return None
    # Those of a refusal are of a text that was not judged.
    return {name: value for name, value in found.items() if name != "refusal"}


def declined(route: Route, model: str, text: str, reply: Mapping[str, Any] | None) -> dict[str, Any]:
    """A reply with the operator's text; the usage of what was declined stays."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "content_filter", "logprobs": None}
    if route == CHAT:
        choice["message"] = {"role": "assistant", "content": text, "refusal": None}
    else:
        choice["text"] = text
    usage = (reply or {}).get("usage")
    none = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return {
        "id": f"{'chatcmpl' if route == CHAT else 'cmpl'}-{secrets.token_hex(12)}",
        "object": "chat.completion" if route == CHAT else "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": usage if isinstance(usage, dict) else none,
    }


def verdict(outcome: Outcome, trace: Trace, judge: str, *, observed: bool) -> dict[str, Any]:
    """The `selfj` object of a reply."""
    decision = outcome.decision
    told = {"answer": "answered", "decline": "declined", "pass": "passed_unjudged"}
    return {
        "decision": outcome.action,
        "code": told.get(outcome.action, outcome.action),
        "score": decision.score if decision else None,
        "threshold": decision.threshold if decision else None,
        "label_mass": decision.label_mass if decision else None,
        "step": outcome.step,
        "judge": judge,
        "reason": _sentence(outcome),
        "attempts": trace.attempts,
        "observed": observed,
        "latency_ms": {
            "total": round(trace.total_ms(), 3),
            "upstream": round(trace.upstream_s * 1000, 3),
            "judge": round(trace.judge_s * 1000, 3),
        },
    }


def _sentence(outcome: Outcome) -> str:
    scored = outcome.decision is not None and outcome.decision.score is not None
    return outcome.decision.reason if scored and outcome.decision else outcome.code


def headers(told: Mapping[str, Any], code: str) -> list[tuple[bytes, bytes]]:
    """The same as headers, for callers that do not look into bodies."""
    values = {
        name: told[name] for name in ("decision", "score", "threshold", "label_mass", "step", "judge", "attempts")
    }
    values["reason"] = code
    if told["observed"]:
        values["observed"] = "true"
    return [
        (f"x-selfj-{name.replace('_', '-')}".encode(), header_value(value))
        for name, value in values.items()
        if value is not None
    ]


def header_value(value: object) -> bytes:
    """Anything as the value of a header."""
    return "".join(sign if sign.isprintable() else " " for sign in str(value)).encode("ascii", "replace")


def event(value: Mapping[str, Any]) -> bytes:
    """One chunk of a stream."""
    return b"data: " + dump_json(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def as_chunks(route: Route, reply: Mapping[str, Any], *, usage: bool) -> bytes:
    """A whole reply as the chunks of a stream; the last one with a choice carries the verdict."""
    head = {name: reply[name] for name in _TOP if name in reply and name != "usage"}
    told = reply["selfj"]
    parts = []
    for choice in reply["choices"]:
        first, last = _halves(route, choice)
        parts += [{"choices": [first]}, {"choices": [last], "selfj": told}]
    if usage:
        parts.append({"choices": [], "usage": reply.get("usage")})
    if route == CHAT:
        head["object"] = "chat.completion.chunk"
    return b"".join(event(head | part) for part in parts) + DONE


def _halves(route: Route, choice: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    index, finish = choice.get("index", 0), choice.get("finish_reason")
    first = {"index": index, "finish_reason": None, "logprobs": choice.get("logprobs")}
    last = {"index": index, "finish_reason": finish, "logprobs": None}
    if route != CHAT:
        return first | {"text": choice.get("text", "")}, last | {"text": ""}
    delta = {name: value for name, value in choice["message"].items() if value is not None}
    if delta.get("tool_calls"):
        delta["tool_calls"] = [call | {"index": place} for place, call in enumerate(delta["tool_calls"])]
    return first | {"delta": delta}, last | {"delta": {}}
