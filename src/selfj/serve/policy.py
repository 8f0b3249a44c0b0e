"""What becomes of a request: gate, answer, resample, escalate, decline; each by the rule of `selfj.risk.decide`."""

import asyncio
import time
from dataclasses import dataclass

from selfj.backends.base import JudgeInput
from selfj.judge import Score
from selfj.risk import Decision, Threshold, decide
from selfj.serve.errors import ApiError, dump_json, invalid
from selfj.serve.judging import JudgeFault, JudgeQueue
from selfj.serve.replies import Answer, Outcome, Trace, read_answer, word
from selfj.serve.requests import Asked
from selfj.serve.settings import ServeSettings
from selfj.serve.thresholds import Held, Thresholds
from selfj.serve.upstream import Body, Upstream


@dataclass(frozen=True, slots=True)
class Drawn:
    """A reply of an upstream, and what was decided of it."""

    reply: Body
    answer: Answer
    decision: Decision
    code: str


class Policy:
    """The steps, as the settings have them."""

    def __init__(
        self,
        settings: ServeSettings,
        upstream: Upstream,
        escalation: Upstream | None,
        judge: JudgeQueue,
        thresholds: Thresholds,
    ):
        """Put the parts together."""
        self.settings = settings
        self.upstream = upstream
        self.judge = judge
        self.thresholds = thresholds
        self._escalation = escalation

    async def outcome(self, asked: Asked, held: Held, request_id: str, trace: Trace) -> Outcome:
        """Decide what a caller gets.

        Args:
            asked: The request.
            held: The thresholds of its steps.
            request_id: For the upstream's logs.
            trace: What it takes is added here.

        Raises:
            ApiError: The upstream failed.
        """
        observe = self.settings.mode == "observe"
        if asked.unjudgeable:
            if not observe and self.settings.unjudgeable == "decline":
                return Outcome("decline", "unjudgeable", asked.unjudgeable, None, None)
            reply, _ = await self._ask(self.upstream, asked, asked.body, request_id, trace)
            return Outcome("pass", "unjudgeable", asked.unjudgeable, None, reply)
        stopped = None if observe else await self.gate(asked, trace)
        if stopped is not None:
            return stopped
        reply, answer = await self._ask(self.upstream, asked, asked.body, request_id, trace)
        drawn = await self._judged(asked, reply, answer, held.answer, trace)
        if answer.unjudgeable or observe:
            return self.ending(drawn)
        if drawn.decision.action == "answer":
            return _as("answer", "answer", drawn)
        if drawn.decision.score is None:
            return await self._failed(asked, drawn, held, request_id, trace)
        best = await self._resampled(asked, drawn, held, request_id, trace)
        if best.decision.action == "answer":
            return _as("answer", "resample", best)
        other = await self._escalated(asked, held, request_id, trace)
        if other is not None and other.decision.action == "answer":
            return _as("answer", "escalate", other)
        return _as("decline", "decline", best)

    async def gate(self, asked: Asked, trace: Trace) -> Outcome | None:
        """Decline before anything is generated, where the settings have a gate and the instruction does not pass."""
        if self.thresholds.gate is None:
            return None
        decision, code = await self.decision(asked.instruction, "", self.thresholds.gate, trace)
        if decision.action == "answer" or decision.score is None:
            return None
        return Outcome("decline", "gate", code, decision, None)

    def ending(self, drawn: Drawn) -> Outcome:
        """The outcome of one answer where no further step is taken."""
        if drawn.answer.unjudgeable:
            passed = self.settings.mode == "observe" or self.settings.unjudgeable == "pass"
            return Outcome("pass" if passed else "decline", "unjudgeable", drawn.code, None, drawn.reply)
        if drawn.decision.action == "answer":
            return _as("answer", "answer", drawn)
        if drawn.decision.score is not None:
            return _as("decline", "decline", drawn)
        return _as("pass" if self.settings.on_failure == "pass" else "decline", "failure", drawn)

    async def decision(
        self, instruction: str, response: str, threshold: Threshold | None, trace: Trace
    ) -> tuple[Decision, str]:
        """Judge one exchange and decide; gives the reason as one word too."""
        began = time.perf_counter()
        try:
            score = await self.judge.score(JudgeInput(instruction, response))
        except JudgeFault as fault:
            score = Score(None, None, None, self.judge.judge.name, str(fault))
        finally:
            trace.judge_s += time.perf_counter() - began
        return decided(score, response, threshold)

    async def _ask(
        self, upstream: Upstream, asked: Asked, body: Body, request_id: str, trace: Trace
    ) -> tuple[Body, Answer]:
        plain = body
        if asked.stream:
            plain = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
        content = as_content(plain)
        trace.attempts += 1
        began = time.perf_counter()
        try:
            return await upstream.post(
                asked.route,
                content,
                request_id,
                lambda reply: read_answer(asked.route, reply),
                model=str(body["model"]),
            )
        finally:
            trace.upstream_s += time.perf_counter() - began

    async def _judged(
        self, asked: Asked, reply: Body, answer: Answer, threshold: Threshold | None, trace: Trace
    ) -> Drawn:
        if answer.unjudgeable:
            nothing = decide(None, threshold, unscored=answer.unjudgeable)
            return Drawn(reply, answer, nothing, answer.unjudgeable)
        decision, code = await self.decision(asked.instruction, answer.text, threshold, trace)
        return Drawn(reply, answer, decision, code)

    async def _failed(self, asked: Asked, drawn: Drawn, held: Held, request_id: str, trace: Trace) -> Outcome:
        if self.settings.on_failure == "escalate":
            other = await self._escalated(asked, held, request_id, trace)
            if other is not None and other.decision.action == "answer":
                return _as("answer", "escalate", other)
        return self.ending(drawn)

    async def _resampled(self, asked: Asked, first: Drawn, held: Held, request_id: str, trace: Trace) -> Drawn:
        """The best of several answers, the first among them; the first where resampling is off."""
        settings = self.settings.resample
        if settings is None:
            return first
        limit = held.resample
        draws = await asyncio.gather(
            *(self._drawn(asked, place, limit, request_id, trace) for place in range(1, settings.n))
        )
        # The first answer is held to the threshold of the best, like the others.
        again = decide(first.decision.score, limit, response=first.answer.text, label_mass=first.decision.label_mass)
        kept = [Drawn(first.reply, first.answer, again, _code(again)), *(draw for draw in draws if draw is not None)]
        return max(kept, key=lambda draw: -1.0 if draw.decision.score is None else draw.decision.score)

    async def _drawn(
        self, asked: Asked, place: int, threshold: Threshold | None, request_id: str, trace: Trace
    ) -> Drawn | None:
        settings = self.settings.resample
        body = dict(asked.body)
        seed = body.get("seed")
        if isinstance(seed, int) and not isinstance(seed, bool):
            body["seed"] = seed + place
        if settings is not None and settings.temperature is not None:
            body["temperature"] = settings.temperature
        return await self._try(self.upstream, asked, body, threshold, request_id, trace)

    async def _escalated(self, asked: Asked, held: Held, request_id: str, trace: Trace) -> Drawn | None:
        settings = self.settings.escalate
        if settings is None or self._escalation is None:
            return None
        body = {**asked.body, "model": settings.model}
        return await self._try(self._escalation, asked, body, held.escalate, request_id, trace)

    async def _try(
        self, upstream: Upstream, asked: Asked, body: Body, threshold: Threshold | None, request_id: str, trace: Trace
    ) -> Drawn | None:
        """A further answer, judged; None where there is none, which leaves the decision at what is there."""
        try:
            reply, answer = await self._ask(upstream, asked, body, request_id, trace)
        except ApiError:
            return None
        return await self._judged(asked, reply, answer, threshold, trace)


def as_content(body: Body) -> bytes:
    """A body as it is sent.

    Raises:
        ApiError: It holds a number that JSON has no form for; status 400.
    """
    try:
        return dump_json(body)
    except ValueError:
        raise invalid("The body holds a number that is out of range, or is nested too deeply.") from None


def decided(score: Score, response: str, threshold: Threshold | None) -> tuple[Decision, str]:
    """Apply the rule to a score; gives the reason as one word too."""
    decision = decide(
        score.value,
        threshold,
        response=response,
        label_mass=score.label_mass,
        unscored=score.reason or "unscored",
    )
    return decision, _code(decision)


def _code(decision: Decision) -> str:
    if decision.action == "answer":
        return "reached"
    if decision.score is None:
        return word(decision.reason)
    return "no_threshold" if decision.threshold is None else "below_threshold"


def _as(action: str, step: str, drawn: Drawn) -> Outcome:
    return Outcome(action, step, drawn.code, drawn.decision, drawn.reply, drawn.answer.text)
