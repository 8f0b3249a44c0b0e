"""From scores and gold to the numbers of a report; reads no file and writes none."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from selfj import report as shapes
from selfj.bootstrap import Interval, bootstrap, bootstrap_difference, summarise
from selfj.exchanges import Exchange
from selfj.label import TOP
from selfj.metrics import calibration_bins, ece, mean, pearson, risk_coverage
from selfj.peers import method_of
from selfj.records import hash_fraction
from selfj.risk import Threshold, answers, selective
from selfj.settings import Config, GenerativePeer

Array = npt.NDArray[np.float64]

TITLES: dict[str, tuple[str, shapes.MethodGroup]] = {
    "self_j": ("Self-J", "without reference"),
    "judge_cosine": ("Judge (Cosine)", "without reference"),
    "judge_self_eval": ("Judge (Self-eval)", "without reference"),
    "self_eval": ("Self-eval", "without reference"),
    "ppl": ("PPL", "without reference"),
    "vro": ("VRO", "without reference"),
    "length": ("Length", "without reference"),
    "random": ("Random", "without reference"),
    "self_j_teacher": ("Self-J, reference in view", "with reference"),
    "z": ("Self-eval + Cosine (label z)", "with reference"),
    "self_eval_reference": ("Self-eval, reference in view", "with reference"),
    "cosine": ("Cosine", "with reference"),
    "oracle": ("Oracle", "bounds"),
}
"""Title and group of the methods that any run can have; see `titles`."""
QUALITIES = ("self_j", "judge_cosine", "judge_self_eval", "self_eval", "self_j_teacher", "z", "self_eval_reference")
"""Methods whose scores are qualities in [0, 9], so that their calibration can be asked for."""
_POINTS = 200


def titles(config: Config) -> dict[str, tuple[str, shapes.MethodGroup]]:
    """Title and group of every method that a run can have, its own further judges included, in the order of tables."""
    peers: dict[str, tuple[str, shapes.MethodGroup]] = {}
    for peer in config.judges:
        with_reference = isinstance(peer, GenerativePeer) and peer.reference
        peers[method_of(peer)] = (peer.title or peer.name, "with reference" if with_reference else "without reference")
    made: dict[str, tuple[str, shapes.MethodGroup]] = {}
    for key, (title, group) in TITLES.items():
        if key in ("length", "oracle"):
            wanted = "without reference" if key == "length" else "with reference"
            made |= {name: found for name, found in peers.items() if found[1] == wanted}
        made[key] = (title, group)
    return made


def qualities(config: Config) -> set[str]:
    """Methods whose scores are qualities in [0, 9]; a reward is none."""
    return {*QUALITIES, *(method_of(peer) for peer in config.judges if isinstance(peer, GenerativePeer))}


@dataclass(frozen=True)
class Rows:
    """Test exchanges as columns of one length; NaN is missing."""

    exchanges: Sequence[Exchange]
    scores: Mapping[str, Array]
    """By method, higher is better."""
    gold: Array
    """Quality in [0, 9]."""
    label: Array
    """The label that the threshold was calibrated on, in [0, 9]."""
    z: Array

    @cached_property
    def groups(self) -> npt.NDArray[np.int64]:
        """Number of the instruction in the order of identifiers, shared by the responses to it."""
        found: dict[str, list[int]] = defaultdict(list)
        for row, exchange in enumerate(self.exchanges):
            found[exchange.instruction.id].append(row)
        numbers = np.empty(len(self.exchanges), dtype=np.int64)
        for number, name in enumerate(sorted(found)):
            numbers[found[name]] = number
        return numbers


def with_bounds(scores: Mapping[str, Array], exchanges: Sequence[Exchange], gold: Array, seed: int) -> dict[str, Array]:
    """Add the floor, random scores by hash, and the ceiling, gold itself."""
    random = np.array([hash_fraction("random", seed, exchange.id) for exchange in exchanges])
    return {**scores, "random": random, "oracle": gold}


def methods(rows: Rows, config: Config) -> dict[str, shapes.Method]:
    """Every method's metrics against gold, in the order of `titles`."""
    failure = rows.gold < config.calibrate.min_quality
    made: dict[str, shapes.Method] = {}
    for key, (title, group) in titles(config).items():
        if key not in rows.scores:
            continue
        scores = rows.scores[key]
        found = summarise(
            scores,
            rows.gold,
            failure,
            rows.groups,
            draws=config.evaluate.bootstrap,
            confidence=config.evaluate.confidence,
            seed=config.seed,
        )
        intervals = {name: _shape(value) for name, value in found.items()}
        made[key] = shapes.Method(
            title=title,
            group=group,
            pearson=intervals["pearson"],
            spearman=intervals["spearman"],
            kendall=intervals["kendall"],
            auroc=intervals["auroc"],
            aurc=intervals["aurc"],
            prr=intervals["prr"],
            ece=_ece(scores, rows, config) if key in qualities(config) else None,
            n=len(scores),
            missing=int(np.isnan(scores).sum()),
        )
    return made


