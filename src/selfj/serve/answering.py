"""The routes that answer: ask, decide, record, reply."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from selfj.serve.errors import ApiError
from selfj.serve.hangup import HungUp
from selfj.serve.http import Reply, Request, event_reply, hung_up, json_reply
from selfj.serve.languages import choose
from selfj.serve.metrics import Metrics
from selfj.serve.policy import Policy
from selfj.serve.records import DecisionRow, Recorder
from selfj.serve.replies import Outcome, Trace, as_chunks, declined, header_value, headers, judged_only, verdict
from selfj.serve.requests import Asked, Route, read_request
from selfj.serve.streams import Early
from selfj.serve.thresholds import Held, Promise
from selfj.serve.tracing import NOTHING, Tracing, put_asked, put_reply


class Answering:
    """Answers chat and plain completions."""

    def __init__(
        self,
        policy: Policy,
        recorder: Recorder,
        metrics: Metrics,
        judge_digest: str = "",
        tracing: Tracing = NOTHING,
    ):
        """Put the parts together; the judge's digest is recorded with each decision."""
        self.policy = policy
        self.settings = policy.settings
        self._recorder = recorder
        self._metrics = metrics
        self._judge_digest = judge_digest or None
        self._tracing = tracing

    async def answer(self, route: Route, request: Request) -> Reply:
        """Answer one request.

        Raises:
            ApiError: It is malformed, or there is no reply.
        """
        began = time.perf_counter()
        asked = read_request(route, await request.json())
        put_asked(self._tracing.current(), asked)
        early = asked.stream and self._early(asked)
        held = self.policy.thresholds.chosen(asked, early=early)
        trace = Trace(began)
        language = self._language(request)
        if early:
            return await self._stream(asked, held, request, trace, language)
        try:
            async with request.caller:
                outcome = await self.policy.outcome(asked, held, request.id, trace)
        except HungUp:
            await self.record(asked, abandoned(), request, trace, language)
            raise hung_up() from None
        except ApiError as error:
            await self.record(asked, failed(error), request, trace, language)
            raise
        reply = self._reply(asked, outcome, language)
        told = self._verdict(outcome, trace, held)
        reply["selfj"] = told
        await self.record(asked, outcome, request, trace, language, held)
        more = headers(told, outcome.code)
        if asked.stream:
            return event_reply(as_chunks(route, reply, usage=asked.usage), headers=more)
        return json_reply(reply, headers=more)

    @property
    def observed(self) -> bool:
        """Whether decisions are only noted."""
        return self.settings.mode == "observe"

    @property
    def judge(self) -> str:
        """Name of the judge."""
        return self.policy.judge.judge.name

    def _verdict(self, outcome: Outcome, trace: Trace, held: Held) -> dict[str, Any]:
        promise = self._covering(outcome, held)
        told = verdict(outcome, trace, self.judge, observed=self.observed)
        return told | {"promise": None if promise is None else promise.to_dict()}

    def _covering(self, outcome: Outcome, held: Held | None) -> Promise | None:
        """The promise that is about this reply: about answers, by the steps that it was made for."""
        promise = None if held is None or self.observed else held.promise
        covered = promise is not None and outcome.action == "answer" and outcome.step in promise.steps
        return promise if covered else None

    def _early(self, asked: Asked) -> bool:
        # A call of a tool comes in pieces that are of no use before it is known whether they may go out.
        tools = asked.body.get("tools") or asked.body.get("functions")
        return self.settings.streaming == "early" and asked.unjudgeable is None and not tools

    def _language(self, request: Request) -> str:
        header = request.headers.get("accept-language", "")
        return choose(header, self.settings.decline.messages, self.settings.decline.default)

    def _reply(self, asked: Asked, outcome: Outcome, language: str) -> dict[str, Any]:
        if outcome.reply is not None and (self.observed or outcome.action == "pass"):
            return dict(outcome.reply)
        if outcome.action == "answer" and outcome.reply is not None:
            return judged_only(asked.route, outcome.reply)
        return declined(asked.route, asked.model, self.settings.decline.messages[language], outcome.reply)

    async def _stream(self, asked: Asked, held: Held, request: Request, trace: Trace, language: str) -> Reply:
        early = Early(self.policy, asked, held.answer, request, trace)
        message = self.settings.decline.messages[language]

        async def close(outcome: Outcome) -> dict[str, Any]:
            await self.record(asked, outcome, request, trace, language, held)
            return self._verdict(outcome, trace, held)

        try:
            async with request.caller:
                first = await early.open()
        except HungUp:
            await self.record(asked, abandoned(), request, trace, language)
            raise hung_up() from None
        except ApiError as error:
            await self.record(asked, failed(error), request, trace, language)
            raise
        if isinstance(first, Outcome):
            reply = declined(asked.route, asked.model, message, None)
            reply["selfj"] = told = await close(first)
            return event_reply(as_chunks(asked.route, reply, usage=asked.usage), headers=headers(told, first.code))
        parts: AsyncIterator[bytes] = early.parts(first, close, message)
        more = [(b"x-selfj-decision", b"pending"), (b"x-selfj-judge", header_value(self.judge))]
        return event_reply(parts=parts, headers=more)

    async def record(
        self, asked: Asked, outcome: Outcome, request: Request, trace: Trace, language: str, held: Held | None = None
    ) -> None:
        """Record what becomes of a request, and count it.

        Raises:
            ApiError: It could not be recorded; status 503.
        """
        row = self._row(asked, outcome, request, trace, language)
        self._put(row, outcome)
        try:
            with self._tracing.part("record"):
                await self._recorder.record(row)
        except Exception as error:
            told = "The decision could not be recorded, so there is no reply."
            raise ApiError(503, "record_failed", told) from error
        self._metrics.reply(
            route=asked.route, action=outcome.action, step=outcome.step, reason=outcome.code, observed=self.observed
        )
        if outcome.action == "answer":
            self._metrics.answer(outcome.step, promised=self._covering(outcome, held) is not None)
        self._metrics.took(row.total_ms / 1000, trace.upstream_s, trace.judge_s)

    def _put(self, row: DecisionRow, outcome: Outcome) -> None:
        span = self._tracing.current()
        for name in ("action", "step", "reason", "score", "threshold", "label_mass", "attempts", "observed", "judge"):
            span.put(f"selfj.{'decision' if name == 'action' else name}", getattr(row, name))
        span.put("selfj.decision_id", row.id)
        if outcome.reply is not None:
            put_reply(span, outcome.reply)

    def _row(self, asked: Asked, outcome: Outcome, request: Request, trace: Trace, language: str) -> DecisionRow:
        decision = outcome.decision
        body = None
        if self.settings.keep_bodies:
            body = json.dumps({"instruction": asked.instruction, "response": outcome.text}, ensure_ascii=False)
        return DecisionRow(
            id=uuid.uuid4().hex,
            at=time.time(),
            request_id=request.id,
            route=asked.route,
            model=asked.model.encode("utf-8", "replace").decode("utf-8"),
            action=outcome.action,
            step=outcome.step,
            observed=self.observed,
            score=decision.score if decision else None,
            threshold=decision.threshold if decision else None,
            label_mass=decision.label_mass if decision else None,
            reason=outcome.code,
            judge=self.judge,
            attempts=trace.attempts,
            total_ms=trace.total_ms(),
            upstream_ms=trace.upstream_s * 1000,
            judge_ms=trace.judge_s * 1000,
            language=language,
            instruction_digest=asked.digest,
            body=body,
            judge_digest=self._judge_digest,
        )


def abandoned() -> Outcome:
    """The outcome where the caller hung up before anything went out."""
    return Outcome("abandoned", "answer", "hung_up", None, None)


def failed(error: ApiError) -> Outcome:
    """The outcome where an upstream gave no reply."""
    return Outcome("error", "answer", error.code, None, None)
