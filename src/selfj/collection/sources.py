"""The sources of a collection as settings: where each lies, and which of its columns hold what.

A source is one `[[sources]]` entry of a TOML file. `self-j` names the registry that ships with selfj: the sources of
the paper's collection. `fields` has the words in which columns are named.
"""

import fnmatch
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from selfj.collection.fields import Choices, Text, parse_path, parse_template
from selfj.errors import ConfigError
from selfj.model_settings import Settings

BUILTIN = {"self-j": "registry.toml"}
"""Collections that ship with selfj, by name."""
CATEGORIES = ("common", "coding", "academic")
MIXED = "mixed"
Scalar = str | bool | int | float


class Filter(Settings):
    """A condition on a column; a row that does not meet it is read with the reason `not_selected`."""

    column: str
    """Path of the column; see `fields`."""
    equals: Scalar | None = None
    among: list[Scalar] | None = Field(None, min_length=1)
    """The value is one of these."""
    unlike: list[Scalar] | None = Field(None, min_length=1)
    """The value is none of these; an absent value passes."""
    least: float | None = None
    """The value is a number and at least this."""
    most: float | None = None
    """The value is a number and at most this."""
    present: bool | None = None
    """Whether there is a value that is not empty."""

    @model_validator(mode="after")
    def _some_condition(self) -> Self:
        parse_path(self.column)
        conditions = (self.equals, self.among, self.unlike, self.least, self.most, self.present)
        if all(value is None for value in conditions):
            raise ValueError("a filter needs equals, among, unlike, least, most or present")
        return self


