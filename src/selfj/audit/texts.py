"""Probes that edit a response and leave its content: length, format, paraphrase."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from selfj.audit.edits import DRESSES, PARAPHRASES, is_plain, is_prose, padded, paraphrased
from selfj.audit.subject import Example, Finding, Subject, largest
from selfj.backends.base import JudgeInput
from selfj.metrics import Array, pearson, spearman

SIGNED = "mean change with its sign"
_ALL = "all edits"


def length(subject: Subject) -> Finding:
    """How far the score follows the length of the response."""
    material, scores, lengths, groups = subject.material, subject.plain, *_lengths(subject)
    inputs = material.inputs
    longer = [padded(item.response) for item in inputs]
    after = subject.score([replace(item, response=text) for item, text in zip(inputs, longer, strict=True)], "length")
    change = subject.levels(after) - subject.levels(scores)
    there = ~np.isnan(scores)
    measures = [
        subject.mean("padded with filler", change, groups),
        subject.measure(
            "correlation with length", spearman, scores[there], lengths[there], groups=groups[there], unit="correlation"
        ),
    ]
    gold = material.gold()
    both = there & ~np.isnan(gold)
    absent = None
    if both.any():
        columns = scores[both], lengths[both], gold[both]
        name = "correlation with length given gold"
        measures.append(subject.measure(name, partial_spearman, *columns, groups=groups[both], unit="correlation"))
        own = subject.measure("gold with length", spearman, *columns[:0:-1], groups=groups[both], unit="correlation")
        measures.append(own)
    else:
        absent = "Without gold it cannot be told which part of the correlation with length is earned."
    return Finding(
        "length",
        "Length",
        "Mean change of the score, in levels, when sentences that say nothing follow the response. 0 would be no "
        "effect; above 0 the judge likes length, below 0 it minds filler. The correlation with length is Spearman's; "
        "given gold, 0 would be no effect.",
        tuple(measures),
        largest(inputs, longer, scores, after, ["padded with filler"] * len(inputs)),
        absent,
    )


def dress(subject: Subject) -> Finding:
    """How far the score follows the dress of the response."""
    reading = (
        "Mean change of the score, in levels, when a plain response is dressed in another way; the number is that of "
        "the dress that moves it most, picked among six. 0 would be no effect."
    )
    edits = DRESSES
    found = _edited(subject, "format", edits, is_plain)
    if found is None:
        return Finding("format", "Format", reading, absent="No response is plain text without Markdown.")
    places, groups, changes, example = found
    measures = [subject.mean(name, change, groups) for name, change in changes.items()]
    measures.sort(key=lambda m: -abs(m.value) if m.value is not None else 1.0)
    note = (
        None if len(places) == len(subject.plain) else f"{len(places):,} of {len(subject.plain):,} responses are plain."
    )
    return Finding("format", "Format", reading, tuple(measures), example, note)


def paraphrase(subject: Subject) -> Finding:
    """How far the score changes when the same is written in another way."""
    reading = (
        "Mean absolute change of the score, in levels, when a response is written in another way with the same "
        "meaning. 0 would be no effect. The correlation is that of the scores before and after; 1 would be no effect."
    )
    found = _edited(subject, "paraphrase", {_ALL: paraphrased, **PARAPHRASES}, is_prose)
    if found is None:
        return Finding("paraphrase", "Paraphrase", reading, absent="Every response is empty or holds code.")
    places, groups, changes, example = found
    sizes = [subject.mean(name, np.abs(change), groups) for name, change in changes.items()]
    before = subject.levels(subject.plain[places])
    both = ~np.isnan(before) & ~np.isnan(changes[_ALL])
    columns = before[both], (before + changes[_ALL])[both]
    correlation = subject.measure(
        "correlation before and after", pearson, *columns, groups=groups[both], unit="correlation"
    )
    same = subject.measure(SIGNED, _mean_known, changes[_ALL], groups=groups)
    return Finding("paraphrase", "Paraphrase", reading, (sizes[0], correlation, same, *sizes[1:]), example)


def partial_spearman(x: Array, y: Array, given: Array) -> float:
    """Spearman's correlation of x and y with that of a third taken out, in [-1, 1]; NaN where it is undefined."""
    if len(x) < 3:
        return float("nan")
    left, right, third = (stats.rankdata(values) for values in (x, y, given))
    if third.min() == third.max():
        return pearson(left, right)
    design = np.column_stack([np.ones(len(x)), third])
    rest = [values - design @ np.linalg.lstsq(design, values, rcond=None)[0] for values in (left, right)]
    # What is left of a column that the third explains wholly is rounding.
    if min(float(np.abs(part).max()) for part in rest) < 1e-8 * len(x):
        return float("nan")
    return pearson(*rest)


def _edited(
    subject: Subject, what: str, edits: dict[str, Callable[[str], str]], fits: Callable[[str], bool]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[str, Array], Example | None] | None:
    """Places of the exchanges that fit, their groups, for each edit their change in levels, and an example.

    An edit that leaves a text as it is has no change there, NaN.
    """
    inputs = subject.material.inputs
    places = np.array([place for place, item in enumerate(inputs) if fits(item.response)], dtype=np.int64)
    if not len(places):
        return None
    chosen = [inputs[place] for place in places]
    texts = {name: [edit(item.response) for item in chosen] for name, edit in edits.items()}
    scores = subject.score(_with(chosen, [text for made in texts.values() for text in made]), what).reshape(
        len(edits), -1
    )
    before = subject.plain[places]
    same = np.array([[t == i.response for t, i in zip(made, chosen, strict=True)] for made in texts.values()])
    scores[same] = np.nan
    changes = subject.levels(scores) - subject.levels(before)
    names = [name for name in edits for _ in chosen]
    example = largest(
        chosen * len(edits),
        [t for made in texts.values() for t in made],
        np.tile(before, len(edits)),
        scores.ravel(),
        names,
    )
    return places, subject.material.groups()[places], dict(zip(edits, changes, strict=True)), example


def _with(inputs: Sequence[JudgeInput], texts: Sequence[str]) -> list[JudgeInput]:
    return [replace(inputs[place % len(inputs)], response=text) for place, text in enumerate(texts)]


def _mean_known(values: Array) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def _lengths(subject: Subject) -> tuple[Array, npt.NDArray[np.int64]]:
    return subject.material.lengths(), subject.material.groups()
