"""The card of a judge: what it is, what it learned from, what was measured and what it must not be used for.

Everything in it comes from manifests and rows of the run; what is not known is left out or said to be unknown.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from selfj.backends import resolve_model
from selfj.errors import ArtefactError, ConfigError
from selfj.files import read_json
from selfj.judge import ENCODERS, read_judge
from selfj.records import INSTRUCTIONS, LABELS, RESPONSES, SPLITS, Instruction
from selfj.report import Report
from selfj.report.text import inline, known, markdown, number, percent, plain
from selfj.risk import Threshold, load_threshold
from selfj.store import Artefact, open_artefact

_MOST_CATEGORIES = 20
_LABELS = {
    "z": "the label z, from self-evaluation and semantic similarity to the reference",
    "cosine": "semantic similarity to the reference alone",
    "self_eval": "the model's own rating with the reference in view alone",
}
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_LICENCE_COLUMNS = ("license", "licence", "licenses", "licences")


class _Data(NamedTuple):
    """What the run's instructions say of themselves."""

    instructions: Artefact
    responses: Artefact
    labels: Artefact
    categories: dict[str, Counter[str]]
    """Rows of each split, by category."""
    sources: Counter[str]
    licences: Counter[str]
    unstated: int
    """Rows that state no licence."""


def write_card(folder: Path, run: Path | None = None) -> str:
    """Write the card of a judge, from its own manifest and from those of its run.

    Args:
        folder: The judge's folder, with its `judge.json`.
        run: Folder of the run that made it; None leaves out what only the run knows.

    Returns:
        Markdown with a head in YAML, as model hubs read it.

    Raises:
        ArtefactError: The judge's manifest is absent or malformed.
    """
    judge = read_judge(folder)
    data = None if run is None else _data(run, judge)
    parts = [_head(judge), _opening(judge), *_use(judge), *_learned(judge, data)]
    parts += [*_training(judge), *_measured(judge, folder, run), *_promise(judge, folder, run)]
    parts += [*_limits(data), *_licence(judge, data), *_origin(judge)]
    return plain("\n".join(parts)).rstrip() + "\n"


def _head(judge: Mapping[str, Any]) -> str:
    """The head in YAML; every value is written as JSON, which YAML reads."""
    fields: dict[str, Any] = {}
    if _is_encoder(judge):
        fields["pipeline_tag"] = "text-classification"
    else:
        whole = _is_whole(judge)
        fields["library_name"] = "transformers" if whole else "peft"
        fields["pipeline_tag"] = "text-generation"
        if _hub_name(judge["base"]):
            fields["base_model"] = judge["base"]
            fields["base_model_relation"] = "finetune" if whole else "adapter"
        if licence := _base_licence(judge["base"]):
            fields["license"] = licence
    fields["tags"] = ["selfj", "llm-as-a-judge", "selective-prediction", str(judge["kind"])]
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---", ""])


def _opening(judge: Mapping[str, Any]) -> str:
    label = _LABELS.get(str(judge["label"]), inline(str(judge["label"])))
    return (
        "# A judge made by selfj\n\n"
        "Reads an exchange, with or without a reference, and gives a score from 0 to 9: how good the response is "
        f"expected to be. It learned from {label}; no person labelled anything (Self-J, Ye and Ng 2024).\n"
    )


def _use(judge: Mapping[str, Any]) -> list[str]:
    base = "" if _is_encoder(judge) or _is_whole(judge) else f" The base model is {_base(judge['base'])}."
    return [
        "## Use\n",
        f"Have this folder as `judge`; `pip install 'selfj[local]'`.{base}\n",
        "```python",
        "from selfj import load_judge",
        "from selfj.backends.base import JudgeInput",
        "",
        'judge = load_judge("judge")',
        '[score] = judge.score([JudgeInput("What is the capital of Peru?", "Lima.")])',
        "print(score.value, score.label_mass)  # value is None where the reading is no score",
        "```\n",
        "```bash",
        "selfj judge exchanges.jsonl --judge judge --out judged.jsonl",
        "```\n",
    ]