def differences(rows: Rows, config: Config) -> list[shapes.Difference]:
    """Pearson of Self-J minus that of every other method without reference, on the same resamples."""
    made = []
    for key, (_, group) in titles(config).items():
        if key in ("self_j", "random") or group != "without reference" or key not in rows.scores:
            continue
        found = bootstrap_difference(
            pearson,
            rows.scores["self_j"],
            rows.scores[key],
            rows.gold,
            groups=rows.groups,
            draws=config.evaluate.bootstrap,
            confidence=config.evaluate.confidence,
            seed=config.seed,
        )
        made.append(shapes.Difference(a="self_j", b=key, metric="pearson", **_shape(found)))
    return made


def selection(rows: Rows, threshold: Threshold | None, infeasible: str | None, config: Config) -> shapes.Selective:
    """What the threshold does on the test exchanges; without one, all are declined."""
    limits = config.calibrate
    scores = rows.scores["self_j"]
    failure, failure_gold = rows.label < limits.min_quality, rows.gold < limits.min_quality
    value = math.inf if threshold is None else threshold.value
    counted = selective(scores, failure, value)
    answered = answers(scores, value)
    same = np.array_equal(rows.label, rows.gold, equal_nan=True)
    return shapes.Selective(
        threshold=None if threshold is None else threshold.value,
        max_risk=limits.max_risk if threshold is None else threshold.max_risk,
        confidence=limits.confidence if threshold is None else threshold.confidence,
        label=limits.label,
        chosen_on=limits.label if threshold is None else threshold.label,
        coverage=_mean(answered.astype(float), rows, config),
        risk=_mean(np.where(answered, failure, np.nan), rows, config),
        risk_all=_plain(failure.mean()),
        risk_gold=None if same else _mean(np.where(answered, failure_gold, np.nan), rows, config),
        risk_all_gold=None if same else _plain(failure_gold.mean()),
        answered=counted.answered,
        declined=counted.declined,
        unscored=counted.unscored,
        n=counted.n,
        infeasible=infeasible,
    )


def curves(rows: Rows, config: Config) -> dict[str, shapes.Curve]:
    """Risk by gold over coverage for every method without reference, and the bounds."""
    failure = rows.gold < config.calibrate.min_quality
    made = {}
    for key, (_, group) in titles(config).items():
        if group == "with reference" or key not in rows.scores:
            continue
        curve = risk_coverage(rows.scores[key], failure)
        keep = np.unique(np.linspace(0, len(curve.coverage) - 1, _POINTS).round().astype(int))
        made[key] = shapes.Curve(
            coverage=[round(float(c), 6) for c in curve.coverage[keep]],
            risk=[round(float(r), 6) for r in curve.risk[keep]],
        )
    return made


def threshold_point(chosen: shapes.Selective) -> shapes.ThresholdPoint | None:
    """Coverage and risk by gold at the threshold; None where nothing is answered."""
    risk = (chosen["risk_gold"] or chosen["risk"])["value"]
    coverage = chosen["coverage"]["value"]
    if risk is None or coverage is None:
        return None
    return shapes.ThresholdPoint(coverage=coverage, risk=risk)


def reliability(rows: Rows) -> shapes.Calibration:
    """Score against gold, both as shares of 9, in bins of equal size."""
    scores = rows.scores["self_j"]
    known = ~(np.isnan(scores) | np.isnan(rows.gold))
    bins = calibration_bins(scores[known] / TOP, rows.gold[known] / TOP) if known.any() else []
    made = [shapes.CalibrationBin(predicted=_plain(p), observed=_plain(o), n=int(n)) for p, o, n in bins]
    return shapes.Calibration(bins=made)


