"""Thresholds of a whole policy: from drafts that are asked for or come in a file, judged and labelled."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.errors import ArtefactError, ConfigError, Infeasible
from selfj.exchanges import Exchange
from selfj.files import locked, write_json, write_text
from selfj.gold import gold_of
from selfj.judge import Judge, load_judge
from selfj.label import make_labels
from selfj.metrics import Array, Flags
from selfj.policy_path import calibrate_policy
from selfj.policy_risk import FILE, SCHEMA, Drafts, PolicyThreshold
from selfj.progress import Progress, Quiet
from selfj.records import INSTRUCTIONS, Instruction, Response, content_id, hash_fraction
from selfj.serve.drafts import KEPT, Asking, Drawn, Said
from selfj.serve.requests import clean
from selfj.serve.settings import ServeSettings
from selfj.serve.thresholds import steps_of
from selfj.settings import Config
from selfj.store import open_artefact

_CHUNK = 512
"""Exchanges that are judged or labelled together."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Thresholds of a policy, and where they were written."""

    threshold: PolicyThreshold
    path: Path
    without_label: int
    """Instructions left out because none of their answers has a label."""

    def lines(self) -> list[str]:
        """What was found, in words."""
        found = self.threshold
        steps = ", ".join(f"{name} {value:.2f}" for name, value in found.values.items())
        each = ", ".join(f"{name} {answered:,} ({k:,} failures)" for name, (k, answered) in found.by_step.items())
        told = [
            f"thresholds {steps}: the policy answers {found.coverage:.0%} of {found.n:,} calibration instructions, "
            f"{found.risk:.1%} of the answers are failures, at most {found.risk_bound:.1%} with confidence "
            f"{found.confidence:.0%}",
            f"let through by {each}",
        ]
        if self.without_label:
            told.append(f"{self.without_label:,} instructions without a label were left out")
        return [*told, f"written to {self.path}"]