def _learned(judge: Mapping[str, Any], data: _Data | None) -> list[str]:
    lines = ["## What it learned from\n"]
    rows = f"{judge['rows']:,} exchanges of the train split"
    if judge.get("skipped_too_long"):
        rows += f", less {judge['skipped_too_long']:,} that were too long"
    facts = [("exchanges", rows), ("label", inline(str(judge["label"])))]
    if data is None:
        return [
            *lines,
            *_table(("", ""), facts),
            "The run that made it is not at hand as it was, so no more is known.\n",
        ]
    manifest, label = data.instructions.manifest, data.labels.manifest.settings.get("label", {})
    facts += [("answers of", _target(data)), ("label settings", inline(json.dumps(label, ensure_ascii=False)))]
    source = manifest.settings.get("collect", {}).get("source", {})
    facts.append(("source", _source(source)))
    if len(data.sources) > 1:
        facts.append(("rows by source", _counted(data.sources)))
    facts.append(("instructions", f"{manifest.rows:,}"))
    if manifest.failed:
        facts.append(("left out, by reason", _counted(Counter(manifest.failed))))
    lines += _table(("", ""), facts)
    total: Counter[str] = sum(data.categories.values(), Counter())
    shown = [name for name, _ in total.most_common(_MOST_CATEGORIES)]
    rest = [name for name in total if name not in shown]
    table = [(inline(name), *(f"{data.categories[split][name]:,}" for split in SPLITS)) for name in shown]
    if rest:
        sums = (sum(data.categories[split][name] for name in rest) for split in SPLITS)
        table.append((f"{len(rest)} others", *(f"{value:,}" for value in sums)))
    table.append(("all", *(f"{data.categories[split].total():,}" for split in SPLITS)))
    lines.append("Instructions by category and split; the judge is tuned on train alone.\n")
    return [*lines, *_table(("category", *SPLITS), table)]


