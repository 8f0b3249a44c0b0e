"""Settings of a collection: sources, quality, what counts as a duplicate, and where the work runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import Field, field_validator, model_validator

from selfj.collection.categories import PAPER
from selfj.collection.quality import Quality
from selfj.collection.sources import Source, choose, parse, read_tree
from selfj.config import build
from selfj.model_settings import Settings


class Matching(Settings):
    """When two instructions are the same, and when one gives away an evaluation set."""

    exact: bool = True
    """Drop a row whose words are those of another; case, spacing and the signs around sentences do not count."""
    near: bool = True
    """Drop a row that is similar to one that is kept."""
    threshold: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of two instructions' sets of word n-grams from which they are near-duplicates."""
    ngram: int = Field(2, ge=1, le=13)
    """Words of an n-gram. Two words tell the order of words, and let an edit in a short instruction be small."""
    same_numbers: bool = False
    """Keep rows whose numbers differ, however similar they are: `What is 12 + 7?` beside `What is 12 + 8?`. What is
    similar to an evaluation row is dropped all the same."""
    bands: int = Field(16, ge=1, le=256)
    """Bands of the MinHash: a pair at the threshold is found with probability 1 - (1 - threshold^band_rows)^bands."""
    band_rows: int = Field(5, ge=1, le=64)
    """Minima in each band."""
    seed: int = 0
    passage: int = Field(13, ge=2, le=50)
    """A row that holds so many words in a row of an evaluation instruction is contaminated."""
    short: int = Field(8, ge=2)
    """A row that holds the whole of a shorter evaluation instruction is contaminated where that has so many words."""


class Categories(Settings):
    """How rows get a category that their source does not state."""

    shares: tuple[float, float, float] = PAPER
    """Shares of academic, coding and common to expect; they settle unclear texts."""

    @field_validator("shares")
    @classmethod
    def _positive(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) <= 0:
            raise ValueError(f"shares must be above 0, got {list(shares)}")
        return shares


class Collection(Settings):
    """All settings of a collection."""

    sources: tuple[Source, ...] = Field(min_length=1)
    """In order of preference: of two rows that are the same, that of the earlier source is kept."""
    evaluation: tuple[Source, ...] = ()
    """Evaluation sets: files of the same form as sources. What equals, nearly equals or contains one of their
    instructions is dropped as `contaminated`."""
    quality: Quality = Quality()
    matching: Matching = Matching()
    categories: Categories = Categories()
    rows_per_part: int = Field(50_000, ge=1)
    """Rows of a part: the unit of work, of resume and of distribution. It never changes which rows are kept."""
    runner: Literal["native", "ray"] = "native"
    """`native` is this machine; `ray` a cluster whose machines all see the collection's folder and the cache."""
    ray_address: str | None = None
    """Address of the cluster; None takes the one that this machine belongs to, or starts Ray on this machine."""
    workers: int = Field(0, ge=0)
    """Processes that work at the same time on this machine; 0 means one for each core. A cluster uses all its cores."""
    keep_work: bool = False
    """Keep prepared parts and matches when the collection is complete."""
    cache: str | None = None
    """Folder for downloads, to share them among collections; None means `cache` in the collection's folder."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [source.name for source in (*self.sources, *self.evaluation)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources or evaluation sets are named {name!r}; give each a name of its own")
        return self

    def deciding(self) -> dict[str, Any]:
        """The settings that decide rows and parts; where the work runs is not among them."""
        where = {"runner", "ray_address", "workers", "keep_work", "cache"}
        return self.model_dump(mode="json", exclude=where)


def load_collection(
    target: str | Path,
    overrides: Sequence[str] = (),
    *,
    only: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Collection:
    """Load a collection's settings from a TOML file, a collection's folder, or a built-in name.

    Args:
        target: Such as `mine.toml` or `self-j`.
        overrides: Settings such as `matching.threshold=0.9`; see `selfj.config.load`.
        only: Sources to take; see `selfj.collection.sources.load`.
        include: The same; added to what `only` takes.
        exclude: The same, taken away at the end.

    Raises:
        ConfigError: A setting or an entry is wrong.
    """
    tree = dict(read_tree(target))
    chosen = choose(parse(tree.get("sources"), str(target)), only=only, include=include, exclude=exclude)
    tree["sources"] = [_entry(source) for source in chosen]
    if tree.get("evaluation"):
        tree["evaluation"] = [_entry(source) for source in parse(tree["evaluation"], f"{target}, evaluation")]
    return build(Collection, tree, overrides)


def dump_collection(settings: Collection) -> str:
    """Write settings as TOML with every default spelled out; `load_collection` reads them back equal."""
    tree: dict[str, Any] = _without_none(settings.model_dump(mode="json"))
    lists: dict[str, Any] = {name: tree.pop(name) for name in ("sources", "evaluation") if name in tree}
    return tomli_w.dumps({**tree, **lists}, multiline_strings=False)


def _entry(source: Source) -> dict[str, Any]:
    entry: dict[str, Any] = _without_none(source.model_dump(mode="json"))
    return entry


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
