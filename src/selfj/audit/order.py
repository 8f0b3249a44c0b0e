"""Probes of order: neighbours in a batch, repeated reading, and which response of a pair comes first."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from selfj.audit.material import Pair, numbered
from selfj.audit.subject import Example, Finding, Measure, Subject, known
from selfj.metrics import Array

_BATCH = 64
"""Exchanges that are read again in other orders."""
_ALONE = 16
"""Exchanges that are read with no other beside them."""
_SWAPPED = 64
"""Pairs that are read in both orders."""
_MATCHED = 0.1
"""Responses whose lengths differ by at most this share of the longer one are of one length."""


def batch(subject: Subject) -> Finding:
    """Whether a score depends on the other exchanges of its batch."""
    reading = (
        "Largest absolute change of one exchange's score, in levels, when its batch is read in another order or the "
        "exchange is read alone. 0 is expected. A maximum has no bootstrap interval; the mean has."
    )
    inputs = subject.material.inputs
    draw = np.random.default_rng(subject.seed)
    places = np.sort(draw.permutation(len(inputs))[:_BATCH])
    chosen = [inputs[place] for place in places]
    first = subject.read(chosen)
    again = subject.read(chosen)
    order = draw.permutation(len(chosen))
    shuffled = np.full(len(chosen), np.nan)
    shuffled[order] = subject.read([chosen[place] for place in order])
    alone = np.full(len(chosen), np.nan)
    for place in order[:_ALONE]:
        alone[place] = subject.read([chosen[place]])[0]
    others = {"shuffled": shuffled, "alone": alone, "read twice": again}
    gaps = {name: np.abs(subject.levels(scores) - subject.levels(first)) for name, scores in others.items()}
    moved = np.array([gaps["shuffled"], gaps["alone"]])
    groups = subject.material.groups()[places]
    measures = [_most("largest change", moved)]
    measures += [_most(f"largest, {name}", gap) for name, gap in gaps.items()]
    measures.append(subject.mean("mean change, shuffled", gaps["shuffled"], groups))
    example = None
    if measures[0].value:
        way, place = np.unravel_index(int(np.nanargmax(moved)), moved.shape)
        item, name = chosen[place], ("shuffled", "alone")[way]
        scores = float(first[place]), float(others[name][place])
        what = {"shuffled": "its batch in another order", "alone": "read alone"}[name]
        example = Example(item.instruction, item.response, item.response, *scores, what)
    absent = "A batch of one exchange has no other order." if len(chosen) < 2 else None
    return Finding("batch", "Position in a batch", reading, tuple(measures), example, absent)


def swap(subject: Subject) -> Finding:
    """Whether the decision on a pair depends on which response comes first, and how often it is right."""
    reading = (
        "Share of pairs whose decision flips when the second response is read first. These judges score each response "
        "by itself, so 0 is expected; it is measured. Accuracy counts a tie of the scores half; 0.5 is chance, 1 would "
        "be perfect. Length-matched pairs differ by at most 10 % of the longer response."
    )
    pairs = subject.material.natural_pairs()
    if not pairs:
        return Finding(
            "swap", "Swap of a pair", reading,
            absent="There are no pairs: no two responses to one instruction, and no response_a and response_b.",
        )  # fmt: skip
    inputs = subject.material.inputs
    tried = _drawn(pairs, subject.seed)
    forth = subject.read([inputs[place] for pair in tried for place in (pair.a, pair.b)]).reshape(-1, 2)
    back = subject.read([inputs[place] for pair in tried for place in (pair.b, pair.a)]).reshape(-1, 2)[:, ::-1]
    decided, decided_back = decisions(forth), decisions(back)
    flipped = np.where(np.isnan(decided) | np.isnan(decided_back), np.nan, decided != decided_back)
    groups = numbered(inputs[pair.a].instruction for pair in tried)
    flips = subject.mean("decisions that flip", flipped.astype(np.float64), groups, "share")
    right = _accuracy(subject, pairs)
    absent = None if right else "No pair has a preference that is no tie, so accuracy cannot be told."
    example = _pair_example(subject, tried, forth, back)
    return Finding("swap", "Swap of a pair", reading, (flips, *right), example, absent)


def _accuracy(subject: Subject, pairs: Sequence[Pair]) -> list[Measure]:
    """Accuracy on all pairs, and on those of one length and the others; none without a preference."""
    preference = np.array([np.nan if pair.preference is None else pair.preference for pair in pairs])
    right = accuracy_parts(decisions(subject.plain[[(pair.a, pair.b) for pair in pairs]]), preference)
    if np.isnan(right).all():
        return []
    groups = numbered(subject.material.exchanges[pair.a].input.instruction for pair in pairs)
    matched = length_matched(subject, pairs)
    parts = {"accuracy, length-matched": matched, "accuracy, other pairs": ~matched}
    named = [subject.mean(name, right[part], groups[part], "share") for name, part in parts.items() if part.any()]
    return [subject.mean("accuracy", right, groups, "share"), *named]


def decisions(scores: Array) -> Array:
    """Which response of each pair is chosen, shape (n,): 1 the first, 0 the second, 0.5 a tie, NaN where unknown.

    Args:
        scores: Shape (n, 2).
    """
    made = 0.5 + 0.5 * np.sign(scores[:, 0] - scores[:, 1])
    return np.asarray(made, dtype=np.float64)


def accuracy_parts(decided: Array, preference: Array) -> Array:
    """For each pair 1 where the decision is right, 0 where wrong, 0.5 for a tie; NaN where gold is a tie or absent."""
    made = np.where((preference == 0.5) | np.isnan(preference), np.nan, 1 - np.abs(decided - preference))
    return np.asarray(made, dtype=np.float64)


def length_matched(subject: Subject, pairs: Sequence[Pair]) -> npt.NDArray[np.bool_]:
    """Which pairs have responses of about one length."""
    lengths = subject.material.lengths()
    a, b = lengths[[pair.a for pair in pairs]], lengths[[pair.b for pair in pairs]]
    return np.asarray(np.abs(a - b) <= _MATCHED * np.maximum(a, b), dtype=np.bool_)


def _drawn(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    if len(pairs) <= _SWAPPED:
        return list(pairs)
    places = np.sort(np.random.default_rng(seed).permutation(len(pairs))[:_SWAPPED])
    return [pairs[place] for place in places]


def _most(name: str, gaps: Array) -> Measure:
    there = gaps[~np.isnan(gaps)]
    return Measure(name, known(float(there.max())) if len(there) else None, n=len(there))


def _pair_example(subject: Subject, pairs: Sequence[Pair], forth: Array, back: Array) -> Example | None:
    """The pair that flips, or else the one whose decision was closest."""
    gaps = forth[:, 0] - forth[:, 1]
    flips = decisions(forth) != decisions(back)
    size = np.where(np.isnan(gaps) | np.isnan(back).any(axis=1), np.inf, np.abs(gaps))
    size = np.where(flips & np.isfinite(size), -1.0, size)
    if not np.isfinite(size).any():
        return None
    place = int(np.argmin(size))
    pair, inputs = pairs[place], subject.material.inputs
    what = "first against second response; the decision flips" if flips[place] else "first against second response"
    texts = inputs[pair.a].response, inputs[pair.b].response
    return Example(inputs[pair.a].instruction, *texts, float(forth[place, 0]), float(forth[place, 1]), what)
