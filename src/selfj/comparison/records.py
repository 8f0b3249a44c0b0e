"""What a comparison is asked, and what it compares: exchanges with gold and the scores of methods, source by source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from selfj.errors import ConfigError
from selfj.exchanges import Exchange
from selfj.label import TOP
from selfj.metrics import Array, Flags

Metric = Literal["pearson", "spearman", "kendall", "auroc"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the table is to show."""

    sources: tuple[str, ...]
    """Folders of finished runs, and files of exchanges."""
    gold: str | None = None
    """Column; None takes each run's own gold, and is refused for files."""
    scores: Mapping[str, str] = field(default_factory=dict)
    """From the name of a method to the column that holds its scores."""
    judges: tuple[str, ...] = ()
    """Scorers that are computed here, by the names of `selfj.judging.scorers`, or `ROW=NAME`."""
    published: bool = False
    model: str | None = None
    """Column of files that names the target model; None recognises it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """From a word such as `response` to a column of the files."""
    metric: Metric = "pearson"
    gold_scale: tuple[float, float] | None = None
    """Worst and best value of gold; None takes that of a run, and knows none for a file."""
    min_quality: float = 5.0
    """An exchange whose gold, mapped to [0, 9], is below this is a failure."""
    draws: int = 1000
    confidence: float = 0.95
    seed: int = 0
    overrides: tuple[str, ...] = ()
    """Settings of the runs and of the scorers, such as `embedder.engine=openvino`."""
    force: bool = False
    """Take stale runs too."""
    out: Path = Path("comparison")

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        if self.published and self.metric != "pearson":
            raise ConfigError(f"The published figures are Pearson's correlation; leave out --metric {self.metric}.")
        if self.gold_scale is not None and not self.gold_scale[0] < self.gold_scale[1]:
            low, high = self.gold_scale
            raise ConfigError(f"--gold-scale must be LOW,HIGH with LOW below HIGH, got {low:g},{high:g}.")


@dataclass(frozen=True, slots=True)
class Method:
    """A method beyond those of the paper's tables."""

    key: str
    title: str
    reference: bool
    """Whether it sees the reference."""


@dataclass(frozen=True, slots=True)
class Source:
    """The exchanges of one target model from one place; arrays have one length n."""

    name: str
    """Where it comes from, as it was asked for."""
    model: str
    """Its column of the table."""
    exchanges: Sequence[Exchange]
    gold: Array
    """As it is in the source; NaN where a row has none."""
    gold_name: str
    scale: tuple[float, float] | None
    """Worst and best value of gold; None where nobody said."""
    scores: Mapping[str, Array]
    """By method, higher is better; NaN is missing."""
    absent: Mapping[str, str]
    """Why a row of the paper's tables has no scores, in a few words."""
    further: tuple[Method, ...] = ()
    """Methods beyond the paper's."""
    seed: int | None = None
    """That of a run."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader of the table should know."""

    @property
    def groups(self) -> npt.NDArray[np.str_]:
        """Identifier of each exchange's instruction, the same in every source."""
        return np.array([exchange.instruction.id for exchange in self.exchanges], dtype=np.str_)

    @property
    def categories(self) -> list[str | None]:
        """Category of each exchange."""
        return [exchange.instruction.category for exchange in self.exchanges]

    def failure(self, min_quality: float) -> Flags | None:
        """Which exchanges are failures by gold; None where the scale of gold is not known."""
        if self.scale is None:
            return None
        low, high = self.scale
        failed: Flags = TOP * (self.gold - low) / (high - low) < min_quality
        return failed

    def known(self) -> "Source":
        """The same with only the exchanges that have gold.

        Raises:
            ConfigError: None has.
        """
        has = ~np.isnan(self.gold)
        if not has.any():
            raise ConfigError(
                f"None of the {len(has)} exchanges of {self.name} has gold in {self.gold_name}. Name another column "
                "with --gold."
            )
        if has.all():
            return self
        without = int((~has).sum())
        kept = [exchange for exchange, keep in zip(self.exchanges, has, strict=True) if keep]
        note = f"{self.name}: {without:,} of {len(has):,} exchanges have no gold and are left out."
        scores = {key: column[has] for key, column in self.scores.items()}
        return replace(self, exchanges=kept, gold=self.gold[has], scores=scores, notes=(*self.notes, note))
