"""Streams that are let through as they come and end with the verdict."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from selfj.risk import Threshold, decide
from selfj.serve.errors import ApiError
from selfj.serve.hangup import HungUp
from selfj.serve.http import Request
from selfj.serve.policy import Drawn, Policy, as_content
from selfj.serve.replies import DONE, Answer, Outcome, Trace, event
from selfj.serve.requests import CHAT, Asked, clean
from selfj.serve.upstream import Body

_HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
Close = Callable[[Outcome], Awaitable[dict[str, Any]]]


class Early:
    """One streamed reply: text goes out at once, the end waits for the judge."""

    def __init__(self, policy: Policy, asked: Asked, threshold: Threshold | None, request: Request, trace: Trace):
        """Prepare it; see `Policy.outcome`."""
        self._policy = policy
        self._asked = asked
        self._threshold = threshold
        self._request_id = request.id
        self._caller = request.caller
        self._trace = trace
        self._began = 0.0
        self._chunks: AsyncGenerator[Body, None]
        self._text: list[str] = []
        self._finish: Any = None
        self._usage: Any = None
        self._reason: str | None = None

    async def open(self) -> Body | Outcome:
        """Ask the upstream and wait for its first chunk; an outcome where the gate declines.

        Raises:
            ApiError: The upstream failed before anything came.
        """
        if self._policy.settings.mode == "enforce":
            stopped = await self._policy.gate(self._asked, self._trace)
            if stopped is not None:
                return stopped
        self._trace.attempts += 1
        self._began = time.perf_counter()
        body = {**self._asked.body, "stream": True}
        upstream = self._policy.upstream
        self._chunks = upstream.stream(self._asked.route, as_content(body), self._request_id, model=self._asked.model)
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise ApiError(502, "upstream_bad_reply", "The model behind this gateway sent an empty stream.") from None

    async def parts(self, first: Body, close: Close, message: str) -> AsyncIterator[bytes]:
        """The bytes of the reply.

        Args:
            first: The first chunk.
            close: Records the outcome, and gives the verdict as it is told.
            message: What a caller reads where the answer is declined.
        """
        head = {name: first[name] for name in _HEAD if name in first}
        try:
            chunk: Body | None = first
            while chunk is not None and self._reason is None:
                choice = self._take(chunk)
                if choice is not None:
                    yield event(head | {"choices": [choice]})
                async with self._caller:
                    chunk = await anext(self._chunks, None)
            self._trace.upstream_s += time.perf_counter() - self._began
            async with self._caller:
                outcome = await self._outcome()
            told = await close(outcome)
        except HungUp:
            self._trace.upstream_s = self._trace.upstream_s or time.perf_counter() - self._began
            # What goes on there would be paid for.
            await self._chunks.aclose()
            await close(Outcome("abandoned", "answer", "hung_up_streaming", None, None, "".join(self._text)))
            return
        except ApiError as error:
            if error.code != "record_failed":
                self._trace.upstream_s = time.perf_counter() - self._began
                await close(Outcome("error", "answer", error.code, None, None))
            yield event(error.body(self._request_id))
            return
        withdrawn = outcome.action == "decline" and self._policy.settings.mode == "enforce"
        last = self._part("") | {"finish_reason": "content_filter" if withdrawn else self._finish}
        yield event(head | {"choices": [last], "selfj": told | ({"message": message} if withdrawn else {})})
        if self._asked.usage:
            yield event(head | {"choices": [], "usage": self._usage})
        yield DONE

    async def _outcome(self) -> Outcome:
        policy, text = self._policy, clean("".join(self._text))
        reason = self._reason or (None if text else "empty_response")
        if reason is not None:
            nothing = decide(None, self._threshold, unscored=reason)
            drawn = Drawn({}, Answer("", reason), nothing, reason)
            ended = policy.ending(drawn)
            # Its pieces were not let through, so it cannot pass.
            action = "pass" if policy.settings.mode == "observe" else "decline"
            return Outcome(action, ended.step, ended.code, None, None)
        decision, code = await policy.decision(self._asked.instruction, text, self._threshold, self._trace)
        return policy.ending(Drawn({}, Answer(text, None), decision, code))

    def _take(self, chunk: Body) -> dict[str, Any] | None:
        """What of a chunk goes out: its text and nothing else."""
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise ApiError(502, "upstream_bad_reply", "The model behind this gateway sent a chunk without choices.")
        if not choices:
            return None
        choice = choices[0]
        if len(choices) > 1 or choice.get("index", 0) != 0:
            self._reason = "several_choices"
            return None
        self._finish = choice.get("finish_reason") or self._finish
        text = self._read(choice)
        if not text:
            return None
        self._text.append(text)
        return self._part(text) | {"logprobs": choice.get("logprobs")}

    def _read(self, choice: dict[str, Any]) -> str:
        delta = choice.get("delta") if self._asked.route == CHAT else choice
        if not isinstance(delta, dict):
            return ""
        if delta.get("tool_calls") or delta.get("function_call"):
            self._reason = "tool_calls"
        elif delta.get("refusal"):
            self._reason = "refusal"
        text = delta.get("content" if self._asked.route == CHAT else "text")
        if text is not None and not isinstance(text, str):
            self._reason = "not_text"
        return text if isinstance(text, str) and self._reason is None else ""

    def _part(self, text: str) -> dict[str, Any]:
        empty: dict[str, Any] = {"index": 0, "finish_reason": None, "logprobs": None}
        if self._asked.route != CHAT:
            return empty | {"text": text}
        return empty | {"delta": {"role": "assistant", "content": text} if text else {}}
