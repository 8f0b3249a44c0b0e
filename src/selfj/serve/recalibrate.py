"""A new threshold from decisions that people gave a verdict on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfj import config as configs
from selfj.errors import ArtefactError, Infeasible
from selfj.files import locked, read_json, write_text
from selfj.judge import read_judge
from selfj.policy_risk import FILE, PolicyThreshold
from selfj.records import content_id, hash_fraction
from selfj.risk import FEEDBACK, Threshold, choose_threshold, load_threshold, upper_bound
from selfj.serve.drift import first_answer, let_through
from selfj.serve.feedback import Feedback, label
from selfj.serve.records import DecisionRow
from selfj.serve.store import Store

PROPOSED = "threshold.feedback.json"
PREVIOUS = "threshold.previous.json"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the decisions of a store."""

    decisions: int
    """Scored by the run's judge, one of each instruction."""
    answered: int
    """Among them."""
    judged_answered: int
    """Answered, with a verdict."""
    judged_declined: int
    """Declined, with a verdict."""
    other_judge: int
    """Decisions with a verdict that another judge scored; they are not used."""
    unscored: int
    """Decisions with a verdict and no score; they are not used."""
    later: int
    """Decisions with a verdict on an answer that was drawn again or elsewhere; they are not used."""
    used: int
    """Rows that the threshold was chosen on, after thinning."""

    @property
    def one_sided(self) -> bool:
        """Whether no declined decision has a verdict."""
        return self.judged_declined == 0


