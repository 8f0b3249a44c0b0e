"""Settings of a run: one frozen model per stage, the documentation under each field; `model_settings` has the models.

A secret is never a value here; a setting may name the environment variable that holds one.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfj.model_settings import (
    Backend,
    Embedder,
    FakeBackend,
    FakeEmbedder,
    GenerativePeer,
    HttpBackend,
    MiniLM,
    NoBackend,
    Peer,
    PluginBackend,
    RewardBackend,
    RewardPeer,
    Settings,
    TransformersBackend,
    VllmBackend,
)
from selfj.sft_settings import Sft, SftFull, SftLora
from selfj.tune_settings import (
    CausalTuning,
    CrossEncoderTuning,
    EncoderTuning,
    FullTuning,
    LoraTuning,
    Template,
    Tune,
    Tuning,
)

__all__ = [
    "Backend",
    "Calibrate",
    "CausalTuning",
    "Collect",
    "Config",
    "CrossEncoderTuning",
    "Embedder",
    "EncoderTuning",
    "Evaluate",
    "FakeBackend",
    "FakeEmbedder",
    "FileSource",
    "FullTuning",
    "GenerativePeer",
    "HttpBackend",
    "LabelSettings",
    "LoraTuning",
    "Method",
    "MiniLM",
    "NoBackend",
    "Peer",
    "PluginBackend",
    "PluginSource",
    "RewardBackend",
    "RewardPeer",
    "Sample",
    "ScoreSettings",
    "Settings",
    "Sft",
    "SftFull",
    "SftLora",
    "Source",
    "Template",
    "TransformersBackend",
    "Tune",
    "Tuning",
    "VllmBackend",
    "WorldSource",
]


class WorldSource(Settings):
    """Instructions of the embedded world, with computed references."""

    kind: Literal["world"] = "world"
    n: int = Field(3000, ge=1)
    """Number of distinct instructions, spread evenly over the families."""
    families: tuple[str, ...] = ()
    """Names of families; empty means `world.ASKED`, those of the demo."""
    seed: int = 0


class FileSource(Settings):
    """Instructions, or exchanges that one already has, in a file."""

    kind: Literal["file"] = "file"
    path: str
    """JSONL, JSON (Alpaca, ShareGPT, chat messages), CSV, TSV or Parquet; relative to the working folder."""
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet"] = "auto"
    columns: dict[str, str] = Field(default_factory=dict)
    """From a word of selfj (instruction, response, reference, system, messages, category, group) to a column."""
    limit: int | None = Field(None, ge=1)
    """Read at most this many rows."""
    max_chars: int = Field(100_000, ge=1)
    """A longer text fails its row with the reason `too_long`."""


class PluginSource(Settings):
    """Instructions from a function `f(**options) -> iterable of row dicts` of one's own."""

    kind: Literal["plugin"] = "plugin"
    target: str
    """`package.module:function`."""
    options: dict[str, Any] = Field(default_factory=dict)


Source = Annotated[WorldSource | FileSource | PluginSource, Field(discriminator="kind")]


class Collect(Settings):
    """Where the instructions come from and how they are split."""

    source: Source = WorldSource()
    train: float = Field(0.6, ge=0, le=1)
    """Share of instructions on which the judge is tuned."""
    calibration: float = Field(0.2, ge=0, le=1)
    """Share on which the threshold is chosen; the rest is for the test."""
    name: str = ""
    """Changes the split when set; instructions are assigned by hash of their text and this name."""

    @model_validator(mode="after")
    def _shares(self) -> "Collect":
        if self.train + self.calibration > 1:
            found = self.train + self.calibration
            raise ValueError(f"train + calibration must be at most 1, got {found:g}")
        return self


class Sample(Settings):
    """How the target model answers."""

    temperature: float = Field(0.7, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(64, ge=1)
    responses: int = Field(1, ge=1)
    """Answers per instruction, each of them judged."""
    variations: int = Field(4, ge=0)
    """Further samples per test instruction; they only feed the VRO baseline."""


class LabelSettings(Settings):
    """How a quality label is made without people."""

    self_eval: bool = True
    """The target model rates its own answer with the reference in view."""
    cosine: bool = True
    """Semantic similarity of response and reference."""
    weight: float = Field(0.5, ge=0, le=1)
    """Weight of self-evaluation in z; the rest goes to 9 x cosine."""
    template: Template = "selfj"
    min_label_mass: float = Field(0.01, ge=0, le=1)
    """A self-evaluation with less probability on the ten levels than this is not used."""

    @model_validator(mode="after")
    def _something(self) -> "LabelSettings":
        if not (self.self_eval or self.cosine):
            raise ValueError("at least one of self_eval and cosine must be true")
        return self


Method = Literal["ppl", "vro", "self_eval", "length"]


class ScoreSettings(Settings):
    """Which methods score the calibration and test exchanges; the tuned judges always do."""

    methods: tuple[Method, ...] = ("ppl", "vro", "self_eval", "length")
    min_label_mass: float = Field(0.5, ge=0, le=1)
    """A judge's reading with less probability on the ten levels than this is unscored."""


class Calibrate(Settings):
    """The promise: at most `max_risk` failures among answered exchanges, with `confidence`."""

    max_risk: float = Field(0.1, gt=0, lt=1)
    confidence: float = Field(0.95, gt=0, lt=1)
    min_quality: float = Field(5.0, gt=0, le=9)
    """An exchange whose label is below this is a failure."""
    label: str = "z"
    """`z`, or a gold column (see evaluate.gold) to calibrate on."""


class Evaluate(Settings):
    """What the methods are compared with."""

    gold: str | None = None
    """None compares with z; a column of the input file; `package.module:function` of (meta, response); or a file
    `….jsonl` that `selfj grade RUN` wrote."""
    gold_range: tuple[float, float] = (0.0, 9.0)
    """Lowest and highest gold value; gold is mapped from here to [0, 9]."""
    bootstrap: int = Field(1000, ge=10)
    confidence: float = Field(0.95, gt=0, lt=1)
    examples: int = Field(12, ge=0)
    """Answered and declined exchanges shown in the report."""


class Config(Settings):
    """All settings of a run."""

    name: str = "run"
    dir: str = "runs"
    """The run lies in `dir/name`."""
    seed: int = 0
    part_size: int = Field(500, ge=1)
    """Rows per part: the unit of work and of resume. It never changes a result."""
    max_failed: float = Field(0.01, ge=0, le=1)
    """A stage with a greater share of failed rows ends with an error, its rows kept."""
    target: Backend = TransformersBackend()
    embedder: Embedder = MiniLM()
    collect: Collect = Collect()
    sample: Sample = Sample()
    label: LabelSettings = LabelSettings()
    sft: Sft = Sft()
    tune: Tune = Tune()
    score: ScoreSettings = ScoreSettings()
    calibrate: Calibrate = Calibrate()
    evaluate: Evaluate = Evaluate()
    judges: tuple[Peer, ...] = ()
    """Further judges that score the test exchanges, for comparison."""

    @model_validator(mode="after")
    def _distinct_judges(self) -> "Config":
        names = [peer.name for peer in self.judges]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two judges are named {name!r}; give each a name of its own")
        return self

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return Path(self.dir) / self.name
