"""Counters and histograms in Prometheus' text form, of one process or of all workers together."""

from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from selfj.serve.breaker import Breaker
from selfj.serve.judging import JudgeQueue
from selfj.serve.shared import Shared

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STATES = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """What a gateway counts.

    With several workers each writes its numbers to files in a shared folder, and whichever is asked adds up those of
    all. What a worker that died had counted stays.
    """

    def __init__(self, shared: Shared | None = None) -> None:
        """Make them, all at nothing.

        Args:
            shared: This worker's place among others; its folder is the one that `shared.VARIABLE` named when
                prometheus_client was imported. None where there is one process.
        """
        self._shared = shared
        self._registry = CollectorRegistry()
        names = ["route", "action", "step", "reason", "observed"]
        self._replies = Counter("selfj_replies", "Replies by what was decided.", names, registry=self._registry)
        told = "Answers by step, and whether the promise is about them."
        self._answers = Counter("selfj_answers", told, ["step", "promised"], registry=self._registry)
        told = "1 where a promise covers the answers of a step."
        self._covers = Gauge(
            "selfj_promise_covers", told, ["step"], registry=self._registry, multiprocess_mode="livemax"
        )
        self._status = Counter("selfj_http", "Replies by status.", ["route", "status"], registry=self._registry)
        self._times = Histogram(
            "selfj_seconds", "Seconds that a reply took, by part.", ["part"], buckets=_BUCKETS, registry=self._registry
        )
        told = "Seconds until the first byte of a stream and until its end, held back or early."
        self._streams = Histogram(
            "selfj_stream_seconds", told, ["streaming", "until"], buckets=_BUCKETS, registry=self._registry
        )
        self._parts = {part: self._times.labels(part) for part in ("total", "upstream", "judge")}
        self._read: list[tuple[Gauge, Callable[[], float]]] = []

    def watch(self, judge: JudgeQueue, breakers: Mapping[str, Breaker], inflight: Callable[[], int]) -> None:
        """Read gauges from where they stand, whenever they are asked for."""
        self._gauge("selfj_inflight", "Requests under way.", inflight)
        self._gauge("selfj_judge_queue", "Exchanges that wait for the judge.", lambda: judge.depth)
        told = "Circuit breaker: 0 closed, 1 half open, 2 open; of several workers the worst."
        state = Gauge("selfj_breaker", told, ["upstream"], registry=self._registry, multiprocess_mode="livemax")
        for name, breaker in breakers.items():
            self._read.append((state.labels(name), _reader(breaker)))

    def watch_store(self, waiting: Callable[[], int]) -> Callable[[int, int], None]:
        """Count what a store keeps.

        Args:
            waiting: Gives the rows that wait for their commit.

        Returns:
            What is to be called with the numbers of rows that were kept and refused; from any thread.
        """
        kept = Counter("selfj_store_rows", "Decisions that were kept.", registry=self._registry)
        refused = Counter("selfj_store_refused", "Decisions that could not be kept.", registry=self._registry)
        self._gauge("selfj_store_waiting", "Decisions that wait for their commit.", waiting)

        def count(more_kept: int, more_refused: int) -> None:
            kept.inc(more_kept)
            refused.inc(more_refused)

        return count

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

    def streamed(self, streaming: str, first_s: float, total_s: float) -> None:
        """Count a stream by when its first byte went out, and its last."""
        self._streams.labels(streaming, "first_byte").observe(first_s)
        self._streams.labels(streaming, "end").observe(total_s)

    def status(self, route: str, status: int) -> None:
        """Count a reply."""
        self._status.labels(route, str(status)).inc()

    def refresh(self) -> None:
        """Read the gauges, so that the other workers see how this one stands."""
        for gauge, read in self._read:
            gauge.set(read())

    def text(self) -> bytes:
        """All of them, of all workers."""
        self.refresh()
        if self._shared is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, path=str(self._shared.folder))  # type: ignore[no-untyped-call]
        return generate_latest(together) + self._shared.metrics().encode()

    def _gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        gauge = Gauge(name, text, registry=self._registry, multiprocess_mode="livesum")
        self._read.append((gauge, read))


def _reader(breaker: Breaker) -> Callable[[], float]:
    return lambda: _STATES[breaker.state]