def _training(judge: Mapping[str, Any]) -> list[str]:
    losses: Sequence[Mapping[str, float]] = judge.get("losses") or []
    lines = ["## Training\n"]
    settings = judge.get("settings", {}).get("tune", {}).get("method", {})
    facts = [(inline(name), inline(json.dumps(value, ensure_ascii=False))) for name, value in settings.items()]
    if settings.get("base"):
        facts = [(name, _base(settings["base"]) if name == "base" else value) for name, value in facts]
    facts += [("seed", str(judge.get("seed"))), ("seconds", f"{judge.get('seconds', 0):,.1f}")]
    if (rate := known(judge.get("exchanges_per_second"))) is not None:
        facts.append(("exchanges per second", f"{rate:,.1f}"))
    lines += _table(("setting", "value"), facts)
    if losses:
        few = max(1, len(losses) // 10)
        table = [
            (name, number(_mean(losses[:few], name), 3), number(_mean(losses[-few:], name), 3)) for name in losses[-1]
        ]
        lines.append(f"Loss over {len(losses):,} steps, mean of the first and of the last {few:,}.\n")
        lines += _table(("part", "first", "last"), table)
    validation: Sequence[Mapping[str, float]] = judge.get("validation") or []
    if validation:
        last = validation[-1]
        lines.append(
            f"On exchanges held back while it learned, after step {last['step']:,}: Pearson correlation of the score "
            f"with the label {number(last.get('student_pearson'))} without the reference (student), "
            f"{number(last.get('teacher_pearson'))} with it (teacher).\n"
        )
    return lines


def _measured(judge: Mapping[str, Any], folder: Path, run: Path | None) -> list[str]:
    lines = ["## Measured on the test split\n"]
    path = None if run is None else run / "report" / "report.json"
    if path is None or not path.is_file():
        return [*lines, "Nothing was measured: there is no report of `selfj evaluate` beside it.\n"]
    if not _is_of(judge, folder, path.parents[1]):
        return [*lines, "The run's report is about another judge, so nothing of it stands here.\n"]
    try:
        found = read_json(path, "Run selfj evaluate again.")
        table = markdown(cast(Report, found)).splitlines()[2:]
    except (ArtefactError, KeyError, TypeError, ValueError):
        return [*lines, "The run's report cannot be read; run `selfj evaluate` again.\n"]
    return [*lines, "\n".join(table).strip(), ""]


def _promise(judge: Mapping[str, Any], folder: Path, run: Path | None) -> list[str]:
    lines = ["## Threshold\n"]
    path = None if run is None else run / "threshold.json"
    if path is None or not path.is_file() or not _is_of(judge, folder, path.parent):
        return [*lines, "None was chosen for this judge. Calibrate one before acting on its scores.\n"]
    try:
        threshold, infeasible = load_threshold(path)
    except ArtefactError:
        return [*lines, "The run's `threshold.json` cannot be read; run `selfj calibrate` again.\n"]
    if threshold is None:
        return [*lines, f"{inline(infeasible or '')} Every answer is declined.\n"]
    return [*lines, _chosen(threshold), ""]


def _chosen(threshold: Threshold) -> str:
    return (
        f"Answer at a score of {threshold.value:.6f} or more: with {percent(threshold.confidence)} confidence over the "
        f"draw of the calibration set, at most {percent(threshold.max_risk)} of the answers given are failures, that "
        f"is, have a label {inline(threshold.label)} below {threshold.min_quality:g} of 9. On {threshold.n:,} "
        f"calibration exchanges it answers {percent(threshold.coverage)}, of which {percent(threshold.risk)} fail. "
        "The promise is about many questions drawn like those, not about one, and about that label."
    )


def _limits(data: _Data | None) -> list[str]:
    whose = "" if data is None else f" ({_target(data)})"
    return [
        "## Limits\n",
        f"* It knows the answers of the model that it learned from{whose}. What it says of another model's answers was "
        "not measured.",
        "* It knows the kind of instruction that it saw. A change of questions, of the model or of its sampling ends "
        "the promise of a threshold: calibrate again, on exchanges like those to come.",
        "* The label is made from references by a model. It is no human verdict, and the judge repeats its faults.",
        "* A response can be written to please a judge. selfj fences the texts that it judges, which lessens such "
        "attacks and does not end them; measure with exchanges of your own before scores decide about people's texts.",
        "* A score is expected quality, not truth. Where `value` is None there is no score, and None is not 0.\n",
    ]


def _licence(judge: Mapping[str, Any], data: _Data | None) -> list[str]:
    lines = ["## Licences\n"]
    if not _is_encoder(judge):
        licence = _base_licence(judge["base"])
        said = f"is under {inline(licence)}, as its own card says" if licence else "has a licence not known here"
        lines.append(f"* The base model {_base(judge['base'])} {said}. What is derived from it keeps to that licence.")
    if data is not None and data.licences:
        lines.append(f"* The rows of the data state: {_counted(data.licences)}; {data.unstated:,} state none.")
    else:
        lines.append("* The data states no licence that is known here.")
    return [*lines, ""]


def _origin(judge: Mapping[str, Any]) -> list[str]:
    found = ", ".join(f"{inline(name)} {inline(value)}" for name, value in judge.get("versions", {}).items())
    facts = [("family", inline(str(judge["kind"]))), ("base", _base(judge["base"]))]
    facts += [("judge template", inline(str(judge["template"])))] if judge.get("template") else []
    facts += [("digest", inline(str(judge["digest"]))), ("digest of the base", inline(str(judge["base_digest"])))]
    facts += [(f"digest of {inline(name)}", inline(value)) for name, value in judge.get("inputs", {}).items()]
    return ["## Origin\n", *_table(("", ""), [*facts, ("versions", found)])]


def _data(run: Path, judge: Mapping[str, Any]) -> _Data | None:
    """The data of a run; None where it is absent, or no longer the data that the judge learned from."""
    categories: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    sources: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    try:
        instructions, responses, labels = (open_artefact(run, kind) for kind in (INSTRUCTIONS, RESPONSES, LABELS))
        made_from = {**labels.manifest.inputs, "labels": judge.get("inputs", {}).get("labels")}
        found = {kind.kind.name: kind.digest for kind in (instructions, responses, labels)}
        if any(made_from.get(name) != digest for name, digest in found.items()):
            return None
        good: list[Instruction] = [row for row in instructions.records() if row.error is None]
        # In a file of exchanges the further columns belong to the responses.
        beside = {row.instruction_id: licence for row in responses.records() if (licence := _licence_in(row.meta))}
    except ArtefactError:
        return None
    for row in good:
        categories[row.split][row.category or "none stated"] += 1
        sources[row.source or "not stated"] += 1
        licences.update(filter(None, [_licence_in(row.meta) or beside.get(row.id)]))
    return _Data(instructions, responses, labels, categories, sources, licences, len(good) - licences.total())


def _target(data: _Data) -> str:
    """The model whose answers were judged."""
    target = data.responses.manifest.settings.get("target")
    if target is None:
        return "a model that is not known here, since its responses came with the file"
    return _base(str(target["model"])) if target.get("model") else f"a model of kind {inline(str(target.get('kind')))}"


def _licence_in(meta: str) -> str | None:
    """The licence that a row states in a column of that name."""
    found = json.loads(meta) if any(name in meta.lower() for name in _LICENCE_COLUMNS) else {}
    values = [found[key] for key in found if key.lower() in _LICENCE_COLUMNS] if isinstance(found, dict) else []
    return next((value for value in values if isinstance(value, str) and value), None)


def _source(source: Mapping[str, Any]) -> str:
    kind = source.get("kind")
    if kind == "world":
        return f"the embedded world of selfj, {source.get('n', 0):,} instructions, references computed"
    if kind == "plugin":
        return f"the function {inline(str(source.get('target')))}"
    return f"a file of the user's own ({inline(str(source.get('format', 'format not stated')))})"


def _base(name: str) -> str:
    """A base model for a reader: its name on a hub or in a package, and of a folder the last part only."""
    if name.startswith("package:") or _hub_name(name):
        return inline(name)
    return f"in a local folder named {inline(Path(name).name)}"


def _hub_name(name: str) -> bool:
    return bool(_HUB_NAME.fullmatch(name)) and not Path(name).exists()


def _base_licence(name: str) -> str | None:
    """The licence in the head of the base model's own card, where its folder is here."""
    try:
        card = Path(resolve_model(name)) / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
    except (ConfigError, OSError, UnicodeDecodeError):
        return None
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    found = re.search(r"^license:\s*[\"']?([\w.+-]+)[\"']?\s*$", head[1], re.MULTILINE) if head else None
    return found[1] if found else None


def _is_of(judge: Mapping[str, Any], folder: Path, run: Path) -> bool:
    """Whether the run's scores, and so its threshold and report, are this judge's."""
    try:
        scores = read_json(run / "scores" / "manifest.json", "")
    except ArtefactError:
        return False
    own = {judge["digest"], judge.get("merged_from")}
    return scores.get("inputs", {}).get("judge") in own


def _is_encoder(judge: Mapping[str, Any]) -> bool:
    return judge["kind"] in ENCODERS


def _is_whole(judge: Mapping[str, Any]) -> bool:
    """Whether the folder holds a whole model, as the manifest says."""
    return judge["kind"] == "full" or "merged_from" in judge


def _mean(rows: Sequence[Mapping[str, float]], name: str) -> float | None:
    values = [value for row in rows if (value := known(row.get(name))) is not None]
    return sum(values) / len(values) if values else None


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{inline(name)} {n:,}" for name, n in counts.most_common(_MOST_CATEGORIES))


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of Markdown whose cells are safe already."""
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]
