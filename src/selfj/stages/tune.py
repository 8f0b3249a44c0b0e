"""The tune stage: labels in, judges out."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from selfj import backends
from selfj.card import write_card
from selfj.errors import ArtefactError, ConfigError
from selfj.exchanges import Exchange, load_exchanges
from selfj.files import explained, first_process, replace_folder, write_json, write_text
from selfj.judge import JUDGE_VERSION, judge_backend, read_judge
from selfj.label import TOP
from selfj.progress import Progress, Quiet
from selfj.records import LABELS, Label, content_id
from selfj.settings import CausalTuning, Config
from selfj.store import check_lineage, open_artefact, versions
from selfj.tune import Example, Tuned, meet
from selfj.tune import tune as train

_SPEED_ONLY = ("checkpoint_steps", "trackers")
"""Settings of a method that do not decide what is learned."""
Quality = Literal["z", "cosine", "self_eval"]


def judge_folder(quality: Quality) -> str:
    """Folder of the judge that learned from a label or from one part of it."""
    return "judge" if quality == "z" else f"judge_{quality}"


def tune(config: Config, *, force: bool = False, progress: Progress | None = None) -> Path:
    """Tune the judge, and those of the ablations that the config asks for; returns the judge's folder."""
    progress = progress or Quiet()
    exchanges = load_exchanges(config.path, force=force)
    labels = open_artefact(config.path, LABELS)
    for name, digest in exchanges.inputs.items():
        check_lineage("labels", labels.manifest.inputs, name, digest, force=force)
    by_id: dict[str, Label] = {row.id: row for row in labels.records() if row.z is not None}
    rows = [exchange for exchange in exchanges.of("train") if exchange.id in by_id]
    rows.sort(key=lambda exchange: content_id("tune", exchange.id))
    rows = rows[: config.tune.max_rows]
    qualities: tuple[Quality, ...] = ("z", *config.tune.ablations)
    for quality in qualities:
        _tune_one(config, quality, rows, by_id, labels.digest, force=force, progress=progress)
    return config.path / judge_folder("z")


def _tune_one(
    config: Config,
    quality: Quality,
    rows: Sequence[Exchange],
    labels: dict[str, Label],
    digest: str,
    *,
    force: bool,
    progress: Progress,
) -> None:
    folder = config.path / judge_folder(quality)
    partial = folder.with_name(f".{folder.name}.partial")
    method = config.tune.method
    causal = isinstance(method, CausalTuning)
    base = judge_backend(config, method.base).model if isinstance(method, CausalTuning) else ""
    settings = {
        "tune": config.tune.model_dump(mode="json", exclude={"ablations": True, "method": set(_SPEED_ONLY)}),
        "quality": quality,
        "base": base,
        "embedder": config.embedder.model_dump(),
    }
    base_digest = backends.model_digest(base) if causal else ""
    key = content_id(JUDGE_VERSION, settings, digest, base_digest, config.seed)
    # Several processes that learn together must find the same, so the first alone changes anything, and all meet after.
    progress = progress if first_process() else Quiet()
    # In this order, so that a process that looks while the first renames finds one of the two.
    if not force and _key(partial) == key:
        # A kill came between the last write and the rename.
        if first_process():
            _finish(config, partial, folder)
        return
    if not force and _key(folder) == key:
        progress.note(f"{folder.name}: up to date")
        return
    if first_process():
        if force:
            shutil.rmtree(partial, ignore_errors=True)
        with explained(partial):
            partial.mkdir(parents=True, exist_ok=True)
    examples = [_example(exchange, labels[exchange.id], quality) for exchange in rows]
    tuned = train(config, examples, partial, key, progress)
    if first_process():
        manifest = {
            "version": JUDGE_VERSION,
            "key": key,
            "kind": method.kind,
            "label": quality,
            "digest": tuned.digest,
            "base": tuned.base,
            "base_digest": tuned.base_digest,
            "template": getattr(method, "template", None),
            "embedder": None if causal else tuned.base,
            "rows": len(examples),
            "learned": tuned.learned,
            "skipped_too_long": tuned.skipped,
            "inputs": {"labels": digest},
            "settings": settings,
            "seed": config.seed,
            "versions": versions(),
            "seconds": round(tuned.seconds, 3),
            "exchanges_per_second": round(len(tuned.losses) * method.batch_size / max(tuned.seconds, 1e-9), 3),
            "losses": tuned.losses,
            "validation": tuned.validation,
        }
        write_json(partial / "judge.json", manifest)
        _finish(config, partial, folder)
        progress.finish(_summary(tuned))
    meet()


def _finish(config: Config, partial: Path, folder: Path) -> None:
    write_text(partial / "README.md", write_card(partial, config.path))
    replace_folder(partial, folder)


def _summary(tuned: Tuned) -> str:
    said = f"{tuned.learned:,} exchanges in {tuned.seconds:.1f} s, loss {tuned.losses[-1]['total']:.2f}"
    last = tuned.validation[-1] if tuned.validation else {}
    if "student_pearson" in last:
        said += f"; on exchanges held back, Pearson with the label {last['student_pearson']:.2f}"
    return said


def _key(folder: Path) -> str | None:
    try:
        return str(read_judge(folder)["key"])
    except ArtefactError:
        return None


def _example(exchange: Exchange, label: Label, quality: Quality) -> Example:
    value = {"z": label.z, "self_eval": label.self_eval}.get(quality)
    if quality == "cosine" and label.cosine is not None:
        value = TOP * max(0.0, label.cosine)
    if value is None:
        raise ConfigError(
            f"tune.ablations asks for a judge from {quality} alone, but the labels hold none: "
            f"set label.{quality} = true."
        )
    return Example(
        id=exchange.id,
        teacher=exchange.judge_input(with_reference=True),
        student=exchange.judge_input(with_reference=False),
        quality=value,
    )
