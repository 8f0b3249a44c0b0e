"""`python -m benchmarks.gateway --only promise`: does the promise of a whole policy hold through the gateway.

The embedded world gives a population of instructions: each with drafts of its small Llama, an answer of a stronger
model, the scores of a judge tuned as in the demo, and the truth. A deployment draws its calibration set from that
population, calibrates answer, resample and escalate together, and serves every instruction of the population through
the gateway: its application, its policy, its thresholds' file. Upstreams and judge answer from the population, in this
process. So the risk among what was let through is the true risk of the deployment, without noise of a test set.
"""

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from scipy import stats

from benchmarks.gateway.pool import Pool, judge_run, make_pool
from benchmarks.result import Figure
from selfj.errors import Infeasible
from selfj.judge import Score
from selfj.policy_path import calibrate_policy
from selfj.policy_risk import FILE, STEPS, Drafts, Steps, outcome
from selfj.risk import answers, choose_threshold
from selfj.serve.app import Gateway, create_app
from selfj.serve.breaker import Breaker
from selfj.serve.errors import parse_json
from selfj.serve.server import NoRecorder
from selfj.serve.settings import ServeSettings

DRAFTS = 3
MAX_RISK, CONFIDENCE, MIN_QUALITY = 0.2, 0.95, 7.0
CALIBRATION = 400
STRONG = "stronger"
STEPS_HERE = Steps(DRAFTS, 1.0, STRONG, None, "decline")
_AT_ONCE = 64


@dataclass(frozen=True)
class Deployment:
    """What one calibration set led to."""

    risk: float
    """True risk among what the gateway let through; NaN where it let nothing through."""
    coverage: float
    by_step: tuple[int, int, int]
    """Answers by step."""
    unlike: int
    """Replies that differ from what calibration reckons with."""
    alone: float
    """Coverage of a threshold for first answers alone, from the same calibration set."""
    uncalibrated: float
    """True risk where that threshold stands at every step."""


class WorldUpstream:
    """Answers from the population, in the place of the gateway's HTTP client."""

    pool: dict[str, list[str]]

    def __init__(self, settings, tracing=None):
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_pause_s)

    async def start(self):
        pass

    async def close(self):
        pass

    async def post(self, path, content, request_id, check, *, model=""):
        body = parse_json(content)
        texts = self.pool[body["messages"][-1]["content"]]
        text = texts[-1] if body["model"] == STRONG else texts[body["seed"]]
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": "w", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        return reply, check(reply)


class KnownJudge:
    """Gives the scores that the real judge gave."""

    name = "world"

    def __init__(self, pool: Pool):
        self.digest = pool.digest
        self._scores = {
            (instruction, text): None if np.isnan(score) else float(score)
            for instruction, texts, row in zip(pool.instructions, pool.texts, pool.scores, strict=True)
            for text, score in zip(texts, row, strict=True)
        }

    def score(self, inputs):
        found = [self._scores[item.instruction, item.response] for item in inputs]
        return [Score(value, None, 1.0, self.name, None if value is not None else "no_level") for value in found]


