"""The judge: a level reader with a rule for what counts as a score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from selfj import backends
from selfj.backends.base import JudgeInput, LevelReader, LevelReading, PairReader
from selfj.errors import ArtefactError, ConfigError, StaleArtefact
from selfj.files import read_json
from selfj.settings import Config, HttpBackend, TransformersBackend, VllmBackend

JUDGE_VERSION = "judge/1"
GENERAL = "general"
"""Names the judge that ships with the package."""
ENCODERS = ("encoder", "cross-encoder")
"""Kinds of judges that need no language model."""
_GENERAL_FOLDER = Path(__file__).with_name("general") / "model"
_LEVELS = np.arange(10.0)


@dataclass(frozen=True, slots=True)
class Score:
    """What a judge says of one exchange."""

    value: float | None
    """Expected level in [0, 9], higher is better; None where the exchange is unscored."""
    levels: tuple[float, ...] | None
    """Probabilities of the levels 0 to 9."""
    label_mass: float | None
    """Probability of the ten level tokens before renormalising, in [0, 1]; None where the model does not say."""
    reader: str
    reason: str | None = None
    """Why the exchange is unscored."""
    truncated: bool = False
    """Whether a text was cut to fit the judge."""
    raw: float | None = None
    """What a judge of another kind gave on its own scale (see `selfj.peers`): a reward, of which only differences mean
    something, or a written verdict. It is never a level, and no threshold looks at it."""


class Scorer(Protocol):
    """Whatever scores exchanges: a `Judge`, or a judge of another kind."""

    name: str

    def score(self, inputs: Sequence[JudgeInput]) -> list[Score]:
        """Score exchanges in order."""
        ...


class Judge:
    """Scores exchanges with any level reader."""

    def __init__(
        self, reader: LevelReader, *, min_label_mass: float = 0.5, digest: str = "", name: str | None = None
    ) -> None:
        """Wrap a reader.

        Args:
            reader: Reads the level probabilities.
            min_label_mass: A reading with less is unscored.
            digest: Of a tuned judge's weights.
            name: Stands in every score; the reader's own name by default.
        """
        self.reader = reader
        self.min_label_mass = min_label_mass
        self.digest = digest
        self.name = name or reader.name

    def score(self, inputs: Sequence[JudgeInput]) -> list[Score]:
        """Score exchanges in order; those with a reference are read as the teacher.

        A reading with less label mass than `min_label_mass` is unscored, with the reason `low_label_mass`; one whose
        label mass is unknown is scored.
        """
        if not inputs:
            return []
        return self._scores(self.reader.read(inputs))

    def score_both(self, inputs: Sequence[JudgeInput]) -> tuple[list[Score], list[Score]]:
        """Score exchanges that all have a reference, in order, as the student and as the teacher.

        One pass reads both where the reader and its template can.
        """
        if inputs and isinstance(self.reader, PairReader):
            student, teacher = self.reader.read_both(inputs)
            return self._scores(student), self._scores(teacher)
        students = [JudgeInput(exchange.instruction, exchange.response) for exchange in inputs]
        return self.score(students), self.score(inputs)

    def _scores(self, reading: LevelReading) -> list[Score]:
        rows = zip(reading.probabilities, reading.label_mass, reading.errors, reading.truncated, strict=True)
        return [self._score(levels, float(mass), error, cut) for levels, mass, error, cut in rows]

    def _score(self, levels: np.ndarray[Any, Any], mass: float, error: str | None, truncated: bool) -> Score:
        if error is not None:
            return Score(None, None, None, self.name, error)
        if not np.isfinite(levels).all():
            return Score(None, None, None, self.name, "not_finite", truncated)
        # Six decimals: what is stored, compared with a threshold and shown is one and the same number.
        probabilities = tuple(round(float(p), 6) for p in levels)
        known = None if math.isnan(mass) else round(mass, 6)
        if mass < self.min_label_mass:
            return Score(None, probabilities, known, self.name, "low_label_mass", truncated)
        value = round(float(levels @ _LEVELS), 6)
        return Score(value, probabilities, known, self.name, truncated=truncated)


def read_judge(folder: Path) -> dict[str, Any]:
    """Read a judge's manifest.

    Raises:
        ArtefactError: It is absent, malformed or of another version.
    """
    manifest = read_json(folder / "judge.json", "Run selfj tune first.")
    if manifest.get("version") != JUDGE_VERSION:
        found = manifest.get("version")
        raise ArtefactError(
            f"{folder}/judge.json is of version {found}, this selfj reads {JUDGE_VERSION}. Run selfj tune again."
        )
    return manifest


def load_judge(source: str | Path, config: Config | None = None, *, template: str | None = None) -> Judge:
    """Load a judge: one tuned by selfj, a PEFT adapter, or a whole model.

    Args:
        source: `general`, the judge that ships with the package; a folder, or as text also a hub name. A folder that
            the tune stage left, of any family; a PEFT adapter, whose base is the one that its `adapter_config.json`
            names; or any causal LM, such as a merged judge. A folder of the name `general` here is taken before the
            judge that ships.
        config: Gives the device and batch size of its model, and the least label mass of a score.
        template: Judge template of an adapter or a model, `selfj` by default; a judge of selfj knows its own.

    Raises:
        ArtefactError: There is no judge in the folder, or it is malformed.
        StaleArtefact: The base of a judge of selfj is not the model that it was tuned on.
        ConfigError: The model or its base cannot be loaded, or the template does not fit.
    """
    config = config or Config()
    folder = Path(source)
    if str(source) == GENERAL and not folder.exists():
        return _tuned_judge(_GENERAL_FOLDER, config, template)
    if (folder / "judge.json").is_file() or not _is_model(source):
        return _tuned_judge(folder, config, template)
    settings = judge_backend(config, str(source))
    base = backends.adapter_base(str(source))
    if base is not None:
        settings = settings.model_copy(update={"model": base, "adapter": str(source)})
    reader = backends.level_reader(settings, template=template or "selfj")
    return Judge(reader, min_label_mass=config.score.min_label_mass, digest=backends.digest(settings))


def _is_model(source: str | Path) -> bool:
    """Whether it can only be a model: text that is no folder here is a name on a hub."""
    folder = Path(source)
    if not folder.is_dir():
        return isinstance(source, str)
    return any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))


def _tuned_judge(folder: Path, config: Config, template: str | None) -> Judge:
    manifest = read_judge(folder)
    if template is not None and template != manifest["template"]:
        raise ConfigError(
            f"The judge in {folder} was tuned with the template {manifest['template']}, and {template} was asked for; "
            "leave the template out."
        )
    mass, digest = config.score.min_label_mass, str(manifest["digest"])
    name = f"{manifest['kind']} {digest[:12]}"
    if manifest["kind"] in ENCODERS:
        engine = getattr(config.embedder, "engine", "torch")
        name = name if engine == "torch" else f"{name} ({engine})"
        if manifest["kind"] == "cross-encoder":
            reader: LevelReader = backends.cross_encoder_reader(folder, config.embedder)
        else:
            reader = backends.encoder_reader(folder, backends.embedder(config.embedder))
        return Judge(reader, min_label_mass=mass, digest=digest, name=name)
    if is_whole(folder):
        reader = backends.level_reader(judge_backend(config, str(folder)), template=manifest["template"])
        return Judge(reader, min_label_mass=mass, digest=digest, name=name)
    settings = judge_backend(config, manifest["base"])
    check_base(folder, manifest)
    reader = backends.level_reader(settings, template=manifest["template"], adapter=str(folder))
    return Judge(reader, min_label_mass=mass, digest=digest, name=name)


def is_whole(folder: Path) -> bool:
    """Whether a judge's folder holds a whole model, which needs no base, rather than an adapter or a head."""
    return (folder / "config.json").is_file()


