"""What a verb would do, told before anything starts: `--dry-run`. Nothing is written, no weights are loaded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.backends.base import JudgeInput
from selfj.errors import ArtefactError, InputError, MissingDependency
from selfj.exchanges import Exchange, load_exchanges
from selfj.records import INSTRUCTIONS, LABELS, RESPONSES, Instruction, content_id
from selfj.settings import CausalTuning, Config, FileSource
from selfj.stages.collect import read_source
from selfj.stages.sft import read_lessons
from selfj.store import open_artefact
from selfj.tune.plan import Plan

_RESULTS = {
    "collect": "instructions/manifest.json",
    "sample": "responses/manifest.json",
    "label": "labels/manifest.json",
    "tune": "judge/judge.json",
    "score": "scores/manifest.json",
    "calibrate": "threshold.json",
    "evaluate": "report/report.html",
    "sft": "sft/sft.json",
}

Pairs = list[tuple[JudgeInput, JudgeInput]]


@dataclass(frozen=True, slots=True)
class Step:
    """One verb of a run."""

    verb: str
    state: str
    """`there` where an earlier run has left a result, else `to do`."""
    what: str


@dataclass(frozen=True, slots=True)
class Foresight:
    """What would be done."""

    steps: tuple[Step, ...]
    plan: Plan | None
    """Of the tuning, where a language model is tuned."""


def foresee(config: Config, verbs: Sequence[str], device: str | None = None) -> Foresight:
    """Say what some verbs would do on a run, with a plan of the tuning among them.

    Args:
        config: Of the run.
        verbs: In order.
        device: Device that the plan is for, as in `selfj.tune.plan.device_named`; None is this machine.

    Raises:
        ConfigError: The model's sizes are not known, or there is no such device.
        InputError: The source cannot be used.
        MissingDependency: A package for local models is not installed.
    """
    steps = tuple(Step(verb, _state(config.path, verb), _what(config, verb)) for verb in verbs)
    return Foresight(steps, _plan(config, verbs, device))


def _plan(config: Config, verbs: Sequence[str], device: str | None) -> Plan | None:
    tuned = "tune" in verbs and isinstance(config.tune.method, CausalTuning)
    if not (tuned or "sft" in verbs):
        return None
    try:
        from selfj.tune.foresee import plan_sft, plan_tuning
    except ImportError as error:
        raise MissingDependency(f"A plan needs a package: {error}. pip install 'selfj[local]'.") from error

    notes: list[str] = []
    if tuned:
        pairs, unseen = _pairs(config, notes)
        return plan_tuning(config, pairs, unseen, notes, device)
    try:
        lessons = read_lessons(config)[0]
    except ArtefactError as error:
        lessons = []
        most = config.sft.max_rows or 1
        notes.append(f"no rows yet ({_first(error)}): {most:,} rows of sft.max_length tokens are taken for granted")
    return plan_sft(config, lessons, notes, device)


def _pairs(config: Config, notes: list[str]) -> tuple[Pairs, int]:
    """What teacher and student would read, and how many tokens of a response are still to come."""
    run = config.path
    if _there(run, "collect") and _there(run, "sample"):
        exchanges = load_exchanges(run, force=True).of("train")
        if _there(run, "label"):
            good = {row.id for row in open_artefact(run, LABELS).records() if row.z is not None}
            exchanges = [exchange for exchange in exchanges if exchange.id in good]
        else:
            notes.append("not labelled yet: every exchange with a reference is taken for a label")
            exchanges = [exchange for exchange in exchanges if exchange.instruction.reference]
        return [_pair(exchange) for exchange in _first_rows(exchanges, config)], 0
    try:
        instructions = _instructions(config)
    except InputError as error:
        most = config.tune.max_rows or 1
        notes.append(f"no rows yet ({_first(error)}): {most:,} rows of max_length tokens are taken for granted")
        return [], 0
    notes.append("no responses yet: each is taken for sample.max_tokens long")
    found = [row for row in instructions if not row.error and row.split == "train" and row.reference]
    inputs = [(JudgeInput(row.question(), "", row.reference), JudgeInput(row.question(), "")) for row in found]
    return (inputs * config.sample.responses)[: config.tune.max_rows], config.sample.max_tokens


def _instructions(config: Config) -> Iterable[Instruction]:
    if _there(config.path, "collect"):
        return open_artefact(config.path, INSTRUCTIONS).records()
    return (item.instruction for item in read_source(config)[0] if item.new)


def _first_rows(exchanges: Sequence[Exchange], config: Config) -> list[Exchange]:
    return sorted(exchanges, key=lambda exchange: content_id("tune", exchange.id))[: config.tune.max_rows]


def _pair(exchange: Exchange) -> tuple[JudgeInput, JudgeInput]:
    return exchange.judge_input(with_reference=True), exchange.judge_input(with_reference=False)


def _there(run: Path, verb: str) -> bool:
    return (run / _RESULTS[verb]).is_file()


def _state(run: Path, verb: str) -> str:
    return "there" if _there(run, verb) else "to do"


def _first(error: Exception) -> str:
    return str(error).partition(":")[0].partition(". ")[0].strip()


def _what(config: Config, verb: str) -> str:
    target = getattr(config.target, "model", config.target.kind)
    source = config.collect.source
    method = config.tune.method
    base = getattr(method, "base", None) or target
    heat = config.sample.temperature
    texts = {
        "collect": f"instructions from {source.path if isinstance(source, FileSource) else source.kind}",
        "sample": f"{target} answers {_rows(config.path, INSTRUCTIONS.name)} at temperature {heat}",
        "label": f"{target} rates {_rows(config.path, RESPONSES.name)}"
        if config.label.self_eval
        else "similarity alone",
        "tune": f"{method.kind} on {base if isinstance(method, CausalTuning) else 'the text encoder'}",
        "score": f"the judge and {', '.join(config.score.methods) or 'nothing else'}",
        "calibrate": f"at most {config.calibrate.max_risk:.0%} failures, confidence {config.calibrate.confidence:.0%}",
        "evaluate": f"against {config.evaluate.gold or 'z'}",
        "sft": f"{config.sft.method.kind} tuning of {config.sft.base or target}",
    }
    return texts[verb]


def _rows(run: Path, name: str) -> str:
    kinds = {INSTRUCTIONS.name: INSTRUCTIONS, RESPONSES.name: RESPONSES}
    try:
        return f"{open_artefact(run, kinds[name]).manifest.rows:,} {name}"
    except ArtefactError:
        return f"the {name}"