class Population:
    """The population, and a gateway before it."""

    def __init__(self, pool: Pool, folder: Path):
        self.pool, self.folder = pool, folder
        self.judge = KnownJudge(pool)
        self.failures = pool.truths < MIN_QUALITY
        self.drafts = self.some(np.arange(len(pool.instructions)))
        WorldUpstream.pool = dict(zip(pool.instructions, pool.texts, strict=True))

    def some(self, rows: np.ndarray) -> Drafts:
        scores, failures = self.pool.scores[rows], self.failures[rows]
        shut = np.array([not self.pool.texts[row][0] for row in rows])
        return Drafts(scores[:, :DRAFTS], failures[:, :DRAFTS], scores[:, -1], failures[:, -1], shut)

    def deploy(self, seed: int) -> Deployment:
        """Calibrate on a set of this seed, and serve the population."""
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, len(self.pool.instructions), CALIBRATION)
        promise = {"max_risk": MAX_RISK, "confidence": CONFIDENCE, "min_quality": MIN_QUALITY}
        path = self.folder / FILE
        try:
            found = calibrate_policy(
                self.some(rows), STEPS_HERE, rng.random(len(rows)), judge=self.judge.digest, **promise
            )
        except Infeasible:
            return self._told(np.zeros(len(self.drafts.scores), dtype=int), np.nan, 0, rows, promise)
        path.write_text(found.to_json())
        replies = asyncio.run(self._served())
        reckoned = outcome(self.drafts, found.values)
        step = np.array([STEPS.index(told["step"]) + 1 if told["decision"] == "answer" else 0 for told, _ in replies])
        failed = np.array([self._failed(row, text) for row, (_, text) in enumerate(replies)])
        covered = all(told["promise"] is not None for told, _ in replies if told["decision"] == "answer")
        unlike = int((step != reckoned.step).sum() + (failed[step > 0] != reckoned.failed[step > 0]).sum())
        risk = float(failed[step > 0].mean()) if (step > 0).any() else np.nan
        return self._told(step, risk, unlike if covered else len(step), rows, promise)

    def _told(self, step: np.ndarray, risk: float, unlike: int, rows: np.ndarray, promise: dict) -> Deployment:
        first = self.pool.scores[:, 0]
        try:
            labels = np.where(self.failures[rows, 0], 0.0, 9.0)
            value = choose_threshold(first[rows], labels, **promise).value
        except Infeasible:
            value = np.inf
        same = outcome(self.drafts, dict.fromkeys(STEPS, value))
        k, answered = same.counts()
        return Deployment(
            risk,
            float((step > 0).mean()),
            tuple(int((step == place).sum()) for place in (1, 2, 3)),
            unlike,
            float(answers(first, value).mean()),
            k / answered if answered else np.nan,
        )

    def _failed(self, row: int, text: str) -> bool:
        places = [place for place, said in enumerate(self.pool.texts[row]) if said == text]
        return bool(places) and bool(self.failures[row, places[0]])

    async def _served(self) -> list[tuple[dict, str]]:
        up = {"base_url": "http://127.0.0.1:9/v1"}
        settings = ServeSettings(
            run=str(self.folder),
            upstream=up,
            resample={"n": DRAFTS, "temperature": STEPS_HERE.temperature},
            escalate={"upstream": up, "model": STRONG},
        )
        with mock.patch("selfj.serve.app.Upstream", WorldUpstream), mock.patch("selfj.serve.app.log"):
            app = create_app(settings, self.judge, NoRecorder())
            await app.start()
            free = asyncio.Semaphore(_AT_ONCE)
            try:
                return await asyncio.gather(*(_ask(app, free, text) for text in self.pool.instructions))
            finally:
                await app.close()


async def _ask(app: Gateway, free: asyncio.Semaphore, instruction: str) -> tuple[dict, str]:
    body = {"model": "small", "seed": 0, "messages": [{"role": "user", "content": instruction}]}
    data = json.dumps(body).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())],
        "client": ("127.0.0.1", 1),
    }
    sent: list[bytes] = []

    asked = iter([{"type": "http.request", "body": data, "more_body": False}])

    async def receive():
        # The caller stays: after the body nothing more comes.
        return next(asked, None) or await asyncio.Event().wait()

    async def send(message):
        sent.append(message.get("body", b""))

    async with free:
        await app(scope, receive, send)
    reply = json.loads(b"".join(sent))
    return reply["selfj"], reply["choices"][0]["message"]["content"]


def measure(*, quick: bool, keep: Path | None = None) -> list[Figure]:
    """All figures; a few minutes, most of them for the judge and the population."""
    draws, instructions = (40, 600) if quick else (200, 1000)
    with tempfile.TemporaryDirectory(prefix="selfj-promise-") as temporary:
        folder = keep or Path(temporary)
        began = time.monotonic()
        kept = folder / f"pool{instructions}.json"
        if not kept.exists():
            make_pool(judge_run(folder, 1500), folder, instructions, DRAFTS).save(kept)
        made_s = time.monotonic() - began
        population = Population(Pool.load(kept), folder)
        found = [population.deploy(seed) for seed in range(draws)]
        print(f"population {made_s:.0f} s, {draws} deployments {time.monotonic() - began - made_s:.0f} s")
    return figures(found, len(population.pool.instructions))


def figures(found: list[Deployment], m: int) -> list[Figure]:
    draws = len(found)
    broken = sum(item.risk > MAX_RISK for item in found)
    low, high = stats.binomtest(broken, draws).proportion_ci(0.95)
    # More than this comes up once in a thousand times where each breaks it with the probability that is allowed.
    most = stats.binom.ppf(0.999, draws, 1 - CONFIDENCE) / draws
    naive = sum(item.uncalibrated > MAX_RISK for item in found)
    steps = np.array([item.by_step for item in found]).mean(axis=0) / m
    risks = [item.risk for item in found if not np.isnan(item.risk)]
    return [
        Figure("bound_violation_share", broken / draws, "", f"<= {most:.4f}", (float(low), float(high))),
        Figure("promise_deployments", draws),
        Figure("promise_decisions_unlike_calibration", sum(item.unlike for item in found), "", "<= 0"),
        Figure("promise_mean_risk", float(np.mean(risks))),
        Figure("coverage_answer_only", float(np.mean([item.alone for item in found]))),
        Figure("coverage_policy", float(np.mean([item.coverage for item in found]))),
        *(Figure(f"coverage_by_{name}", float(share)) for name, share in zip(STEPS, steps, strict=True)),
        Figure("one_threshold_for_all_steps_violation_share", naive / draws),
    ]
