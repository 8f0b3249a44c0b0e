"""Ask the grader, read its verdicts, and write the graded rows."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfj.backends.base import Generation
from selfj.errors import OverBudget, TooManyFailures
from selfj.files import locked
from selfj.grading.agreement import Agreement, agreement
from selfj.grading.plan import Ask, Job, Plan
from selfj.grading.price import Meter
from selfj.grading.rows import finished, write_rows
from selfj.peers import mean_verdict, verdict_of
from selfj.progress import Progress, Quiet
from selfj.verdicts import PRESETS, Verdict

OVER = "over_budget"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a grading came to."""

    rows: int
    graded: int
    failed: Counter[str]
    """Rows without a grade, by reason."""
    kept: int
    """Replies that were there from before."""
    requests: int
    """Requests of this command."""
    tokens_in: int
    """As the server counts them, of this command's requests."""
    tokens_out: int
    unmetered: int
    """Requests for which the server did not say what they took; no tokens are counted for them, and the most that they
    can have cost."""
    cost: float | None
    """In US dollars, of this command's requests; None where the price is unknown."""
    seconds: float
    agreement: Agreement | None
    """Between repeats; None with one."""
    stopped: bool
    """Whether the cap on the cost ended the work."""

    def lines(self) -> list[str]:
        """All of it in a few sentences."""
        failed = "".join(f", {n:,} {reason}" for reason, n in self.failed.most_common())
        silent = f" ({self.unmetered:,} requests without a count of tokens)" if self.unmetered else ""
        cost = "unknown" if self.cost is None else f"{self.cost:.4f} USD"
        found = [
            f"{self.rows:,} rows, {self.graded:,} graded{failed}",
            f"{self.kept:,} replies from before, {self.requests:,} requests, {self.tokens_in:,} tokens in and "
            f"{self.tokens_out:,} out{silent}",
            f"cost: {cost} · time: {self.seconds:,.1f} s",
        ]
        return found if self.agreement is None else [*found, self.agreement.describe("repeats")]


@dataclass(frozen=True, slots=True)
class Graded:
    """Graded rows, as they were written, and what they came to."""

    rows: list[dict[str, Any]]
    plan: Plan
    summary: Summary
    scale: tuple[int, int]
    """Lowest and highest grade."""
    path: Path
    max_failed: float

    def check(self) -> None:
        """Refuse a grading that was cut short or failed too often; its rows are written all the same.

        Raises:
            OverBudget: The cap on the cost ended it.
            TooManyFailures: More than the share `max_failed` of the rows have no grade.
        """
        failed = self.summary.failed
        if self.summary.stopped:
            raise OverBudget(
                f"{failed[OVER]:,} of {len(self.rows):,} rows were not graded, as the next request could have passed "
                f"--max-cost; {self.summary.cost or 0:.4f} USD were spent. All replies are kept, and {self.path} holds "
                "the grades so far. Run the same command to go on: the cap is for one command."
            )
        if failed.total() > self.max_failed * len(self.rows):
            reasons = ", ".join(f"{reason} {n}" for reason, n in failed.most_common())
            raise TooManyFailures(
                f"{failed.total()} of {len(self.rows)} rows have no grade ({reasons}); max_failed allows "
                f"{self.max_failed:.1%}. Each is in {self.path} with its reason. Run the same command to ask again for "
                "these only, or allow more with --set max_failed="
                f"{min(1.0, failed.total() / len(self.rows) + 0.01):.2f}."
            )


def perform(job: Job, progress: Progress | None = None) -> Graded:
    """Ask for the replies that are not there, and write all rows.

    Raises:
        OverBudget: The estimate passes the cap; nothing was sent.
        BackendError: A failure was not one row's but everybody's; replies so far are kept.
        ArtefactError: A file cannot be written, or another process grades into it.
    """
    job.check_cap()
    progress, began = progress or Quiet(), time.monotonic()
    meter = Meter(job.plan.price, job.max_cost)
    with locked(Path(job.grader.backend.cache or ".")):
        replies = _replies(job, meter, progress)
        made = [_row(job, place, replies) for place in range(len(job.rows))]
        write_rows(job.out, [fields for fields, _ in made])
    failed = Counter(str(fields["grade_reason"]) for fields, _ in made if fields["grade"] is None)
    values = [[np.nan if verdict.value is None else verdict.value for verdict in row] for _, row in made if row]
    several = np.array(values, dtype=np.float64).T if values and job.repeats > 1 else None
    summary = Summary(
        rows=len(made),
        graded=len(made) - failed.total(),
        failed=failed,
        kept=sum(job.kept.values()),
        requests=meter.requests,
        tokens_in=meter.tokens_in,
        tokens_out=meter.tokens_out,
        unmetered=meter.unmetered,
        cost=meter.spent,
        seconds=time.monotonic() - began,
        agreement=None if several is None else agreement(several),
        stopped=meter.stopped,
    )
    progress.finish(f"{summary.graded:,} of {summary.rows:,} rows in {job.out}")
    return Graded([fields for fields, _ in made], job.plan, summary, job.scale, job.out, job.grader.max_failed)


def _replies(job: Job, meter: Meter, progress: Progress) -> dict[Ask, Generation]:
    there = [ask for ask, kept in job.kept.items() if kept]
    ahead = [ask for ask, kept in job.kept.items() if not kept]
    progress.start("grade", len(job.kept), len(there))
    return _asked(job, there, meter, None) | _asked(job, ahead, meter, progress)


def _asked(job: Job, asks: Sequence[Ask], meter: Meter, progress: Progress | None) -> dict[Ask, Generation]:
    preset = PRESETS[job.grader.preset]

    def done() -> None:
        if progress is not None:
            progress.advance(1)

    drawn = job.generator.write(
        [ask.prompt for ask in asks],
        [ask.draw for ask in asks],
        job.sampling,
        purse=meter,
        # A reply without a verdict is not kept, so that the next command asks again.
        accept=lambda reply: verdict_of(reply, preset).value is not None,
        done=done,
    )
    return dict(zip(asks, drawn, strict=True))


def _row(job: Job, place: int, replies: Mapping[Ask, Generation]) -> tuple[dict[str, Any], list[Verdict]]:
    row, preset = job.rows[place], PRESETS[job.grader.preset]
    drawn = [replies[ask] for ask in job.asks[place]]
    verdicts = [verdict_of(reply, preset) for reply in drawn]
    mean, reason = (None, row.reason) if row.item is None else mean_verdict(verdicts)
    if any(verdict.reason == OVER for verdict in verdicts):
        # The repeats that were not asked for will come; until then their mean would be another quantity.
        mean, reason = None, OVER
    made: dict[str, Any] = {
        "grade": int(mean) if mean is not None and mean.is_integer() else mean,
        "grade_reason": reason,
        "grade_text": drawn[0].text or None if drawn else None,
    }
    if job.repeats > 1:
        values = [verdict.value for verdict in verdicts if verdict.value is not None]
        made["grade_sd"] = None if mean is None or len(values) < 2 else round(float(np.std(values, ddof=1)), 6)
        made["grade_repeats"] = [
            {"grade": verdict.value, "reason": verdict.reason, "text": reply.text or None}
            for verdict, reply in zip(verdicts, drawn, strict=True)
        ]
    made["grader"] = {
        "model": job.generator.name,
        "template": job.grader.preset,
        "key": job.key,
        "with_reference": row.item is not None and row.item.reference is not None,
        "truncated": job.cut[place],
    }
    return finished(row, made), verdicts
