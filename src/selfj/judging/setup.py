"""Which judge judges: the tuned one of a run, one in a folder, or an untuned model that reads a judge template."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from selfj import backends
from selfj import config as configs
from selfj.errors import ConfigError
from selfj.judge import Judge, load_judge
from selfj.judging.rows import RECOGNISED_FROM, Judging
from selfj.records import content_id
from selfj.risk import load_threshold
from selfj.settings import Config, TransformersBackend

_BATCHES_PER_CHUNK = 16
_BATCH = 64
_SPEED_ONLY = {"batch_size", "device", "stable_batches"}
"""Settings of a model that do not decide what it reads."""


def load_judging(
    *,
    run: str | Path | None = None,
    judge: str | Path | None = None,
    config: str | Path | None = None,
    adapter: str | None = None,
    overrides: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    use_reference: bool = True,
    chunk_rows: int | None = None,
    few: bool = False,
) -> Judging:
    """Load a judge for exchanges that are in no run.

    With `run` it is the run's judge, and its threshold decides; with `judge` it is the judge in that folder, or the one
    that ships by the name `general`, whose model is loaded as `config` says; with neither it is the target model of
    `config`, untuned, with the template and least label mass of the settings `label`.

    Args:
        run: Folder of a run.
        judge: Folder of a tuned judge, or `general`.
        config: What `selfj.config.load` takes; None means the defaults.
        adapter: PEFT adapter on top of the target model, where that is the judge.
        overrides: Settings such as `label.template=paper`.
        columns: From a word such as `response` to a column, before what is recognised.
        use_reference: Read a row that has a reference as the teacher.
        chunk_rows: Rows judged together; by default as many as fill some batches.
        few: Do not fill up batches; for a few rows at a time.

    Raises:
        ConfigError: Two judges are named, or a setting is wrong.
        ArtefactError: The judge or threshold is absent or malformed.
        StaleArtefact: The judge's base model changed, or the threshold was chosen for another judge.
    """
    if run is not None and (judge is not None or config is not None):
        raise ConfigError("Name one judge: a run, a judge's folder, or a config, not a run with another.")
    if adapter is not None and (run is not None or judge is not None):
        raise ConfigError("An adapter goes on top of an untuned model: name it with a config, or its folder as judge.")
    settings = _settings(run if run is not None else config, overrides, few=few)
    threshold, decides = None, False
    if run is not None:
        found = load_judge(Path(run) / "judge", settings)
        decides = (Path(run) / "threshold.json").is_file()
        if decides:
            threshold, _ = load_threshold(Path(run) / "threshold.json", judge=found.digest)
    elif judge is not None:
        found = load_judge(Path(judge), settings)
    else:
        found = _untuned(settings, adapter)
    rows = chunk_rows or _BATCHES_PER_CHUNK * getattr(settings.target, "batch_size", _BATCH)
    named = dict(columns or {})
    options = (sorted(named.items()), use_reference, min(rows, RECOGNISED_FROM))
    return Judging(
        judge=found,
        key=_key(found, settings, (decides, None if threshold is None else threshold.value), options),
        threshold=threshold,
        decides=decides,
        use_reference=use_reference,
        columns=named,
        chunk_rows=rows,
        max_failed=settings.max_failed,
    )


def _settings(source: str | Path | None, overrides: Sequence[str], *, few: bool) -> Config:
    config = configs.parse("", overrides) if source is None else configs.load(source, overrides)
    if few and isinstance(config.target, TransformersBackend):
        target = config.target.model_copy(update={"stable_batches": False})
        return config.model_copy(update={"target": target})
    return config


def _untuned(config: Config, adapter: str | None) -> Judge:
    reader = backends.level_reader(config.target, template=config.label.template, adapter=adapter)
    return Judge(
        reader,
        min_label_mass=config.label.min_label_mass,
        digest=content_id(backends.digest(config.target), backends.model_digest(adapter) if adapter else ""),
    )


def _key(judge: Judge, config: Config, decision: tuple[bool, float | None], options: object) -> str:
    """Hash of everything that decides a verdict besides its row."""
    models = [settings.model_dump(mode="json", exclude=_SPEED_ONLY) for settings in (config.target, config.embedder)]
    parts = (judge.digest, judge.min_label_mass, config.label.template, models, decision, options)
    return content_id("judging", *parts)[:16]
