"""The sft stage: instructions and replies in, a tuned model or adapter out. It is no part of `run`."""

import time
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from selfj import backends
from selfj.collect.rows import from_file
from selfj.errors import ArtefactError, ConfigError
from selfj.exchanges import load_exchanges
from selfj.files import explained, file_digest, read_json, replace_folder, write_json, write_text
from selfj.judge import judge_backend
from selfj.progress import Progress, Quiet
from selfj.records import INSTRUCTIONS, Instruction, content_id
from selfj.settings import Config, FileSource
from selfj.store import open_artefact, versions
from selfj.tune.sft import Lesson, teach

SFT_VERSION = "sft/1"
FOLDER = "sft"


def sft(config: Config, *, force: bool = False, progress: Progress | None = None) -> Path:
    """Tune a base model on the run's instructions and replies, or on a file; returns the folder of the result.

    The folder loads as `target.model`, or as `target.adapter` where a LoRA adapter was tuned.

    Raises:
        ConfigError: There is nothing to learn, or the model cannot be loaded or tuned.
        ArtefactError: The run has no instructions or responses yet, or they are damaged.
        InputError: The file cannot be used.
        MissingDependency: A package for tuning is absent.
    """
    progress = progress or Quiet()
    lessons, left_out, inputs = read_lessons(config, force=force)
    folder = config.path / FOLDER
    partial = folder.with_name(f".{FOLDER}.partial")
    base = judge_backend(config, config.sft.base).model
    base_digest = backends.model_digest(base)
    settings = config.sft.model_dump(mode="json", exclude={"file", "checkpoint_steps"})
    rows_digest = content_id(sorted([lesson.id, lesson.messages, lesson.reply] for lesson in lessons))
    key = content_id(SFT_VERSION, settings, base, base_digest, rows_digest, config.seed)
    if not force and _key(folder) == key:
        progress.note(f"{FOLDER}: up to date")
        return folder
    with explained(partial):
        partial.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    taught = teach(config, lessons, partial, content_id(key, time.time_ns() if force else ""), progress)
    if not taught.first:
        return folder
    skipped = dict(sorted((Counter(left_out) + Counter(taught.skipped)).items()))
    manifest = {
        "version": SFT_VERSION,
        "key": key,
        "kind": config.sft.method.kind,
        "digest": _weights_digest(partial),
        "base": taught.base,
        "base_digest": taught.base_digest,
        "rows": taught.rows,
        "skipped": skipped,
        "tokens": taught.tokens,
        "reply_tokens": taught.reply_tokens,
        "inputs": {**inputs, "rows": rows_digest},
        "settings": settings,
        "seed": config.seed,
        "versions": {**versions(), **_version_of("accelerate")},
        "seconds": round(time.monotonic() - started, 3),
        "losses": taught.losses,
    }
    write_text(partial / "README.md", _card(manifest))
    write_json(partial / "sft.json", manifest)
    replace_folder(partial, folder)
    out = "".join(f", {n:,} {reason}" for reason, n in skipped.items())
    first, last = taught.losses[0], taught.losses[-1]
    progress.finish(
        f"{taught.rows:,} rows{out}, {len(taught.losses):,} steps in {manifest['seconds']:.1f} s, "
        f"loss {first:.2f} to {last:.2f}"
    )
    return folder


def read_lessons(config: Config, *, force: bool = False) -> tuple[list[Lesson], dict[str, int], dict[str, str]]:
    """Read what there is to learn, before any model is loaded.

    Returns:
        The lessons; how many rows were left out, by reason; and the digests of what was read.

    Raises:
        ConfigError: There is nothing to learn.
        ArtefactError, InputError: The run or the file cannot be read.
    """
    rows, inputs = _rows(config, force=force)
    left_out: Counter[str] = Counter()
    found: dict[str, Lesson] = {}
    for instruction, reply in rows:
        reason = _fault(instruction, reply, config)
        if reason is not None:
            left_out[reason] += 1
            continue
        messages = instruction.messages()
        lesson = Lesson(content_id("lesson", messages, reply), messages, reply or "")
        left_out["duplicate"] += lesson.id in found
        found[lesson.id] = lesson
    lessons = sorted(found.values(), key=lambda lesson: lesson.id)[: config.sft.max_rows]
    reasons = {reason: n for reason, n in left_out.items() if n}
    if not lessons:
        listed = ", ".join(f"{reason} {n:,}" for reason, n in sorted(reasons.items())) or "no rows"
        raise ConfigError(
            f"There is nothing to learn: expected instructions with a {config.sft.replies} in the splits "
            f"{', '.join(config.sft.splits)}, found {listed}. See sft.replies, sft.splits and sft.file."
        )
    return lessons, reasons, inputs


_Pairs = Iterable[tuple[Instruction, str | None]]


def _rows(config: Config, *, force: bool) -> tuple[_Pairs, dict[str, str]]:
    if config.sft.file is not None:
        source = FileSource(path=config.sft.file, columns=config.sft.columns)
        return _file_rows(source, config), {"file": file_digest(Path(source.path))}
    if config.sft.replies == "reference":
        artefact = open_artefact(config.path, INSTRUCTIONS)
        return ((row, row.reference) for row in artefact.records()), {"instructions": artefact.digest}
    exchanges = load_exchanges(config.path, force=force)
    return ((item.instruction, item.response.text) for item in exchanges.answers), exchanges.inputs


def _file_rows(source: FileSource, config: Config) -> _Pairs:
    for item in from_file(source, config.collect):
        if config.sft.replies == "reference":
            if item.new:
                yield item.instruction, item.instruction.reference
        else:
            good = item.response is not None and item.response.error is None
            yield item.instruction, item.response.text if good and item.response else None


def _fault(instruction: Instruction, reply: str | None, config: Config) -> str | None:
    if instruction.error:
        return instruction.error
    if instruction.split not in config.sft.splits:
        return "other_split"
    return None if reply and reply.strip() else f"no_{config.sft.replies}"


def _key(folder: Path) -> str | None:
    try:
        return str(read_json(folder / "sft.json", "Run selfj sft.").get("key"))
    except ArtefactError:
        return None


def _weights_digest(folder: Path) -> str:
    return content_id([(path.name, file_digest(path)) for path in sorted(folder.glob("*.safetensors"))])


def _version_of(package: str) -> dict[str, str]:
    try:
        return {package: version(package)}
    except PackageNotFoundError:
        return {}


def _card(manifest: dict[str, Any]) -> str:
    adapter = manifest["kind"] == "lora"
    what = "A LoRA adapter" if adapter else "A model"
    setting = 'adapter = "THIS FOLDER"' if adapter else 'model = "THIS FOLDER"'
    skipped = ", ".join(f"{reason} {n:,}" for reason, n in manifest["skipped"].items()) or "none"
    return f"""# {what} tuned by selfj

Answers instructions. Use it in a config:

```toml
[target]
kind = "transformers"
{f'model = "{manifest["base"]}"' + chr(10) if adapter else ""}{setting}
```

| | |
|---|---|
| base | {manifest["base"]} |
| learned from | {manifest["rows"]:,} rows, {manifest["reply_tokens"]:,} tokens of replies |
| left out | {skipped} |
| seed | {manifest["seed"]} |
| first and last loss | {manifest["losses"][0]:.3f}, {manifest["losses"][-1]:.3f} |
| digest | {manifest["digest"]} |

The licence of the base model holds for what was tuned from it.
"""