def histogram(rows: Rows, config: Config) -> shapes.Histogram:
    """Scores of good responses and of failures, in bins of half a level."""
    scores, good = rows.scores["self_j"], rows.gold >= config.calibrate.min_quality
    edges = np.linspace(0, TOP, 19)
    known = ~np.isnan(scores)
    return shapes.Histogram(
        edges=[float(edge) for edge in edges],
        good=np.histogram(scores[known & good], edges)[0].tolist(),
        bad=np.histogram(scores[known & ~good], edges)[0].tolist(),
    )


def by_group(rows: Rows, threshold: Threshold | None, config: Config) -> list[shapes.Group]:
    """Quality, coverage and risk by gold of every group, or category where there are no groups."""
    members: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for number, exchange in enumerate(rows.exchanges):
        name = exchange.instruction.group or exchange.instruction.category
        if name:
            members[name, exchange.instruction.category].append(number)
    value = math.inf if threshold is None else threshold.value
    answered = answers(rows.scores["self_j"], value)
    failure = rows.gold < config.calibrate.min_quality
    made = []
    for (name, category), numbers in sorted(members.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        picked = np.array(numbers)
        given = failure[picked][answered[picked]]
        made.append(
            shapes.Group(
                group=name,
                category=category,
                n=len(picked),
                accuracy=_plain(1 - failure[picked].mean()),
                coverage=_plain(answered[picked].mean()),
                risk=_plain(given.mean()) if given.size else None,
                pearson=_plain(pearson(rows.scores["self_j"][picked], rows.gold[picked])),
            )
        )
    return made


def examples(rows: Rows, threshold: Threshold | None, config: Config) -> shapes.Examples:
    """Answered and declined exchanges, chosen by hash; of each, a quarter are mistakes where there are any."""
    value = math.inf if threshold is None else threshold.value
    scores = rows.scores["self_j"]
    answered = answers(scores, value)
    good = rows.gold >= config.calibrate.min_quality
    order = sorted(range(len(scores)), key=lambda i: hash_fraction("example", rows.exchanges[i].id))
    each = config.evaluate.examples // 2

    def pick(chosen: npt.NDArray[np.bool_], mistaken: npt.NDArray[np.bool_]) -> list[shapes.Example]:
        wrong = [i for i in order if chosen[i] and mistaken[i]][: max(1, each // 4)]
        right = [i for i in order if chosen[i] and not mistaken[i]][: each - len(wrong)]
        return [_example(rows, i, mistake=bool(mistaken[i])) for i in [*right, *wrong][:each]]

    return shapes.Examples(answered=pick(answered, ~good), declined=pick(~answered, good))


def _example(rows: Rows, i: int, *, mistake: bool) -> shapes.Example:
    exchange = rows.exchanges[i]
    return shapes.Example(
        instruction=exchange.instruction.question(),
        response=exchange.response.text,
        reference=exchange.instruction.reference,
        score=_plain(rows.scores["self_j"][i]),
        gold=_plain(rows.gold[i]),
        z=_plain(rows.z[i]),
        category=exchange.instruction.category,
        mistake=mistake,
    )


def _ece(scores: Array, rows: Rows, config: Config) -> shapes.Interval:
    known = ~(np.isnan(scores) | np.isnan(rows.gold))
    if not known.any():
        return shapes.Interval(value=None, low=None, high=None)
    found = bootstrap(
        ece,
        scores[known] / TOP,
        rows.gold[known] / TOP,
        groups=rows.groups[known],
        draws=config.evaluate.bootstrap,
        confidence=config.evaluate.confidence,
        seed=config.seed,
    )
    return _shape(found)


def _mean(values: Array, rows: Rows, config: Config) -> shapes.Interval:
    found = bootstrap(
        mean,
        values,
        groups=rows.groups,
        draws=config.evaluate.bootstrap,
        confidence=config.evaluate.confidence,
        seed=config.seed,
    )
    return _shape(found)


def _shape(found: Interval) -> shapes.Interval:
    return shapes.Interval(value=_plain(found.value), low=_plain(found.low), high=_plain(found.high))


def _plain(value: float | np.floating[npt.NBitBase]) -> float | None:
    """A number for JSON; NaN becomes None, which stands for undefined."""
    return None if math.isnan(value) else round(float(value), 6)
