"""The judge: a level reader with a rule for what counts as a score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfj import backends
from selfj.backends.base import JudgeInput, LevelReader
from selfj.errors import ArtefactError, StaleArtefact
from selfj.files import read_json
from selfj.settings import Config, TransformersBackend, VllmBackend

JUDGE_VERSION = "judge/1"
_LEVELS = np.arange(10.0)


@dataclass(frozen=True, slots=True)
class Score:
    """What a judge says of one exchange."""

    value: float | None
    """Expected level in [0, 9], higher is better; None where the exchange is unscored."""
    levels: tuple[float, ...] | None
    """Probabilities of the levels 0 to 9."""
    label_mass: float | None
    """Probability of the ten level tokens before renormalising, in [0, 1]."""
    reader: str
    reason: str | None = None
    """Why the exchange is unscored."""
    truncated: bool = False
    """Whether a text was cut to fit the judge."""


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

        A reading with less label mass than `min_label_mass` is unscored, with the reason `low_label_mass`.
        """
        if not inputs:
            return []
        reading = self.reader.read(inputs)
        rows = zip(reading.probabilities, reading.label_mass, reading.errors, reading.truncated, strict=True)
        return [self._score(levels, float(mass), error, cut) for levels, mass, error, cut in rows]

    def _score(self, levels: np.ndarray[Any, Any], mass: float, error: str | None, truncated: bool) -> Score:
        if error is not None:
            return Score(None, None, None, self.name, error)
        # Six decimals: what is stored, compared with a threshold and shown is one and the same number.
        probabilities = tuple(round(float(p), 6) for p in levels)
        if mass < self.min_label_mass:
            return Score(None, probabilities, round(mass, 6), self.name, "low_label_mass", truncated)
        value = round(float(levels @ _LEVELS), 6)
        return Score(value, probabilities, round(mass, 6), self.name, truncated=truncated)


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


def load_judge(folder: Path, config: Config) -> Judge:
    """Load a tuned judge of either family.

    Args:
        folder: Where the tune stage left it.
        config: Gives the device and batch size of its model, and the least label mass of a score.

    Raises:
        ArtefactError: It is absent or malformed.
        StaleArtefact: Its base is not the model that it was tuned on.
    """
    manifest = read_judge(folder)
    mass, digest = config.score.min_label_mass, str(manifest["digest"])
    name = f"{manifest['kind']} {digest[:12]}"
    if manifest["kind"] == "encoder":
        reader: LevelReader = backends.encoder_reader(folder, backends.embedder(config.embedder))
        return Judge(reader, min_label_mass=mass, digest=digest, name=name)
    settings = judge_backend(config, manifest["base"])
    found = backends.model_digest(settings.model)
    if found != manifest["base_digest"]:
        raise StaleArtefact(
            f"The judge in {folder} was tuned on {manifest['base']} with digest {manifest['base_digest'][:12]}, but "
            f"that model now has digest {found[:12]}. Run selfj tune again for this model."
        )
    reader = backends.level_reader(settings, template=manifest["template"], adapter=str(folder))
    return Judge(reader, min_label_mass=mass, digest=digest, name=name)


def judge_backend(config: Config, base: str | None) -> TransformersBackend | VllmBackend:
    """The settings to read a judge's base model with: those of the target where that is a local model."""
    found = config.target
    target = found if isinstance(found, TransformersBackend | VllmBackend) else TransformersBackend()
    return target.model_copy(update={"model": base or target.model, "adapter": None})


def tuning_backend(config: Config, base: str | None) -> TransformersBackend:
    """The settings to tune a judge with: always transformers, on the model that `judge_backend` reads."""
    settings = judge_backend(config, base)
    if isinstance(settings, TransformersBackend):
        return settings
    return TransformersBackend(model=settings.model, dtype=settings.dtype, long_text=settings.long_text)