def check_base(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a judge whose base is no longer the model that it was tuned on.

    Raises:
        StaleArtefact: It has another digest.
    """
    found = backends.model_digest(manifest["base"])
    if found != manifest["base_digest"]:
        raise StaleArtefact(
            f"The judge in {folder} was tuned on {manifest['base']} with digest {manifest['base_digest'][:12]}, but "
            f"that model now has digest {found[:12]}. Run selfj tune again for this model."
        )


def judge_backend(config: Config, base: str | None) -> TransformersBackend | VllmBackend:
    """The settings to read a judge's base model with: those of the target where that is a local model.

    Raises:
        ConfigError: The target is on a server, and no base is named.
    """
    if isinstance(config.target, HttpBackend) and base is None:
        raise ConfigError(
            f"LoRA needs the weights of the model {config.target.model!r}, and target.kind is http. Name them as "
            'tune.method.base, or tune an encoder: tune.method.kind = "encoder".'
        )
    local = config.target if isinstance(config.target, TransformersBackend | VllmBackend) else None
    target = local or TransformersBackend()
    return target.model_copy(update={"model": base or target.model, "adapter": None})


def tuning_backend(config: Config, base: str | None) -> TransformersBackend:
    """The settings to tune a judge with: always transformers, on the model that `judge_backend` reads."""
    settings = judge_backend(config, base)
    if isinstance(settings, TransformersBackend):
        return settings
    return TransformersBackend(model=settings.model, dtype=settings.dtype, long_text=settings.long_text)
