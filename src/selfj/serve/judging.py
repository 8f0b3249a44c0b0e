"""The judge at work: a bounded queue, batches of what waits, threads, and a limit on the time a score may take."""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from selfj.backends.base import JudgeInput
from selfj.judge import Score, Scorer
from selfj.serve.logs import log_fault
from selfj.serve.settings import JudgeQueueSettings
from selfj.serve.tracing import NOTHING, Tracing

QUEUE_FULL, TIMEOUT, FAILED, STOPPED = "judge_queue_full", "judge_timeout", "judge_failed", "judge_stopped"


class JudgeFault(Exception):
    """There is no score; the argument says why, as one word."""


@dataclass(slots=True)
class _Waiting:
    exchange: JudgeInput
    done: asyncio.Future[Score]


class JudgeQueue:
    """Scores exchanges of many requests in batches; every fault is a `JudgeFault`."""

    def __init__(self, judge: Scorer, settings: JudgeQueueSettings, tracing: Tracing = NOTHING):
        """Make one; it works between `start` and `close`."""
        self.judge = judge
        self._settings = settings
        self._tracing = tracing
        self._waiting: deque[_Waiting] = deque()
        self._came = asyncio.Event()
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="judge")
        self._tasks: list[asyncio.Task[None]] = []
        self._began: dict[int, float] = {}

    def start(self) -> None:
        """Begin to work."""
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(self._settings.workers)]

    async def close(self) -> None:
        """End; what still waits has no score."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done.done():
                waiting.done.set_exception(JudgeFault(STOPPED))
        # A judge that hangs is not waited for.
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def depth(self) -> int:
        """Exchanges that wait."""
        return len(self._waiting)

    @property
    def stuck(self) -> bool:
        """Whether every worker has been at one batch for longer than a score may take."""
        late = time.monotonic() - self._settings.timeout_s
        began = list(self._began.values())
        return len(began) == self._settings.workers and all(moment < late for moment in began)

    async def score(self, exchange: JudgeInput) -> Score:
        """Score one exchange.

        Raises:
            JudgeFault: There is no reading: `judge_queue_full`, `judge_timeout`, `judge_failed`, `judge_stopped`.
        """
        with self._tracing.part("judge") as span:
            span.put("gen_ai.evaluation.name", "self_j")
            span.put("selfj.judge", self.judge.name)
            try:
                found = await self._scored(exchange)
            except JudgeFault as fault:
                span.fail(str(fault))
                raise
            span.put("gen_ai.evaluation.score.value", found.value)
            span.put("selfj.label_mass", found.label_mass)
            return found

    async def _scored(self, exchange: JudgeInput) -> Score:
        if len(self._waiting) >= self._settings.queue:
            raise JudgeFault(QUEUE_FULL)
        done: asyncio.Future[Score] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(exchange, done))
        self._came.set()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await done
        except TimeoutError:
            raise JudgeFault(TIMEOUT) from None

    async def _work(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._came.wait()
            if self._settings.wait_ms and len(self._waiting) < self._settings.batch:
                await asyncio.sleep(self._settings.wait_ms / 1000)
            batch = self._take()
            if not batch:
                continue
            self._began[number] = time.monotonic()
            try:
                found = await loop.run_in_executor(self._pool, self._score, [item.exchange for item in batch])
            finally:
                del self._began[number]
                self._abandon(batch)
            for item, score in zip(batch, found, strict=True):
                if item.done.done():
                    continue
                if score is None:
                    item.done.set_exception(JudgeFault(FAILED))
                else:
                    item.done.set_result(score)

    def _take(self) -> list[_Waiting]:
        """The next batch; those that nobody waits for any more are left out."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._settings.batch:
            item = self._waiting.popleft()
            if not item.done.done():
                batch.append(item)
        if not self._waiting:
            self._came.clear()
        return batch

    def _abandon(self, batch: list[_Waiting]) -> None:
        """When the work is ended from outside, nobody is left waiting."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            for item in batch:
                if not item.done.done():
                    item.done.set_exception(JudgeFault(STOPPED))

    def _score(self, exchanges: list[JudgeInput]) -> list[Score | None]:
        if len(exchanges) == 1:
            return [self._alone(exchanges[0])]
        try:
            return self._checked(exchanges)
        except Exception:
            # One text can make a whole batch fail; the others should not pay for it.
            return [self._alone(exchange) for exchange in exchanges]

    def _alone(self, exchange: JudgeInput) -> Score | None:
        try:
            return self._checked([exchange])[0]
        except Exception:
            log_fault("judge_failed")
            return None

    def _checked(self, exchanges: list[JudgeInput]) -> list[Score | None]:
        found = list(self.judge.score(exchanges))
        if len(found) != len(exchanges):
            raise ValueError(f"{len(exchanges)} exchanges were to be judged, the judge gave {len(found)} scores")
        return [*found]
