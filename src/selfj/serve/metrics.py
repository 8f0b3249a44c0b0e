"""Counters and histograms in Prometheus' text form."""

import functools
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from selfj.serve.breaker import Breaker
from selfj.serve.judging import JudgeQueue

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STATES = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """What one gateway counts."""

    def __init__(self) -> None:
        """Make them, all at nothing."""
        self._registry = CollectorRegistry()
        names = ["route", "action", "step", "reason", "observed"]
        self._replies = Counter("selfj_replies", "Replies by what was decided.", names, registry=self._registry)
        told = "Answers by step, and whether the promise is about them."
        self._answers = Counter("selfj_answers", told, ["step", "promised"], registry=self._registry)
        told = "1 where a promise covers the answers of a step."
        self._covers = Gauge("selfj_promise_covers", told, ["step"], registry=self._registry)
        self._status = Counter("selfj_http", "Replies by status.", ["route", "status"], registry=self._registry)
        self._times = Histogram(
            "selfj_seconds", "Seconds that a reply took, by part.", ["part"], buckets=_BUCKETS, registry=self._registry
        )
        self._parts = {part: self._times.labels(part) for part in ("total", "upstream", "judge")}
        self._inflight = Gauge("selfj_inflight", "Requests under way.", registry=self._registry)

    def watch(self, judge: JudgeQueue, breakers: dict[str, Breaker], inflight: Callable[[], int]) -> None:
        """Read gauges from where they stand."""
        depth = Gauge("selfj_judge_queue", "Exchanges that wait for the judge.", registry=self._registry)
        depth.set_function(lambda: judge.depth)
        self._inflight.set_function(inflight)
        told = "0 closed, 1 half open, 2 open."
        state = Gauge("selfj_breaker", f"Circuit breaker: {told}", ["upstream"], registry=self._registry)
        for name, breaker in breakers.items():
            state.labels(name).set_function(functools.partial(_state, breaker))

    def reply(self, *, route: str, action: str, step: str, reason: str, observed: bool) -> None:
        """Count a decision."""
        self._replies.labels(route, action, step, reason, str(observed).lower()).inc()

    def answer(self, step: str, *, promised: bool) -> None:
        """Count an answer that was let through."""
        self._answers.labels(step, str(promised).lower()).inc()

    def covers(self, steps: dict[str, bool]) -> None:
        """Say which steps a promise covers."""
        for step, covered in steps.items():
            self._covers.labels(step).set(covered)

    def took(self, total_s: float, upstream_s: float, judge_s: float) -> None:
        """Count seconds."""
        self._parts["total"].observe(total_s)
        self._parts["upstream"].observe(upstream_s)
        self._parts["judge"].observe(judge_s)

    def status(self, route: str, status: int) -> None:
        """Count a reply."""
        self._status.labels(route, str(status)).inc()

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)


def _state(breaker: Breaker) -> float:
    return _STATES[breaker.state]