@dataclass(frozen=True, slots=True)
class PolicySeen:
    """What verdicts say of the answers that a policy of several steps let through."""

    threshold: PolicyThreshold
    failures: int
    judged: int
    """Answers with a verdict, one of each instruction."""

    def lines(self) -> list[str]:
        """What is known, in words."""
        promise = self.threshold
        most = upper_bound(self.failures, self.judged, promise.confidence) if self.judged else 1.0
        found = f"{self.failures:,} of {self.judged:,} answers that it let through and that have a verdict are failures"
        seen = f"{found}, at most {most:.1%} with confidence {promise.confidence:.0%}" if self.judged else found
        return [
            f"{FILE} decides for {', '.join(promise.values)} together and promises at most {promise.max_risk:.1%}: "
            f"{seen}",
            f"This threshold is about first answers alone and leaves {FILE} as it is: verdicts are on the draft that "
            "was let through, and stricter thresholds would let another one through. For the policy run selfj "
            "calibrate RUN --policy again.",
        ]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The new threshold beside the one before."""

    threshold: Threshold
    before: Threshold | None
    counts: Counts
    path: Path
    """Where the new one was written."""
    policy: PolicySeen | None = None
    """Where the gateway has thresholds of a whole policy."""

    def lines(self) -> list[str]:
        """What was found, in words."""
        new, old = self.threshold, self.before
        was = "there was none" if old is None else f"it was {old.value:.2f}"
        found = [
            f"threshold {new.value:.2f} of 9 ({was}): answers {new.coverage:.0%} of {new.n:,} decisions with a "
            f"verdict, {new.risk:.1%} of them failures, at most {new.risk_bound:.1%} with "
            f"confidence {new.confidence:.0%}",
            *explain(self.counts),
        ]
        return [*found, *([] if self.policy is None else self.policy.lines()), f"written to {self.path}"]


def explain(counts: Counts) -> list[str]:
    """What the rows that there are allow to be said."""
    declined = counts.decisions - counts.answered
    found = [
        f"{counts.judged_answered:,} of {counts.answered:,} answered and {counts.judged_declined:,} of {declined:,} "
        "declined decisions have a verdict and a score (one of each instruction)"
    ]
    if counts.other_judge or counts.unscored or counts.later:
        found.append(
            f"not used: {counts.other_judge:,} scored by another judge, {counts.unscored:,} without a score, "
            f"{counts.later:,} whose answer was drawn again or elsewhere"
        )
    if counts.one_sided:
        found.append(
            "Verdicts are on answered decisions only. What was declined is not known to be good or bad, so a threshold "
            "below the present one cannot be found: it can stay or rise. Its coverage is a share of the answered "
            "decisions. Give verdicts on declined ones too, to learn whether more can be answered."
        )
    elif counts.used < counts.judged_answered + counts.judged_declined:
        found.append(
            f"Answered and declined decisions have verdicts at different rates; they were thinned to the same, "
            f"{counts.used:,} rows."
        )
    found.append("The promise holds for verdicts given whatever the answer is like, not for complaints alone.")
    return found


def recalibrate(
    run: str | Path,
    store: Store,
    *,
    since: float | None = None,
    until: float | None = None,
    max_risk: float | None = None,
    apply: bool = False,
) -> Recalibration:
    """Choose a threshold on decisions with feedback, by the rule and with the bound of `selfj calibrate`.

    Only decisions scored by the run's judge count, one of each instruction, picked by hash. Where answered and
    declined decisions have verdicts at different rates, the more frequent ones are thinned by hash, so that their
    mixture is that of all decisions. The store is not changed.

    Args:
        run: Folder of the run, whose settings give the promise.
        store: Decisions and verdicts.
        since: Leave out earlier decisions, in seconds since 1970.
        until: Leave out those at or after it.
        max_risk: The promised risk, in (0, 1); None takes that of the present threshold, or of the settings.
        apply: Put it in place of `threshold.json`, which is kept beside it; otherwise write `threshold.feedback.json`.

    Raises:
        Infeasible: No threshold meets the promise on these rows; nothing was written.
        ArtefactError: No decision has both a score by the run's judge and a verdict.
    """
    config, folder = configs.load(run), Path(run)
    with locked(folder):
        judge = str(read_judge(folder / "judge")["digest"])
        before = load_threshold(folder / "threshold.json")[0] if (folder / "threshold.json").exists() else None
        rows, labels, counts = labelled(store, judge, since, until)
        if not rows:
            raise ArtefactError(
                f"No decision in {store.name} has both a score by the judge of {folder} and a verdict. Send "
                f"verdicts to /v1/feedback first. Found {'; '.join(explain(counts)[:2])}."
            )
        settings = config.calibrate
        try:
            threshold = choose_threshold(
                np.array([math.nan if row.score is None else row.score for row in rows]),
                np.array(labels),
                max_risk=max_risk or (settings.max_risk if before is None else before.max_risk),
                confidence=settings.confidence if before is None else before.confidence,
                min_quality=settings.min_quality if before is None else before.min_quality,
                label=FEEDBACK,
                judge=judge,
                data=content_id(FEEDBACK, [(row.id, value) for row, value in zip(rows, labels, strict=True)]),
            )
        except Infeasible as error:
            raise Infeasible(f"{error} {' '.join(explain(counts))} The threshold there was not changed.") from error
        path = folder / ("threshold.json" if apply else PROPOSED)
        if apply and before is not None:
            write_text(folder / PREVIOUS, before.to_json())
        write_text(path, threshold.to_json())
    return Recalibration(threshold, before, counts, path, _policy(folder, store, judge, since, until))


def _policy(folder: Path, store: Store, judge: str, since: float | None, until: float | None) -> PolicySeen | None:
    path = folder / FILE
    if not path.exists():
        return None
    value = read_json(path, "Run selfj calibrate RUN --policy FILE again.")
    if "infeasible" in value:
        return None
    threshold = PolicyThreshold.from_json(value)
    verdicts = _verdicts(store)
    seen: dict[str, DecisionRow] = {}
    for stored in store.after(since=since, until=until, bodies=False):
        row = stored.row
        if row.id in verdicts and _is_judge(row, judge) and let_through(row, threshold.values):
            key = row.instruction_digest or row.id
            if key not in seen or _before(row, seen[key], verdicts):
                seen[key] = row
    failures = sum(label(verdicts[row.id]) < threshold.min_quality for row in seen.values())
    return PolicySeen(threshold, failures, len(seen))


def labelled(
    store: Store, judge: str, since: float | None = None, until: float | None = None
) -> tuple[list[DecisionRow], list[float], Counts]:
    """Rows with a score by one judge and a verdict, their labels in [0, 9], and how many there were of each kind."""
    verdicts = _verdicts(store)
    seen: dict[str, DecisionRow] = {}
    other = unscored = later = 0
    for stored in store.after(since=since, until=until, bodies=False):
        row = stored.row
        judged = row.id in verdicts
        if not _is_judge(row, judge):
            other += judged
        elif row.score is None:
            unscored += judged
        elif not first_answer(row):
            later += judged
        else:
            key = row.instruction_digest or row.id
            if key not in seen or _before(row, seen[key], verdicts):
                seen[key] = row
    answered = [row for row in seen.values() if row.action == "answer"]
    declined = [row for row in seen.values() if row.action == "decline"]
    kept = [row for row in answered if row.id in verdicts], [row for row in declined if row.id in verdicts]
    used = _thinned(kept[0], kept[1], len(answered), len(declined)) if kept[1] else _reached_by_all(kept[0])
    counts = Counts(len(seen), len(answered), len(kept[0]), len(kept[1]), other, unscored, later, len(used))
    used.sort(key=lambda row: row.id)
    return used, [label(verdicts[row.id]) for row in used], counts


def _verdicts(store: Store) -> dict[str, list[Feedback]]:
    """All verdicts by decision."""
    found: dict[str, list[Feedback]] = {}
    for verdict in store.feedback_after():
        found.setdefault(verdict.decision_id, []).append(verdict)
    return found


def _is_judge(row: DecisionRow, digest: str) -> bool:
    """Whether the judge of a digest scored a row; a row without one has a name with its first twelve digits."""
    if row.judge_digest is not None:
        return row.judge_digest == digest
    text = row.judge
    return text == digest or digest[:12] in text.split()


def _before(row: DecisionRow, other: DecisionRow, verdicts: dict[str, list[Feedback]]) -> bool:
    """Whether a row stands for its instruction rather than another: one with a verdict does, then by hash."""
    mine, theirs = row.id in verdicts, other.id in verdicts
    if mine != theirs:
        return mine
    return hash_fraction("recalibrate", row.id) < hash_fraction("recalibrate", other.id)


def _reached_by_all(answered: Sequence[DecisionRow]) -> list[DecisionRow]:
    """Answered rows that every threshold among them would have answered; below, rows of stricter times are lacking."""
    highest = max((row.threshold for row in answered if row.threshold is not None), default=0.0)
    return [row for row in answered if row.score is not None and row.score >= highest]


def _thinned(
    answered: Sequence[DecisionRow], declined: Sequence[DecisionRow], of_answered: int, of_declined: int
) -> list[DecisionRow]:
    """Rows of both kinds at the lower of their two rates of verdicts; one kind alone is taken as it is."""
    rates = [len(answered) / of_answered if of_answered else 0.0, len(declined) / of_declined if of_declined else 0.0]
    if not all(rates):
        return [*answered, *declined]
    lowest = min(rates)
    kept: list[DecisionRow] = []
    for rows, rate in zip((answered, declined), rates, strict=True):
        kept += [row for row in rows if hash_fraction("thin", row.id) < lowest / rate]
    return kept
