"""Reading and writing the settings of a run.

Order of precedence: the defaults in `settings`, the file, then overrides such as `label.weight=0.7`.
"""

import difflib
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from selfj.errors import ConfigError
from selfj.settings import Config, Settings

S = TypeVar("S", bound=Settings)


def builtin_configs() -> list[str]:
    """Names of the configs that ship with selfj, recipes for models of the paper and others among them."""
    return sorted(_builtin())


def load(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Load a config from a file, a run's folder, or the name of one that ships with selfj.

    Args:
        source: Path of a TOML file, folder of a run (its `run.toml` is read), or a built-in name such as `demo`.
        overrides: Settings such as `label.weight=0.7`; values are TOML, and a bare word is a string.

    Raises:
        ConfigError: The file is absent or malformed, or a setting is unknown or out of range.

    Example:
        >>> load("demo", ["seed=3"]).seed
        3
    """
    return parse(_read(source), overrides)


def parse(text: str, overrides: Sequence[str] = ()) -> Config:
    """Build a config from TOML text; see `load`."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The config is not valid TOML: {error}.") from error
    return build(Config, tree, overrides)


def build(kind: type[S], tree: dict[str, Any], overrides: Sequence[str] = ()) -> S:
    """Build settings of any kind from a tree of values and overrides; the tree is changed.

    Raises:
        ConfigError: A setting is unknown or out of range.
    """
    for override in overrides:
        _apply(tree, override)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error


def dump(config: Config) -> str:
    """Write a config as TOML with every default spelled out; `parse` reads it back equal."""
    return tomli_w.dumps(_without_none(config.model_dump(mode="json")))


def _read(source: str | Path) -> str:
    path = Path(source)
    if path.is_dir():
        path = path / "run.toml"
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot read the config {path}: {error}.") from error
    name, builtin = str(source), _builtin()
    if name in builtin:
        return builtin[name].read_text(encoding="utf-8")
    known = ", ".join(builtin_configs())
    raise ConfigError(f"No config at {name}: expected a TOML file, a run's folder or one of: {known}.")


def _builtin() -> dict[str, Traversable]:
    top = files("selfj").joinpath("configs")
    entries = [*top.iterdir(), *top.joinpath("recipes").iterdir()]
    return {entry.name.removesuffix(".toml"): entry for entry in entries if entry.name.endswith(".toml")}


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"An override must look like label.weight=0.7, got {override!r}.")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *parents, last = key.strip().split(".")
    table = tree
    default: Any = Config()
    for parent in parents:
        default = getattr(default, parent, None)
        # A table that nothing has named yet is of the kind that it is by default.
        kind = getattr(default, "kind", None)
        table = table.setdefault(parent, {} if kind is None or last == "kind" else {"kind": kind})
        if not isinstance(table, dict):
            raise ConfigError(f"{key} cannot be set: {parent} is a value, not a table.")
    table[last] = parsed


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        tags = {"world", "file", "plugin", "transformers", "http", "fake", "minilm", "lora", "encoder", "cross-encoder"}
        tags |= {"reward", "generative"}
        path = [str(part) for part in fault["loc"]]
        where = ".".join(part for i, part in enumerate(path) if i == 0 or part not in tags or i == len(path) - 1)
        if fault["type"] == "extra_forbidden":
            lines.append(f"{where} is not a setting{_nearest(path[-1])}")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            found = "" if fault["type"] in {"missing", "value_error"} else f", got {fault['input']!r}"
            lines.append(f"{where}: {message}{found}" if where else message)
    return "The config is wrong. " + "; ".join(lines) + "."


def _nearest(word: str) -> str:
    models = [Settings]
    for model in models:
        models.extend(model.__subclasses__())
    known = {name for model in models for name in model.model_fields}
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