def calibrate_gateway(
    config: Config,
    settings: ServeSettings,
    *,
    model: str | None = None,
    drawn: Sequence[Drawn] | None = None,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Calibrated:
    """Choose thresholds of all steps of a gateway together, and write them.

    Without `drawn`, the calibration instructions of the run are sent to the gateway's upstreams: as many times to the
    first as it chooses from, once to the one that is asked last. Answers are kept in the run's folder, so that a killed
    command goes on. Each is labelled as the run's settings say.

    Args:
        config: Of a run that has a judge; `calibrate` holds the promise.
        settings: Of the gateway.
        model: The first model, as requests will name it; needed where answers are asked for.
        drawn: Labelled answers that there are already.
        label: Name of their label, for the file.
        out: The file; None writes `threshold.policy.json` in the run's folder.
        progress: Told how far the work is.

    Raises:
        Infeasible: No thresholds meet the promise; the file then says so, and everything is declined.
        ConfigError: The label cannot be made for new answers, or there is no model's name.
        BackendUnavailable: Some instructions got no answer.
        ArtefactError: There is no judge, or no labelled instruction.
    """
    progress = progress or Quiet()
    path = Path(out) if out is not None else config.path / FILE
    steps, promise = steps_of(settings), config.calibrate
    with locked(config.path):
        judge = load_judge(config.path / "judge", config)
        if drawn is None:
            label = promise.label
            labels_of = _labeller(config)
            if model is None:
                raise ConfigError("Expected the name by which requests name the model. Give it as --model NAME.")
            asking = Asking(settings, config.sample, model, config.seed, config.path / KEPT)
            drawn = labels_of(asking.all(_instructions(config), progress), progress)
        kept = [item for item in drawn if any(said.label is not None for said in _answers(item))]
        if not kept:
            raise ArtefactError(
                f"Calibration needs instructions with labelled answers, found none among {len(drawn):,}. Labels are "
                "made from references: collect instructions with references, or give a file with --drafts and --gold."
            )
        kept.sort(key=lambda item: item.instruction.id)
        drafts = _judged(kept, judge, settings, promise.min_quality, progress)
        data = content_id("policy", [(i.instruction.id, [(s.text, s.label) for s in _answers(i)]) for i in kept])
        try:
            found = calibrate_policy(
                drafts,
                steps,
                np.array([hash_fraction("policy", item.instruction.id) for item in kept]),
                max_risk=promise.max_risk,
                confidence=promise.confidence,
                min_quality=promise.min_quality,
                model=model,
                label=label or "gold",
                judge=judge.digest,
                data=data,
            )
        except Infeasible as error:
            write_json(path, {"schema": SCHEMA, "infeasible": str(error), "judge": judge.digest, "data": data})
            raise
        write_text(path, found.to_json())
    return Calibrated(found, path, len(drawn) - len(kept))


def _instructions(config: Config) -> list[Instruction]:
    rows = open_artefact(config.path, INSTRUCTIONS).records()
    kept = [row for row in rows if row.split == "calibration" and not row.error]
    # Labels are made from references, but for those of a function.
    return [row for row in kept if row.reference] if config.calibrate.label == "z" else kept


def _labeller(config: Config) -> Callable[[Sequence[Drawn], Progress], list[Drawn]]:
    name = config.calibrate.label
    if name != "z" and (":" not in name or name.endswith(".jsonl")):
        raise ConfigError(
            f"calibrate.label is {name!r}, which is known of the run's own answers only. New drafts need z or "
            "package.module:function; or give labelled drafts with --drafts FILE --gold COLUMN."
        )

    def label(drawn: Sequence[Drawn], progress: Progress) -> list[Drawn]:
        pairs = [(item, said) for item in drawn for said in _answers(item) if said.unjudgeable is None]
        exchanges = [_exchange(item.instruction, said) for item, said in pairs]
        found: list[float | None] = []
        progress.start(f"label by {name}", len(exchanges))
        make = _z(config) if name == "z" else _gold(config, name)
        for start in range(0, len(exchanges), _CHUNK):
            chunk = exchanges[start : start + _CHUNK]
            found += make(chunk)
            progress.advance(len(chunk))
        progress.finish(f"{len(exchanges):,} drafts labelled by {name}")
        by_pair = dict(zip([exchange.id for exchange in exchanges], found, strict=True))
        return [_with_labels(item, by_pair) for item in drawn]

    return label


def _z(config: Config) -> Callable[[Sequence[Exchange]], list[float | None]]:
    settings = config.label
    judge = None
    if settings.self_eval:
        reader = backends.level_reader(config.target, template=settings.template)
        judge = Judge(reader, min_label_mass=settings.min_label_mass)
    embedder = backends.embedder(config.embedder) if settings.cosine else None
    return lambda chunk: [row.z for row in make_labels(chunk, judge, embedder, weight=settings.weight)]


def _gold(config: Config, name: str) -> Callable[[Sequence[Exchange]], list[float | None]]:
    def make(chunk: Sequence[Exchange]) -> list[float | None]:
        return [None if math.isnan(value) else value for value in gold_of(chunk, name, config.evaluate)]

    return make


def _with_labels(item: Drawn, labels: dict[str, float | None]) -> Drawn:
    def labelled(said: Said) -> Said:
        return Said(said.text, said.unjudgeable, labels.get(_exchange(item.instruction, said).id))

    other = None if item.other is None else labelled(item.other)
    return Drawn(item.instruction, tuple(map(labelled, item.drafts)), other)


def _exchange(instruction: Instruction, said: Said) -> Exchange:
    response = Response(content_id("draft", instruction.id, said.text), instruction.id, 0, "answer", said.text, "")
    return Exchange(instruction, response)


def _answers(item: Drawn) -> list[Said]:
    return [*item.drafts, *([item.other] if item.other is not None else [])]


def _judged(
    drawn: Sequence[Drawn], judge: Judge, settings: ServeSettings, min_quality: float, progress: Progress
) -> Drafts:
    """Score whatever the gateway would score; what has no label, where others have one, counts as a failure."""
    rows: list[tuple[str, Said]] = [(item.instruction.question(), said) for item in drawn for said in _answers(item)]
    if settings.gate is not None:
        rows += [(item.instruction.question(), Said("")) for item in drawn]
    inputs = [JudgeInput(clean(question), clean(said.text)) for question, said in rows]
    scores: list[float] = []
    progress.start("judge drafts", len(inputs))
    for start in range(0, len(inputs), _CHUNK):
        chunk = inputs[start : start + _CHUNK]
        scores += [math.nan if score.value is None else score.value for score in judge.score(chunk)]
        progress.advance(len(chunk))
    progress.finish(f"{len(inputs):,} drafts judged")
    gates = np.array(scores[-len(drawn) :]) if settings.gate is not None else None
    answers = [said for item in drawn for said in _answers(item)]
    table = np.array(scores[: len(answers)]).reshape(len(drawn), -1)
    table[np.array([said.unjudgeable is not None for said in answers]).reshape(table.shape)] = math.nan
    failed = [said.label is None or said.label < min_quality for said in answers]
    failures = np.array(failed, dtype=np.bool_).reshape(table.shape)
    shut = np.array([item.drafts[0].unjudgeable is not None for item in drawn], dtype=np.bool_)
    if gates is not None and settings.gate is not None:
        # An instruction without a score passes the gate.
        shut |= gates < settings.gate.threshold
    return _table(table, failures, shut, escalates=settings.escalate is not None)


def _table(table: Array, failures: Flags, shut: Flags, *, escalates: bool) -> Drafts:
    if escalates:
        return Drafts(table[:, :-1], failures[:, :-1], table[:, -1], failures[:, -1], shut)
    return Drafts(table, failures, np.full(len(table), math.nan), np.zeros(len(table), dtype=np.bool_), shut)