class CategoryBy(Settings):
    """A category by the value of a column, or by the name of the file."""

    column: str | None = None
    """Path of the column; None takes the name of the file (with its folders in the repository)."""
    values: dict[str, str] = Field(min_length=1)
    """From a value of the column, or a pattern of file names such as `math*`, to a category."""
    otherwise: str = MIXED
    """The category of the rest; `mixed` leaves each row to the classifier."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.column is not None:
            parse_path(self.column)
        for category in [*self.values.values(), self.otherwise]:
            _check_category(category)
        return self


class Source(Settings):
    """One data set, and how its rows become instructions and references."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    """Name in the collection's tables; unique."""
    hub: str | None = None
    """Repository of a data set on the model hub, `OWNER/NAME`. Exactly one of hub, path and url is given."""
    path: str | None = None
    """File on this machine, or a pattern such as `data/*.jsonl.gz`; relative to the working folder."""
    url: str | list[str] | None = None
    """Address of a file, or of several."""

    formerly: str | None = None
    """The repository's name when the paper was written, where it differs."""
    configs: list[str] = Field(default_factory=lambda: ["default"], min_length=1)
    """Configurations of the data set, each a folder of the Parquet conversion; `*` means every one."""
    splits: list[str] = Field(default_factory=lambda: ["train"], min_length=1)
    """Splits of each configuration that are read, in this order; `*` means every one."""
    revision: str = "refs/convert/parquet"
    """Branch, tag or commit; the default is the hub's own conversion to Parquet, which needs no loading script."""
    files: list[str] = Field(default_factory=list)
    """Patterns of files in the repository, instead of configs and splits."""
    sha256: list[str] = Field(default_factory=list)
    """Pinned digests of the files, in their order; a file with another digest is a fault of the source."""
    format: Literal["auto", "parquet", "jsonl", "json", "csv", "tsv"] = "auto"

    instruction: str | Text
    """Path or template of the instruction: `question`, `answers.text[0]`, `"{title}\\n\\n{body}"`."""
    reference: str | Text | Choices | None = None
    """The same for the reference answer, or the choice that the answer names; None where there is none."""
    reference_kind: Literal["gold", "accepted", "voted", "mined", "generated"] | None = None
    """Where references come from: written as the answer; accepted or voted on a forum; mined; by a model; None where
    nobody says. The card tells it."""
    category: str | CategoryBy = MIXED
    """A category; `mixed` leaves each row to the classifier; or a table that takes it from a column or a file."""
    where: list[Filter] = Field(default_factory=list)
    """Conditions that a row has to meet."""
    limit: int | None = Field(None, ge=1)
    """At most the first so many rows of the source."""
    max_line_bytes: int = Field(1 << 20, ge=1 << 10)
    """A longer row of JSONL or CSV fails with the reason `line_too_long`."""

    licence: str = "unknown"
    """As its card states it; `unknown` where it states none."""
    note: str = ""
    """What a reader of the collection's card should know."""
    paper_rows: dict[str, int] = Field(default_factory=dict)
    """Rows that the paper kept, by category."""
    schema_checked: bool = True
    """Whether columns were compared with the data set's own card, script or files when the entry was written."""

    @field_validator("url")
    @classmethod
    def _no_secret(cls, value: Any) -> Any:
        for url in [value] if isinstance(value, str) else value or []:
            scheme, _, rest = url.partition("://")
            if scheme not in {"http", "https"} or not rest:
                raise ValueError("url must start with http:// or https://")
            if "@" in rest.partition("/")[0]:
                raise ValueError("url holds a user or a password; secrets belong into the environment")
        return value

    @field_validator("hub")
    @classmethod
    def _repository(cls, value: str | None) -> str | None:
        if value is not None and (value.count("/") > 1 or not all(value.split("/")) or " " in value):
            raise ValueError(f"hub takes OWNER/NAME, got {value!r}")
        return value

    @field_validator("instruction", "reference")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        if isinstance(value, str):
            parse_template(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(place is not None for place in (self.hub, self.path, self.url)) != 1:
            raise ValueError("exactly one of hub, path and url says where the source lies")
        if isinstance(self.category, str):
            _check_category(self.category)
        if self.reference is None and self.reference_kind is not None:
            raise ValueError("reference_kind is given, but no reference")
        unknown = sorted(set(self.paper_rows) - set(CATEGORIES))
        if unknown:
            raise ValueError(f"paper_rows: {unknown[0]!r} is not one of {', '.join(CATEGORIES)}")
        return self

    @property
    def urls(self) -> list[str]:
        """Addresses of the source's files, where it lies on servers."""
        return [self.url] if isinstance(self.url, str) else list(self.url or [])

    def may_have(self, category: str) -> bool:
        """Whether a row of the source can be of a category."""
        by = self.category
        named = {by} if isinstance(by, str) else {*by.values.values(), by.otherwise}
        return bool(named & {category, MIXED})


def _check_category(name: str) -> None:
    if name not in (*CATEGORIES, MIXED):
        raise ValueError(f"{name!r} is no category: expected one of {', '.join(CATEGORIES)}, {MIXED}")


def is_collection(target: str | Path) -> bool:
    """Whether a target of `selfj collect` is a collection: a built-in name, or a TOML file with `[[sources]]`.

    A file that cannot be read or is no TOML is none; what is wrong with it comes to light where it is loaded.
    """
    path = Path(target)
    if not path.is_file():
        return str(target) in BUILTIN
    try:
        return path.suffix == ".toml" and "sources" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def read_tree(target: str | Path) -> dict[str, Any]:
    """The TOML of a collection as it lies in the file; the other settings of the collection are beside `sources`.

    Raises:
        ConfigError: There is no such file or built-in collection, or it is not TOML.
    """
    path = Path(target)
    if path.is_dir():
        path = path / "collection.toml"
    try:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
        elif str(target) in BUILTIN:
            text = files("selfj").joinpath("collection", BUILTIN[str(target)]).read_text(encoding="utf-8")
        else:
            known = ", ".join(BUILTIN)
            raise ConfigError(f"No collection at {target}: expected a TOML file, a collection's folder or {known}.")
        return tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the collection {path}: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The collection {path} is not valid TOML: {error}.") from error


def load(
    target: str | Path,
    *,
    only: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> list[Source]:
    """Load the sources of a collection, in the order of the file.

    Args:
        target: A TOML file, a collection's folder, or a built-in name.
        only: Names of sources, patterns of names (`stack*`) or categories; when given, nothing else is taken.
        include: The same; added to what `only` takes.
        exclude: The same, taken away at the end. A category here takes away sources that have no other.

    Raises:
        ConfigError: The file or an entry is wrong (the message names the entry and the field), a name fits nothing, or
            nothing is left.

    Example:
        >>> [source.name for source in load("self-j", only=["mbpp", "sciq"])]
        ['mbpp', 'sciq']
    """
    return choose(parse(read_tree(target).get("sources"), str(target)), only=only, include=include, exclude=exclude)


def parse(entries: object, where: str = "the collection") -> list[Source]:
    """Build sources from the entries of `[[sources]]`; see `load`."""
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{where} has no [[sources]]: expected at least one entry with a name and a place.")
    sources, faults = [], []
    for position, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            faults.append(f"sources entry {position} is not a table")
            continue
        name = entry.get("name")
        label = f"sources entry {position}" + (f" ({name})" if isinstance(name, str) else "")
        try:
            sources.append(Source.model_validate(entry))
        except ValidationError as error:
            faults += [f"{label}: {_explain(fault)}" for fault in _relevant(error)]
    counts = Counter(source.name for source in sources)
    faults += [f"{count} entries have the name {name}" for name, count in counts.items() if count > 1]
    if faults:
        raise ConfigError(f"{where} is wrong. " + "; ".join(faults) + ".")
    return sources


def _relevant(error: ValidationError) -> list[Any]:
    """The faults of each field that go deepest; a field of several forms has faults for each of them."""
    by_field: dict[str, list[Any]] = {}
    for fault in error.errors(include_url=False):
        by_field.setdefault(str(fault["loc"][:1]), []).append(fault)
    found = []
    for faults in by_field.values():
        other_form = [
            fault for fault in faults if not fault["type"].endswith(("string_type", "model_type", "list_type"))
        ]
        kept = other_form or faults[:1]
        deepest = max(len(fault["loc"]) for fault in kept)
        found += [fault for fault in kept if len(fault["loc"]) == deepest]
    return found


def _explain(fault: Any) -> str:
    # Pydantic names the members of a union in the path.
    members = ("Text", "Choices", "CategoryBy", "str", "list[", "function-")
    path = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(members))
    if fault["type"] == "extra_forbidden":
        return f"{path} is not a field of a source"
    if fault["type"] == "missing":
        return f"{path} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def choose(
    sources: Iterable[Source],
    *,
    only: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> list[Source]:
    """Select sources by name, pattern or category; see `load`."""
    sources = list(sources)
    for word in [*only, *include, *exclude]:
        if word not in CATEGORIES and not any(fnmatch.fnmatchcase(source.name, word) for source in sources):
            names = ", ".join(source.name for source in sources)
            raise ConfigError(f"No source is named {word!r}. Sources: {names}; categories: {', '.join(CATEGORIES)}.")
    chosen = [s for s in sources if not only or _fits(s, only) or _fits(s, include)]
    chosen = [s for s in chosen if not _fits(s, exclude, alone=True)]
    if not chosen:
        raise ConfigError("No source is left: only, include and exclude leave nothing.")
    return chosen


def _fits(source: Source, words: Sequence[str], *, alone: bool = False) -> bool:
    named = any(fnmatch.fnmatchcase(source.name, word) for word in words)
    if alone:
        return named or source.category in words
    return named or any(word in CATEGORIES and source.may_have(word) for word in words)
